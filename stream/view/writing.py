"""Writing the view: one batch of records and the positions behind them are one Redis transaction.

The hash `meta` holds the positions and is watched: of two processes that write the same view one finds out, and
nothing is applied twice. What a batch needs to know of the totals and of the changes' places is held in memory, and
read again whenever `meta` turns out to be another.
"""

import time
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import redis

from stream.view import keys as names
from stream.view.account import Account, account_of, decode_head
from stream.view.entry import Entry
from stream.view.keys import CELL_SORTS, Keys
from stream.view.packing import SCHEMA, pack, unpack

WAITING_SECONDS: Final = 86_400
"""A change waits for its account's first snapshot for as long; those of an erased account never see one."""
_SCAN_COUNT: Final = 1000
_UNLINK_AT_ONCE: Final = 1000
_MS: Final = 1000

Position = tuple[str, int]
"""Suffix of a topic, and partition."""


class ViewConflictError(RuntimeError):
    """Another process wrote the view, or Redis lost it: what is held in memory no longer tells how it is."""


@dataclass(slots=True)
class Batch:
    """Records to be applied together, in the order of each partition."""

    snapshots: dict[str, list[bytes | None]] = field(default_factory=dict)
    """By account; None erases it."""
    changes: dict[str, list[bytes]] = field(default_factory=dict)
    positions: dict[Position, int] = field(default_factory=dict)
    """The offsets that come next."""


@dataclass(slots=True)
class Written:
    """What became of the records of a batch."""

    snapshots: int = 0
    erasures: int = 0
    changes: int = 0
    stale: int = 0
    """Older than what was held, or there twice, or of an account that was erased."""
    unreadable: int = 0


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

    def packed(self) -> bytes:
        """Give the text that is stored."""
        return b"%d %d %d" % (self.accounts, self.revenue, self.stake)


def read_total(packed: bytes) -> Total:
    """Read a stored total.

    >>> read_total(Total(2, 300, -1).packed())
    Total(accounts=2, revenue=300, stake=-1)
    """
    return Total(*map(int, packed.split()))


class _Feed:
    """Whose changes stand where in the stream, oldest first."""

    def __init__(self) -> None:
        self._account_of: dict[int, str] = {}
        self._numbers_of: dict[str, list[int]] = {}

    def of(self, account_id: str) -> list[int]:
        return self._numbers_of.get(account_id, [])

    def append(self, number: int, account_id: str) -> None:
        self._account_of[number] = account_id
        self._numbers_of.setdefault(account_id, []).append(number)

    def forget(self, account_id: str) -> None:
        for number in self._numbers_of.pop(account_id, ()):
            del self._account_of[number]

    def trim(self, oldest: int) -> None:
        while self._account_of and (number := next(iter(self._account_of))) < oldest:
            account_id = self._account_of.pop(number)
            numbers = self._numbers_of[account_id]
            numbers.remove(number)
            if not numbers:
                del self._numbers_of[account_id]


class _Plan:
    """The commands of one batch, collected by key."""

    def __init__(self) -> None:
        self.added: defaultdict[str, dict[bytes, int]] = defaultdict(dict)
        self.removed: defaultdict[str, list[bytes]] = defaultdict(list)
        self.joined: defaultdict[str, list[str]] = defaultdict(list)
        self.left: defaultdict[str, list[str]] = defaultdict(list)


