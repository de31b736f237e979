"""When a portfolio is counted again: once a day, and while it is young whenever it has grown much."""

from typing import Final

DOUBLED: Final = 2.0


class Recount:
    """Day and accounts of the last count.

    Args:
        day: None before the first.
        accounts: how many there were.
        growth: how many times as many accounts do not wait for the next day.

    >>> last = Recount()
    >>> last.is_due(day=10, accounts=0), last.is_due(day=10, accounts=1)
    (False, True)
    >>> last.counted(day=10, accounts=3)
    >>> last.is_due(day=10, accounts=5), last.is_due(day=10, accounts=6), last.is_due(day=11, accounts=3)
    (False, True, True)
    """

    def __init__(self, day: int | None = None, accounts: int = 0, growth: float = DOUBLED) -> None:
        self.day = day
        self.accounts = accounts
        self._growth = growth

    def is_due(self, day: int, accounts: int) -> bool:
        """Tell whether it is time to count: on a later day than the last time, or many more than then."""
        return self.has_grown(accounts) or (self.day is not None and day > self.day)

    def has_grown(self, accounts: int) -> bool:
        """Tell whether there are many more accounts than the last time, or the first ones."""
        return accounts >= max(1, self._growth * self.accounts)

    def counted(self, day: int, accounts: int) -> None:
        """Note that a count took place."""
        self.day, self.accounts = day, accounts
