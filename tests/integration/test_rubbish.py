"""Bad records become dead letters, each once and unchanged, and touch nothing else."""

import json
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import NamedTuple
from zoneinfo import ZoneInfo

import pytest
from confluent_kafka import KafkaError, Message, Producer

from models.events import InputTopic
from models.fields import from_epoch_ms
from models.policy import Policy
from models.reasons import Outcome, RefusalReason
from processors.context import Context
from stream.files import merge
from stream.headers import DeadLetterHeader
from stream.replay import Replay
from stream.sending import end_of_day_ms
from stream.settings import Settings
from stream.simulation.export import file_of
from tests.support.cuts import MADE_UP
from tests.support.deployment import PARTITIONS, Deploy, differences, published_by_replay
from tests.support.rubbish import RECORD_BYTES_MAX, Bad, rubbish
from tests.support.topics import headers_of
from tests.support.worker import Sample, run_command

BAD_RECORDS = 10_000

Place = tuple[str, int, int]
"""Topic, partition and offset."""


class Sent(NamedTuple):
    """A bad record, and when it says that it was sent."""

    bad: Bad
    timestamp_ms: int


class Sending:
    """Sends records in an order that their timestamps keep, and remembers where the bad ones went."""

    def __init__(self, settings: Settings, first_ms: int) -> None:
        self.bad: dict[Place, Sent] = {}
        self._names = {topic: settings.topics.of_input(topic) for topic in InputTopic}
        self._now_ms = first_ms
        self._producer = Producer(
            {
                "bootstrap.servers": settings.bootstrap_servers,
                "partitioner": "murmur2_random",
                # what is tried again stays in its order
                "enable.idempotence": True,
                "message.max.bytes": RECORD_BYTES_MAX + 1000,
                "queue.buffering.max.kbytes": 1_048_576,
                "linger.ms": 5,
                "log_level": 0,
            }
        )

    def send(self, topic: InputTopic, key: bytes | None, value: bytes, partition: int = -1) -> None:
        """Send a good record."""
        self._now_ms += 1
        self._producer.produce(self._names[topic], value, key, partition, timestamp=self._now_ms, on_delivery=_checked)

    def send_bad(self, bad: Bad) -> None:
        """Send a bad record."""
        self._now_ms += 1
        sent = Sent(bad, self._now_ms)

        def delivered(error: KafkaError | None, message: Message) -> None:
            _checked(error, message)
            self.bad[_place(message)] = sent

        partition = -1 if bad.partition is None else bad.partition
        name = self._names[bad.topic]
        self._producer.produce(name, bad.value, bad.key, partition, timestamp=self._now_ms, on_delivery=delivered)

    def finish(self) -> None:
        """Wait until all is delivered."""
        assert self._producer.flush(60) == 0


def _checked(error: KafkaError | None, _: Message) -> None:
    assert error is None, str(error)


def _place(message: Message) -> Place:
    topic, partition, offset = message.topic(), message.partition(), message.offset()
    assert topic is not None
    assert partition is not None
    assert offset is not None
    return topic, partition, offset


def test_ten_thousand_bad_records_become_dead_letters_and_touch_nothing(
    deploy: Deploy, tmp_path: Path, pytestconfig: pytest.Config
) -> None:
    """Each is a dead letter once, unchanged, with its reason and origin; the good ones come out as their replay."""
    files = _company(tmp_path)
    now_ms = time.time_ns() // 1_000_000
    replay = Replay(Context(Policy(reporting_currency="GBP"), cuts=MADE_UP), now_ms, partitions=PARTITIONS)
    summary = replay.run(files, tmp_path / "replay", lambda _: None)
    deployment = deploy()
    chance = Random(pytestconfig.getoption("hypothesis_seed"))
    sending = _send(files, deployment.settings, chance, now_ms)
    worker = deployment.worker().start()

    deployment.wait_settled(worker)

    metrics = worker.metrics()
    assert worker.running
    assert differences(published_by_replay(tmp_path / "replay"), deployment.published()) == ""
    letters = deployment.dead_letters()
    assert len(letters) == len(sending.bad) == BAD_RECORDS
    assert list(_wrong_letters(letters, sending.bad)) == []
    by_reason = Counter((str(sent.bad.topic), str(sent.bad.reason)) for sent in sending.bad.values())
    assert _counted(metrics, "account_health_dead_letters_total", "topic", "reason") == by_reason
    by_outcome = Counter({str(outcome): count for outcome, count in summary.outcomes.items()})
    by_outcome += Counter({"dead_letter": BAD_RECORDS, Outcome.APPLIED: PARTITIONS})  # the clock, moved at the end
    counted = _counted(metrics, "account_health_events_total", "outcome")
    assert counted == Counter({(outcome,): count for outcome, count in by_outcome.items()})
    assert {sent.bad.reason for sent in sending.bad.values()} == {*RefusalReason} - {RefusalReason.CLOCK_NOT_EVENT}


