"""What the view holds of one account, and how a snapshot, its erasure or a change moves it."""

import struct
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Final, NamedTuple

import msgspec

from models.fields import EPOCH
from models.outputs import ChurnLevel, Tier
from stream.view.entry import Entry, SnapshotBody, decode_body, entry_of
from stream.view.months import Turned, turned_of
from stream.view.record import Rest, pack_record, read_record

HISTORY_MAX: Final = 20
"""Changes kept of an account, the latest."""
POINTS_MAX: Final = 26
"""Weeks kept of an account, the latest."""
_WEEK_DAYS: Final = 7
_POINT: Final = struct.Struct("<HhhBB")
_ABSENT: Final = -1
_TIERS: Final = tuple(Tier)
_LEVELS: Final = tuple(ChurnLevel)


class ChangeHead(msgspec.Struct, gc=False):
    """What identifies a tier change or churn event."""

    account_id: str
    type: str
    incarnation: int
    sequence: int

    @property
    def key(self) -> tuple[int, bool, int]:
        """Unique among the changes of the account: sequences are gap-free for each of the two topics."""
        return self.incarnation, self.type == "account.tier_changed", self.sequence


_HEAD_DECODER: Final = msgspec.json.Decoder(ChangeHead)


def decode_head(event: bytes) -> ChangeHead:
    """Read what identifies a change.

    Raises:
        ValueError: if it is none.
    """
    try:
        return _HEAD_DECODER.decode(event)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"not a change: {error}") from error


class Point(NamedTuple):
    """Where an account stood at the end of a week."""

    day: date
    score: float | None
    risk: float | None
    tier: Tier
    level: ChurnLevel


@dataclass(slots=True)
class Account:
    """One account in the view. Without a body it is only a place where changes wait for their account."""

    body: SnapshotBody | None = None
    snapshot: bytes = b""
    """As published; empty without a body."""
    history: list[bytes] = field(default_factory=list)
    """Tier changes and churn events as published, oldest first."""
    points: bytes = b""
    turns: list[Turned] = field(default_factory=list)
    """When it was lost and came back, as counted, oldest first."""
    turned: list[Turned] = field(default_factory=list)
    """Turns that are to be counted now."""
    unturned: list[Turned] = field(default_factory=list)
    """Turns that are no longer to be counted."""
    fed: list[bytes] = field(default_factory=list)
    """Changes that are to be shown to everybody now."""
    withdrawn: bool = False
    """Whether it was erased, so that none of its changes may be shown any longer."""
    _waiting: list[bytes] = field(default_factory=list)

    @property
    def entry(self) -> Entry | None:
        """Its place in the indexes; None if it has none."""
        return None if self.body is None else entry_of(self.body)

    @property
    def record(self) -> bytes | None:
        """What is to be stored of it; None if nothing is."""
        kept = self.history + self._waiting
        if self.body is None and not kept:
            return None
        return pack_record(self.body, self.snapshot, Rest(kept, self.points, self.turns))

    def take_snapshot(self, value: bytes) -> bool:
        """Take a newer snapshot; an older one, or the same again, changes nothing. Returns whether it was newer.

        Raises:
            ValueError: if it is no snapshot.
        """
        body = decode_body(value)
        held = self.body
        if held is not None:
            if (body.incarnation, body.revision) <= (held.incarnation, held.revision):
                return False
            if body.incarnation > held.incarnation:
                self.erase()
        self.body, self.snapshot = body, value
        self.points = with_point(self.points, body)
        waiting, self._waiting = self._waiting, []
        for event in waiting:
            self._place(event, decode_head(event))
        return True

    def erase(self) -> None:
        """Forget it; what already belongs to an account of the same id after it waits for that one."""
        if self.body is None:
            self._waiting.clear()
            return
        self.withdrawn = True
        self.body = None
        self.snapshot = self.points = b""
        self.history.clear()
        self.unturned += self.turns
        self.turns.clear()
        self.turned.clear()
        self.fed.clear()

    def take_change(self, event: bytes) -> bool:
        """Take a change that is not known yet; one of an erased account is dropped. Returns whether it is news.

        Raises:
            ValueError: if it is no change.
        """
        head = decode_head(event)
        if any(decode_head(one).key == head.key for one in (*self.history, *self._waiting)):
            return False
        return self._place(event, head)

    def _place(self, event: bytes, head: ChangeHead) -> bool:
        if self.body is None or head.incarnation > self.body.incarnation:
            self._waiting = [*self._waiting, event][-HISTORY_MAX:]
        elif head.incarnation == self.body.incarnation:
            self.history = [*self.history, event][-HISTORY_MAX:]
            self.fed.append(event)
            self._turn(head, event)
        else:
            return False
        return True

    def _turn(self, head: ChangeHead, event: bytes) -> None:
        assert self.body is not None
        known = max((one.sequence for one in (*self.turns, *self.turned)), default=0)
        found = turned_of(head.type, event, self.body) if head.sequence > known else None
        if found is not None:
            self.turned.append(found)


def account_of(record: bytes | None) -> Account:
    """Read an account from what is stored of it.

    Raises:
        ValueError: if that was not stored by this version.
    """
    if record is None:
        return Account()
    snapshot, rest = read_record(record)
    account = Account(points=rest.points, turns=rest.turns)
    if snapshot is not None:
        account.body, account.snapshot = decode_body(snapshot), snapshot
    for event in rest.changes:
        if account.body is not None and decode_head(event).incarnation == account.body.incarnation:
            account.history.append(event)
        else:
            account._waiting.append(event)  # noqa: SLF001  # its own module
    return account


def with_point(points: bytes, body: SnapshotBody) -> bytes:
    """Give the stored points with that of a snapshot: the last one of a week stands for it."""
    day = (datetime.fromisoformat(body.as_of).astimezone(UTC) - EPOCH).days
    point = _POINT.pack(
        day,
        _ABSENT if body.score is None else round(body.score * 100),
        _ABSENT if body.churn.risk is None else round(body.churn.risk * 10_000),
        _TIERS.index(body.tier),
        _LEVELS.index(body.churn.level),
    )
    kept = points
    if kept:
        (last_day, *_) = _POINT.unpack_from(kept, len(kept) - _POINT.size)
        if last_day // _WEEK_DAYS >= day // _WEEK_DAYS:
            kept = kept[: -_POINT.size]
    return (kept + point)[-POINTS_MAX * _POINT.size :]


def read_points(points: bytes) -> list[Point]:
    """Read the stored points, oldest first."""
    return [
        Point(
            (EPOCH + timedelta(days=day)).date(),
            None if score == _ABSENT else score / 100,
            None if risk == _ABSENT else risk / 10_000,
            _TIERS[tier],
            _LEVELS[level],
        )
        for day, score, risk, tier, level in _POINT.iter_unpack(points)
    ]
