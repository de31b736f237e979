"""De-duplication: the latest event ids of one account and topic, as hashes."""

import hashlib
import zlib
from typing import Final

from models.events import InputEvent
from models.reasons import Outcome
from models.state import RECENT_EVENT_BYTES, RECENT_EVENTS_MAX

_ID_BYTES: Final = 8


def fingerprint(event: InputEvent) -> bytes:
    """Hash an event: 8 bytes of its id, 4 bytes of its content.

    The content is that of the contract's fields, so that another order of keys or an unknown field makes no conflict.
    """
    identity = hashlib.blake2b(event.event_id.encode(), digest_size=_ID_BYTES).digest()
    # Fields in the order of the class. As JSON, since `repr` tells which object holds the offset of a time.
    content = zlib.crc32(event.model_dump_json().encode())
    return identity + content.to_bytes(4)


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
