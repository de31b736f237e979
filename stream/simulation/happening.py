"""What happens at an account, before anything can go wrong on its way to a topic."""

from typing import Any, Final, NamedTuple

import msgspec

from models.events import InputTopic
from models.fields import from_epoch_ms

Fields = dict[str, Any]
"""The fields of one event, as they go into JSON."""

encode: Final = msgspec.json.Encoder().encode
"""From an event's fields to its bytes: one line of UTF-8 JSON."""


class Happening(NamedTuple):
    """One event, and the earliest moment at which it may be sent."""

    occurred_ms: int
    topic: InputTopic
    fields: Fields
    not_before_ms: int = 0


Episode = tuple[int, list[Happening]]
"""A moment, and events that belong together and do not happen before it.

An account's episodes come in the order of their moments.
"""


def instant(moment_ms: int) -> str:
    """Write milliseconds since the epoch as the wire does.

    >>> instant(1_500)
    '1970-01-01T00:00:01.500Z'
    """
    return from_epoch_ms(moment_ms).isoformat(timespec="milliseconds").removesuffix("+00:00") + "Z"


def money(amount_minor: int, digits: int) -> str:
    """Write minor units as a decimal of the currency's digits.

    >>> money(1_205, 2), money(1_205, 0), money(5, 3)
    ('12.05', '1205', '0.005')
    """
    if digits == 0:
        return str(amount_minor)
    whole, part = divmod(amount_minor, 10**digits)
    return f"{whole}.{part:0{digits}d}"
