"""The commands at the ends of the stream: what produce sends and what tail shows, on a real broker."""

import json
import signal
import subprocess
import sys
import uuid
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path

import pytest
from confluent_kafka import Consumer, Message, Producer, TopicPartition
from kafka.partitioner import murmur2
from typer.testing import CliRunner, Result

from stream.administration import Administration
from stream.cli import app
from stream.headers import DeadLetterHeader
from stream.sending import Pace
from stream.settings import Settings, load_settings
from tests.support.broker import KafkaBroker
from tests.support.polling import eventually

PARTITIONS = 3
TIMEOUT_S = 30
# The process that runs the command line is this interpreter, not whatever is on PATH.
COMMAND = (sys.executable, "-c", "from stream.cli import main; main()")


@pytest.fixture
def environ(kafka: KafkaBroker) -> dict[str, str]:
    """Variables that name topics of this test's own, which exist."""
    variables = {
        "ACCOUNT_HEALTH_BOOTSTRAP_SERVERS": kafka.bootstrap_servers,
        "ACCOUNT_HEALTH_TOPIC_PREFIX": f"t{uuid.uuid4()}.",
        "ACCOUNT_HEALTH_PARTITIONS": str(PARTITIONS),
    }
    with Administration(load_settings(variables)) as administration:
        administration.create()
    return variables


@pytest.fixture
def settings(environ: dict[str, str]) -> Settings:
    """The settings that a command reads from those variables."""
    return load_settings(environ)


def _run(environ: Mapping[str, str], *arguments: str) -> Result:
    return CliRunner().invoke(app, arguments, env={**environ, "COLUMNS": "200"})


def _event(name: str, type_: str, account_id: str, occurred_at: str) -> str:
    event = {"event_id": name, "type": type_, "account_id": account_id, "occurred_at": occurred_at}
    return json.dumps(event)


def _read(settings: Settings, name: str, count: int) -> list[Message]:
    """Read so many records of a topic from its beginning, in the order of each partition."""
    consumer = Consumer(
        {"bootstrap.servers": settings.bootstrap_servers, "group.id": "unused", "enable.auto.commit": False}
    )
    consumer.assign([TopicPartition(name, partition, 0) for partition in range(PARTITIONS)])
    found: list[Message] = []

    def enough() -> bool:
        found.extend(consumer.consume(count, 0.2))
        return len(found) >= count

    try:
        eventually(enough, f"{count} records of {name}", timeout_s=TIMEOUT_S)
    finally:
        consumer.close()
    assert all(message.error() is None for message in found)
    return found


def _text(message: Message) -> str:
    """Return a record's value, which is there, as text."""
    value = message.value()
    assert value is not None
    return value.decode()


def _write(settings: Settings, name: str, value: bytes, headers: Mapping[str, str] | None = None) -> None:
    """Write one record in a transaction of its own, as the worker does."""
    producer = Producer({"bootstrap.servers": settings.bootstrap_servers, "transactional.id": f"test-{uuid.uuid4()}"})
    producer.init_transactions(TIMEOUT_S)
    producer.begin_transaction()
    pairs: list[tuple[str, str | bytes | None]] = list((headers or {}).items())
    producer.produce(name, value, b"A-1", headers=pairs)
    producer.commit_transaction(TIMEOUT_S)
    producer.close()


TIER_CHANGE = {
    "type": "account.tier_changed",
    "account_id": "A-1",
    "occurred_at": "2024-05-06T07:08:09Z",
    "previous_tier": "standard",
    "tier": "growth",
    "direction": "promoted",
    "cause": "behaviour",
    "score_before": 48.5,
    "score": 51.25,
    "components": [
        {"name": "revenue", "delta_hundredths": 400},
        {"name": "profit", "delta_hundredths": -125},
        {"name": "strategic", "delta_hundredths": 0},
    ],
}
CHURN_EVENT = {
    "type": "account.churn_risk_changed",
    "account_id": "A-1",
    "occurred_at": "2024-05-06T07:08:09Z",
    "previous_level": "low",
    "level": "high",
    "risk": 0.8125,
    "silent_days": 40,
    "reasons": ["overdue", "complaint"],
    "value_at_stake": "1234.50",
}


