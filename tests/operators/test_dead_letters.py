"""Dead letters are listed, and sent again exactly once: to the right topic and partition, whatever interrupts it."""

import json
import signal
import subprocess
import time
import uuid
from collections import Counter
from collections.abc import Mapping
from typing import Any

import pytest
from confluent_kafka import Message, Producer
from confluent_kafka.admin import AdminClient
from typer.testing import CliRunner

from models.events import InputTopic
from stream.administration import Administration
from stream.cli import app
from stream.handling import partition_of
from stream.headers import REDRIVEN_FROM_HEADER, DeadLetterHeader
from stream.settings import Settings, load_settings
from stream.topics import OUTPUT_RECORD_BYTES_MAX, redrive_id
from tests.operators.staged import Event, event, order
from tests.support.broker import KafkaBroker, guard
from tests.support.deployment import Deploy, Deployment
from tests.support.polling import eventually
from tests.support.topics import ends, headers_of, quiet_admin, read_topic, text_of
from tests.support.worker import COMMAND, environment

FLUSH_TIMEOUT_S = 30.0
PARTITIONS = 4
POLICY = 'revision = {revision}\nreporting_currency = "GBP"\n'
RATES = '[[rates.USD]]\nsince = 2020-01-01\nrate = "0.8"\n'
FIGURES = ("windows", "lifetime", "score", "components", "churn", "support", "policy_version")


@pytest.fixture
def variables(kafka: KafkaBroker) -> dict[str, str]:
    """Topics of an application that has no worker."""
    name = f"t{uuid.uuid4().hex[:12]}"
    found = {
        "ACCOUNT_HEALTH_BOOTSTRAP_SERVERS": kafka.bootstrap_servers,
        "ACCOUNT_HEALTH_APPLICATION_ID": name,
        "ACCOUNT_HEALTH_TOPIC_PREFIX": f"{name}.",
        "ACCOUNT_HEALTH_PARTITIONS": str(PARTITIONS),
        "ACCOUNT_HEALTH_REPORTING_CURRENCY": "GBP",
    }
    with Administration(load_settings(found)) as administration:
        administration.create()
    return found


@pytest.fixture
def settings(variables: dict[str, str]) -> Settings:
    """The same as settings."""
    return load_settings(variables)


def _run(variables: Mapping[str, str], *arguments: str) -> str:
    result = CliRunner().invoke(app, ["dead-letters", *arguments], env={**variables, "COLUMNS": "200"})
    assert result.exit_code == 0, f"{result.output}\n{result.exception}"
    return result.output


def _produce(settings: Settings, topic: str, value: bytes, key: bytes, partition: int, **options: Any) -> None:
    producer = Producer({"bootstrap.servers": settings.bootstrap_servers})
    producer.produce(topic, value, key, partition, **options)
    assert producer.flush(FLUSH_TIMEOUT_S) == 0


def _letters(settings: Settings, count: int, *, topic: str | None = None, refused_ms: int = 0, **headers: str) -> None:
    """Write dead letters of accounts A-0, A-1 and so on as a worker does, numbered by the offsets they came from."""
    producer = Producer({"bootstrap.servers": settings.bootstrap_servers, "partitioner": "murmur2_random"})
    for number in range(count):
        told = {
            DeadLetterHeader.REASON: "missing_rate",
            DeadLetterHeader.DETAIL: "no rate",
            DeadLetterHeader.TOPIC: topic or settings.topics.orders,
            DeadLetterHeader.PARTITION: "0",
            DeadLetterHeader.OFFSET: str(number),
            DeadLetterHeader.TIMESTAMP_MS: "1000",
            **headers,
        }
        key = f"A-{number}".encode()
        pairs: list[tuple[str, str | bytes | None]] = list(told.items())
        producer.produce(settings.topics.dead_letters, b"value %d" % number, key, headers=pairs, timestamp=refused_ms)
    assert producer.flush(FLUSH_TIMEOUT_S) == 0


def _redriven(settings: Settings) -> Counter[str]:
    """Count how often each dead letter was sent again."""
    found = read_topic(settings, settings.topics.orders, PARTITIONS)
    return Counter(headers_of(one)[REDRIVEN_FROM_HEADER] for one in found)


def _forget(settings: Settings, reason: str) -> None:
    """Lose the position, as an operator could."""
    group = redrive_id(settings.application_id, reason)
    # Held by a name: without its client the answer never comes.
    admin = AdminClient({"bootstrap.servers": settings.bootstrap_servers})
    admin.delete_consumer_groups([group])[group].result(FLUSH_TIMEOUT_S)


