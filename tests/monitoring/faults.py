"""Six applications on one broker, one with a view and deliveries, and what befalls them until every alert has fired.

The order is what saves time: alerts that need patience are caused first, what stops everything comes last.
"""

import json
import signal
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final

from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition
from confluent_kafka.admin._config import AlterConfigOpType, ConfigEntry, ConfigResource

from models.events import InputTopic
from stream.topics import group_id
from tests.delivery.destination import Destination, Reply
from tests.monitoring.watching import Watch, asking, write_destinations
from tests.support.broker import KafkaBroker
from tests.support.deployment import Deployment
from tests.support.polling import eventually
from tests.support.redis import RedisServer
from tests.support.topics import quiet_admin
from tests.support.worker import WorkerProcess

_BACKLOG: Final = 200_000
"""More than a worker can process until it is seen to have a backlog."""
_WAIT_S: Final = 40.0
"""Several times what each alert takes on a machine that has nothing else to do."""
_HOUR_MS: Final = 3_600_000


def _event(type_: str, account_id: str, number: int, occurred: datetime, **fields: Any) -> bytes:
    common = {"type": type_, "event_id": f"{type_}-{number}", "account_id": account_id}
    return json.dumps({**common, "occurred_at": occurred.isoformat(), **fields}).encode()