def test_produce_routes_by_type_and_keys_by_account(
    environ: dict[str, str], settings: Settings, tmp_path: Path
) -> None:
    """Each event lands unchanged on its topic, where Java's partitioner would put its account."""
    lines = [
        _event(f"{type_}-{n}", type_, f"Ä-{n}", "2024-01-01T00:00:00Z")
        for n in range(10)
        for type_ in ("order.completed", "ticket.opened", "profile.updated")
    ]
    file = tmp_path / "events.jsonl"
    file.write_text("\n".join(lines) + "\n")

    result = _run(environ, "produce", str(file))

    assert result.exit_code == 0, result.stderr
    assert "sent 30 lines (orders 10, profiles 10, support 10)" in result.stderr
    found = [
        message
        for name in (settings.topics.orders, settings.topics.support, settings.topics.profiles)
        for message in _read(settings, name, 10)
    ]
    assert sorted(_text(message) for message in found) == sorted(lines)
    for message in found:
        account_id = json.loads(_text(message))["account_id"].encode()
        assert message.key() == account_id
        assert message.partition() == (murmur2(account_id) & 0x7FFFFFFF) % PARTITIONS


def test_lines_that_cannot_be_routed_become_dead_letters(
    environ: dict[str, str], settings: Settings, tmp_path: Path
) -> None:
    """A line of no known type is sent to orders byte for byte, and the summary says so."""
    file = tmp_path / "events.jsonl"
    file.write_bytes(b'not json \xff\n{"type":"no.such","account_id":"A"}\n')

    result = _run(environ, "produce", str(file))

    assert (result.exit_code, "2 of them have no known type" in result.stderr) == (0, True)
    found = _read(settings, settings.topics.orders, 2)
    assert {(message.key(), message.value()) for message in found} == {
        (None, b"not json \xff"),
        (b"A", b'{"type":"no.such","account_id":"A"}'),
    }


def test_a_line_that_cannot_be_delivered_is_counted(
    environ: dict[str, str], settings: Settings, tmp_path: Path
) -> None:
    """A record that Kafka would not take stops no other one, and the exit code is 1."""
    good = _event("1", "order.completed", "A", "2024-01-01T00:00:00Z")
    file = tmp_path / "events.jsonl"
    file.write_text(json.dumps({"type": "order.completed", "x": "y" * 2_000_000}) + f"\n{good}\n")

    result = _run(environ, "produce", str(file))

    assert (result.exit_code, "1 records were not delivered" in result.stderr) == (1, True)
    assert [_text(one) for one in _read(settings, settings.topics.orders, 1)] == [good]


def test_events_are_sent_in_their_own_rhythm() -> None:
    """With a speed-up, distances shrink by the factor; late and undated events are due at once."""
    pace = Pace(speedup=60)

    assert [pace.seconds_until_due(ms) for ms in (60_000, 180_000, None, 0)] == [0, 2, 0, -1]


def test_the_end_of_the_input_reaches_every_partition_last(
    environ: dict[str, str], settings: Settings, tmp_path: Path
) -> None:
    """clock.advanced stands behind all else, at the end of the last local day, future ones aside."""
    policy = tmp_path / "policy.toml"
    policy.write_text('reporting_currency = "EUR"\nreporting_timezone = "America/New_York"\n')
    file = tmp_path / "events.jsonl"
    file.write_text(
        "\n".join(
            (
                _event("1", "order.completed", "A", "2024-03-02T02:00:00Z"),
                _event("2", "order.completed", "B", "2024-03-01T00:00:00Z"),
                _event("3", "order.completed", "C", "2999-01-01T00:00:00Z"),
            )
        )
    )

    result = _run({**environ, "ACCOUNT_HEALTH_POLICY_FILE": str(policy)}, "produce", str(file), "--end-of-input")

    assert result.exit_code == 0, result.stderr
    found = _read(settings, settings.topics.orders, 3 + PARTITIONS)
    clocks = [one for one in found if json.loads(_text(one))["type"] == "clock.advanced"]
    assert sorted(one.partition() or 0 for one in clocks) == list(range(PARTITIONS))
    times = {json.loads(_text(one))["occurred_at"] for one in clocks}
    assert times == {"2024-03-02T04:59:59.999000Z"}
    latest_ms = max(one.timestamp()[1] for one in found if one not in clocks)
    assert all(one.timestamp()[1] > latest_ms for one in clocks)