def test_letters_are_listed_with_reason_and_origin(variables: dict[str, str], settings: Settings) -> None:
    """The list names where each came from and why, counts by reason, and shows nothing of the record."""
    _letters(settings, 3)
    _letters(settings, 2, dead_letter_reason="invalid_json")

    everything = _run(variables, "list")
    lines = [json.loads(line) for line in _run(variables, "list", "--reason", "missing_rate", "--json").splitlines()]

    assert everything.count("no rate") == 5
    assert "value" not in everything
    assert "missing_rate │    3" in everything
    assert sorted(one["origin_offset"] for one in lines) == [0, 1, 2]
    assert {one["topic"] for one in lines} == {settings.topics.orders}
    assert _run(variables, "list", "--limit", "2").count("no rate") == 2


def test_a_redrive_sends_each_letter_of_its_reason_once(variables: dict[str, str], settings: Settings) -> None:
    """Key and value stay, the partition is the key's, a header names the letter, and a second run sends nothing."""
    _letters(settings, 20)
    _letters(settings, 2, dead_letter_reason="invalid_json")

    planned = _run(variables, "redrive", "--reason", "missing_rate", "--dry-run")
    assert _redriven(settings) == {}
    first = _run(variables, "redrive", "--reason", "missing_rate")
    second = _run(variables, "redrive", "--reason", "missing_rate")

    assert planned == f"20 would be sent to {settings.topics.orders}\n"
    assert first == f"20 sent to {settings.topics.orders}\n"
    assert second == "nothing to send\n"
    assert set(_redriven(settings).values()) == {1}
    found = read_topic(settings, settings.topics.orders, PARTITIONS)
    assert Counter(text_of(one) for one in found) == {f"value {number}": 1 for number in range(20)}
    assert all(_is_home(one) for one in found)
    letters = {
        f"{settings.topics.dead_letters}/{one.partition()}/{one.offset()}": (one.key(), one.value())
        for one in read_topic(settings, settings.topics.dead_letters, PARTITIONS)
    }
    assert all(letters[headers_of(one)[REDRIVEN_FROM_HEADER]] == (one.key(), one.value()) for one in found)


def _is_home(message: Message) -> bool:
    return message.partition() == partition_of(message.key(), PARTITIONS)


def test_each_reason_has_a_position_of_its_own(variables: dict[str, str], settings: Settings) -> None:
    """What one reason passed over is sent for another."""
    _letters(settings, 3)
    _letters(settings, 3, dead_letter_reason="in_the_future")

    _run(variables, "redrive", "--reason", "missing_rate")
    told = _run(variables, "redrive", "--reason", "in_the_future")

    assert told == f"3 sent to {settings.topics.orders}\n"
    assert _redriven(settings).total() == 6


def test_what_cannot_be_sent_is_counted(variables: dict[str, str], settings: Settings) -> None:
    """Letters that were cut, or came from another application's topics, stay where they are."""
    _letters(settings, 2, dead_letter_value_bytes="9000000")
    _letters(settings, 3, topic="other.orders")

    told = _run(variables, "redrive", "--reason", "missing_rate").splitlines()

    assert told[0] == "nothing to send"
    assert told[1].startswith("2 not sent: they were too large")
    assert told[2].startswith("3 not sent: they came from topics")
    assert _redriven(settings) == {}


def test_a_letter_that_came_in_compressed_is_sent_again(variables: dict[str, str], settings: Settings) -> None:
    """As it is, it is more than an input takes, and than a client sends unless it is told to."""
    value = b'{"note":"%s"}' % (b"late " * 300_000)
    told = {
        DeadLetterHeader.REASON: "missing_rate",
        DeadLetterHeader.DETAIL: "no rate",
        DeadLetterHeader.TOPIC: settings.topics.orders,
        DeadLetterHeader.PARTITION: "0",
        DeadLetterHeader.OFFSET: "0",
        DeadLetterHeader.TIMESTAMP_MS: "1000",
    }
    producer = Producer({"bootstrap.servers": settings.bootstrap_servers, "message.max.bytes": OUTPUT_RECORD_BYTES_MAX})
    producer.produce(settings.topics.dead_letters, value, b"A", headers=list(told.items()))
    assert producer.flush(FLUSH_TIMEOUT_S) == 0

    assert _run(variables, "redrive", "--reason", "missing_rate") == f"1 sent to {settings.topics.orders}\n"

    assert [one.value() for one in read_topic(settings, settings.topics.orders, PARTITIONS)] == [value]


def test_letters_before_a_moment_are_passed_over(variables: dict[str, str], settings: Settings) -> None:
    """--from leaves out what was refused before, and says so; a moment without an offset is an error."""
    _letters(settings, 2)

    told = _run(variables, "redrive", "--reason", "missing_rate", "--from", "2999-01-01T00:00:00Z")
    wrong = CliRunner().invoke(
        app, ["dead-letters", "redrive", "--reason", "missing_rate", "--from", "2026-01-01"], env=variables
    )

    assert told.splitlines() == ["nothing to send", "2 not sent: they were refused before the time given"]
    assert wrong.exit_code == 2


