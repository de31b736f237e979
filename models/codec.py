"""The packed form of an account's state, and the chain that reads every released one.

Layout: format, flags, tier, churn level (1 byte each), due day (4 bytes, big-endian, signed), then the state as
MessagePack. The header lets a worker restore a million accounts and know which are due, which have a snapshot to
publish, and how many there are of each tier and level, without unpacking one.
"""

import struct
from collections.abc import Callable
from typing import Final, NamedTuple

import msgspec

from models.outputs import ChurnLevel, Tier
from models.state import AccountState

FORMAT: Final = 1
"""The format written."""
_HEADER: Final = struct.Struct(">BBBBi")
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


def pack(state: AccountState) -> bytes:
    """Pack a state; equal states give equal bytes.

    >>> unpack(pack(AccountState("A-1", revision=3))).revision
    3
    """
    due_day = _NEVER_DUE if state.due_day is None else state.due_day
    flags = _SNAPSHOT_PENDING if state.revision > state.published_revision else 0
    tier_code, level_code = _TIER_CODE[state.tier], _LEVEL_CODE[state.churn_level]
    return _HEADER.pack(FORMAT, flags, tier_code, level_code, due_day) + _encode(state)


def header(packed: bytes) -> Header:
    """Read the header of a packed state.

    Raises:
        StateFormatError: if the bytes are shorter than a header or of a newer format.
    """
    try:
        format_, flags, tier_code, level_code, due_day = _HEADER.unpack_from(packed)
    except struct.error as error:
        raise StateFormatError(f"{len(packed)} bytes are too short for a state") from error
    if format_ > FORMAT:
        raise StateFormatError(f"state format {format_} is newer than {FORMAT}, the newest known here")
    try:
        tier, level = _TIERS[tier_code], _LEVELS[level_code]
    except IndexError as error:
        raise StateFormatError(f"tier {tier_code} or level {level_code} is not known here") from error
    pending = bool(flags & _SNAPSHOT_PENDING)
    return Header(format_, pending, tier, level, None if due_day == _NEVER_DUE else due_day)


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
