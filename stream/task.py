"""A partition task: owns all that belongs to one partition.

Its accounts, its clock, its position in each input, and what the open transaction has done to them.
"""

from collections import Counter
from collections.abc import Callable
from typing import Final, NamedTuple

from confluent_kafka import Message
from kafka.partitioner.default import murmur2

from models.events import ClockAdvanced, InputTopic
from models.outputs import Cause, ChurnLevel, Direction, TierChanged
from models.reasons import Outcome, RefusalReason
from models.wire import Refusal, parse
from processors.account import Step
from processors.partition import Changes
from stream.checkpoint import FORMAT, Checkpoint, InputPosition, ReadStep, TickStep
from stream.checkpoint import Step as CheckpointStep
from stream.inputs import Inputs, timestamp_ms
from stream.records import (
    Origin,
    OutRecord,
    dead_letter_record,
    output_record,
    snapshot_record,
    tombstone_record,
)
from stream.restore import Restored
from stream.settings import Settings
from stream.topics import event_source

Produce = Callable[[OutRecord], None]
_CATCHING_UP_MS: Final = 10_000
"""Snapshots are held back while the next record is older than this."""
_SNAPSHOTS_A_COMMIT: Final = 500
_HOUR_MS: Final = 3_600_000
_MS: Final = 1000
_POSITIVE: Final = 0x7FFFFFFF


class Tally:
    """What one transaction did to one partition, for the metrics once it is committed."""

    def __init__(self) -> None:
        self.outcomes: dict[InputTopic, Counter[Outcome]] = {topic: Counter() for topic in InputTopic}
        self.refusals: dict[InputTopic, Counter[RefusalReason]] = {topic: Counter() for topic in InputTopic}
        self.timestamps_ms: dict[InputTopic, list[int]] = {topic: [] for topic in InputTopic}
        self.tier_changes: Counter[tuple[Direction, Cause]] = Counter()
        self.churn_events: Counter[tuple[str, ChurnLevel]] = Counter()
        self.flaps = 0
        self.snapshots = 0
        self.ticks = 0


class Place(NamedTuple):
    """Which partition a task is, of which topics."""

    partition: int
    partitions: int
    """How many partitions each input has."""
    topic_ids: dict[InputTopic, str]
    """The broker's ids of the input topics."""