def test_letters_of_a_forgotten_redrive_are_not_sent_unasked(variables: dict[str, str], settings: Settings) -> None:
    """After seven days brokers may have forgotten a redrive: who knows better says from when on."""
    _letters(settings, 2, refused_ms=time.time_ns() // 1_000_000 - 8 * 86_400_000)

    refused = CliRunner().invoke(app, ["dead-letters", "redrive", "--reason", "missing_rate"], env=variables)
    told = _run(variables, "redrive", "--reason", "missing_rate", "--from", "2000-01-01T00:00:00Z")

    assert (refused.exit_code, "--from" in refused.output) == (2, True)
    assert told.splitlines() == [f"2 sent to {settings.topics.orders}"]


def test_an_older_profile_does_not_replace_a_newer(variables: dict[str, str], settings: Settings) -> None:
    """The topic of profiles is compacted: a refused profile behind a newer one would be all that is left."""
    topic = settings.topics.profiles
    for account_id in ("A-0", "A-1"):
        key = account_id.encode()
        older = json.dumps(event(account_id, 1, "profile.updated", profile_version=1)).encode()
        _produce(settings, topic, older, key, partition_of(key, PARTITIONS), timestamp=1000)
    newer = json.dumps(event("A-0", 2, "profile.updated", profile_version=2)).encode()
    home = partition_of(b"A-0", PARTITIONS)
    _produce(settings, topic, newer, b"A-0", home, timestamp=2000)
    for number, account_id in enumerate(("A-0", "A-1")):
        partition = partition_of(account_id.encode(), PARTITIONS)
        found = [one for one in read_topic(settings, topic, PARTITIONS) if one.key() == account_id.encode()]
        _letter_of(settings, found[0], partition, number)

    told = _run(variables, "redrive", "--reason", "missing_rate").splitlines()

    assert told[0] == f"1 sent to {topic}"
    assert told[1].startswith("1 not sent: they are profiles older than one that is there")


def _letter_of(settings: Settings, message: Message, partition: int, number: int) -> None:
    """Refuse a record by hand."""
    headers = {
        DeadLetterHeader.REASON: "missing_rate",
        DeadLetterHeader.DETAIL: f"letter {number}",
        DeadLetterHeader.TOPIC: message.topic() or "",
        DeadLetterHeader.PARTITION: str(partition),
        DeadLetterHeader.OFFSET: str(message.offset()),
        DeadLetterHeader.TIMESTAMP_MS: str(message.timestamp()[1]),
    }
    pairs: list[tuple[str, str | bytes | None]] = list(headers.items())
    _produce(settings, settings.topics.dead_letters, message.value() or b"", message.key() or b"", 0, headers=pairs)


def test_a_redrive_that_is_killed_sends_nothing_twice(variables: dict[str, str], settings: Settings) -> None:
    """Killed in the middle and run again, every letter is sent once, none is left out."""
    count = 90_000
    _letters(settings, count)
    admin = quiet_admin(settings)

    def sent() -> int:
        return sum(ends(admin, settings.topics.orders, PARTITIONS).values())

    process = subprocess.Popen(
        [*COMMAND, "dead-letters", "redrive", "--reason", "missing_rate"],
        env=environment(variables),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    watchdog = guard(process.pid)
    eventually(lambda: sent() > count // 10, "a part is sent", interval_s=0.005)
    process.kill()
    killed = process.wait(FLUSH_TIMEOUT_S)
    watchdog.kill()
    watchdog.communicate()
    before = sent()

    told = _run(variables, "redrive", "--reason", "missing_rate")

    assert killed == -signal.SIGKILL
    assert before < count, "the redrive was over before it was killed: the test says nothing"
    assert 0 < int(told.split()[0]) < count
    redriven = _redriven(settings)
    assert (len(redriven), redriven.total()) == (count, count)


EVENTS: list[Event] = [
    *(order("A-1", day, "100") for day in range(0, 90, 9)),
    *(order("A-1", day, "250", "USD") for day in range(5, 90, 15)),
    order("B-1", 10, "40", "USD"),
    order("C-1", 20, "30"),
]
END = event("A-1", 100, "clock.advanced")
LAST: list[Event] = [order(account_id, 101, "10") for account_id in ("A-1", "B-1", "C-1")]
"""So that every account is looked at as of the same day, whatever was noticed when."""


def _with_policy(deployment: Deployment, revision: int, text: str = "") -> dict[str, str]:
    """Write a policy, and return the settings that name it."""
    path = deployment.folder / f"policy-{revision}.toml"
    path.write_text(POLICY.format(revision=revision) + text)
    return {"ACCOUNT_HEALTH_POLICY_FILE": str(path), "ACCOUNT_HEALTH_REPORTING_CURRENCY": ""}


def _send(deployment: Deployment, events: list[Event]) -> None:
    path = deployment.folder / f"{uuid.uuid4().hex}.jsonl"
    path.write_text("".join(f"{json.dumps(one)}\n" for one in events))
    deployment.produce(path)


def _figures(deployment: Deployment) -> dict[str, dict[str, Any]]:
    """Give what the last snapshots say, but for what tells of the way there."""
    found = deployment.published().snapshots
    return {
        name: {field: body[field] for field in FIGURES if field in body}
        for name, body in found.items()
        if body is not None
    }


def test_orders_that_waited_for_a_rate_count_once_it_is_there(deploy: Deploy) -> None:
    """With the rate in a new policy, redriven orders give the figures of a run that had it from the start."""
    from_the_start = deploy()
    changed = _with_policy(from_the_start, 2, RATES)
    _send(from_the_start, [*EVENTS, END, *LAST])
    from_the_start.wait_settled(from_the_start.worker().start(changed))
    deployment = deploy()
    _send(deployment, [*EVENTS, END])
    worker = deployment.worker().start(_with_policy(deployment, 1))
    deployment.wait_settled(worker)
    refused = Counter(headers_of(one)[DeadLetterHeader.REASON] for one in deployment.dead_letters())
    worker.terminate()
    worker.start(changed)

    told = _run(deployment.variables, "redrive", "--reason", "missing_rate")
    _send(deployment, LAST)
    _wait_until_read(deployment)

    assert refused == {"missing_rate": 7}
    assert told == f"7 sent to {deployment.settings.topics.orders}\n"
    assert len(deployment.dead_letters()) == 7
    assert _figures(deployment) == _figures(from_the_start)
    # The position is lost and all are sent again: the worker knows their ids.
    before = _figures(deployment)
    _forget(deployment.settings, "missing_rate")
    assert _run(deployment.variables, "redrive", "--reason", "missing_rate") == told
    _wait_until_read(deployment)
    assert _figures(deployment) == before
    assert worker.metrics()[_duplicates()] == 7


def _duplicates() -> tuple[str, frozenset[tuple[str, str]]]:
    return "account_health_events_total", frozenset({"topic": "orders", "outcome": "duplicate"}.items())


def _wait_until_read(deployment: Deployment) -> None:
    """Wait until all that was redriven is processed; behind it are control records, which no position passes."""
    settings, view = deployment.settings, deployment.view
    last = {one.partition() or 0: one.offset() or 0 for one in read_topic(settings, settings.topics.orders)}

    def done() -> bool:
        view.update()
        processed = {number: found.inputs[InputTopic.ORDERS].next_offset for number, found in view.checkpoints.items()}
        waiting = any(view._is_pending(name, packed) for name, packed in view.states.items() if packed is not None)
        return not waiting and all(processed.get(number, 0) > offset for number, offset in last.items())

    eventually(done, "what was redriven is processed", timeout_s=60)


def test_a_record_of_a_wrong_partition_lands_right(deploy: Deploy) -> None:
    """A record that its producer put elsewhere goes to the partition of its key, where its account lives."""
    deployment = deploy()
    settings = deployment.settings
    home = partition_of(b"A-1", PARTITIONS)
    value = json.dumps(order("A-1", 3, "70")).encode()
    _produce(settings, settings.topics.orders, value, b"A-1", (home + 1) % PARTITIONS)
    worker = deployment.worker().start()
    deployment.wait_settled(worker)
    (letter,) = deployment.dead_letters()

    told = _run(deployment.variables, "redrive", "--reason", "wrong_partition")
    _wait_until_read(deployment)

    assert headers_of(letter)[DeadLetterHeader.REASON] == "wrong_partition"
    assert told == f"1 sent to {settings.topics.orders}\n"
    eventually(lambda: deployment.published().snapshots.get("A-1"), "the account is there")
    assert len(deployment.dead_letters()) == 1


def test_what_is_refused_again_is_for_another_run(deploy: Deploy) -> None:
    """While the cause lasts a redrive comes to an end, and leaves as many letters as it found."""
    deployment = deploy()
    _send(deployment, [order("A-1", 3, "70", "USD"), order("A-1", 4, "80", "USD")])
    worker = deployment.worker().start()
    deployment.wait_settled(worker)

    first = _run(deployment.variables, "redrive", "--reason", "missing_rate")
    eventually(lambda: len(deployment.dead_letters()) == 4, "they are refused again")
    second = _run(deployment.variables, "redrive", "--reason", "missing_rate")

    assert first == second == f"2 sent to {deployment.settings.topics.orders}\n"
