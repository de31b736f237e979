"""Who was lost and who came back, month by month: by reason, segment and owner.

Counted from churn events, each once. What an erased account did is counted out again. A month is one of UTC.
"""

from collections.abc import Iterator, Mapping
from enum import StrEnum, unique
from typing import Final, NamedTuple, Protocol

import msgspec

from models.outputs import ChurnReason
from stream.view.entry import ProfileBody, SnapshotBody, minor
from stream.view.keys import UNCLASSED
from stream.view.totals import Total

WHOLE: Final = "months"
"""The totals' group of all turns; its values are month and turn."""
PARTS: Final = "months_by"
"""The totals' group of what they are counted by; its values are month, turn, dimension and value."""
MONTHS_MAX: Final = 24
VALUES_MAX: Final = 200
"""Values of one dimension in one month that are told apart; all others are one."""
OTHER: Final = "other"
TURNS_MAX: Final = 24
"""Turns remembered of one account, the latest."""
_MONTH_CHARACTERS: Final = len("2026-01")
_MONTHS_A_YEAR: Final = 12


@unique
class Turn(StrEnum):
    """Which way an account turned."""

    LOST = "lost"
    RECOVERED = "recovered"


@unique
class TurnDimension(StrEnum):
    """What turns are counted by."""

    REASON = "reason"
    """Why the account was at risk; one turn may have several reasons, or none."""
    SEGMENT = "segment"
    OWNER = "owner"


_TURNS: Final = {f"account.{one}": one for one in Turn}


class Turned(NamedTuple):
    """One turn of an account, as it is counted."""

    sequence: int
    month: str
    turn: str
    stake: int
    """Value at stake in minor units."""
    counted: tuple[tuple[str, str], ...]
    """Dimensions and values."""


class TurnKey(NamedTuple):
    """What a total of some turns is of."""

    month: str
    """Year and month."""
    turn: Turn
    dimension: TurnDimension
    value: str | None
    """None where an account has none."""


class _Event(msgspec.Struct, gc=False):
    occurred_at: str
    sequence: int
    reasons: list[ChurnReason] = []
    value_at_stake: str | None = None


class Counting(Protocol):
    """Where totals are changed."""

    def values(self, group: str) -> Mapping[str, Total]:
        """Give what a group counts now."""

    def total(self, group: str, value: str) -> Total:
        """Give a total to be changed."""


_EVENT_DECODER: Final = msgspec.json.Decoder(_Event)


def turned_of(kind: str, event: bytes, body: SnapshotBody) -> Turned | None:
    """Read the turn that an event tells of; None if it tells of none.

    Args:
        kind: the event's type.
        event: as it was published.
        body: the account when the event is taken in: segment and owner are those that it has then.
    """
    turn = _TURNS.get(kind)
    if turn is None:
        return None
    said, profile = _EVENT_DECODER.decode(event), body.profile or ProfileBody()
    reasons = said.reasons or (UNCLASSED,)
    counted = [(TurnDimension.REASON.value, str(one)) for one in reasons]
    counted.append((TurnDimension.SEGMENT.value, profile.segment or UNCLASSED))
    counted.append((TurnDimension.OWNER.value, profile.owner or UNCLASSED))
    month = said.occurred_at[:_MONTH_CHARACTERS]
    return Turned(said.sequence, month, turn.value, minor(said.value_at_stake) or 0, tuple(counted))


def count_in(turned: Turned, totals: Counting) -> Turned | None:
    """Count a turn; gives what was counted, to be counted out by, or None if it is too long ago."""
    newest = max((one[:_MONTH_CHARACTERS] for one in totals.values(WHOLE)), default=turned.month)
    if turned.month < oldest_month(newest):
        return None
    if turned.month > newest:
        _forget_before(oldest_month(turned.month), totals)
    held = totals.values(PARTS)
    counted = dict.fromkeys((name, _bounded(turned, name, value, held)) for name, value in turned.counted)
    turned = turned._replace(counted=tuple(counted))
    for total in _totals_of(turned, totals):
        total.accounts += 1
        total.stake += turned.stake
    return turned


def count_out(turned: Turned, totals: Counting) -> None:
    """Take back what `count_in` counted, unless its month is gone."""
    if f"{turned.month}:{turned.turn}" in totals.values(WHOLE):
        for total in _totals_of(turned, totals):
            total.accounts -= 1
            total.stake -= turned.stake


def oldest_month(newest: str) -> str:
    """Give the first of the months that are kept when another one is the last.

    >>> oldest_month("2026-02")
    '2024-03'
    """
    year, month = map(int, newest.split("-"))
    months = year * _MONTHS_A_YEAR + month - MONTHS_MAX
    return f"{months // _MONTHS_A_YEAR:04d}-{months % _MONTHS_A_YEAR + 1:02d}"


def read_turn_key(name: str) -> TurnKey:
    """Read what a total of some turns is of.

    >>> read_turn_key("2026-02:lost:owner:Ann: north").value
    'Ann: north'
    """
    month, turn, dimension, value = name.split(":", 3)
    return TurnKey(month, Turn(turn), TurnDimension(dimension), None if value == UNCLASSED else value)


def _bounded(turned: Turned, dimension: str, value: str, held: Mapping[str, Total]) -> str:
    prefix = _name(turned, dimension, "")
    if prefix + value in held:
        return value
    return value if sum(name.startswith(prefix) for name in held) < VALUES_MAX else OTHER


def _forget_before(oldest: str, totals: Counting) -> None:
    for group in (WHOLE, PARTS):
        for name in [one for one in totals.values(group) if one[:_MONTH_CHARACTERS] < oldest]:
            totals.total(group, name).clear()


def _totals_of(turned: Turned, totals: Counting) -> Iterator[Total]:
    yield totals.total(WHOLE, f"{turned.month}:{turned.turn}")
    for dimension, value in turned.counted:
        yield totals.total(PARTS, _name(turned, dimension, value))


def _name(turned: Turned, dimension: str, value: str) -> str:
    return f"{turned.month}:{turned.turn}:{dimension}:{value}"
