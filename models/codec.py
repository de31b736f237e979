"""The packed form of an account's state, and the chain that reads every released one.

Layout: format (1 byte), flags (1 byte), due day (4 bytes, big-endian, signed), then the state as MessagePack. The
header lets a worker restore a million accounts and know which are due, and which have a snapshot to publish,
without unpacking one.
"""

import struct
from collections.abc import Callable
from typing import Final, NamedTuple

import msgspec

from models.state import AccountState

FORMAT: Final = 1
"""The format written."""
_HEADER: Final = struct.Struct(">BBi")
_SNAPSHOT_PENDING: Final = 1
_NEVER_DUE: Final = 2**31 - 1

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
    due_day: int | None


def pack(state: AccountState) -> bytes:
    """Pack a state; equal states give equal bytes.

    >>> unpack(pack(AccountState("A-1", revision=3))).revision
    3
    """
    due_day = _NEVER_DUE if state.due_day is None else state.due_day
    flags = _SNAPSHOT_PENDING if state.revision > state.published_revision else 0
    return _HEADER.pack(FORMAT, flags, due_day) + _encode(state)


def header(packed: bytes) -> Header:
    """Read the header of a packed state.

    Raises:
        StateFormatError: if the bytes are shorter than a header or of a newer format.
    """
    try:
        format_, flags, due_day = _HEADER.unpack_from(packed)
    except struct.error as error:
        raise StateFormatError(f"{len(packed)} bytes are too short for a state") from error
    if format_ > FORMAT:
        raise StateFormatError(f"state format {format_} is newer than {FORMAT}, the newest known here")
    return Header(format_, bool(flags & _SNAPSHOT_PENDING), None if due_day == _NEVER_DUE else due_day)


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
    except (msgspec.MsgspecError, KeyError) as error:
        raise StateFormatError(f"not a state of format {format_}: {error}") from error
