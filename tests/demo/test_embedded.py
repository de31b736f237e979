"""The worker and the demo's feeder on the embedded broker."""

import itertools
import json
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, date, datetime
from itertools import count
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from confluent_kafka import OFFSET_BEGINNING, Consumer, TopicPartition
from confluent_kafka.admin import AdminClient

from models.events import InputTopic
from models.fields import EPOCH, epoch_ms
from stream.demo import feeder as feeding
from stream.demo.feeder import Feeder
from stream.embedded import PARTITIONS, EmbeddedBroker
from stream.files import inspect, read_lines
from stream.sending import Sender
from stream.settings import Settings
from stream.simulation import Simulation, SimulationSpec
from stream.topics import TOPICS
from tests.support.deployment import Deployment, differences, gaps, replayed
from tests.support.polling import eventually

_MEGABYTE = 1_000_000
_LAST_DAY = date(2026, 6, 30)


@pytest.fixture
def deployment(embedded_broker: EmbeddedBroker, tmp_path: Path) -> Iterator[Deployment]:
    """An application on the embedded broker, with its topics: they come to exist when they are named."""
    with Deployment(embedded_broker.bootstrap_servers, tmp_path, embedded_broker="true") as deployment:
        admin = AdminClient({"bootstrap.servers": embedded_broker.bootstrap_servers})
        for topic in TOPICS:
            admin.list_topics(deployment.settings.topics.of(topic), timeout=10)
        yield deployment


def _write_month(path: Path) -> int:
    """Write a month of a company in the order of sending, late and broken records included; return its last moment."""
    spec = SimulationSpec(until=_LAST_DAY, accounts=80, days=31, currency="GBP", malformed_share=0.02)
    records = list(Simulation(spec, 3).history())
    path.write_bytes(b"".join(one.value + b"\n" for one in records))
    return spec.end_ms - 1


def _send(path: Path, last_ms: int, settings: Settings) -> None:
    """Send a file's lines a millisecond apart, so that there is only one order in which they can be merged."""
    lines = [inspect(0, number, raw) for number, raw in enumerate(read_lines(path), start=1)]
    milliseconds = count(epoch_ms(datetime.now(UTC)) - 2 * len(lines))
    # In the middle of the millisecond, so that no rounding reaches another.
    sender = Sender(settings, lambda: (next(milliseconds) + 0.5) / 1000)
    for line in lines:
        sender.send(line)
    sender.end_input(last_ms, ZoneInfo("UTC"))
    sender.close()
    assert (sender.failed, len(lines) > 300) == (0, True)


def test_the_worker_comes_out_as_its_replay(deployment: Deployment, tmp_path: Path) -> None:
    """On the embedded broker too, a history gives the tier changes, churn events and snapshots of its replay."""
    path = tmp_path / "events.jsonl"
    last_ms = _write_month(path)
    assert path.stat().st_size < 3 * _MEGABYTE
    expected = replayed([path], tmp_path / "replay", "--until", _LAST_DAY.isoformat())
    _send(path, last_ms, deployment.settings)
    worker = deployment.worker().start()

    deployment.wait_settled(worker)

    published = deployment.published()
    assert differences(expected, published) == ""
    assert gaps(published.tier_changes) == gaps(published.churn_events) == []
    assert len(published.snapshots) == len(expected.snapshots) > 50
    assert worker.terminate() == 0


def _feeder(settings: Settings, hours_per_second: float, *, processed: int = 2**62) -> Feeder:
    now = datetime.now(UTC)
    spec = SimulationSpec(until=now.date(), accounts=60, days=60)
    feeder = Feeder(settings, Simulation(spec, 1), now, hours_per_second)
    # Nobody processes or counts anything here: unless a test says how much, nothing is waited for.
    feeder.processed, feeder.counted_ms = processed, 2**62
    return feeder


@pytest.fixture
def reader(deployment: Deployment) -> Iterator[Consumer]:
    """A client that has all partitions of all inputs, from their beginnings."""
    consumer = Consumer(
        {"bootstrap.servers": deployment.settings.bootstrap_servers, "group.id": "unused", "log_level": 0}
    )
    names = [deployment.settings.topics.of_input(topic) for topic in InputTopic]
    consumer.assign([TopicPartition(name, number, OFFSET_BEGINNING) for name in names for number in range(PARTITIONS)])
    yield consumer
    consumer.close()


