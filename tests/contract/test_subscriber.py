"""examples/subscriber.py, run as its reader would run it: once each and in order, whatever happens to it."""

import json
import random
import signal
import sqlite3
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import pytest
from confluent_kafka import Producer

from models.bodies import body_of
from models.outputs import AccountLost, Cause, ChurnLevel, ChurnReason, Tier
from stream.headers import Header
from stream.records import OutRecord, output_record
from stream.topics import TopicNames
from tests.support.broker import KafkaBroker, guard
from tests.support.polling import eventually

SCRIPT: Final = Path(__file__).resolve().parents[2] / "examples" / "subscriber.py"
ACCOUNTS: Final = 6
EVENTS: Final = 40
"""Of each account."""
BLOCK: Final = 10
"""Events of each account that come at a time, in any order."""
PARTITIONS: Final = 3
TIMEOUT_S: Final = 30.0


def _event(account: int, sequence: int, incarnation: int = 0) -> AccountLost:
    """An event of one account whose stake tells its number."""
    return AccountLost(
        account_id=f"Größe/{account}",
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
        reasons=[ChurnReason.OVERDUE],
        value_at_stake=f"{sequence}.{incarnation}",
        tier=Tier.BASIC,
    )


class Stand:
    """Topics of their own, and a way to publish on them as the worker does."""

    def __init__(self, broker: KafkaBroker, folder: Path, name: str) -> None:
        self.broker: Final = broker
        self.prefix: Final = f"{name}."
        self.names: Final = TopicNames(self.prefix)
        self.database: Final = folder / "changes.db"
        self._log: Final = folder / "subscriber.log"
        broker.create_topics(self.names.tier_changes, self.names.churn_risk, partitions=PARTITIONS)
        self._producer = Producer({"bootstrap.servers": broker.bootstrap_servers, "transactional.id": name})
        self._producer.init_transactions(TIMEOUT_S)

    def publish(self, records: list[tuple[OutRecord, int]], *, abort: bool = False) -> None:
        """Write records to given partitions in one transaction."""
        self._producer.begin_transaction()
        for record, partition in records:
            headers = list[tuple[str, str | bytes | None]](record.headers)
            self._producer.produce(record.topic, record.value, record.key, partition, headers=headers)
        if abort:
            self._producer.flush(TIMEOUT_S)
            self._producer.abort_transaction(TIMEOUT_S)
        else:
            self._producer.commit_transaction(TIMEOUT_S)

    def record(self, account: int, sequence: int, incarnation: int = 0) -> OutRecord:
        """Encode one event."""
        return output_record(body_of(_event(account, sequence, incarnation)), self.names, "/account-health/test", None)

    @contextmanager
    def subscriber(self) -> Iterator[subprocess.Popen[bytes]]:
        """Run the example; it is killed at the end if it still runs."""
        options = ["--bootstrap-servers", self.broker.bootstrap_servers, "--prefix", self.prefix]
        with self._log.open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, SCRIPT, *options, "--group", self.prefix, "--database", self.database],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        watchdog = guard(process.pid)
        try:
            yield process
        finally:
            process.kill()
            process.wait(TIMEOUT_S)
            watchdog.kill()
            watchdog.communicate()

    def wait_for(self, changes: int) -> None:
        """Wait until so many changes are applied."""
        eventually(lambda: len(self.changes()) >= changes, f"{changes} changes are applied", timeout_s=TIMEOUT_S)

    def log(self) -> str:
        """What the example has written."""
        return self._log.read_text(encoding="utf-8")

    def changes(self) -> list[tuple[str, str]]:
        """The account and the change of each row, in the order in which they were applied."""
        if not self.database.exists():
            return []
        with closing(sqlite3.connect(f"file:{self.database}?mode=ro", uri=True)) as database:
            try:
                return database.execute("SELECT account_id, change FROM changes ORDER BY number").fetchall()
            except sqlite3.OperationalError:  # it is about to make its tables
                return []


@pytest.fixture
def stand(kafka: KafkaBroker, tmp_path: Path, request: pytest.FixtureRequest) -> Stand:
    """Topics for one test."""
    return Stand(kafka, tmp_path, f"{request.node.name[:40]}-{random.SystemRandom().randrange(2**32)}")


def _numbers(changes: list[tuple[str, str]]) -> dict[str, list[str]]:
    found = defaultdict(list)
    for account_id, change in changes:
        found[account_id].append(change.rpartition(" ")[2])
    return dict(found)


def test_each_change_once_and_in_order(stand: Stand) -> None:
    """Repeated, shuffled among partitions, aborted in part, and killed again and again: each change once, in order."""
    chosen = random.Random(7)
    # What is read first of an account is where a subscriber begins.
    stand.publish([(stand.record(account, 1), 0) for account in range(ACCOUNTS)])
    with stand.subscriber():
        stand.wait_for(ACCOUNTS)
    for first in range(2, EVENTS + 1, BLOCK):
        numbers = range(first, min(first + BLOCK, EVENTS + 1))
        block = [stand.record(account, number) for account in range(ACCOUNTS) for number in numbers]
        again = chosen.sample(block, len(block) // 3)
        chosen.shuffle(block)
        stand.publish([(stand.record(0, 1000 + first), 0)], abort=True)
        stand.publish([(record, chosen.randrange(PARTITIONS)) for record in (*block, *again)])
        with stand.subscriber():
            stand.wait_for(len(stand.changes()) + 1)

    stand.publish([(stand.record(account, EVENTS + 1), 0) for account in range(ACCOUNTS)])
    with stand.subscriber() as process:
        stand.wait_for(ACCOUNTS * (EVENTS + 1))
        process.send_signal(signal.SIGTERM)
        assert process.wait(TIMEOUT_S) == 0

    expected = [f"{number}.0" for number in range(1, EVENTS + 2)]
    assert _numbers(stand.changes()) == {f"Größe/{account}": expected for account in range(ACCOUNTS)}
    assert "a repetition: " in stand.log()


def test_an_erased_account_that_comes_back_begins_again(stand: Stand) -> None:
    """A new incarnation has a sequence of its own, which is no repetition of the old one."""
    stand.publish([(stand.record(1, one), 0) for one in (1, 2)])
    stand.publish([(stand.record(1, one, incarnation=1), 0) for one in (1, 2)])

    with stand.subscriber():
        stand.wait_for(4)

    assert _numbers(stand.changes()) == {"Größe/1": ["1.0", "2.0", "1.1", "2.1"]}


def test_what_is_new_is_left_alone(stand: Stand) -> None:
    """A type of a later release is said and passed over; those after it are applied."""
    event: dict[str, Any] = json.loads(stand.record(1, 2).value or b"")
    later = stand.record(1, 2)._replace(value=json.dumps({**event, "type": "account.merged"}).encode())
    stand.publish([(stand.record(1, 1), 0), (later, 0), (stand.record(1, 3), 0)])

    with stand.subscriber():
        stand.wait_for(2)

    assert _numbers(stand.changes()) == {"Größe/1": ["1.0", "3.0"]}
    assert f"left alone: {dict(later.headers)[Header.CE_ID].decode()}" in stand.log()
