"""Whether everything that is published is what it should be: recomputed from the input alone, and audited.

Two oracles. With one input and the event clock the order of the input decides everything: one uninterrupted pass of the
core over it must give the same bytes. With inputs that are merged as they come only the checkpoints tell what was done:
the audit makes sure that their steps tile the inputs, and does them again.
"""

import json
import time
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from confluent_kafka import Message

from models.events import InputTopic
from models.wire import Refusal
from processors.partition import NEVER, Partition
from stream.audit.auditing import Audit
from stream.audit.report import Fault
from stream.checkpoint import CHECKPOINT_KEY, CUT_POINTS_KEY
from stream.cluster import Cluster
from stream.handling import Place, Terms, handle
from stream.headers import Header
from stream.inputs import timestamp_ms
from stream.judgement import context_of
from stream.reading import PartitionReader
from stream.records import Origin, OutRecord, dead_letter_record, output_record, snapshot_record
from stream.settings import Settings
from stream.topics import event_source
from tests.support.topics import headers_of, latest, read_topic

_TWICE: Final = frozenset({Fault.TWICE, Fault.OVERLAP, Fault.UNEXPECTED})
_NAMED_MAX: Final = 20
_SLICE_ACCOUNTS: Final = 1000
_HOUR_MS: Final = 3_600_000

Output = tuple[str, bytes | None, bytes | None, tuple[tuple[str, bytes], ...]]
"""Topic, key, value and headers: all that a subscriber sees of a record."""


@dataclass
class Verdict:
    """What an oracle found."""

    missing: int = 0
    """What should be there, byte for byte, and is not."""
    twice: int = 0
    """What is there once more than it should be."""
    named: list[str] = field(default_factory=list)
    """The first of both, in words."""
    compared: Counter[str] = field(default_factory=Counter)
    """How much of what there was to compare."""

    @property
    def ok(self) -> bool:
        """Whether all is as it should be."""
        return not self.missing and not self.twice

    def add(self, other: "Verdict") -> None:
        """Take in what another oracle found."""
        self.missing += other.missing
        self.twice += other.twice
        self.named += other.named
        self.compared += other.compared

    def lack(self, what: str, times: int = 1) -> None:
        """Note that something is missing."""
        self.missing += times
        self._name(f"missing: {what}")

    def exceed(self, what: str, times: int = 1) -> None:
        """Note that something is there too often."""
        self.twice += times
        self._name(f"twice: {what}")

    def _name(self, text: str) -> None:
        if len(self.named) < _NAMED_MAX:
            self.named.append(text)


def audited(settings: Settings) -> Verdict:
    """Replay the steps of every transaction since the first, and compare what each published."""
    verdict = Verdict()
    for one in Audit(settings, [context_of(settings)], lambda _: None).run():
        for fault, times in one.faults.items():
            named = next((text for text in one.named if text.startswith(f"{fault}:")), "")
            told = f"partition {one.partition}: {named}"
            if fault in _TWICE:
                verdict.exceed(told, times)
            else:
                verdict.lack(told, times)
        for reason, times in one.taken.items():
            verdict.lack(f"partition {one.partition}: {times} transactions could not be audited: {reason}", times)
        verdict.compared += Counter(
            transactions=one.transactions, records=one.records, states=one.states, outputs=one.outputs
        )
    return verdict


def in_sequence(settings: Settings) -> Verdict:
    """Make sure that a subscriber of each account finds the numbers 1, 2, 3 and so on, in this order."""
    verdict = Verdict()
    for topic in (settings.topics.tier_changes, settings.topics.churn_risk):
        expected: defaultdict[str, int] = defaultdict(lambda: 1)
        for message in read_topic(settings, topic):
            of, _, number = headers_of(message)[Header.CE_ID].rpartition("/")
            if int(number) > expected[of]:
                verdict.lack(f"{of}/{expected[of]}, before {of}/{number}", int(number) - expected[of])
            elif int(number) < expected[of]:
                verdict.exceed(f"{of}/{number}")
            expected[of] = max(expected[of], int(number) + 1)
            verdict.compared["events in sequence"] += 1
    return verdict


