"""The census of a replay: exact, and of all accounts as often as the day turns."""

from models.codec import pack_figures
from models.state import AccountState
from processors.partition import Partition
from processors.portfolio.census import Counted, take

_Standing = tuple[int, int | None, int, int, int]


class Figures:
    """What a census reads of accounts, brought up to date where they changed."""

    def __init__(self) -> None:
        self._figures: dict[str, bytes] = {}
        self._standings: dict[str, _Standing] = {}
        # Whether an event changed them, and not time alone.
        self._changed: dict[str, tuple[Partition, bool]] = {}
        self._new_accounts = 0

    def note(self, account_id: str, accounts: Partition, *, by_event: bool) -> None:
        """Note that an account changed."""
        before = self._changed.get(account_id)
        if before is None and account_id not in self._figures:
            self._new_accounts += 1
        self._changed[account_id] = (accounts, by_event or (before is not None and before[1]))

    @property
    def accounts(self) -> int:
        """How many accounts there are, those that were erased since the last census with them."""
        return len(self._figures) + self._new_accounts

    def count(self, as_of_day: int) -> Counted:
        """Count all accounts as they are."""
        for account_id, (accounts, by_event) in self._changed.items():
            state = accounts.get(account_id)
            if state is None:
                self._figures.pop(account_id, None)
                self._standings.pop(account_id, None)
                continue
            standing = _standing(state)
            if by_event or self._standings.get(account_id) != standing:
                self._figures[account_id] = pack_figures(state)
                self._standings[account_id] = standing
        self._changed.clear()
        self._new_accounts = 0
        return take(b"".join(self._figures.values()), as_of_day)


def _standing(state: AccountState) -> _Standing:
    """Give all that time alone can change of the figures."""
    return (
        state.year_revenue_minor,
        state.year_profit_minor,
        state.year_orders,
        state.parts,
        len(state.support_days),
    )
