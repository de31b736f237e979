"""All accounts of one partition: their states, which of them are due, and their clock. No I/O.

States are held packed. Those touched since the last `commit` are held unpacked beside them, so that `abort` is to
forget them: the packed ones are always the committed ones.
"""

import hashlib
import hmac
import zlib
from collections import Counter
from collections.abc import Iterator
from typing import Final, NamedTuple

from models.codec import header, pack, unpack
from models.events import AccountEvent
from models.orders import CoreEvent
from models.snapshots import Snapshot
from models.state import AccountState, ErasedAccount
from processors.account import Step, advance, apply
from processors.context import Context
from processors.snapshots import snapshot

NEVER: Final = -1
"""The clock before the first event."""
_SLOTS: Final = 256
_HASH_BYTES: Final = 8


class Changes(NamedTuple):
    """What a transaction must write: packed states (None: erased) and erasure marks, by key."""

    states: dict[str, bytes | None]
    erased: dict[str, ErasedAccount]


class Partition:
    """The accounts of one partition.

    Args:
        context: the policy in force.
        clock_ms: the latest moment this partition has reached, epoch milliseconds.
    """

    def __init__(self, context: Context, clock_ms: int = NEVER) -> None:
        self.context = context
        self.clock_ms = clock_ms
        self.packed_bytes = 0
        self.tiers: Counter[str] = Counter()
        self.levels: Counter[str] = Counter()
        self.snapshots_pending: set[str] = set()
        self._packed: dict[str, bytes] = {}
        # Touched since the last commit; None is an erased account.
        self._touched: dict[str, AccountState | None] = {}
        # By due day and slot: a slice of what is due is put in order without sorting a whole day's accounts.
        self._due: dict[int, dict[int, set[str]]] = {}
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
        if account_id in self._touched:
            return self._touched[account_id] is not None
        return account_id in self._packed

    def account_ids(self) -> Iterator[str]:
        """Give the ids of the committed accounts, in no particular order."""
        return iter(self._packed)

    def packed_states(self) -> list[bytes]:
        """Give the committed states as they are now, in no particular order: a list that nobody changes."""
        return list(self._packed.values())

    def restore(self, account_id: str, packed: bytes | None) -> None:
        """Take one record of the changelog; a later one of the same account replaces it.

        Raises:
            StateFormatError: if the bytes are not a state of a known format.
        """
        self._replace(account_id, packed)

    def set_clock(self, clock_ms: int) -> None:
        """Set the clock that a checkpoint holds."""
        self.clock_ms = self._committed_clock_ms = clock_ms

    def restore_erased(self, mark_key: str, mark: ErasedAccount) -> None:
        """Take one erasure mark of the changelog."""
        self._erased[mark_key] = mark

    def get(self, account_id: str) -> AccountState | None:
        """Read an account, with what is not committed yet. Do not change it."""
        if account_id in self._touched:
            return self._touched[account_id]
        packed = self._packed.get(account_id)
        return None if packed is None else unpack(packed)

    def apply(self, event: CoreEvent | AccountEvent, now_ms: int = 0) -> Step:
        """Apply one event; the clock moves to it, or to the live clock if that is given.

        A late one finds its account as time has left it, whether or not `tick` has reached the account yet. A refused
        one moves nothing.
        """
        account_id = event.account_id
        state = self.get(account_id)
        due_day = None if state is None else state.due_day
        mark = self.erasure_of(account_id)
        step = apply(state, event, self.context, now_ms=now_ms, clock_ms=self.clock_ms, erased=mark)
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

    def due_count(self) -> int:
        """Count the accounts that are due at the clock."""
        if self.clock_ms == NEVER:
            return 0
        today = self.context.day_of(self.clock_ms)
        return sum(len(accounts) for day, slots in self._due.items() if day <= today for accounts in slots.values())

    def take_snapshot(self, account_id: str) -> Snapshot | None:
        """Describe an account for its subscribers, and note what was said; None if nothing is new but its moment."""
        state = self.get(account_id)
        assert state is not None, "only a known account has a snapshot"
        described = snapshot(state, self.context)
        news = _hash_of(described)
        is_new = news != state.published_hash
        state.published_revision, state.published_hash = state.revision, news
        self._touch(account_id, state, state.due_day)
        return described if is_new else None

    def is_touched(self) -> bool:
        """Tell whether anything was touched since the last commit."""
        return bool(self._touched) or bool(self._newly_erased)

    def changes(self) -> Changes:
        """Pack what was touched since the last commit."""
        return Changes(
            {account_id: None if state is None else pack(state) for account_id, state in self._touched.items()},
            dict(self._newly_erased),
        )

    def commit(self, changes: Changes) -> None:
        """Make the changes, which `changes` gave, the committed state."""
        for account_id, packed in changes.states.items():
            # Where it is due was noted when it was touched.
            self._replace(account_id, packed, scheduled=False)
        self._erased.update(changes.erased)
        self._touched.clear()
        self._newly_erased.clear()
        self._refreshed.clear()
        self._committed_clock_ms = self.clock_ms

    def abort(self) -> None:
        """Forget all that was touched since the last commit."""
        for account_id in self._touched:
            self._forget_due(account_id)
        touched = list(self._touched)
        self._touched.clear()
        self._newly_erased.clear()
        self.clock_ms = self._committed_clock_ms
        self._stale += reversed(self._refreshed)
        self._refreshed.clear()
        for account_id in touched:
            self.snapshots_pending.discard(account_id)
            packed = self._packed.pop(account_id, None)
            if packed is not None:
                self._uncount(packed)
                self._replace(account_id, packed)

    def _touch(self, account_id: str, state: AccountState | None, due_day: int | None) -> None:
        self._touched[account_id] = state
        new_due_day = None if state is None else state.due_day
        if new_due_day != due_day:
            self._unschedule(account_id, due_day)
            self._schedule(account_id, new_due_day)
        if state is not None and state.revision > state.published_revision:
            self.snapshots_pending.add(account_id)
        else:
            self.snapshots_pending.discard(account_id)

    def _forget_due(self, account_id: str) -> None:
        state = self._touched.get(account_id)
        if state is not None:
            self._unschedule(account_id, state.due_day)

    def _replace(self, account_id: str, packed: bytes | None, *, scheduled: bool = True) -> None:
        old = self._packed.pop(account_id, None)
        if old is not None:
            if scheduled:
                self._unschedule(account_id, header(old).due_day)
            self._uncount(old)
        self.snapshots_pending.discard(account_id)
        if packed is None:
            return
        self._packed[account_id] = packed
        head = header(packed)
        self._schedule(account_id, head.due_day)
        self.packed_bytes += len(packed)
        self.tiers[head.tier or ""] += 1
        self.levels[head.level or ""] += 1
        if head.snapshot_pending:
            self.snapshots_pending.add(account_id)

    def _uncount(self, packed: bytes) -> None:
        head = header(packed)
        self.packed_bytes -= len(packed)
        self.tiers[head.tier or ""] -= 1
        self.levels[head.level or ""] -= 1

    def _schedule(self, account_id: str, day: int | None) -> None:
        if day is not None:
            self._due.setdefault(day, {}).setdefault(_slot(account_id), set()).add(account_id)

    def _unschedule(self, account_id: str, day: int | None) -> None:
        if day is None or (slots := self._due.get(day)) is None:
            return
        slot = _slot(account_id)
        if (accounts := slots.get(slot)) is None:
            return
        accounts.discard(account_id)
        if not accounts:
            del slots[slot]
            if not slots:
                del self._due[day]

    def _due_accounts(self, today: int, limit: int) -> list[str]:
        chosen: list[str] = []
        for day in sorted(day for day in self._due if day <= today):
            slots = self._due[day]
            for slot in sorted(slots):
                chosen += sorted(slots[slot])[: limit - len(chosen)]
                if len(chosen) >= limit:
                    return chosen
        return chosen

    def erasure_of(self, account_id: str) -> ErasedAccount | None:
        """Give what is left of the last erasure of an account, if there was one."""
        if not self._erased and not self._newly_erased:
            return None
        key = self._mark_key(account_id)
        return self._newly_erased.get(key) or self._erased.get(key)

    def _mark_key(self, account_id: str) -> str:
        return hmac.new(self.context.erasure_secret, account_id.encode(), hashlib.sha256).hexdigest()


def _hash_of(described: Snapshot) -> int:
    seen = described.model_dump_json(exclude={"as_of", "revision"}).encode()
    return int.from_bytes(hashlib.blake2b(seen, digest_size=_HASH_BYTES).digest())


def _slot(account_id: str) -> int:
    return zlib.crc32(account_id.encode()) % _SLOTS