class ViewWriter:
    """Writes one application's view.

    Args:
        client: of Redis; answers in bytes.
        keys: of the view.
        changes_kept: how many changes the stream holds.

    All methods raise redis.RedisError when Redis does not answer, or refuses.
    """

    def __init__(self, client: "redis.Redis", keys: Keys, changes_kept: int) -> None:
        self._client: Any = client  # its annotations answer for the asynchronous client as well
        self._keys = keys
        self._changes_kept = changes_kept
        self._meta: dict[bytes, bytes] = {}
        self._totals: dict[str, dict[str, Total]] = {}
        self._feed = _Feed()

    @property
    def meta(self) -> Mapping[bytes, bytes]:
        """The hash `meta` as this process left it."""
        return self._meta

    @property
    def accounts(self) -> int:
        """How many accounts the view holds."""
        return sum(one.accounts for one in self._totals.get("cell", {}).values())

    def load(self) -> None:
        """Read what a batch must know; an empty `meta` says that there is no view of this version."""
        self._meta = self._client.hgetall(self._keys.meta)
        self._totals, self._feed = {}, _Feed()
        if self._meta.get(names.SCHEMA) != SCHEMA.encode():
            self._meta = {}
            return
        for key in self._client.scan_iter(match=f"{_escaped(self._keys.totals(''))}*", count=_SCAN_COUNT):
            group = key.decode().removeprefix(self._keys.totals(""))
            self._totals[group] = {
                value.decode(): read_total(packed) for value, packed in self._client.hgetall(key).items()
            }
        for place, fields in self._client.xrange(self._keys.changes):
            number = int(place.rpartition(b"-")[2])
            self._feed.append(number, decode_head(unpack(fields[names.EVENT])).account_id)

    def clear(self) -> int:
        """Remove the whole view, whichever version wrote it; returns how many keys that were."""
        # First: from here on it is known to be none.
        self._client.delete(self._keys.meta)
        count, found = 0, []
        for key in self._client.scan_iter(match=f"{_escaped(self._keys.prefix)}*", count=_SCAN_COUNT):
            found.append(key)
            if len(found) == _UNLINK_AT_ONCE:
                count += self._client.unlink(*found)
                found.clear()
        if found:
            count += self._client.unlink(*found)
        self._meta, self._totals, self._feed = {}, {}, _Feed()
        return count

    def begin(self, marks: Mapping[bytes, bytes]) -> None:
        """Begin a view where there is none.

        Raises:
            ViewConflictError: if another process began one meanwhile.
        """
        build = str(time.time_ns() // 1_000_000).encode()
        meta = {names.SCHEMA: SCHEMA.encode(), names.BUILD: build, names.CHANGES: b"0", **marks}
        pipe = self._client.pipeline(transaction=True)
        try:
            pipe.watch(self._keys.meta)
            if pipe.exists(self._keys.meta):
                raise ViewConflictError("another process began to build the view")
            pipe.multi()
            pipe.hset(self._keys.meta, mapping=meta)
            pipe.execute()
        except redis.WatchError as error:
            raise ViewConflictError("another process began to build the view") from error
        finally:
            pipe.reset()
        self._meta = meta

    def write(self, batch: Batch, marks: Mapping[bytes, bytes]) -> Written:
        """Apply a batch, its positions and some fields of `meta` at once.

        Raises:
            ViewConflictError: if `meta` is not as this process left it; nothing was applied.
        """
        pipe = self._client.pipeline(transaction=True)
        try:
            # Watched before anything is read: what another process writes meanwhile is noticed.
            pipe.watch(self._keys.meta)
            if pipe.hgetall(self._keys.meta) != self._meta:
                raise ViewConflictError("the view is not as this process left it")
            accounts = self._read({*batch.snapshots, *batch.changes})
            before = {account_id: one.entry for account_id, one in accounts.items()}
            written = _apply(batch, accounts)
            pipe.multi()
            meta = dict(self._meta) | dict(marks)
            meta |= {position_field(*one): b"%d" % offset for one, offset in batch.positions.items()}
            meta[names.UPDATED_AT] = b"%d" % (time.time_ns() // 1_000_000)
            totals = self._plan_indexes(pipe, accounts, before)
            shown = self._plan_changes(pipe, accounts, meta)
            for account_id, account in accounts.items():
                self._store(pipe, account_id, account)
            pipe.hset(self._keys.meta, mapping=meta)
            pipe.execute()
        except redis.WatchError as error:
            raise ViewConflictError("another process writes the view") from error
        finally:
            pipe.reset()
        self._meta = meta
        for group, values in totals.items():
            held = self._totals.setdefault(group, {})
            held |= values
            for value in [value for value, one in values.items() if one.accounts == 0]:
                del held[value]
        for account_id, account in accounts.items():
            if account.withdrawn:
                self._feed.forget(account_id)
        for number, account_id in shown:
            self._feed.append(number, account_id)
        self._feed.trim(self._oldest(meta))
        return written

    def _read(self, account_ids: Iterable[str]) -> dict[str, Account]:
        ordered = list(account_ids)
        pipe = self._client.pipeline(transaction=False)
        for account_id in ordered:
            pipe.hmget(self._keys.account(account_id), names.BODY, names.HISTORY, names.POINTS)
        return {account_id: account_of(*fields) for account_id, fields in zip(ordered, pipe.execute(), strict=True)}

    def _store(self, pipe: Any, account_id: str, account: Account) -> None:
        key = self._keys.account(account_id)
        fields = {
            names.BODY: account.packed_body,
            names.HISTORY: account.packed_history,
            names.POINTS: account.points or None,
        }
        kept = {name: value for name, value in fields.items() if value is not None}
        if not kept:
            pipe.delete(key)
            return
        pipe.hset(key, mapping=kept)
        if account.body is None:
            pipe.hdel(key, *(fields.keys() - kept.keys()))
            pipe.expire(key, WAITING_SECONDS)
        else:
            pipe.persist(key)

    def _plan_indexes(
        self, pipe: Any, accounts: Mapping[str, Account], before: Mapping[str, Entry | None]
    ) -> dict[str, dict[str, Total]]:
        plan = _Plan()
        totals: defaultdict[str, dict[str, Total]] = defaultdict(dict)
        for account_id, account in accounts.items():
            old, new = before[account_id], account.entry
            if old == new:
                continue
            self._plan_members(plan, account_id, old, new)
            for entry, sign in ((old, -1), (new, 1)):
                for group, value in () if entry is None else entry.totals:
                    if value not in totals[group]:
                        held = self._totals.get(group, {}).get(value, Total())
                        totals[group][value] = Total(held.accounts, held.revenue, held.stake)
                    assert entry is not None
                    totals[group][value].add(entry, sign)
        for key, members in plan.removed.items():
            pipe.zrem(key, *members)
        for key, scored in plan.added.items():
            pipe.zadd(key, scored)
        for key, ids in plan.left.items():
            pipe.srem(key, *ids)
        for key, ids in plan.joined.items():
            pipe.sadd(key, *ids)
        for group, values in totals.items():
            key = self._keys.totals(group)
            kept = {value: one.packed() for value, one in values.items() if one.accounts}
            if kept:
                pipe.hset(key, mapping=kept)
            if gone := [value for value, one in values.items() if not one.accounts]:
                pipe.hdel(key, *gone)
        return totals

    def _plan_members(self, plan: _Plan, account_id: str, old: Entry | None, new: Entry | None) -> None:
        for index, sort in enumerate(CELL_SORTS):
            was = None if old is None else (self._keys.order(sort, old.cell), old.orders[index])
            now = None if new is None else (self._keys.order(sort, new.cell), new.orders[index])
            if was == now:
                continue
            if was is not None:
                plan.removed[was[0]].append(was[1])
            if now is not None:
                plan.added[now[0]][now[1]] = 0
        was_names, now_names = (frozenset() if one is None else one.names for one in (old, new))
        plan.removed[self._keys.names] += was_names - now_names
        plan.added[self._keys.names] |= dict.fromkeys(now_names - was_names, 0)
        for key in (self._keys.names,):
            # A command without members is an error.
            for commands in (plan.removed, plan.added):
                if not commands[key]:
                    del commands[key]
        was_sets, now_sets = (frozenset() if one is None else one.sets for one in (old, new))
        for dimension, value in was_sets - now_sets:
            plan.left[self._keys.members(dimension, value)].append(account_id)
        for dimension, value in now_sets - was_sets:
            plan.joined[self._keys.members(dimension, value)].append(account_id)

    def _plan_changes(
        self, pipe: Any, accounts: Mapping[str, Account], meta: dict[bytes, bytes]
    ) -> list[tuple[int, str]]:
        """Append what is to be shown, drop what may not be shown any longer and what is too old."""
        key, build = self._keys.changes, meta[names.BUILD].decode()
        withdrawn = [number for name, one in accounts.items() if one.withdrawn for number in self._feed.of(name)]
        if withdrawn:
            pipe.xdel(key, *(f"{build}-{number}" for number in withdrawn))
        number = int(meta[names.CHANGES])
        shown = []
        for account_id, account in accounts.items():
            for event in account.fed:
                number += 1
                pipe.xadd(key, {names.EVENT: pack(event)}, id=f"{build}-{number}")
                shown.append((number, account_id))
        if shown:
            meta[names.CHANGES] = b"%d" % number
            pipe.xtrim(key, minid=f"{build}-{self._oldest(meta)}", approximate=False)
        return shown

    def _oldest(self, meta: Mapping[bytes, bytes]) -> int:
        """Give the number of the oldest change that the stream may hold."""
        return max(1, int(meta[names.CHANGES]) - self._changes_kept + 1)


def _apply(batch: Batch, accounts: Mapping[str, Account]) -> Written:
    written = Written()
    for account_id, values in batch.snapshots.items():
        for value in values:
            if value is None:
                accounts[account_id].erase()
                written.erasures += 1
                continue
            try:
                taken = accounts[account_id].take_snapshot(value)
            except ValueError:
                written.unreadable += 1
                continue
            written.snapshots += taken
            written.stale += not taken
    for account_id, events in batch.changes.items():
        for event in events:
            try:
                taken = accounts[account_id].take_change(event)
            except ValueError:
                written.unreadable += 1
                continue
            written.changes += taken
            written.stale += not taken
    return written


def position_field(topic: str, partition: int) -> bytes:
    """Give the field of `meta` that holds a position.

    >>> position_field("snapshots", 2)
    b'position:snapshots:2'
    """
    return names.POSITION + f"{topic}:{partition}".encode()


def _escaped(prefix: str) -> str:
    r"""Take a prefix literally in a pattern of SCAN.

    >>> _escaped("{a}:*")
    '{a}:\\*'
    """
    return "".join(f"\\{one}" if one in "*?[]\\" else one for one in prefix)
