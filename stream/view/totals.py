"""How many accounts have a value, and what they amount to."""

from dataclasses import dataclass

from stream.view.entry import Entry


@dataclass(slots=True)
class Total:
    """How many accounts have a value, and the sums of their money in minor units."""

    accounts: int = 0
    revenue: int = 0
    stake: int = 0
    lost: int = 0
    """Of lost accounts: what a year with them was worth."""

    def add(self, entry: Entry, sign: int) -> None:
        """Count an account in (1) or out (-1)."""
        self.accounts += sign
        self.revenue += sign * entry.revenue
        self.stake += sign * entry.stake
        self.lost += sign * entry.lost

    def include(self, other: "Total") -> None:
        """Count all that another one counts."""
        self.accounts += other.accounts
        self.revenue += other.revenue
        self.stake += other.stake
        self.lost += other.lost

    def clear(self) -> None:
        """Count nothing any longer."""
        self.accounts = self.revenue = self.stake = self.lost = 0

    def copy(self) -> "Total":
        """Give one that can be changed by itself."""
        return Total(self.accounts, self.revenue, self.stake, self.lost)

    def packed(self) -> bytes:
        """Give the text that is stored."""
        return b"%d %d %d %d" % (self.accounts, self.revenue, self.stake, self.lost)


def read_total(packed: bytes) -> Total:
    """Read a stored total.

    >>> read_total(Total(2, 300, -1).packed())
    Total(accounts=2, revenue=300, stake=-1, lost=0)
    """
    return Total(*map(int, packed.split()))
