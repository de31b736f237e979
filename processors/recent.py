"""De-duplication: the latest event ids of one account and topic, as hashes."""

import hashlib
import zlib
from typing import Final

import msgspec

from models.orders import CoreEvent, Order
from models.reasons import Outcome
from models.state import RECENT_EVENT_BYTES, RECENT_EVENTS_MAX

_ID_BYTES: Final = 8
_encode: Final = msgspec.msgpack.Encoder().encode


def fingerprint(event: CoreEvent) -> bytes:
    """Hash an event: 8 bytes of its id, 4 bytes of its content.

    The content is what the contract's fields mean: another order of keys, an unknown field, another way to write the
    same amount or the same moment of an order make no conflict.
    """
    identity = hashlib.blake2b(event.event_id.encode(), digest_size=_ID_BYTES).digest()
    return identity + zlib.crc32(_content(event)).to_bytes(4)


def _content(event: CoreEvent) -> bytes:
    if not isinstance(event, Order):
        # Fields in the order of the class. As JSON, since `repr` tells which object holds the offset of a time.
        return event.model_dump_json().encode()
    try:
        return _encode(event)
    except OverflowError:
        # Amounts of more than eighteen billion have more than 64 bits in billionths.
        return repr(event).encode()


def seen(recent: bytes, print_: bytes) -> Outcome | None:
    """Tell whether an event was seen before: `duplicate`, `conflict` or None."""
    identity = print_[:_ID_BYTES]
    index = recent.find(identity)
    while index != -1:
        if index % RECENT_EVENT_BYTES == 0:
            same = recent[index : index + RECENT_EVENT_BYTES] == print_
            return Outcome.DUPLICATE if same else Outcome.CONFLICT
        index = recent.find(identity, index + 1)
    return None


def remember(recent: bytes, print_: bytes) -> bytes:
    """Append a fingerprint and forget those beyond the maximum, the oldest first.

    >>> len(remember(b"x" * 12 * 32, b"y" * 12)) // 12
    32
    """
    return (recent + print_)[-RECENT_EVENTS_MAX * RECENT_EVENT_BYTES :]
