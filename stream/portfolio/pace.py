"""When a portfolio is counted again: once a day, and while it is young whenever it has doubled."""


class Pace:
    """Days and accounts of the last count.

    >>> pace = Pace()
    >>> pace.is_due(day=10, accounts=0), pace.is_due(day=10, accounts=1)
    (False, True)
    >>> pace.counted(day=10, accounts=3)
    >>> pace.is_due(day=10, accounts=5), pace.is_due(day=10, accounts=6), pace.is_due(day=11, accounts=3)
    (False, True, True)
    """

    def __init__(self, day: int | None = None, accounts: int = 0) -> None:
        self.day = day
        self.accounts = accounts

    def is_due(self, day: int, accounts: int) -> bool:
        """Tell whether it is time to count: on another day than the last time, or twice as many as then."""
        if self.day is None:
            return accounts > 0
        return day > self.day or accounts >= max(1, 2 * self.accounts)

    def counted(self, day: int, accounts: int) -> None:
        """Note that a count took place."""
        self.day, self.accounts = day, accounts
