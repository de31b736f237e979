"""How many accounts have a value, and what they amount to."""

from dataclasses import dataclass

from stream.view.entry import Entry


@dataclass(slots=True)
class Total:
    """How many accounts have a value, and the sums of their money in minor units."""

    accounts: int = 0
    revenue: int = 0
    stake: int = 0

    def add(self, entry: Entry, sign: int) -> None:
        """Count an account in (1) or out (-1)."""
        self.accounts += sign
        self.revenue += sign * entry.revenue
        self.stake += sign * entry.stake

    def copy(self) -> "Total":
        """Give one that can be changed by itself."""
        return Total(self.accounts, self.revenue, self.stake)

    def packed(self) -> bytes:
        """Give the text that is stored."""
        return b"%d %d %d" % (self.accounts, self.revenue, self.stake)


def read_total(packed: bytes) -> Total:
    """Read a stored total.

    >>> read_total(Total(2, 300, -1).packed())
    Total(accounts=2, revenue=300, stake=-1)
    """
    return Total(*map(int, packed.split()))