def test_now_moves_a_history_to_the_present(environ: dict[str, str], settings: Settings, tmp_path: Path) -> None:
    """The last event is of the last 24 hours, at its own time of day, and distances stay."""
    file = tmp_path / "events.jsonl"
    file.write_text(
        _event("1", "order.completed", "A", "2011-01-01T10:00:00Z")
        + "\n"
        + _event("2", "order.completed", "A", "2011-02-01T10:00:00Z")
    )

    result = _run(environ, "produce", str(file), "--now")

    assert result.exit_code == 0, result.stderr
    first, last = (
        datetime.fromisoformat(json.loads(_text(one))["occurred_at"])
        for one in _read(settings, settings.topics.orders, 2)
    )
    assert (last - first).days == 31
    assert 0 <= (datetime.now(UTC) - last).total_seconds() < 86_400 + TIMEOUT_S
    assert last.strftime("%H:%M") == "10:00"


def test_produce_needs_the_topics(kafka: KafkaBroker, tmp_path: Path) -> None:
    """Missing topics are named, with the command that makes them; nothing is sent."""
    file = tmp_path / "events.jsonl"
    file.write_text("{}\n")
    environ = {
        "ACCOUNT_HEALTH_BOOTSTRAP_SERVERS": kafka.bootstrap_servers,
        "ACCOUNT_HEALTH_TOPIC_PREFIX": "missing.",
    }

    result = _run(environ, "produce", str(file))

    assert (result.exit_code, "account-health topics create" in result.stderr) == (2, True)


def test_tail_shows_tier_changes(environ: dict[str, str], settings: Settings) -> None:
    """A line has time, account, tiers, scores, cause and the largest deltas first."""
    _write(settings, settings.topics.tier_changes, json.dumps(TIER_CHANGE).encode())

    result = _run(environ, "tail", "tier-changes", "--from-beginning", "--limit", "1")

    assert result.exit_code == 0, result.stderr
    assert " ".join(result.stdout.split()) == (
        "2024-05-06 07:08:09Z A-1 standard → growth 48.50 → 51.25 behaviour revenue +4.00, profit -1.25"
    )


def test_tail_shows_churn_events(environ: dict[str, str], settings: Settings) -> None:
    """A line has time, account, levels, risk, silence, value at stake and reasons."""
    _write(settings, settings.topics.churn_risk, json.dumps(CHURN_EVENT).encode())

    result = _run(environ, "tail", "churn-risk", "--from-beginning", "--limit", "1")

    assert " ".join(result.stdout.split()) == (
        "2024-05-06 07:08:09Z A-1 low → high risk 81.2% silent 40 d at stake 1234.50 overdue, complaint"
    )


def test_tail_shows_dead_letters_without_their_content(environ: dict[str, str], settings: Settings) -> None:
    """A line has time, reason, place and detail; what was refused is not shown, nor obeyed."""
    headers = {
        DeadLetterHeader.REASON: "invalid_field",
        DeadLetterHeader.DETAIL: "amount: wrong \x1b[2J",
        DeadLetterHeader.TOPIC: "orders",
        DeadLetterHeader.PARTITION: "2",
        DeadLetterHeader.OFFSET: "77",
    }
    _write(settings, settings.topics.dead_letters, b"secret", headers)

    text = _run(environ, "tail", "dead-letters", "--from-beginning", "--limit", "1")
    machine = _run(environ, "tail", "dead-letters", "--from-beginning", "--limit", "1", "--json")

    assert "invalid_field" in text.stdout
    assert "orders[2]@77  amount: wrong �[2J" in text.stdout
    assert json.loads(machine.stdout)[DeadLetterHeader.OFFSET] == "77"
    assert "secret" not in text.stdout + machine.stdout


