"""What Redis holds of one account: one string, of which lists read a part only.

A string takes less of Redis's memory than a hash of a few fields, whatever Redis is told about hashes, and many are
read by one command. It begins with the account's values by which lists are ordered, so that accounts are put in order
without being inflated. Then comes its snapshot, and what is told of it alone, which repeats much of the snapshot.
"""

import struct
from typing import Final, NamedTuple

import msgspec

from stream.view.arrangement import Sort
from stream.view.entry import VALUE_BYTES, VALUE_SORTS, SnapshotBody, order_of
from stream.view.months import Turned
from stream.view.packing import pack, pack_two, unpack, unpack_first, unpack_two

_PLACES: Final[dict[Sort, int]] = {sort: index * VALUE_BYTES for index, sort in enumerate(VALUE_SORTS)}
_PLACES_BYTES: Final = VALUE_BYTES * len(VALUE_SORTS)
_LENGTH: Final = struct.Struct(">I")
_HEAD_BYTES: Final = _PLACES_BYTES + _LENGTH.size


class Rest(NamedTuple):
    """What is stored of an account beside its snapshot."""

    changes: list[bytes]
    """Tier changes and churn events as published, oldest first; those that wait for a snapshot come last."""
    points: bytes
    """Where it stood week by week."""
    turns: list[Turned]
    """When it was lost and came back, as counted, oldest first."""


_encode: Final = msgspec.msgpack.Encoder().encode
_DECODER: Final = msgspec.msgpack.Decoder(Rest)


def pack_record(body: SnapshotBody | None, snapshot: bytes, rest: Rest) -> bytes:
    """Give what is stored of an account.

    Args:
        body: of the snapshot; None where changes wait for the first one.
        snapshot: as published.
        rest: beside it.
    """
    packed_rest = _encode(rest)
    if body is None:
        return bytes(_HEAD_BYTES) + pack(packed_rest)
    places = b"".join(order_of(body, sort)[:VALUE_BYTES] for sort in VALUE_SORTS)
    first, second = pack_two(snapshot, packed_rest)
    return places + _LENGTH.pack(len(first)) + first + second


def packed_snapshot(record: bytes) -> bytes | None:
    """Give the snapshot of a record, still packed; None where there is none yet.

    Raises:
        ValueError: if it was not stored by this version.
    """
    if len(record) <= _HEAD_BYTES:
        raise ValueError("the view holds what is no account's record")
    (length,) = _LENGTH.unpack_from(record, _PLACES_BYTES)
    return record[_HEAD_BYTES : _HEAD_BYTES + length] if length else None


def read_snapshot(packed: bytes) -> bytes:
    """Read a packed snapshot of a record.

    Raises:
        ValueError: if it was not stored by this version.
    """
    return unpack_first(packed)


def read_record(record: bytes) -> tuple[bytes | None, Rest]:
    """Read the snapshot, None where there is none yet, and the rest.

    Raises:
        ValueError: if it was not stored by this version.
    """
    first = packed_snapshot(record)
    if first is None:
        return None, _DECODER.decode(unpack(record[_HEAD_BYTES:]))
    snapshot, rest = unpack_two(first, record[_HEAD_BYTES + len(first) :])
    return snapshot, _DECODER.decode(rest)


def value_of(record: bytes, sort: Sort) -> bytes:
    """Give the beginning of an account's member of an order by value, read from its record."""
    place = _PLACES[sort]
    return record[place : place + VALUE_BYTES]
