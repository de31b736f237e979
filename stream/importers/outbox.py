"""Where importers put what they made: events that the contract accepts, and rows that became none."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple, Self

import msgspec

from models.events import TOPIC_OF_TYPE, InputTopic
from models.wire import Refusal, parse
from stream.importers.errors import RejectReason, RowError
from stream.importers.ordering import LineSorter
from stream.importers.source import Table
from stream.importers.summary import Summary

_RANKS: Final = {topic: rank for rank, topic in enumerate(InputTopic)}


class Made(NamedTuple):
    """An event, and where it comes from."""

    event: Mapping[str, Any]
    line: int
    """Of the source; its first line is 1."""
    number: int = 0
    """Orders events of one time and line."""


class Outbox:
    """Collects events and rejects, each in an order that depends on the source alone."""

    def __init__(self) -> None:
        self.summary = Summary()
        self._events = LineSorter()
        self._rejects = LineSorter()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._events.close()
        self._rejects.close()

    @property
    def events(self) -> Iterable[bytes]:
        """The events as JSON, by time, then by topic as the worker takes them, then by line of the source."""
        return self._events

    @property
    def rejects(self) -> Iterable[bytes]:
        """The rejected rows as JSON, by line of the source."""
        return self._rejects

    def accept(self, *made: Made) -> None:
        """Take in the events of one order or incident: all of them, or none.

        Raises:
            RowError: if a worker would refuse one of them.
        """
        checked = [_check(one) for one in made]
        for (event, line, number), (value, topic, occurred_ms) in zip(made, checked, strict=True):
            self.summary.saw(event["type"], event["account_id"], occurred_ms)
            self._events.add(
                value,
                time_ms=occurred_ms,
                rank=_RANKS[topic],
                source_line=line,
                number=number,
            )

    def reject(self, table: Table, line: int, cells: Sequence[str], error: RowError) -> None:
        """Take in a row that became no event."""
        self.summary.rejected[error.reason] += 1
        entry = {
            "file": table.path.name,
            "line": line,
            "reason": error.reason,
            "detail": error.detail,
            "row": table.as_json(cells),
        }
        self._rejects.add(msgspec.json.encode(entry), source_line=line)


def _check(made: Made) -> tuple[bytes, InputTopic, int]:
    value = msgspec.json.encode(made.event)
    topic = TOPIC_OF_TYPE[made.event["type"]]
    parsed = parse(topic, made.event["account_id"].encode(), value)
    if isinstance(parsed, Refusal):
        raise RowError(RejectReason.REFUSED_BY_CONTRACT, f"{parsed.reason}: {parsed.detail}")
    return value, topic, parsed.occurred_ms