def test_tail_of_a_missing_topic_says_so(kafka: KafkaBroker) -> None:
    """A topic that is not there is an error with the command that makes it."""
    environ = {
        "ACCOUNT_HEALTH_BOOTSTRAP_SERVERS": kafka.bootstrap_servers,
        "ACCOUNT_HEALTH_TOPIC_PREFIX": "missing.",
    }

    result = _run(environ, "tail", "tier-changes")

    assert (result.exit_code, "account-health topics create" in result.stderr) == (2, True)


@pytest.fixture
def tailing(environ: dict[str, str]) -> Iterator[subprocess.Popen[str]]:
    """A tail of tier changes as JSON, in a process of its own, that never ends by itself."""
    arguments = (*COMMAND, "tail", "tier-changes", "--from-beginning", "--json")
    process = subprocess.Popen(
        arguments,
        env=environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).resolve().parents[2],
    )
    with process:
        try:
            yield process
        finally:
            process.kill()


def test_tail_follows_and_ends_cleanly_at_an_interrupt(settings: Settings, tailing: subprocess.Popen[str]) -> None:
    """Records that are committed while it runs are shown; Ctrl-C ends it with 0 and no noise."""
    assert tailing.stdout is not None
    shown = []
    for account_id in ("A-1", "A-2"):
        event = TIER_CHANGE | {"account_id": account_id}
        _write(settings, settings.topics.tier_changes, json.dumps(event).encode())
        shown.append(json.loads(tailing.stdout.readline())["account_id"])
    tailing.send_signal(signal.SIGINT)
    _, errors = tailing.communicate(timeout=TIMEOUT_S)

    assert shown == ["A-1", "A-2"]
    assert (tailing.returncode, errors) == (0, "")


def test_tail_ends_when_its_reader_does(settings: Settings, tailing: subprocess.Popen[str]) -> None:
    """`tail | head` ends without a traceback once nobody reads any more."""
    assert tailing.stdout is not None
    tailing.stdout.close()
    _write(settings, settings.topics.tier_changes, json.dumps(TIER_CHANGE).encode())
    assert tailing.stderr is not None
    errors = tailing.stderr.read()

    assert (tailing.wait(TIMEOUT_S), errors) == (1, "")


def test_check_lists_errors_of_settings_and_policy_together(tmp_path: Path) -> None:
    """A wrong setting and a wrong policy file are both reported by one run, with exit code 2."""
    policy = tmp_path / "policy.toml"
    policy.write_text('reporting_currency = "EUR"\nwindow_day = [30]\nrevision = 0\n')
    environ = {"ACCOUNT_HEALTH_PARTITIONS": "x", "ACCOUNT_HEALTH_POLICY_FILE": str(policy)}

    result = _run(environ, "check")

    assert (result.exit_code, len(result.stderr.splitlines())) == (2, 3)
    for name in ("ACCOUNT_HEALTH_PARTITIONS", "window_day", "revision"):
        assert name in result.stderr


def test_check_prints_what_is_in_force() -> None:
    """The settings and the policy's identity are printed, and no secret."""
    secret = "s" * 40
    environ = {
        "ACCOUNT_HEALTH_REPORTING_CURRENCY": "SEK",
        "ACCOUNT_HEALTH_ERASURE_SECRET": secret,
    }

    result = _run(environ, "check")

    assert result.exit_code == 0, result.stderr
    assert "SEK" in result.stdout
    assert secret not in result.stdout