def _order(account_id: str, number: int, occurred: datetime, amount: int) -> bytes:
    order = {"order_id": f"O-{number}", "amount": amount, "cost": amount // 2, "currency": "GBP"}
    return _event("order.completed", account_id, number, occurred, **order)


class Stage:
    """The applications, each a job of its own, and the one Prometheus that scrapes them."""

    def __init__(self, broker: KafkaBroker, watch: Watch, folder: Path) -> None:
        self._broker = broker
        self._watch = watch
        self._folder = folder
        # A session outlives the time in which the broker answers nobody.
        patient = {"session_timeout_ms": "60000", "max_poll_interval_ms": "60000", "transaction_timeout_ms": "60000"}
        self._load = self._deployment("load", partitions="1", batch_records="20", **patient)
        self._data = self._deployment("data", partitions="2", **patient)
        self._business = self._deployment("business", partitions="1", **patient)
        self._broken = self._deployment("broken", partitions="1", commit_interval_ms="1000")
        self._moved = self._deployment("moved", partitions="1")
        # Counted once, and not again on the next day.
        counting = {"clock": "event", "cut_points_file": "", "census_interval_seconds": "86400"}
        self._counted = self._deployment("counted", partitions="1", **counting)
        self._redis = RedisServer(folder / "redis")
        self._destinations = {
            "broken": Destination(lambda _: Reply(status=HTTPStatus.INTERNAL_SERVER_ERROR)),
            "strict": Destination(lambda _: Reply(status=HTTPStatus.UNPROCESSABLE_ENTITY)),
        }
        url, file = self._redis.url, write_destinations(folder, self._destinations)
        self._view = self._business.process("view", "view", redis_url=url, redis_timeout_ms="500")
        self._api = self._business.process("api", "serve", redis_url=url, api_port="0")
        self._delivery = self._business.process("delivery", "deliver", destinations_file=file)

    def _deployment(self, name: str, **changed: str) -> Deployment:
        folder = self._folder / name
        folder.mkdir()
        settings = {"clock": "live", **changed}
        return Deployment(self._broker.bootstrap_servers, folder, **settings).create_topics()

    def _next_policy(self) -> str:
        """Another policy than the default one, of a higher revision."""
        path = self._folder / "policy.toml"
        path.write_text('reporting_currency = "GBP"\nrevision = 2\n[tiers]\ndwell_days = 7\n')
        return str(path)

    def close(self) -> None:
        """End every worker."""
        for one in (self._load, self._data, self._business, self._broken, self._moved, self._counted):
            one.__exit__(None, None, None)
        self._redis.kill()
        for destination in self._destinations.values():
            destination.close()

    def run(self) -> None:
        """Cause the condition of every alert."""
        load, data, business, other = (
            self._load.worker("load"),
            self._data.worker("data"),
            self._business.worker("business"),
            self._data.worker("other", policy_file=self._next_policy(), reporting_currency=""),
        )
        with self._hanging_transaction():
            self._start(load, data, business)
            self._send_rubbish()
            self._lose_accounts()
            self._regrade_accounts()
            self._move_offsets()
            self._watch.supervised.append(self._watch.add(self._moved.worker("moved"), "worker-moved"))
            self._stop_counting()
            self._rebalance()
            self._watch.add(other, "worker-data")
            self._wait("RestoreSlow")
        load.wait_ready()
        self._wait("MassDemotion", "TierFlapping", "ChurnSurge", "PortfolioOld")
        self._wait("TransactionsAborted", "WorkerRestarting")
        self._watch.supervised.clear()
        self._disturb_readers()
        self._wait("PoliciesDiffer")
        other.kill()
        self._wait("WorkerDown", "SinkDown", "NoOrders")
        self._freeze_broker(load)
        self._broker.kill()
        self._wait("KafkaUnreachable")
        # There was no worker before the first was started, either.
        self._watch.fired.pop("AccountHealthNoWorker", None)
        for one in (load, data, business):
            one.kill()
        self._wait("NoWorker")

    def _wait(self, *alerts: str) -> None:
        self._watch.wait(*(f"AccountHealth{one}" for one in alerts), timeout_s=_WAIT_S)

    def _start(self, load: WorkerProcess, data: WorkerProcess, business: WorkerProcess) -> None:
        """Start the workers, and those beside them, whose Redis is not there yet."""
        watch = self._watch
        watch.add(load, "worker-load")
        watch.add(data, "worker-data")
        watch.add(business, "worker-business")
        self._refuse_records()
        watch.add(self._broken.worker("broken"), "worker-broken")
        self._send(self._broken, "orders", [_order("A-1", 1, datetime.now(UTC), 10)])
        watch.add(self._view, "view-business")
        watch.add(self._delivery, "delivery-business")
        for worker in (data, business):
            worker.wait_ready()
        watch.wait_scraped("worker-data", "worker-business")

    def _disturb_readers(self) -> None:
        """Redis comes, and freezes; the broker answers only now and then; destinations take nothing all the time."""
        self._wait("ViewIncomplete", "ViewFailing")
        self._redis.start()
        self._view.wait_ready()
        self._watch.add(self._api, "api-business").wait_ready()
        with self._traffic(self._load, self._business), asking(self._api), self._redis.frozen():
            self._slow_broker("AccountHealthCommitsSlow", "AccountHealthLatencyHigh")
            self._wait("ViewBehind", "ApiFailing", "ApiSlow")
        self._wait("DeliveryBehind", "DeliveryFailing", "DeliveriesGivenUp")
        for one in (self._view, self._api, self._delivery):
            one.kill()

    @contextmanager
    def _hanging_transaction(self) -> Iterator[None]:
        """Somebody's producer died with a transaction open on the state topic: nobody can say what its last word is."""
        producer = Producer(
            {
                "bootstrap.servers": self._broker.bootstrap_servers,
                "transactional.id": "somebody-else",
                "transaction.timeout.ms": 300_000,
            }
        )
        producer.init_transactions(30)
        producer.begin_transaction()
        producer.produce(self._load.settings.topics.state, b"{}", b"somebody", partition=0)
        producer.flush(30)
        yield
        producer.abort_transaction(30)

    def _refuse_records(self) -> None:
        """The broker takes no checkpoint any more; markers of transactions, which are smaller, it has to take."""
        change = ConfigEntry("max.message.bytes", "200", incremental_operation=AlterConfigOpType.SET)
        name = self._broken.settings.topics.state
        topic = ConfigResource(ConfigResource.Type.TOPIC, name, incremental_configs=[change])
        admin = quiet_admin(self._broken.settings)
        admin.incremental_alter_configs([topic])[topic].result(30)

    def _move_offsets(self) -> None:
        """Somebody sets the offsets of the group: nobody can tell whether what comes before them was read."""
        settings = self._moved.settings
        group = Consumer(
            {"bootstrap.servers": settings.bootstrap_servers, "group.id": group_id(settings.application_id)}
        )
        group.commit(offsets=[TopicPartition(settings.topics.orders, 0, 5)], asynchronous=False)
        group.close()

    def _send(
        self,
        deployment: Deployment,
        topic: str,
        values: list[bytes],
        *,
        key: bytes | None = None,
        timestamp_ms: int = 0,
    ) -> None:
        """Send records, whose key is their account unless one is given."""
        producer = Producer(
            {
                "bootstrap.servers": self._broker.bootstrap_servers,
                "partitioner": "murmur2_random",
                "queue.buffering.max.messages": 2 * _BACKLOG,
            }
        )
        name = deployment.settings.topics.of_input(InputTopic(topic))
        for number, value in enumerate(values):
            account = key or json.loads(value)["account_id"].encode()
            producer.produce(name, value, account, timestamp=timestamp_ms)
            if number % 1000 == 0:
                producer.poll(0)
        assert producer.flush(30) == 0

    def _send_rubbish(self) -> None:
        """A producer sends what is no event."""
        self._send(self._data, "support", [b"{"] * 100, key=b"A-1")

    def _lose_accounts(self) -> None:
        """Accounts turn out to be silent for long: what they ordered since is missing."""
        now = datetime.now(UTC)
        orders = [
            _order(f"L-{account}", 10 * account + step, now - timedelta(days=300 - 10 * step), 100)
            for account in range(60)
            for step in range(3)
        ]
        self._send(self._business, "orders", orders)

    def _regrade_accounts(self) -> None:
        """Two systems overwrite the tiers of accounts in turn."""
        now = datetime.now(UTC)
        profiles = [
            _event(
                "profile.updated",
                f"F-{account}",
                10 * account + version,
                now - timedelta(minutes=10 - version),
                profile_version=version,
                override={"tier": tier, "reason": "by hand", "until": f"{now + timedelta(days=30):%Y-%m-%d}"},
            )
            for version, tier in enumerate(("key", "basic", "key", "basic", "key"), 1)
            for account in range(60)
        ]
        self._send(self._business, "profiles", profiles)

    def _stop_counting(self) -> None:
        """A census waits for its interval, however many days pass."""
        day = datetime(2026, 1, 1, tzinfo=UTC)
        self._send(self._counted, "orders", [_order("C-1", 1, day, 100)])
        worker = self._watch.add(self._counted.worker("counted"), "worker-counted")
        worker.wait_ready()
        eventually(lambda: _sum(worker.metrics(), "account_health_portfolio_version") > 0, "the accounts are counted")
        self._send(self._counted, "orders", [_order("C-1", 2, day + timedelta(days=7), 100)])

    def _rebalance(self) -> None:
        """A member joins the group and leaves it, again and again."""
        for number in range(2):
            self._visit(number)

    def _visit(self, number: int) -> None:
        settings = self._data.settings
        held = threading.Event()

        # Not before it holds a partition: who leaves between the two steps of a rebalance is waited for.
        def note(_: Consumer, partitions: list[TopicPartition]) -> None:
            if partitions:
                held.set()

        member = Consumer(
            {
                "bootstrap.servers": settings.bootstrap_servers,
                "group.id": group_id(settings.application_id),
                "client.id": f"visitor-{number}",
                "partition.assignment.strategy": "cooperative-sticky",
                "auto.offset.reset": "latest",
                "enable.auto.commit": False,
            }
        )
        member.subscribe([settings.topics.orders], on_assign=note)
        try:
            eventually(lambda: member.poll(0.05) is not None or held.is_set(), "the visitor is a member")
        finally:
            member.close()

    @contextmanager
    def _traffic(self, *deployments: Deployment) -> Iterator[None]:
        """Orders keep coming, twenty a second to each."""
        stopped = threading.Event()

        def send() -> None:
            number = 0
            while not stopped.wait(0.05):
                number += 1
                for one in deployments:
                    with suppress(KafkaException):
                        self._send(one, "orders", [_order(f"T-{number % 50}", number, datetime.now(UTC), 10)])

        thread = threading.Thread(target=send, name="traffic", daemon=True)
        thread.start()
        try:
            yield
        finally:
            stopped.set()
            thread.join()

    def _slow_broker(self, *alerts: str) -> None:
        """The broker answers only now and then, as one whose disk is overloaded."""
        deadline = time.monotonic() + 30
        while not self._watch.fired.keys() >= set(alerts) and time.monotonic() < deadline:
            self._broker.pause()
            self._watch.wait("nothing", timeout_s=1.3)
            self._broker.resume()
            self._watch.wait("nothing", timeout_s=0.4)

    def _freeze_broker(self, worker: WorkerProcess) -> None:
        """In the middle of a backlog, the broker stops to answer; at last the worker is asked to stop."""
        old_ms = int(time.time() * 1000) - _HOUR_MS
        now = datetime.now(UTC)
        orders = [_order(f"B-{number % 500}", number, now, 10) for number in range(_BACKLOG)]
        self._send(self._load, "orders", orders, timestamp_ms=old_ms)
        eventually(lambda: _lag(worker) > 0 and _held(worker) > 0, "the worker has a backlog", interval_s=0.1)
        self._broker.pause()
        self._wait("LagGrowing", "InputStuck", "NotCommitting", "SnapshotsHeldBack", "ClockStalled")
        worker.send(signal.SIGTERM)
        self._wait("WorkerNotReady")


def _lag(worker: WorkerProcess) -> float:
    return _sum(worker.metrics(), "account_health_lag_records")


def _held(worker: WorkerProcess) -> float:
    return _sum(worker.metrics(), "account_health_snapshots_held_seconds")


def _sum(metrics: Mapping[tuple[str, frozenset[tuple[str, str]]], float], name: str) -> float:
    return sum(value for (found, _), value in metrics.items() if found == name)
