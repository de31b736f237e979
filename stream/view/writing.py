"""Writing the view: one batch of records and the positions behind them are one Redis transaction.

The hash `meta` holds the positions and is watched: of two processes that write the same view one finds out, and
nothing is applied twice. What a batch needs to know of the totals and of the changes' places is held in memory, and
read again whenever `meta` turns out to be another.
"""

import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final

import redis

from stream.view import keys as names
from stream.view.account import Account, account_of, decode_head
from stream.view.feed import Feed
from stream.view.indexing import Plan, Totals
from stream.view.keys import Keys, meta_key, root_of
from stream.view.months import TURNS_MAX, count_in, count_out
from stream.view.packing import SCHEMA, pack, unpack
from stream.view.totals import read_total

WAITING_SECONDS: Final = 86_400
"""A change waits for its account's first snapshot for as long; those of an erased account never see one."""
_SCAN_COUNT: Final = 1000
_UNLINK_AT_ONCE: Final = 1000
_NANOSECONDS_A_MS: Final = 1_000_000

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

    @property
    def records(self) -> int:
        """How many records there are."""
        return sum(map(len, self.snapshots.values())) + sum(map(len, self.changes.values()))


@dataclass(slots=True)
class Written:
    """What became of the records of a batch."""

    snapshots: int = 0
    erasures: int = 0
    changes: int = 0
    stale_snapshots: int = 0
    """Not newer than what was held."""
    stale_changes: int = 0
    """Known already, or of an account that was erased."""
    unreadable_snapshots: int = 0
    unreadable_changes: int = 0


