"""The way from what happened to what is sent: delays, repetitions, conflicts, broken records."""

from collections.abc import Iterator
from enum import StrEnum, unique
from random import Random
from typing import Final, NamedTuple

from models.events import InputTopic
from models.reasons import RefusalReason
from stream.simulation.faults import altered, broken
from stream.simulation.happening import Fields, Happening, encode
from stream.simulation.spec import DAY_MS, MINUTE_MS, SimulationSpec

_DELAY_MS_LEAST: Final = 50
_DELAY_MS_MEAN: Final = 1_500.0
_LATE_DAYS_MEAN: Final = 4.0
_LATE_DAYS_MAX: Final = 30.0
_REPEAT_MS: Final = (1_000, 2 * DAY_MS)
"""Soon enough that the 32 ids which are remembered still hold the first."""


@unique
class Mark(StrEnum):
    """What is special about a record."""

    CLEAN = "clean"
    LATE = "late"
    """Sent at least a day after it happened."""
    DUPLICATE = "duplicate"
    """Sent before, byte for byte."""
    CONFLICT = "conflict"
    """Its id was sent before with other content; the first counts."""
    MALFORMED = "malformed"
    """A broken copy of another record; must be refused."""


class Draft(NamedTuple):
    """One record on its way out."""

    produced_ms: int
    topic: InputTopic
    fields: Fields
    """The event; of a malformed record, the one that it is a copy of."""
    mark: Mark
    line: bytes | None = None
    """The bytes of a malformed record; those of all others are encoded when they are sent."""
    reason: RefusalReason | None = None

    def value(self) -> bytes:
        """Return the record's bytes."""
        return encode(self.fields) if self.line is None else self.line


def deliver(happening: Happening, random: Random, spec: SimulationSpec) -> Iterator[Draft]:
    """Yield the records that one event becomes; none is sent before it happened."""
    occurred_ms, topic, fields, not_before_ms = happening
    delay_ms = _DELAY_MS_LEAST + int(random.expovariate(1 / _DELAY_MS_MEAN))
    produced_ms = max(occurred_ms + delay_ms, not_before_ms)
    mark = Mark.CLEAN
    # A profile is the last word on an account: one that comes late would be out of date instead.
    if topic is not InputTopic.PROFILES and random.random() < spec.late_share:
        late_days = 1 + min(random.expovariate(1 / _LATE_DAYS_MEAN), _LATE_DAYS_MAX)
        produced_ms, mark = produced_ms + int(late_days * DAY_MS), Mark.LATE
    yield Draft(produced_ms, topic, fields, mark)
    if random.random() < spec.duplicate_share:
        yield Draft(produced_ms + random.randint(*_REPEAT_MS), topic, fields, Mark.DUPLICATE)
    if random.random() < spec.conflict_share and (other := altered(fields)) is not None:
        yield Draft(produced_ms + random.randint(*_REPEAT_MS), topic, other, Mark.CONFLICT)
    if random.random() < spec.malformed_share:
        line, reason = broken(topic, fields, random)
        sent_ms = produced_ms + random.randint(1, MINUTE_MS)
        yield Draft(sent_ms, topic, fields, Mark.MALFORMED, line, reason)