class PartitionTask:
    """One partition while this worker owns it.

    Args:
        place: which one.
        restored: its accounts and positions.
        settings: of the worker.
        wall_clock_ms: the wall clock, epoch milliseconds.
    """

    def __init__(self, place: Place, restored: Restored, settings: Settings, wall_clock_ms: Callable[[], int]) -> None:
        self.partition = place.partition
        self.accounts = restored.accounts
        self.positions = restored.positions
        """Next offset of each input."""
        self.inputs = Inputs(settings.max_task_idle_ms / _MS)
        self.busy = False
        """Whether an agent holds a batch of this task."""
        self.epoch = 0
        """How often an abort made records be read again."""
        self.resetting = False
        """Whether records that arrive were fetched before an abort, and must be dropped."""
        self.tally = Tally()
        self._place = place
        self._committed_positions = dict(self.positions)
        version = self.accounts.context.policy.version
        self._settled_policy_version = restored.settled_policy_version or version
        if self._settled_policy_version != version:
            self.accounts.policy_changed()
        self._settings = settings
        self._names = settings.topics
        self._source = event_source(settings.application_id)
        self._wall_clock_ms = wall_clock_ms
        self._steps: list[CheckpointStep] = []
        self._snapshot_ms: dict[str, int] = {}

    @property
    def live(self) -> bool:
        """Whether time passes by itself."""
        return self._settings.clock == "live"

    def process(self, topic: InputTopic, messages: list[Message], produce: Produce) -> None:
        """Process records that come next in one input; all that follows from them is produced."""
        first = self.positions[topic]
        assert (messages[0].offset() or 0) >= first, "records are processed once, in order"
        wall_ms = self._wall_clock_ms()
        name = self._names.of_input(topic)
        outcomes, refusals = self.tally.outcomes[topic], self.tally.refusals[topic]
        timestamps_ms = self.tally.timestamps_ms[topic]
        for message in messages:
            offset = message.offset()
            assert offset is not None
            origin = Origin(name, self.partition, offset, timestamp_ms(message))
            result = self._handle(topic, message, origin, wall_ms)
            if isinstance(result, Refusal):
                refusals[result.reason] += 1
                produce(dead_letter_record(message.key(), message.value(), result, origin, self._names))
            else:
                outcomes[result.outcome or Outcome.APPLIED] += 1
                self._publish(result, origin, produce)
                if result.erased is not None:
                    produce(tombstone_record(message.key(), self._names))
            self.positions[topic] = offset + 1
            timestamps_ms.append(origin.timestamp_ms)
        self._steps.append(ReadStep(topic, first, self.positions[topic], self.accounts.clock_ms if self.live else 0))

    def tick(self, limit: int, produce: Produce) -> int:
        """Let time reach at most `limit` due accounts; returns how many it reached."""
        now_ms = self._now_ms()
        if now_ms < 0:
            return 0
        reached = 0
        for _, step in self.accounts.tick(now_ms, limit):
            self._publish(step, None, produce)
            reached += 1
        if reached:
            self._steps.append(TickStep(now_ms, limit))
            self.tally.ticks += 1
        return reached

    def publish_snapshots(self, produce: Produce) -> int:
        """Publish the snapshots that are due, unless the task is catching up; returns how many."""
        pending = self.accounts.snapshots_pending
        if not pending:
            return 0
        now_ms = self._wall_clock_ms()
        oldest_ms = self.inputs.oldest_timestamp_ms()
        if oldest_ms is not None and now_ms - oldest_ms > _CATCHING_UP_MS:
            return 0
        held_since_ms = now_ms - self._settings.snapshot_interval_ms
        recent = {one: at for one, at in self._snapshot_ms.items() if at > held_since_ms}
        ready = sorted(one for one in pending if one not in recent)[:_SNAPSHOTS_A_COMMIT]
        for account_id in ready:
            state = self.accounts.get(account_id)
            assert state is not None
            snapshot = self.accounts.take_snapshot(account_id)
            produce(snapshot_record(snapshot, state.incarnation, self._names, self._source))
            recent[account_id] = now_ms
        self._snapshot_ms = recent
        self.tally.snapshots += len(ready)
        return len(ready)

    def has_news(self) -> bool:
        """Tell whether the open transaction holds something of this partition."""
        return bool(self._steps) or self.tally.snapshots > 0

    def abort(self) -> None:
        """Go back to the last commit; what is buffered is forgotten, to be read again from `positions`."""
        self.accounts.abort()
        self.positions = dict(self._committed_positions)
        self.inputs = Inputs(self._settings.max_task_idle_ms / _MS)
        self._steps.clear()
        self._snapshot_ms.clear()
        self.tally = Tally()
        self.resetting = True
        self.epoch += 1

    def checkpoint(self) -> Checkpoint:
        """Describe how far this partition has come, with what the open transaction did."""
        policy = self.accounts.context.policy
        return Checkpoint(
            format=FORMAT,
            partitions=self._place.partitions,
            inputs={
                topic: InputPosition(self._place.topic_ids[topic], position)
                for topic, position in self.positions.items()
            },
            clock_ms=self.accounts.clock_ms,
            policy_revision=policy.revision,
            policy_version=policy.version if self.accounts.stale_count() == 0 else self._settled_policy_version,
            reporting_currency=policy.reporting_currency,
            reporting_timezone=policy.reporting_timezone,
            horizon_days=policy.horizon_days,
            portfolio_version=self.accounts.context.portfolio_version,
            steps=list(self._steps),
        )

    def committed(self, changes: Changes) -> Tally:
        """Take the transaction as committed; returns what it did."""
        self.accounts.commit(changes)
        self._committed_positions = dict(self.positions)
        self._steps.clear()
        tally, self.tally = self.tally, Tally()
        return tally

    def _handle(self, topic: InputTopic, message: Message, origin: Origin, wall_ms: int) -> Step | Refusal:
        key = message.key()
        event = parse(topic, key, message.value())
        if isinstance(event, Refusal):
            return event
        if event.occurred_ms > wall_ms + self._settings.future_tolerance_hours * _HOUR_MS:
            return Refusal(RefusalReason.IN_THE_FUTURE, "dated later than the clock allows")
        if isinstance(event, ClockAdvanced):
            return self._advance_clock(event)
        if event.account_id not in self.accounts and not self._belongs_here(key):
            return Refusal(RefusalReason.WRONG_PARTITION, "the key belongs on another partition under murmur2")
        # A record's timestamp is its producer's clock, which must not take ours into the future.
        now_ms = max(self.accounts.clock_ms, min(origin.timestamp_ms, wall_ms)) if self.live else 0
        step = self.accounts.apply(event, now_ms)
        return step if step.refusal is None else step.refusal

    def _advance_clock(self, event: ClockAdvanced) -> Step | Refusal:
        if self.live:
            return Refusal(RefusalReason.CLOCK_NOT_EVENT, "the clock of this worker is live")
        self.accounts.clock_ms = max(self.accounts.clock_ms, event.occurred_ms)
        return Step(None, outcome=Outcome.APPLIED)

    def _belongs_here(self, key: bytes | None) -> bool:
        # As Kafka's default partitioner: the sign bit is cut off, not the number negated.
        return bool((murmur2(key) & _POSITIVE) % self._place.partitions == self.partition)

    def _publish(self, step: Step, origin: Origin | None, produce: Produce) -> None:
        for event in step.outputs:
            produce(output_record(event, self._names, self._source, origin))
            if isinstance(event, TierChanged):
                self.tally.tier_changes[event.direction, event.cause] += 1
                self.tally.flaps += event.flap
            else:
                self.tally.churn_events[event.type, event.level] += 1

    def _now_ms(self) -> int:
        if not self.live:
            return self.accounts.clock_ms
        if self.inputs.all_at_end():
            return max(self.accounts.clock_ms, self._wall_clock_ms())
        return self.accounts.clock_ms