class _Recomputed(NamedTuple):
    """What one pass over an input leads to."""

    outputs: Counter[Output]
    states: dict[str, bytes | None]
    snapshots: dict[str, OutRecord]


def recomputed(settings: Settings) -> Verdict:
    """Pass over the orders once, without a worker, and compare all that there is in the end."""
    names, verdict = settings.topics, Verdict()
    expected = _recompute(settings)
    found = Counter(
        _seen(topic, message)
        for topic in (names.tier_changes, names.churn_risk, names.dead_letters)
        for message in read_topic(settings, topic)
    )
    for one, times in (expected.outputs - found).items():
        verdict.lack(_told(one), times)
    for one, times in (found - expected.outputs).items():
        verdict.exceed(_told(one), times)
    states = _states(read_topic(settings, names.state))
    _compare(verdict, "state", expected.states, states)
    snapshots = latest(read_topic(settings, names.snapshots))
    _compare(
        verdict,
        "snapshot",
        {name: _shown(one.value) for name, one in expected.snapshots.items()},
        {name: _shown(one.value()) for name, one in snapshots.items()},
    )
    verdict.compared += Counter(outputs=found.total(), states=len(states), snapshots=len(snapshots))
    return verdict


def _recompute(settings: Settings) -> _Recomputed:
    cluster, context = Cluster(settings), context_of(settings)
    names, source = settings.topics, event_source(settings.application_id)
    ids = {topic: cluster.topic_ids[names.of_input(topic)] for topic in InputTopic}
    terms = Terms(0, time.time_ns() // 1_000_000 + settings.future_tolerance_hours * _HOUR_MS)
    found = _Recomputed(Counter(), {}, {})
    for partition in range(cluster.partitions):
        accounts, place = Partition(context), Place(partition, cluster.partitions, ids)
        start, end = cluster.range_of(names.orders, partition)
        with PartitionReader(settings, names.orders, partition, start) as reader:
            for message in reader.until(end):
                origin = Origin(names.orders, partition, message.offset() or 0, timestamp_ms(message))
                step = handle(accounts, InputTopic.ORDERS, message, terms, place)
                if isinstance(step, Refusal):
                    letter = dead_letter_record(message.key(), message.value(), step, origin, names)
                    found.outputs[_made(letter)] += 1
                else:
                    found.outputs.update(_made(output_record(one, names, source, origin)) for one in step.outputs)
        while steps := list(accounts.tick(NEVER, _SLICE_ACCOUNTS)):
            found.outputs.update(
                _made(output_record(one, names, source, None)) for _, step in steps for one in step.outputs
            )
        for name in sorted(accounts.snapshots_pending):
            described = accounts.take_snapshot(name)
            assert described is not None, "the first one is news"
            found.snapshots[name] = snapshot_record(described, names, source)
        found.states.update(accounts.changes().states)
    return found


def _compare(
    verdict: Verdict,
    what: str,
    expected: dict[str, Any],
    found: dict[str, Any],
) -> None:
    for name in sorted({*expected, *found}):
        if name not in expected:
            verdict.exceed(f"{what} of {name}, which no order names")
        elif expected[name] != found.get(name):
            verdict.lack(f"{what} of {name} as it should be")


def _made(record: OutRecord) -> Output:
    return record.topic, record.key, record.value, tuple(record.headers)


def _seen(topic: str, message: Message) -> Output:
    return topic, message.key(), message.value(), tuple(_headers(message).items())


def _headers(message: Message) -> dict[str, bytes]:
    return {name: value.encode() for name, value in headers_of(message).items()}


def _told(output: Output) -> str:
    topic, key, _, headers = output
    return f"{topic} {key!r} {dict(headers).get(Header.CE_ID, b'').decode()}"


def _states(messages: Iterable[Message]) -> dict[str, bytes | None]:
    others = {CHECKPOINT_KEY.decode(), CUT_POINTS_KEY.decode()}
    return {name: one.value() for name, one in latest(messages).items() if name not in others}


def _shown(value: bytes | None) -> dict[str, Any] | None:
    """Give what a snapshot says but for its moment and revision: for a difference in those none is published."""
    body: dict[str, Any] | None = None if value is None else json.loads(value)
    return body and {name: one for name, one in body.items() if name not in {"as_of", "revision"}}
