"""The censuses of a replay: exact, over all of its partitions at once."""

from models.codec import pack_figures
from models.policy import Classes
from models.portfolio import CutPoints
from processors.partition import Partition
from processors.portfolio.census import take
from processors.portfolio.cutting import cut_points
from stream.portfolio.recount import Recount


class Survey:
    """Counts the accounts of a replay again and again, and looks only at those that changed in between.

    Args:
        classes: the policy's bounds.
    """

    def __init__(self, classes: Classes) -> None:
        self.version = 0
        """Of the last cut points."""
        self._classes = classes
        self._last = Recount()
        self._figures: dict[str, bytes] = {}
        self._changed: dict[str, Partition] = {}
        self._new_accounts = 0

    def note(self, account_id: str, accounts: Partition) -> None:
        """Note that an account changed."""
        if account_id not in self._figures and account_id not in self._changed:
            self._new_accounts += 1
        self._changed[account_id] = accounts

    def is_due(self, day: int) -> bool:
        """Tell whether the accounts are to be counted again, now that a day has come."""
        return self._last.is_due(day, len(self._figures) + self._new_accounts)

    def turns(self, day: int) -> bool:
        """Tell whether a day is later than that of the last count."""
        return self._last.day is not None and day > self._last.day

    def take(self, as_of_day: int) -> CutPoints:
        """Count all accounts as they are, and draw the next cut points."""
        for account_id, accounts in self._changed.items():
            state = accounts.get(account_id)
            if state is None:
                self._figures.pop(account_id, None)
            else:
                self._figures[account_id] = pack_figures(state)
        self._changed.clear()
        self._new_accounts = 0
        self._last.counted(as_of_day, len(self._figures))
        self.version += 1
        return cut_points([take(b"".join(self._figures.values()), as_of_day)], self.version, self._classes)