class ViewWriter:
    """Writes one application's view.

    Args:
        client: of Redis; answers in bytes.
        application_id: whose view.
        changes_kept: how many changes the stream holds.

    All methods raise redis.RedisError when Redis does not answer, or refuses.
    """

    def __init__(self, client: "redis.Redis", application_id: str, changes_kept: int) -> None:
        self._client: Any = client  # its annotations answer for the asynchronous client as well
        self._root = root_of(application_id)
        self._meta_key = meta_key(application_id)
        self._application_id = application_id
        self._changes_kept = changes_kept
        self._stored: dict[bytes, bytes] = {}
        self._keys = Keys(application_id, b"")
        self._totals: Totals = {}
        self._feed = Feed()

    @property
    def meta(self) -> Mapping[bytes, bytes]:
        """The hash `meta` as this process knows it; empty if there is none of this version."""
        return self._stored if self._stored.get(names.SCHEMA) == SCHEMA.encode() else {}

    @property
    def is_foreign(self) -> bool:
        """Whether there is a view, of another version."""
        return bool(self._stored) and not self.meta

    @property
    def accounts(self) -> int:
        """How many accounts the view holds."""
        return sum(one.accounts for one in self._totals.get("cell", {}).values())

    @property
    def totals(self) -> Totals:
        """What is counted, by group and value, as it is now."""
        return self._totals

    def load(self) -> None:
        """Read what a batch must know."""
        self._stored = self._client.hgetall(self._meta_key)
        self._totals, self._feed = {}, Feed()
        if not self.meta:
            return
        self._keys = Keys(self._application_id, self._stored[names.BUILD])
        prefix = self._keys.totals("")
        for key in self._client.scan_iter(match=f"{_escaped(prefix)}*", count=_SCAN_COUNT):
            group = key.decode().removeprefix(prefix)
            self._totals[group] = {
                value.decode(): read_total(packed) for value, packed in self._client.hgetall(key).items()
            }
        for place, fields in self._client.xrange(self._keys.changes):
            number = int(place.rpartition(b"-")[2])
            self._feed.append(number, decode_head(unpack(fields[names.EVENT])).account_id)

    def begin(self, marks: Mapping[bytes, bytes]) -> None:
        """Begin a new build, in place of whatever there is.

        Raises:
            ViewConflictError: if another process wrote meanwhile.
        """
        now_ms = time.time_ns() // _NANOSECONDS_A_MS
        # Later than the one before, whatever the clock says: cursors are compared.
        build = max(now_ms, int(self.meta.get(names.BUILD, 0)) + 1)
        meta = {
            names.SCHEMA: SCHEMA.encode(),
            names.BUILD: b"%d" % build,
            names.CHANGES: b"0",
            names.KEPT: b"%d" % self._changes_kept,
            names.UPDATED_AT: b"%d" % now_ms,
            **marks,
        }
        with self._watching() as pipe:
            pipe.multi()
            pipe.delete(self._meta_key)
            pipe.hset(self._meta_key, mapping=meta)
            pipe.execute()
        self._stored, self._totals, self._feed = meta, {}, Feed()
        self._keys = Keys(self._application_id, meta[names.BUILD])

    def sweep(self, go_on: Callable[[], bool]) -> None:
        """Remove the keys of all other builds, whichever version wrote them, as long as `go_on` says so.

        Raises:
            ViewConflictError: if another process wrote meanwhile: what was found may be of a build that it has begun.
        """
        if names.SWEPT in self._stored:
            return
        found: list[bytes] = []
        for key in self._client.scan_iter(match=f"{_escaped(self._root)}*", count=_SCAN_COUNT):
            text = key.decode(errors="replace")
            if text.startswith(self._keys.prefix) or text == self._meta_key:
                continue
            found.append(key)
            if len(found) == _UNLINK_AT_ONCE:
                self._unlink(found)
                found.clear()
            if not go_on():
                return
        if found:
            self._unlink(found)
        self.write(Batch(), {names.SWEPT: b"1"})

    def write(self, batch: Batch, marks: Mapping[bytes, bytes]) -> Written:
        """Apply a batch, its positions and some fields of `meta` at once.

        Raises:
            ViewConflictError: if `meta` is not as this process left it; nothing was applied.
        """
        with self._watching() as pipe:
            accounts = self._read({*batch.snapshots, *batch.changes})
            before = {account_id: one.entry for account_id, one in accounts.items()}
            written = _apply(batch, accounts)
            meta = dict(self._stored) | dict(marks)
            meta |= {position_field(*one): b"%d" % offset for one, offset in batch.positions.items()}
            meta[names.KEPT] = b"%d" % self._changes_kept
            meta[names.UPDATED_AT] = b"%d" % (time.time_ns() // _NANOSECONDS_A_MS)
            plan = Plan(self._keys, self._totals)
            for account_id, account in accounts.items():
                plan.move(account_id, before[account_id], account.entry)
                _count_turns(plan, account)
            pipe.multi()
            plan.queue(pipe)
            shown = self._queue_changes(pipe, accounts, meta)
            for account_id, account in accounts.items():
                self._store(pipe, account_id, account)
            pipe.hset(self._meta_key, mapping=meta)
            pipe.execute()
        self._stored = meta
        plan.done()
        for account_id, account in accounts.items():
            if account.withdrawn:
                self._feed.forget(account_id)
        for number, account_id in shown:
            self._feed.append(number, account_id)
        self._feed.trim(self._oldest(meta))
        return written

    @contextmanager
    def _watching(self) -> Any:
        """Give a pipeline whose transaction fails if anybody writes `meta` from now on."""
        pipe = self._client.pipeline(transaction=True)
        try:
            pipe.watch(self._meta_key)
            if pipe.hgetall(self._meta_key) != self._stored:
                raise ViewConflictError("the view is not as this process left it")
            yield pipe
        except redis.WatchError as error:
            raise ViewConflictError("another process writes the view") from error
        finally:
            pipe.reset()

    def _unlink(self, found: list[bytes]) -> None:
        with self._watching() as pipe:
            pipe.multi()
            pipe.unlink(*found)
            pipe.execute()

    def _read(self, account_ids: Iterable[str]) -> dict[str, Account]:
        ordered = list(account_ids)
        records = self._client.mget([self._keys.account(one) for one in ordered]) if ordered else []
        return {account_id: account_of(record) for account_id, record in zip(ordered, records, strict=True)}

    def _store(self, pipe: Any, account_id: str, account: Account) -> None:
        key, record = self._keys.account(account_id), account.record
        if record is None:
            pipe.delete(key)
        else:
            # What waits for its account expires; to be set anew ends that.
            pipe.set(key, record, ex=WAITING_SECONDS if account.body is None else None)

    def _queue_changes(
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


def _count_turns(plan: Plan, account: Account) -> None:
    for one in account.unturned:
        count_out(one, plan)
    counted = [one for one in (count_in(one, plan) for one in account.turned) if one is not None]
    account.turns = [*account.turns, *counted][-TURNS_MAX:]


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
                written.unreadable_snapshots += 1
                continue
            written.snapshots += taken
            written.stale_snapshots += not taken
    for account_id, events in batch.changes.items():
        for event in events:
            try:
                taken = accounts[account_id].take_change(event)
            except ValueError:
                written.unreadable_changes += 1
                continue
            written.changes += taken
            written.stale_changes += not taken
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
