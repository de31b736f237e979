"""All accounts of one partition: their states, which of them are due, and their clock. No I/O.

States are held packed: the packed ones are always the committed ones. Those touched since the last `commit` are held
unpacked beside them, and some of those that were touched before, as who has an event has the next one soon. To abort is
to forget the unpacked ones that were touched.
"""

import hashlib
import hmac
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Final, NamedTuple

from models.bodies import Snapshot, encode, without_moment
from models.codec import by_header, grade, header, level_of, pack, tier_of, unpack
from models.events import AccountEvent
from models.orders import CoreEvent
from models.state import UNPLANNED, AccountState, ErasedAccount
from processors.account import Step, advance, apply
from processors.context import Context
from processors.due import DueDays
from processors.evaluation import plan
from processors.snapshots import snapshot
from processors.windows import totals

NEVER: Final = -1
"""The clock before the first event."""
_NO_DAY: Final = 2**31
"""After every day."""
UNPACKED_MAX: Final = 5000
"""Accounts that are held unpacked when nothing is touched, at most."""
_HASH_BYTES: Final = 8


class Changes(NamedTuple):
    """What a transaction must write: packed states (None: erased) and erasure marks, by key."""

    states: dict[str, bytes | None]
    erased: dict[str, ErasedAccount]


class Described(NamedTuple):
    """A snapshot, and the body of its record."""

    snapshot: Snapshot
    body: bytes