def test_a_live_worker_refuses_that_its_clock_is_moved(deploy: Deploy) -> None:
    """With the live clock, `clock.advanced` is a dead letter, and what comes behind it is processed."""
    deployment = deploy(clock="live")
    worker = deployment.worker().start().wait_ready()
    now_ms = time.time_ns() // 1_000_000
    sending = Sending(deployment.settings, now_ms - 1000)
    clock = {"type": "clock.advanced", "event_id": "C-1", "occurred_at": "2026-01-01T00:00:00Z"}
    bad = Bad(RefusalReason.CLOCK_NOT_EVENT, InputTopic.ORDERS, None, json.dumps(clock).encode(), 0)
    sending.send_bad(bad)
    sending.finish()

    deployment.wait_settled(worker)

    assert list(_wrong_letters(deployment.dead_letters(), sending.bad)) == []
    assert _counted(worker.metrics(), "account_health_dead_letters_total", "reason") == {("clock_not_event",): 1}
    assert worker.running


def _company(folder: Path) -> list[Path]:
    options = ("--accounts", "60", "--days", "400", "--until", "2026-06-30", "--currency", "GBP")
    run_command({}, "simulate", "--out", str(folder / "company"), "--malformed-share", "0", *options)
    return [folder / "company" / file_of(topic) for topic in InputTopic]


def _send(files: list[Path], settings: Settings, chance: Random, now_ms: int) -> Sending:
    """Send the files' events in their order, with bad records at random places among them."""
    lines = list(merge(files))
    accounts = sorted({line.account_id for line in lines if line.account_id is not None})
    bad = rubbish(chance, accounts, PARTITIONS, BAD_RECORDS)
    sending = Sending(settings, now_ms - 2 * (len(lines) + BAD_RECORDS))
    order = [True] * BAD_RECORDS + [False] * len(lines)
    chance.shuffle(order)
    good = iter(lines)
    for is_bad in order:
        if is_bad:
            sending.send_bad(next(bad))
            continue
        line = next(good)
        assert line.topic is not None
        assert line.account_id is not None
        sending.send(line.topic, line.account_id.encode(), line.raw)
    end_ms = end_of_day_ms(max(line.occurred_ms or 0 for line in lines), ZoneInfo("UTC"))
    end = {"type": "clock.advanced", "event_id": "end", "occurred_at": from_epoch_ms(end_ms).isoformat()}
    for partition in range(PARTITIONS):
        sending.send(InputTopic.ORDERS, None, json.dumps(end).encode(), partition)
    sending.finish()
    return sending


def _wrong_letters(letters: list[Message], sent: dict[Place, Sent]) -> Iterator[str]:
    """Say of each dead letter in what it is not as it should be; each record has one."""
    seen: set[Place] = set()
    for letter in letters:
        headers = headers_of(letter)
        place = (
            headers[DeadLetterHeader.TOPIC],
            int(headers[DeadLetterHeader.PARTITION]),
            int(headers[DeadLetterHeader.OFFSET]),
        )
        bad, timestamp_ms = sent[place]
        if place in seen:
            yield f"{place} is there twice"
        if headers[DeadLetterHeader.REASON] != bad.reason:
            start = (bad.value or b"")[:300]
            yield f"{bad.reason} is refused as {headers[DeadLetterHeader.REASON]}: {bad.key!r} {start!r}"
        if (letter.key(), letter.value()) != (bad.key, bad.value):
            yield f"{place} is changed"
        if headers[DeadLetterHeader.TIMESTAMP_MS] != str(timestamp_ms):
            yield f"{place} has another timestamp"
        seen.add(place)


def _counted(metrics: dict[Sample, float], name: str, *labels: str) -> Counter[tuple[str, ...]]:
    """Sum a counter by some of its labels, without zeros."""
    counts: Counter[tuple[str, ...]] = Counter()
    for (one, held), value in metrics.items():
        if one == name and value:
            counts[*(dict(held)[label] for label in labels),] += int(value)
    return counts
