"""When a portfolio is counted again: once a day, and while it is young whenever it has doubled."""


class Recount:
    """Day and accounts of the last count.

    >>> last = Recount()
    >>> last.is_due(day=10, accounts=0), last.is_due(day=10, accounts=1)
    (False, True)
    >>> last.counted(day=10, accounts=3)
    >>> last.is_due(day=10, accounts=5), last.is_due(day=10, accounts=6), last.is_due(day=11, accounts=3)
    (False, True, True)
    """

    def __init__(self, day: int | None = None, accounts: int = 0) -> None:
        self.day = day
        self.accounts = accounts

    def is_due(self, day: int, accounts: int) -> bool:
        """Tell whether it is time to count: on a later day than the last time, or twice as many as then."""
        return self.has_doubled(accounts) or (self.day is not None and day > self.day)

    def has_doubled(self, accounts: int) -> bool:
        """Tell whether there are twice as many accounts as the last time, or the first ones."""
        return accounts >= max(1, 2 * self.accounts)

    def counted(self, day: int, accounts: int) -> None:
        """Note that a count took place."""
        self.day, self.accounts = day, accounts
