"""Topics of events, and the delivery as a process of its own."""

import base64
import json
import random
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from confluent_kafka import Producer

from models.bodies import body_of
from models.outputs import AccountLost, Cause, ChurnLevel, ChurnReason, Tier
from stream.records import OutRecord, output_record, tombstone_record
from stream.settings import Settings, load_settings
from stream.topics import event_source
from tests.support.broker import KafkaBroker
from tests.support.worker import WorkerProcess

PARTITIONS: Final = 3
TIMEOUT_S: Final = 30.0
SECRET: Final = "whsec_" + base64.b64encode(b"a key of thirty-two bytes for it").decode()
PATIENT_S: Final = 20.0
"""For as long a request waits for its answer: a machine that is busy for a moment makes no delivery come twice."""
_SAID: Final[Mapping[str, Any]] = {"timeout_seconds": PATIENT_S, "backoff_seconds_max": 0.2}
"""A test need not wait between two attempts as a person would."""


def event(account_id: str, sequence: int, incarnation: int = 0) -> AccountLost:
    """Make an event of an account."""
    return AccountLost(
        account_id=account_id,
        sequence=sequence,
        incarnation=incarnation,
        occurred_at=datetime(2026, 1, 1, tzinfo=UTC) + timedelta(days=sequence),
        trigger_event_id=None,
        policy_version="p",
        model_version="m",
        portfolio_version=None,
        cause=Cause.TIME,
        previous_level=ChurnLevel.HIGH,
        level=ChurnLevel.LOST,
        risk=0.9,
        horizon_days=90,
        silent_days=200,
        own_gap_days=20.0,
        reasons=[ChurnReason.OVERDUE, ChurnReason.COMPLAINT],
        value_at_stake="1200.50",
        tier=Tier.BASIC,
    )


def webhook(url: str, **options: Any) -> dict[str, Any]:
    """Return a destination of the file."""
    return {"preset": "webhook", "url": url, "secret": {"env": "TEST_SECRET"}, **_SAID, **options}


class Stand:
    """One application's topics on the broker."""

    def __init__(self, broker: KafkaBroker, folder: Path) -> None:
        self.folder: Final = folder
        name = f"d{random.SystemRandom().randrange(2**48)}"
        self.file: Final = folder / "destinations.toml"
        self.variables: Final = {
            "ACCOUNT_HEALTH_BOOTSTRAP_SERVERS": broker.bootstrap_servers,
            "ACCOUNT_HEALTH_APPLICATION_ID": name,
            "ACCOUNT_HEALTH_TOPIC_PREFIX": f"{name}.",
            "ACCOUNT_HEALTH_SESSION_TIMEOUT_MS": "6000",
            "ACCOUNT_HEALTH_DESTINATIONS_FILE": str(self.file),
            "TEST_SECRET": SECRET,
        }
        ours = {key: value for key, value in self.variables.items() if key.startswith("ACCOUNT_HEALTH_")}
        self.settings: Final[Settings] = load_settings(ours)
        names = self.settings.topics
        broker.create_topics(
            names.tier_changes, names.churn_risk, names.snapshots, names.delivery_failures, partitions=PARTITIONS
        )
        self._producer = Producer(
            {
                "bootstrap.servers": broker.bootstrap_servers,
                "partitioner": "murmur2_random",
                "transactional.id": name,
                "log_level": 0,
            }
        )
        self._producer.init_transactions(TIMEOUT_S)
        self.processes: Final[list[WorkerProcess]] = []

    def write(self, destinations: Mapping[str, Mapping[str, Any]]) -> None:
        """Write the file of destinations."""
        text = "".join(
            f"[destinations.{name}]\n" + "".join(f"{key} = {_toml(value)}\n" for key, value in one.items())
            for name, one in destinations.items()
        )
        self.file.write_text(text, encoding="utf-8")

    def publish(self, *events: AccountLost, abort: bool = False) -> None:
        """Publish events as the worker does, in one transaction."""
        source = event_source(self.settings.application_id)
        self._send((output_record(body_of(one), self.settings.topics, source, None) for one in events), abort=abort)

    def erase(self, account_id: str, incarnation: int = 1) -> None:
        """Publish that an account was erased."""
        source = event_source(self.settings.application_id)
        self._send([tombstone_record(account_id, incarnation, self.settings.topics, source)])

    def process(self, name: str = "deliver-0", **changed: str) -> WorkerProcess:
        """Prepare a delivery; it is not started."""
        variables = {**self.variables, **{f"ACCOUNT_HEALTH_{key.upper()}": value for key, value in changed.items()}}
        process = WorkerProcess(variables, self.folder, name, "deliver")
        self.processes.append(process)
        return process

    def close(self) -> None:
        """End all processes and show what they wrote."""
        for process in self.processes:
            process.kill()
            print(f"--- {process.instance_id} ---\n{process.log_tail}")  # noqa: T201  # shown when the test has failed

    def _send(self, records: Iterable[OutRecord], *, abort: bool = False) -> None:
        self._producer.begin_transaction()
        for record in records:
            headers: Any = record.headers
            self._producer.produce(record.topic, record.value, record.key, headers=headers)
        if abort:
            self._producer.flush(TIMEOUT_S)
            self._producer.abort_transaction(TIMEOUT_S)
        else:
            self._producer.commit_transaction(TIMEOUT_S)


def _toml(value: Any) -> str:
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{key} = {_toml(one)}" for key, one in value.items()) + " }"
    if isinstance(value, Sequence) and not isinstance(value, str):
        return "[" + ", ".join(map(_toml, value)) + "]"
    return json.dumps(value)
