"""The packed form of an account's state, and the chain that reads every released one.

Layout, little-endian: format, flags, tier, churn level (1 byte each), due day (4 bytes, signed), the figures that a
census reads (three of 8 bytes, six of 4, all signed), then the state as MessagePack. The header lets a worker restore
a million accounts and know which are due, which have a snapshot to publish, and how many there are of each tier and
level, and lets a census read all of them as one array, without unpacking one.
"""

import struct
from collections.abc import Callable, Iterator, Mapping
from typing import Final, NamedTuple

import msgspec

from models.outputs import ChurnLevel, Tier
from models.state import UNPLANNED, AccountState

FORMAT: Final = 1
"""The format written."""
_HEADER: Final = struct.Struct("<BBBBi3q6i")
_LEAD: Final = struct.Struct("<BBBBi")
_FIGURES: Final = struct.Struct("<3q6i")
FIGURES_BYTES: Final = _FIGURES.size
NO_PROFIT: Final = -(2**63)
"""Stands for a profit that is not known."""
NO_BUDGET: Final = -1
NO_DAY: Final = -(2**31)
"""Stands for the first and last order day of an account that never ordered."""
_SNAPSHOT_PENDING: Final = 1
_NEVER_DUE: Final = 2**31 - 1
# Part of the format: append, never reorder.
_TIERS: Final = (None, Tier.KEY, Tier.GROWTH, Tier.STANDARD, Tier.BASIC, Tier.UNRATED)
_LEVELS: Final = (
    None,
    ChurnLevel.NONE,
    ChurnLevel.UNPROVEN,
    ChurnLevel.LOW,
    ChurnLevel.MEDIUM,
    ChurnLevel.HIGH,
    ChurnLevel.LOST,
)
_TIER_CODE: Final[dict[str | None, int]] = {tier: code for code, tier in enumerate(_TIERS)}
_LEVEL_CODE: Final[dict[str | None, int]] = {level: code for code, level in enumerate(_LEVELS)}

# From a format to the next: takes and returns the body's fields as a list. A released format is never removed.
_UPGRADES: Final[dict[int, Callable[[list[object]], list[object]]]] = {}

_GRADE_AT: Final = 2
_is_positive: Final = (0).__lt__
_encode: Final = msgspec.msgpack.Encoder().encode
_decode: Final = msgspec.msgpack.Decoder(AccountState).decode


class StateFormatError(ValueError):
    """Bytes that are not a state of a format known here."""


class Header(NamedTuple):
    """What can be told of a packed state without unpacking it."""

    format: int
    snapshot_pending: bool
    tier: Tier | None
    level: ChurnLevel | None
    due_day: int | None


def pack(state: AccountState, order_days: int | None = None) -> bytes:
    """Pack a state; equal states give equal bytes.

    Args:
        state: the state, planned.
        order_days: how many of its days have more orders than cancellations, if that is known; else they are counted.

    >>> unpack(pack(AccountState("A-1", revision=3))).revision
    3
    """
    assert state.due_day != UNPLANNED, "a state is planned before it is packed"
    due_day = _NEVER_DUE if state.due_day is None else state.due_day
    flags = _SNAPSHOT_PENDING if state.revision > state.published_revision else 0
    tier_code, level_code = _TIER_CODE[state.tier], _LEVEL_CODE[state.churn_level]
    return _HEADER.pack(FORMAT, flags, tier_code, level_code, due_day, *_figures(state, order_days)) + _encode(state)


def pack_figures(state: AccountState) -> bytes:
    """Give the figures of a state as they stand in its header."""
    return _FIGURES.pack(*_figures(state, None))


def figures(packed: bytes) -> bytes:
    """Cut the figures out of a packed state: `FIGURES_BYTES`, to be put behind one another.

    >>> figures(pack(AccountState("A-1"))) == pack_figures(AccountState("A-1"))
    True
    """
    return packed[_LEAD.size : _HEADER.size]


def header(packed: bytes) -> Header:
    """Read the header of a packed state.

    Raises:
        StateFormatError: if the bytes are shorter than a header or of a newer format.
    """
    if packed and packed[0] > FORMAT:
        raise StateFormatError(f"state format {packed[0]} is newer than {FORMAT}, the newest known here")
    if len(packed) < _HEADER.size:
        raise StateFormatError(f"{len(packed)} bytes are too short for a state")
    format_, flags, tier_code, level_code, due_day = _LEAD.unpack_from(packed)
    try:
        tier, level = _TIERS[tier_code], _LEVELS[level_code]
    except IndexError as error:
        raise StateFormatError(f"tier {tier_code} or level {level_code} is not known here") from error
    pending = bool(flags & _SNAPSHOT_PENDING)
    return Header(format_, pending, tier, level, None if due_day == _NEVER_DUE else due_day)


def grade(packed: bytes) -> bytes:
    """Cut tier and churn level out of a packed state, to be counted together without being read one by one."""
    return packed[_GRADE_AT : _GRADE_AT + 2]


def tier_of(grade: bytes) -> Tier | None:
    """Read the tier of what `grade` cut out."""
    return _TIERS[grade[0]]


def level_of(grade: bytes) -> ChurnLevel | None:
    """Read the churn level of what `grade` cut out."""
    return _LEVELS[grade[1]]


def by_header(states: Mapping[str, bytes]) -> Iterator[tuple[Header, list[str]]]:
    """Divide accounts by what the headers of their packed states say, each such header read once.

    Raises:
        StateFormatError: if the bytes of one are shorter than a header or of a newer format.
    """
    leads: dict[bytes, list[str]] = {}
    for account_id, packed in states.items():
        lead = packed[: _LEAD.size]
        if (known := leads.get(lead)) is not None:
            known.append(account_id)
        else:
            leads[lead] = [account_id]
    for account_ids in leads.values():
        yield header(min((states[one] for one in account_ids), key=len)), account_ids


def unpack(packed: bytes) -> AccountState:
    """Unpack a state of any released format.

    Raises:
        StateFormatError: if the bytes are not a state, or of a format newer than this program.
    """
    format_ = header(packed).format
    body = packed[_HEADER.size :]
    try:
        if format_ == FORMAT:
            return _decode(body)
        fields = msgspec.msgpack.decode(body, type=list[object])
        for step in range(format_, FORMAT):
            fields = _UPGRADES[step](fields)
        return msgspec.convert(fields, AccountState)
    except (msgspec.MsgspecError, UnicodeDecodeError, KeyError) as error:
        raise StateFormatError(f"not a state of format {format_}: {error}") from error


def _figures(state: AccountState, order_days: int | None) -> tuple[int, ...]:
    days = state.days
    if order_days is None:
        order_days = sum(map(_is_positive, state.orders))
    first_day, last_day = state.old_first_order_day, state.old_last_order_day
    if order_days:
        ordered = days
        if order_days < len(days):
            ordered = [day for day, orders in zip(days, state.orders, strict=True) if orders > 0]
        first_day, last_day = ordered[0] if first_day is None else first_day, ordered[-1]
    profile, profit_minor, support_days = state.profile, state.year_profit_minor, state.support_days
    budget_minor = None if profile is None else profile.budget_minor
    return (
        state.year_revenue_minor,
        NO_PROFIT if profit_minor is None else profit_minor,
        NO_BUDGET if budget_minor is None else budget_minor,
        state.year_orders,
        state.old_order_days + order_days,
        NO_DAY if first_day is None else first_day,
        NO_DAY if last_day is None else last_day,
        sum(one.count for one in support_days) if support_days else 0,
        state.parts,
    )
