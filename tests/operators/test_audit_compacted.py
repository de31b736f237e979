"""The audit of a log that a real broker has compacted."""

import uuid
from collections.abc import Mapping
from pathlib import Path

from confluent_kafka.admin import AdminClient
from confluent_kafka.admin._config import AlterConfigOpType, ConfigEntry, ConfigResource
from confluent_kafka.admin._resource import ResourceType

from models.policy import Policy
from processors.context import Context
from stream.administration import Administration
from stream.audit.auditing import Audit
from stream.settings import Settings, load_settings
from tests.operators.conftest import wait_for_leaders
from tests.operators.staged import order, send, stage, write
from tests.support.broker import KafkaBroker
from tests.support.polling import eventually
from tests.support.topics import read_topic

TIMEOUT_S = 30.0
EAGER = {
    "segment.ms": "50",
    "min.cleanable.dirty.ratio": "0.01",
    "max.compaction.lag.ms": "1",
    "delete.retention.ms": "1",
}
LAZY = {
    "segment.ms": "86400000",
    "min.cleanable.dirty.ratio": "1",
    "max.compaction.lag.ms": "86400000",
}


def _settings(broker: KafkaBroker) -> Settings:
    name = f"t{uuid.uuid4().hex[:12]}"
    return load_settings(
        {
            "ACCOUNT_HEALTH_BOOTSTRAP_SERVERS": broker.bootstrap_servers,
            "ACCOUNT_HEALTH_APPLICATION_ID": name,
            "ACCOUNT_HEALTH_TOPIC_PREFIX": f"{name}.",
            "ACCOUNT_HEALTH_PARTITIONS": "1",
            "ACCOUNT_HEALTH_REPORTING_CURRENCY": "EUR",
            "ACCOUNT_HEALTH_CLOCK": "event",
            "ACCOUNT_HEALTH_SNAPSHOT_INTERVAL_MS": "0",
        }
    )


def _configure(settings: Settings, topic: str, config: Mapping[str, str]) -> None:
    entries = [ConfigEntry(name, value, incremental_operation=AlterConfigOpType.SET) for name, value in config.items()]
    resource = ConfigResource(ResourceType.TOPIC, topic, incremental_configs=entries)
    admin = AdminClient({"bootstrap.servers": settings.bootstrap_servers})
    for future in admin.incremental_alter_configs([resource]).values():
        future.result(TIMEOUT_S)


def test_what_a_broker_compacted_is_a_base(tmp_path: Path) -> None:
    """Whatever a real broker removed of the states, the rest is replayed from it to the byte."""
    with KafkaBroker(tmp_path, {"log.cleaner.backoff.ms": 50}) as broker:
        settings = _settings(broker)
        with Administration(settings) as administration:
            administration.create()
        wait_for_leaders(settings)
        policy = Policy(reporting_currency="EUR")
        accounts = ("A-1", "B-1", "C-1")
        send(settings, [order(name, day, "100", "EUR") for day in range(0, 120, 3) for name in accounts])
        staged = stage(settings, policy)
        _configure(settings, settings.topics.state, EAGER)
        written = 0

        def compacted() -> bool:
            nonlocal written
            # One at a time, with a producer of its own each: slow enough for segments to be rolled.
            if written < len(staged) - 10:
                write(settings, staged[written : written + 1])
                written += 1
            records = sum(len(one.states) + 1 for one in staged[:written])
            return written > 10 and len(read_topic(settings, settings.topics.state)) < records // 2

        eventually(compacted, "the log is compacted", timeout_s=90)
        _configure(settings, settings.topics.state, LAZY)
        write(settings, staged[written:])

        (report,) = Audit(settings, (Context(policy),), lambda _: None).run()

    assert report.named == []
    assert report.taken.total() == 2
    assert 8 <= report.audited < report.transactions < len(staged)
