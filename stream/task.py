"""A partition task: owns all that belongs to one partition.

Its accounts, its clock, its position in each input, and what the open transaction has done to them.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from itertools import islice, takewhile
from typing import Final

from confluent_kafka import Message

from models.bodies import TierChanged
from models.events import InputTopic
from models.outputs import Cause, ChurnLevel, ChurnReason, Direction, Tier
from models.reasons import Outcome, RefusalReason
from models.wire import Refusal
from processors.account import Step
from processors.partition import Changes
from stream.checkpoint import (
    CHECKPOINT_KEY,
    FORMAT,
    UNSETTLED,
    Checkpoint,
    InputPosition,
    OpenStep,
    PublishStep,
    ReadStep,
    TickStep,
    encode,
    encode_mark,
    erased_key,
    fingerprint,
)
from stream.checkpoint import Step as CheckpointStep
from stream.handling import Place, Terms, handle
from stream.inputs import Inputs, Run, timestamp_ms
from stream.portfolio.part import Part
from stream.portfolio.recount import Recount
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
"""Snapshots are held back while the next record is older than this: nobody waits for what is fresh."""
_HOUR_MS: Final = 3_600_000
_MS: Final = 1000
_STEP_BYTES: Final = 250
"""Of a step in a checkpoint, at most, beside the accounts that it names."""
_CHECKPOINT_BYTES: Final = 1_000_000
"""A transaction is committed when its checkpoint grows beyond this: it has to fit into a record."""
_TOUCHED_MAX: Final = 50_000
"""And when so many accounts are to be written: they are packed at once, while everything waits."""


class Tally:
    """What one transaction did to one partition, for the metrics once it is committed."""

    def __init__(self) -> None:
        self.outcomes: dict[InputTopic, Counter[Outcome]] = {topic: Counter() for topic in InputTopic}
        self.refusals: dict[InputTopic, Counter[RefusalReason]] = {topic: Counter() for topic in InputTopic}
        self.timestamps_ms: dict[InputTopic, list[int]] = {topic: [] for topic in InputTopic}
        self.tier_changes: Counter[tuple[Direction, Cause]] = Counter()
        self.churn_events: Counter[tuple[str, ChurnLevel, Tier]] = Counter()
        self.churn_reasons: Counter[tuple[str, ChurnReason | None]] = Counter()
        self.churn_segments: Counter[tuple[str, str | None]] = Counter()
        self.flaps = 0
        self.snapshots = 0
        self.ticks = 0


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
        self.partitions = place.partitions
        """How many there are."""
        self.accounts = restored.accounts
        self.positions = restored.positions
        """Next offset of each input."""
        self.inputs = Inputs(settings.max_task_idle_ms / _MS)
        self.busy = False
        """Whether an agent holds a batch of this task."""
        self._in_hand_ms = 0
        self.epoch = 0
        """How often an abort made records be read again."""
        self.resetting = False
        """Whether records that arrive were fetched before an abort, and must be dropped."""
        self.tally = Tally()
        self.held_back_since_ms: int | None = None
        """Since when snapshots wait for the task to catch up, or for a new policy to reach every account."""
        self._place = place
        self._committed_positions = dict(self.positions)
        version = self.accounts.context.configuration
        # Told with the next commit, whichever that is: opening alone is no news.
        self._opened: OpenStep | None = OpenStep(restored.settled_policy_version is None)
        if restored.settled_policy_version not in {None, version}:
            self.accounts.refresh()
        self._settings = settings
        self._names = settings.topics
        self._source = event_source(settings.application_id)
        self._wall_clock_ms = wall_clock_ms
        self._steps: list[CheckpointStep] = []
        last = Recount(restored.census_day, restored.census_accounts)
        self.part = Part(self.partition, self.accounts, self._steps, last)
        context = self.accounts.context
        if context.cuts != restored.cuts:
            # Fixed ones, before the first event.
            self.part.adopt(context)
        # Size of the account ids that they name.
        self._named_bytes = 0
        self._snapshot_ms: dict[str, int] = {}

    @property
    def live(self) -> bool:
        """Whether time passes by itself."""
        return self._settings.clock == "live"

    def process(self, topic: InputTopic, messages: list[Message], produce: Produce) -> None:
        """Process records that come next in one input; all that follows from them is produced."""
        first, clock_ms = self.positions[topic], self.accounts.clock_ms
        last = messages[-1].offset() or 0
        assert first <= (messages[0].offset() or 0) <= last - len(messages) + 1, "records are processed once, in order"
        wall_ms = self._wall_clock_ms()
        latest_ms = wall_ms + self._settings.future_tolerance_hours * _HOUR_MS
        terms = Terms(wall_ms if self.live else 0, latest_ms)
        outcomes: list[Outcome] = []
        for message in messages:
            result = handle(self.accounts, topic, message, terms, self._place)
            if isinstance(result, Refusal):
                self.tally.refusals[topic][result.reason] += 1
                key, value = message.key(), message.value()
                produce(dead_letter_record(key, value, result, self._origin(topic, message), self._names))
                continue
            outcomes.append(result.outcome or Outcome.APPLIED)
            if result.outputs:
                self._publish(result, self._origin(topic, message), produce)
            if result.erased is not None:
                erased_key = message.key()
                assert erased_key is not None, "who is erased was named"
                produce(tombstone_record(erased_key.decode(), result.erased.incarnation, self._names, self._source))
        self.tally.outcomes[topic].update(outcomes)
        self.tally.timestamps_ms[topic] += map(timestamp_ms, messages)
        self.positions[topic] = last + 1
        self._steps.append(ReadStep(topic, first, self.positions[topic], len(messages), clock_ms, *terms))

    def _origin(self, topic: InputTopic, message: Message) -> Origin:
        offset = message.offset()
        assert offset is not None, "what was fetched has an offset"
        return Origin(self._names.of_input(topic), self.partition, offset, timestamp_ms(message))

    def prepare_tick(self, limit: int) -> bool:
        """Put at most `limit` due accounts in order for the next tick; False if some are left."""
        return self.accounts.prepare_tick(self._now_ms(), limit)

    def tick(self, limit: int, produce: Produce) -> int:
        """Let time reach at most `limit` due accounts; returns how many it reached."""
        now_ms = self._now_ms()
        if now_ms < 0:
            return 0
        reached, stale = 0, self.accounts.stale_count()
        for _, step in self.accounts.tick(now_ms, limit):
            self._publish(step, None, produce)
            reached += 1
        # Accounts that were erased before a new policy came to them are passed over, which is progress too.
        if reached or self.accounts.stale_count() != stale:
            self._steps.append(TickStep(now_ms, limit))
            self.tally.ticks += 1
        return reached

    def publish_snapshots(self, limit: int, produce: Produce) -> int:
        """Publish at most `limit` snapshots that are due, unless the task is catching up; returns how many."""
        pending = self.accounts.snapshots_pending
        if not pending:
            self.held_back_since_ms = None
            return 0
        now_ms = self._wall_clock_ms()
        if not self._may_publish(now_ms):
            self.held_back_since_ms = self.held_back_since_ms or now_ms
            return 0
        self.held_back_since_ms = None
        recent_from_ms = now_ms - self._settings.snapshot_interval_ms
        recent = self._snapshot_ms
        for account_id in list(takewhile(lambda one: recent[one] <= recent_from_ms, recent)):
            del recent[account_id]
        ready = list(islice((one for one in pending if one not in recent), limit))
        for account_id in ready:
            state = self.accounts.get(account_id)
            assert state is not None
            if state.portfolio_version != self.accounts.context.portfolio_version:
                # Scores by one version of the cut points beside tiers by another would be neither.
                self._publish(self.accounts.advance(account_id), None, produce)
            described = self.accounts.take_snapshot(account_id)
            if described is not None:
                produce(snapshot_record(described, self._names, self._source))
                self.tally.snapshots += 1
            recent[account_id] = now_ms  # the last one in, as none of them is in it
        if ready:
            self._steps.append(PublishStep(ready, self.accounts.clock_ms))
            self._named_bytes += sum(len(one.encode()) for one in ready)
        return len(ready)

    def _may_publish(self, now_ms: int) -> bool:
        if self.accounts.stale_count():
            # Tiers of one policy beside scores of another would be neither.
            return False
        return self.behind_ms(now_ms) <= _CATCHING_UP_MS

    def behind_ms(self, now_ms: int) -> int:
        """Give how old the next record is; 0 if none waits."""
        oldest_ms = self._in_hand_ms if self.busy else self.inputs.oldest_timestamp_ms()
        return 0 if oldest_ms is None else max(0, now_ms - oldest_ms)

    def in_hand(self, runs: list[Run]) -> None:
        """Note that an agent holds a batch."""
        self.busy = True
        self._in_hand_ms = timestamp_ms(runs[0].messages[0])

    def has_news(self) -> bool:
        """Tell whether the open transaction holds something of this partition."""
        return bool(self._steps)

    def holds_records(self) -> bool:
        """Tell whether records of this partition wait for the open transaction's commit."""
        return any(self.tally.timestamps_ms.values())

    def is_full(self) -> bool:
        """Tell whether the open transaction should be committed before it does more."""
        if self.accounts.touched_count() >= _TOUCHED_MAX:
            return True
        return len(self._steps) * _STEP_BYTES + self._named_bytes >= _CHECKPOINT_BYTES

    def abort(self) -> None:
        """Go back to the last commit; what is buffered is forgotten, to be read again from `positions`."""
        self.accounts.abort()
        self.positions = dict(self._committed_positions)
        self.inputs = Inputs(self._settings.max_task_idle_ms / _MS)
        self._steps.clear()
        self.part.redo()
        self._named_bytes = 0
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
            policy_version=self.accounts.context.configuration if self.accounts.stale_count() == 0 else UNSETTLED,
            policy_in_force=self.accounts.context.configuration,
            reporting_currency=policy.reporting_currency,
            reporting_timezone=policy.reporting_timezone,
            horizon_days=policy.horizon_days,
            portfolio_version=self.part.version,
            census_day=self.part.last.day,
            census_accounts=self.part.last.accounts,
            erasure_fingerprint=fingerprint(self.accounts.context.erasure_secret),
            steps=([] if self._opened is None else [self._opened]) + self._steps,
        )

    def changes(self) -> Changes:
        """Pack what the open transaction changed."""
        return self.accounts.changes()

    def changelog(self, changes: Changes) -> Iterator[tuple[bytes, bytes | None]]:
        """Give the records of the state topic; the checkpoint is the last."""
        yield from ((account_id.encode(), packed) for account_id, packed in changes.states.items())
        yield from ((erased_key(key), encode_mark(mark)) for key, mark in changes.erased.items())
        yield from self.part.changelog()
        yield CHECKPOINT_KEY, encode(self.checkpoint())

    def committed(self, changes: Changes) -> Tally:
        """Take the transaction as committed; returns what it did."""
        self.accounts.commit(changes)
        self.part.committed()
        self._committed_positions = dict(self.positions)
        self._steps.clear()
        self._named_bytes = 0
        self._opened = None
        tally, self.tally = self.tally, Tally()
        return tally

    def _publish(self, step: Step, origin: Origin | None, produce: Produce) -> None:
        for event in step.outputs:
            produce(output_record(event, self._names, self._source, origin))
            if isinstance(event, TierChanged):
                self.tally.tier_changes[event.direction, event.cause] += 1
                self.tally.flaps += event.flap
            else:
                self.tally.churn_events[event.type, event.level, event.tier] += 1
                self.tally.churn_reasons.update((event.type, reason) for reason in event.reasons or (None,))
                self.tally.churn_segments[event.type, self._segment_of(step)] += 1

    def _segment_of(self, step: Step) -> str | None:
        """Give an account's segment if the policy names it: there may be any number of others."""
        profile = None if step.state is None else step.state.profile
        if profile is None or profile.segment not in self.accounts.context.policy.segments:
            return None
        return profile.segment

    def _now_ms(self) -> int:
        if not self.live:
            return self.accounts.clock_ms
        # Records that an agent holds have left the inputs and are not processed yet.
        if self.inputs.all_at_end() and not self.busy:
            return max(self.accounts.clock_ms, self._wall_clock_ms())
        return self.accounts.clock_ms
