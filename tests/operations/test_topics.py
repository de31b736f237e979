"""Topics: their names, their configuration, and what a real broker makes of them."""

import uuid
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from kafka import KafkaAdminClient
from kafka.admin import ConfigResource, ConfigResourceType
from typer.testing import CliRunner, Result

from models.events import InputTopic
from stream.administration import Administration, Difference, plans
from stream.cli import app
from stream.settings import Settings, load_settings
from stream.topics import (
    INPUT_RECORD_BYTES_MAX,
    OUTPUT_RECORD_BYTES_MAX,
    SNAPSHOTS,
    TOPICS,
    Cleanup,
    Retention,
    TopicNames,
    is_topic_name,
)
from tests.support.broker import KafkaBroker
from tests.support.polling import eventually


@pytest.fixture
def settings(kafka: KafkaBroker) -> Settings:
    """Settings with topics that no other test has."""
    return load_settings(
        {
            "ACCOUNT_HEALTH_BOOTSTRAP_SERVERS": kafka.bootstrap_servers,
            "ACCOUNT_HEALTH_TOPIC_PREFIX": f"t{uuid.uuid4()}.",
            "ACCOUNT_HEALTH_PARTITIONS": "3",
        }
    )


@pytest.fixture
def admin(kafka: KafkaBroker) -> Iterator[Any]:
    """An administrator who changes topics behind our back."""
    client = KafkaAdminClient(bootstrap_servers=kafka.bootstrap_servers)
    yield client
    client.close()


def _run(settings: Settings, command: str, **changed: str) -> Result:
    environ = {
        "ACCOUNT_HEALTH_BOOTSTRAP_SERVERS": settings.bootstrap_servers,
        "ACCOUNT_HEALTH_TOPIC_PREFIX": settings.topic_prefix,
        "ACCOUNT_HEALTH_PARTITIONS": str(settings.partitions),
        **changed,
    }
    return CliRunner().invoke(app, ["topics", command], env=environ)


def _differences(settings: Settings) -> list[Difference]:
    with Administration(settings) as administration:
        return administration.differences()


def _grow(admin: Any, name: str, partitions: int) -> None:
    """Add partitions to a topic and wait until the broker tells of them."""
    admin.create_partitions({name: partitions})
    eventually(
        lambda: len(admin.describe_topics([name])[0]["partitions"]) == partitions,
        f"{name} has {partitions} partitions",
    )


def test_names_lead_to_topics_and_back() -> None:
    """Every input has a full name that leads back to it, and no other name does."""
    names = TopicNames("sales.")

    assert [names.input_of(names.of_input(topic)) for topic in InputTopic] == list(InputTopic)
    assert names.input_of(names.tier_changes) is None
    assert len({names.of(topic) for topic in TOPICS}) == len(TOPICS)


@pytest.mark.parametrize("prefix", ["sales/", "sales ", "säles.", "s" * 240])
def test_a_name_that_kafka_would_refuse_is_refused(prefix: str) -> None:
    """Only names of Kafka's alphabet and length can be made."""
    with pytest.raises(ValueError, match="no topic name"):
        TopicNames(prefix)
    assert not is_topic_name(prefix + "tier-changes")


def test_a_refused_record_fits_among_the_dead_letters() -> None:
    """The outputs take larger records than the inputs, so that headers can be added."""
    assert OUTPUT_RECORD_BYTES_MAX > INPUT_RECORD_BYTES_MAX + 65_536


def test_the_last_copy_of_an_output_is_gone_after_the_retention() -> None:
    """What cannot be erased by key lives for the retention at most, its segment's span included."""
    day_ms = timedelta(days=1) // timedelta(milliseconds=1)
    for topic in TOPICS:
        config = topic.config(Retention(output_days=30), replication_factor=3)
        if topic.cleanup is Cleanup.DELETE and not topic.is_input:
            assert int(config["retention.ms"]) + int(config["segment.ms"]) == 30 * day_ms


@pytest.mark.parametrize(("output_days", "kept_days"), [(2, 7), (7, 7), (30, 30)])
def test_an_erasure_is_told_for_as_long_as_there_are_events_to_deliver(output_days: int, kept_days: int) -> None:
    """A redrive and a new destination read what the outputs keep: the deletion of a snapshot is there as long."""
    config = SNAPSHOTS.config(Retention(output_days=output_days), replication_factor=3)

    assert int(config["delete.retention.ms"]) == timedelta(days=kept_days) // timedelta(milliseconds=1)


def test_create_makes_what_verify_asks_for(settings: Settings) -> None:
    """After create nothing differs, and a second create changes nothing."""
    first = _run(settings, "create")
    verified = _run(settings, "verify")
    second = _run(settings, "create")

    assert (first.exit_code, first.stdout.count("created ")) == (0, len(TOPICS))
    assert verified.exit_code == 0, verified.stderr
    assert (second.exit_code, second.stdout.count("present ")) == (0, len(TOPICS))


def test_verify_lists_missing_topics(settings: Settings) -> None:
    """Before create, every topic is listed as missing, and the exit code is 1."""
    result = _run(settings, "verify")

    assert result.exit_code == 1
    assert result.stderr.count("missing") == len(TOPICS)


def test_verify_finds_each_difference(settings: Settings, admin: Any) -> None:
    """Cleanup policy, retention, of deletions too, message size and partitions are compared, and all are listed."""
    names = settings.topics
    _run(settings, "create")
    changes = {
        names.portfolio: ("cleanup.policy", "delete"),
        names.snapshots: ("delete.retention.ms", str(timedelta(days=7) // timedelta(milliseconds=1))),
        names.tier_changes: ("retention.ms", "-1"),
        names.dead_letters: ("max.message.bytes", "1000000"),
        names.orders: ("max.message.bytes", "9000000"),
        names.state: ("max.compaction.lag.ms", str(2**60)),
    }
    expected = {(name, key, value) for name, (key, value) in changes.items()}
    admin.alter_configs(
        [ConfigResource(ConfigResourceType.TOPIC, name, configs={key: value}) for name, key, value in expected]
    )
    _grow(admin, names.support, 5)

    result = _run(settings, "verify")

    expected.add((names.support, "partitions", "5"))
    assert {(one.name, one.what, one.found) for one in _differences(settings)} == expected
    assert (result.exit_code, len(result.stderr.splitlines())) == (1, len(expected))


def test_outputs_may_have_other_partitions(settings: Settings, admin: Any) -> None:
    """More partitions are no difference for an output, whose readers go by the key."""
    _run(settings, "create")
    _grow(admin, settings.topics.snapshots, 9)

    assert _differences(settings) == []


def test_other_settings_are_differences(settings: Settings) -> None:
    """Changing a setting shows in verify, as topics do not follow settings by themselves."""
    _run(settings, "create")
    result = _run(settings, "verify", ACCOUNT_HEALTH_OUTPUT_RETENTION_DAYS="7")

    assert result.exit_code == 1
    assert result.stderr.count("retention.ms") == 4


def test_show_needs_no_broker() -> None:
    """Every topic is printed with its full name, from the settings alone."""
    environ = {"ACCOUNT_HEALTH_BOOTSTRAP_SERVERS": "127.0.0.1:1", "COLUMNS": "200"}
    result = CliRunner().invoke(app, ["topics", "show"], env=environ)

    assert result.exit_code == 0
    assert all(plan.name in result.stdout for plan in plans(load_settings({})))