def test_no_more_is_unread_than_the_broker_keeps(
    deployment: Deployment, reader: Consumer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However long the history, the feeder waits for the worker before a partition holds more than it may."""
    limit_bytes = 5_000
    monkeypatch.setattr(feeding, "_UNREAD_BYTES_MAX", limit_bytes)
    feeder = _feeder(deployment.settings, 1.0, processed=0)
    unread: Counter[tuple[str | None, int | None]] = Counter()
    total = 0
    feeder.start()
    try:

        def take() -> bool:
            nonlocal total
            batch = reader.consume(10_000, 0.1)
            for message in batch:
                assert message.error() is None
                unread[message.topic(), message.partition()] += len(message) + len(message.key() or b"")
                total += 1
            # One that waits has nothing on its way: only then is all read that was sent.
            if not batch:
                unread.clear()
                feeder.processed = total
            assert max(unread.values(), default=0) <= limit_bytes + 2_000
            return feeder.history_records == total

        eventually(take, "the history is sent", interval_s=0)
    finally:
        feeder.stop()
    assert total * 100 > 4 * limit_bytes


def test_the_company_goes_on_where_its_history_ended(deployment: Deployment, reader: Consumer) -> None:
    """Live, every partition hears of each midnight, and nothing is sent twice or left out."""
    feeder = _feeder(deployment.settings, hours_per_second=48.0)
    expected = feeder._company.live(EPOCH)
    values: list[bytes] = []
    clocks: list[tuple[int | None, str]] = []
    feeder.start()
    feeder.go_live()
    try:

        def midnights() -> bool:
            for message in reader.consume(10_000, 0.1):
                value = message.value() or b""
                if b"clock.advanced" in value:
                    clocks.append((message.partition(), json.loads(value)["occurred_at"]))
                elif b"cut off" not in value:
                    values.append(value)
            return len(clocks) >= 3 * PARTITIONS

        eventually(midnights, "two midnights have passed")
    finally:
        feeder.stop()
    assert feeder.failure is None
    assert sorted(values) == sorted(one.value for one in itertools.islice(expected, len(values)))
    for number in range(PARTITIONS):
        moments = [moment for partition, moment in clocks if partition == number]
        assert moments == sorted(moments)
        assert sum(not moment.endswith("T00:00:00Z") for moment in moments) == 1


def test_the_history_rests_until_the_portfolio_is_counted(deployment: Deployment, reader: Consumer) -> None:
    """Every thirty days all partitions hear of one midnight, and nothing follows before it is processed and counted."""
    feeder = _feeder(deployment.settings, 1.0, processed=0)
    feeder.counted_ms = 0
    rests: dict[int, int] = {}
    total = later = 0
    feeder.start()
    try:

        def counted() -> bool:
            nonlocal total, later
            batch = reader.consume(10_000, 0.2)
            for message in batch:
                value = message.value() or b""
                total += 1
                if b"clock.advanced" in value:
                    moment_ms = int(json.loads(value)["event_id"].removeprefix("clock-"))
                    rests[moment_ms] = rests.get(moment_ms, 0) + 1
                    later += moment_ms > feeder.counted_ms
            if not batch:
                # All of it has come to rest at one moment, which is counted only now.
                assert later in {0, PARTITIONS}
                feeder.processed, feeder.counted_ms, later = total, max(rests, default=0), 0
            return feeder.history_records == total

        eventually(counted, "the history is sent", interval_s=0)
    finally:
        feeder.stop()
    *midnights, _ = sorted(rests)
    assert len(midnights) in {2, 3}
    assert all(moment % (30 * 86_400_000) == 0 for moment in midnights)
    assert set(rests.values()) == {PARTITIONS}


def test_the_company_lives_only_as_far_ahead_as_events_may_be_dated(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before its events would be refused as being in the future, the feeder ends by itself."""
    monkeypatch.setattr(feeding, "AHEAD_DAYS_MAX", 3)
    feeder = _feeder(deployment.settings, hours_per_second=1000.0)
    feeder.start()
    feeder.go_live()

    eventually(lambda: feeder.ended, "the feeder has ended")

    feeder.stop()
    assert feeder.failure is None