class Partition:
    """The accounts of one partition.

    Args:
        context: the policy in force.
        clock_ms: the latest moment this partition has reached, epoch milliseconds.
        unpacked_max: how many accounts are held unpacked beyond a transaction; a speed against memory.
    """

    def __init__(self, context: Context, clock_ms: int = NEVER, unpacked_max: int = UNPACKED_MAX) -> None:
        self.context = context
        self.clock_ms = clock_ms
        self.packed_bytes = 0
        # A dictionary keeps their order: who has waited longest is told first.
        self.snapshots_pending: dict[str, None] = {}
        self._unpacked_max = unpacked_max
        self._packed: dict[str, bytes] = {}
        self._grades: Counter[bytes] = Counter()
        # The latest state of whatever account stands here, touched or not.
        self._unpacked: dict[str, AccountState] = {}
        # Since the last commit; None is an erased account.
        self._touched: dict[str, AccountState | None] = {}
        self._due = DueDays()
        # Accounts whose due day is no longer the one noted in `_due`, with that one.
        self._moved: dict[str, int | None] = {}
        # The earliest due day that any of them ever had since.
        self._first_moved_to = _NO_DAY
        self._erased: dict[str, ErasedAccount] = {}
        self._newly_erased: dict[str, ErasedAccount] = {}
        self._committed_clock_ms = clock_ms
        # Accounts still to be evaluated under a new policy, the next one last.
        self._stale: list[str] = []
        # Those of them that were evaluated since the last commit.
        self._refreshed: list[str] = []

    def __len__(self) -> int:
        return len(self._packed)

    def __contains__(self, account_id: str) -> bool:
        if account_id in self._unpacked:
            return True
        return account_id in self._packed and account_id not in self._touched

    def account_ids(self) -> Iterator[str]:
        """Give the ids of the committed accounts, in no particular order."""
        return iter(self._packed)

    def packed_states(self) -> list[bytes]:
        """Give the committed states as they are now, in no particular order: a list that nobody changes."""
        return list(self._packed.values())

    @property
    def tiers(self) -> Counter[str]:
        """Count the committed accounts by tier; "" stands for none."""
        return self._counted(tier_of)

    @property
    def levels(self) -> Counter[str]:
        """Count the committed accounts by churn level; "" stands for none."""
        return self._counted(level_of)

    def restore(self, account_id: str, packed: bytes | None) -> None:
        """Take one record of the changelog; a later one of the same account replaces it.

        Raises:
            StateFormatError: if the bytes are not a state of a known format.
        """
        self._leave(account_id)
        self._unpacked.pop(account_id, None)
        self._replace(account_id, packed)
        self._return(account_id)

    def restore_all(self, states: dict[str, bytes]) -> None:
        """Take over the last record of each account, into a partition that holds none yet.

        Raises:
            StateFormatError: if the bytes of one are not a state of a known format.
        """
        assert not self._packed, "a partition is restored as a whole once"
        for head, account_ids in by_header(states):
            if head.due_day is not None:
                self._due.add_all(head.due_day, account_ids)
            if head.snapshot_pending:
                self.snapshots_pending |= dict.fromkeys(account_ids)
        self._packed = states
        self._grades.update(map(grade, states.values()))
        self.packed_bytes = sum(map(len, states.values()))

    def set_clock(self, clock_ms: int) -> None:
        """Set the clock that a checkpoint holds."""
        self.clock_ms = self._committed_clock_ms = clock_ms

    def restore_erased(self, mark_key: str, mark: ErasedAccount) -> None:
        """Take one erasure mark of the changelog."""
        self._erased[mark_key] = mark

    def begin_anew(self, account_id: str) -> None:
        """Let what comes of an account that is not here be its next incarnation: of the one before nothing is kept."""
        held = self.erasure_of(account_id) or ErasedAccount(NEVER, 0)
        self._newly_erased[self._mark_key(account_id)] = ErasedAccount(held.erased_ms, held.incarnation + 1)

    def get(self, account_id: str) -> AccountState | None:
        """Read an account, with what is not committed yet. Do not change it."""
        state = self._latest(account_id)
        if state is not None:
            plan(state)
        return state

    def _latest(self, account_id: str) -> AccountState | None:
        """Give an account whose due day may not be worked out yet."""
        state = self._unpacked.get(account_id)
        if state is not None or account_id in self._touched:
            return state
        packed = self._packed.get(account_id)
        return None if packed is None else unpack(packed)

    def apply(self, event: CoreEvent | AccountEvent, now_ms: int = 0) -> Step:
        """Apply one event; the clock moves to it, or to the live clock if that is given.

        A late one finds its account as time has left it, whether or not `tick` has reached the account yet. A refused
        one moves nothing.
        """
        account_id = event.account_id
        state = self._latest(account_id)
        due_day = None if state is None else state.due_day
        mark = self.erasure_of(account_id)
        step = apply(state, event, self.context, now_ms=now_ms, clock_ms=self.clock_ms, erased=mark, planned=False)
        if step.refusal is None:
            self.clock_ms = max(self.clock_ms, now_ms or event.occurred_ms)
        if step.erased is not None:
            self._newly_erased[self._mark_key(account_id)] = step.erased
        if step.changed:
            self._touch(account_id, step.state, due_day)
        return step

    def refresh(self) -> None:
        """Let `tick` evaluate every committed account by what the context says now, at the pace of its limit."""
        self._stale = sorted(self._packed, reverse=True)
        self._refreshed.clear()

    def settled(self) -> None:
        """Take every account as evaluated by what the context says."""
        self._stale.clear()
        self._refreshed.clear()

    def stale_count(self) -> int:
        """Count the accounts that `refresh` left to evaluate."""
        return len(self._stale)

    def tick(self, now_ms: int, limit: int) -> Iterator[tuple[str, Step]]:
        """Move the clock to a moment and advance the accounts that are due by then, at most `limit` of them.

        Earliest due day first, accounts in an order that depends on their ids alone; then those that a new policy
        waits for. Call again until it yields nothing.
        """
        self.clock_ms = max(self.clock_ms, now_ms)
        due = self._due_accounts(self.context.day_of(self.clock_ms), limit)
        for account_id in due:
            yield account_id, self.advance(account_id)
        for _ in range(min(limit - len(due), len(self._stale))):
            account_id = self._stale.pop()
            self._refreshed.append(account_id)
            if account_id in self:
                yield account_id, self.advance(account_id)

    def advance(self, account_id: str) -> Step:
        """Let time, and a change of policy, reach one account."""
        state = self.get(account_id)
        assert state is not None, "only a known account can advance"
        due_day = state.due_day
        step = advance(state, self.clock_ms, self.context)
        if step.changed:
            self._touch(account_id, step.state, due_day)
        return step

    def prepare_tick(self, now_ms: int, limit: int) -> bool:
        """Put at most `limit` of the accounts that a tick would find in order; False if some are left.

        Changes nothing but how long that tick takes: of a million accounts that are due on one day, too long.
        """
        if max(self.clock_ms, now_ms) == NEVER:
            return True
        return self._due.deal(self.context.day_of(max(self.clock_ms, now_ms)), limit)

    def due_count(self) -> int:
        """Count the accounts that are due at the clock."""
        if self.clock_ms == NEVER:
            return 0
        today = self.context.day_of(self.clock_ms)
        if self._first_moved_to <= today:
            self._settle_due()
            return self._due.count(today)
        # Whoever has moved is not due yet. To work out the days of all of them is for the commit: asked every second,
        # it would be done twice.
        moved = sum(day is not None and day <= today for day in self._moved.values())
        return self._due.count(today) - moved

    def take_snapshot(self, account_id: str) -> Described | None:
        """Describe an account for its subscribers, and note what was said; None if nothing is new but its moment."""
        state = self.get(account_id)
        assert state is not None, "only a known account has a snapshot"
        described = snapshot(state, self.context)
        body = encode(described)
        news = _hash_of(without_moment(body))
        is_new = news != state.published_hash
        state.published_revision, state.published_hash = state.revision, news
        self._touch(account_id, state, state.due_day)
        return Described(described, body) if is_new else None

    def touched_count(self) -> int:
        """Count the accounts that were touched since the last commit."""
        return len(self._touched)

    def is_touched(self) -> bool:
        """Tell whether anything was touched since the last commit."""
        return bool(self._touched) or bool(self._newly_erased)

    def changes(self) -> Changes:
        """Pack what was touched since the last commit."""
        states: dict[str, bytes | None] = {}
        for account_id, state in self._touched.items():
            if state is None:
                states[account_id] = None
            else:
                plan(state)
                states[account_id] = pack(state, totals(state).order_days)
        return Changes(states, dict(self._newly_erased))

    def commit(self, changes: Changes) -> None:
        """Make the changes, which `changes` gave, the committed state."""
        self._settle_due()
        for account_id, packed in changes.states.items():
            self._replace(account_id, packed)
        self._erased.update(changes.erased)
        self._touched.clear()
        self._newly_erased.clear()
        self._refreshed.clear()
        self._committed_clock_ms = self.clock_ms
        # Those that were unpacked first: a dictionary keeps their order.
        for account_id in list(islice(self._unpacked, max(0, len(self._unpacked) - self._unpacked_max))):
            del self._unpacked[account_id]

    def abort(self) -> None:
        """Forget all that was touched since the last commit."""
        touched = list(self._touched)
        for account_id in touched:
            self._leave(account_id)
            self._unpacked.pop(account_id, None)
        self._touched.clear()
        self._newly_erased.clear()
        self.clock_ms = self._committed_clock_ms
        self._stale += reversed(self._refreshed)
        self._refreshed.clear()
        for account_id in touched:
            self._return(account_id)

    def _counted(self, key: Callable[[bytes], str | None]) -> Counter[str]:
        counted: Counter[str] = Counter()
        for grade_, count in self._grades.items():
            counted[key(grade_) or ""] += count
        return counted

    def _touch(self, account_id: str, state: AccountState | None, due_day: int | None) -> None:
        self._touched[account_id] = state
        if state is None:
            self._unpacked.pop(account_id, None)
            self._moved.setdefault(account_id, due_day)
            self.snapshots_pending.pop(account_id, None)
            return
        self._unpacked[account_id] = state
        if state.due_day != due_day or due_day == UNPLANNED:
            if due_day != UNPLANNED:
                self._moved.setdefault(account_id, due_day)
            # Not worked out yet, it is a later day than that of the account.
            earliest_day = state.as_of_day + 1 if state.due_day == UNPLANNED else state.due_day
            if earliest_day is not None and earliest_day < self._first_moved_to:
                self._first_moved_to = earliest_day
        if state.revision > state.published_revision:
            self.snapshots_pending[account_id] = None
        else:
            self.snapshots_pending.pop(account_id, None)

    def _replace(self, account_id: str, packed: bytes | None) -> None:
        """Put a packed state in the place of the one that is there, if one is."""
        old = self._packed.get(account_id)
        if old is not None:
            self.packed_bytes -= len(old)
            self._grades[grade(old)] -= 1
        if packed is None:
            self._packed.pop(account_id, None)
            return
        self._packed[account_id] = packed
        self.packed_bytes += len(packed)
        self._grades[grade(packed)] += 1

    def _settle_due(self) -> None:
        """Note the due days that have changed: once for all events of an account."""
        for account_id, noted_day in self._moved.items():
            state = self._touched[account_id]
            due_day = None if state is None else plan(state)
            if due_day != noted_day:
                self._due.remove(account_id, noted_day)
                self._due.add(account_id, due_day)
        self._moved.clear()
        self._first_moved_to = _NO_DAY

    def _leave(self, account_id: str) -> None:
        """Take an account out of what is due and what is pending."""
        if account_id in self._moved:
            noted_day = self._moved.pop(account_id)
        elif (state := self.get(account_id)) is not None:
            noted_day = state.due_day
        else:
            noted_day = None
        self._due.remove(account_id, noted_day)
        self.snapshots_pending.pop(account_id, None)

    def _return(self, account_id: str) -> None:
        """Put an account where its packed state says."""
        packed = self._packed.get(account_id)
        if packed is not None:
            head = header(packed)
            self._due.add(account_id, head.due_day)
            if head.snapshot_pending:
                self.snapshots_pending[account_id] = None

    def _due_accounts(self, today: int, limit: int) -> list[str]:
        if self._first_moved_to <= today or self._due.has_come(today):
            self._settle_due()
            return self._due.first(today, limit)
        return []

    def erasure_of(self, account_id: str) -> ErasedAccount | None:
        """Give what is left of the last erasure of an account, if there was one."""
        if not self._erased and not self._newly_erased:
            return None
        key = self._mark_key(account_id)
        return self._newly_erased.get(key) or self._erased.get(key)

    def _mark_key(self, account_id: str) -> str:
        return hmac.new(self.context.erasure_secret, account_id.encode(), hashlib.sha256).hexdigest()


def _hash_of(seen: bytes) -> int:
    return int.from_bytes(hashlib.blake2b(seen, digest_size=_HASH_BYTES).digest())
