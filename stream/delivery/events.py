"""Events as a delivery sees them: what was published, unchanged, and where it was read."""

import json
from dataclasses import dataclass
from typing import Any, NamedTuple

from confluent_kafka import Message

from stream.headers import Header
from stream.inputs import timestamp_ms


class Place(NamedTuple):
    """Where a record was read."""

    topic: str
    partition: int
    offset: int


class UnreadableEventError(ValueError):
    """A record that is no event of the contract; the text says why and quotes nothing."""


@dataclass(frozen=True, slots=True)
class Event:
    """A tier change or churn event."""

    id: str
    """Unique within the source, as in `ce_id`."""
    type: str
    source: str
    account_id: str
    incarnation: int
    """How often an account of this id was erased before."""
    sequence: str
    """As in `ce_sequence`."""
    time: str
    """As of when, as in `ce_time`."""
    body: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Delivery:
    """One record that is to be delivered."""

    place: Place
    """Where it is read now: a topic of events, or that of the failures."""
    account: bytes
    """The record's key: order is kept within it."""
    value: bytes | None
    headers: list[tuple[str, bytes]]
    written_ms: int
    """The record's timestamp."""

    def event(self) -> Event:
        """Read the event.

        Raises:
            UnreadableEventError: if it is not what the contract says.
        """
        found = dict(self.headers)
        try:
            body = json.loads(self.value or b"")
            return Event(
                found[Header.CE_ID].decode(),
                found[Header.CE_TYPE].decode(),
                found[Header.CE_SOURCE].decode(),
                body["account_id"],
                body["incarnation"],
                found[Header.CE_SEQUENCE].decode(),
                found[Header.CE_TIME].decode(),
                body,
            )
        except KeyError as error:
            raise UnreadableEventError(f"{error.args[0]} is missing") from None
        except (TypeError, ValueError) as error:
            raise UnreadableEventError(f"its value or headers cannot be read: {type(error).__name__}") from None


def delivery_of(message: Message) -> Delivery:
    """Take a record as it was read."""
    pairs: list[Any] = list(message.headers() or [])
    return Delivery(
        Place(message.topic() or "", message.partition() or 0, message.offset() or 0),
        message.key() or b"",
        message.value(),
        [(name, value or b"") for name, value in pairs],
        timestamp_ms(message),
    )
