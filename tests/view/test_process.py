"""The process that keeps the view, on a real broker and a real Redis."""

import asyncio
import json
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final

import pytest
import redis.asyncio
from confluent_kafka import OFFSET_END, Producer, TopicPartition

from models.events import InputTopic
from stream.serving.errors import ServingError
from stream.serving.reader import ViewReader
from stream.serving.results import ViewStatus
from stream.view import keys as names
from stream.view.keys import Keys, meta_key
from stream.view.process import redis_client
from stream.view.projector import Owner, Projector
from stream.view.record import packed_snapshot, read_snapshot
from stream.view.telemetry import ViewMetrics
from tests.support.broker import KafkaBroker
from tests.support.deployment import Deploy, Deployment
from tests.support.polling import eventually
from tests.support.redis import RedisServer
from tests.support.sending import send
from tests.support.snapshots import churn_change, snapshot, tier_change
from tests.support.topics import latest, quiet_admin, read_topic
from tests.support.worker import WorkerProcess, run_command

_COMMIT_S: Final = 30.0


@pytest.fixture
def deploy(kafka: KafkaBroker, own_redis: RedisServer, tmp_path: Path) -> Iterator[Deploy]:
    """Make an application with its topics and a Redis; its processes end with the test."""
    with ExitStack() as stack:

        def make(**changed: str) -> Deployment:
            deployment = Deployment(kafka.bootstrap_servers, tmp_path, redis_url=own_redis.url, **changed)
            return stack.enter_context(deployment.create_topics())

        yield make


class Publisher:
    """Publishes as a worker does: in transactions, by the account's key."""

    def __init__(self, deployment: Deployment) -> None:
        settings = deployment.settings
        self._names = settings.topics
        self._producer = Producer(
            {
                "bootstrap.servers": settings.bootstrap_servers,
                "transactional.id": f"{settings.application_id}-test",
                "partitioner": "murmur2_random",
            }
        )
        self._producer.init_transactions(_COMMIT_S)

    def publish(self, snapshots: dict[str, bytes | None], *changes: tuple[str, bytes], commit: bool = True) -> None:
        """Publish snapshots by account, then changes, in one transaction."""
        self._producer.begin_transaction()
        for account_id, value in snapshots.items():
            self._producer.produce(self._names.snapshots, value, account_id.encode())
        for account_id, value in changes:
            topic = self._names.tier_changes if b"account.tier_changed" in value else self._names.churn_risk
            self._producer.produce(topic, value, account_id.encode())
        (self._producer.commit_transaction if commit else self._producer.abort_transaction)(_COMMIT_S)


def meta_of(server: RedisServer, deployment: Deployment) -> dict[bytes, bytes]:
    """Read the hash `meta`."""
    client = server.client()
    try:
        found: dict[bytes, bytes] = client.hgetall(meta_key(deployment.settings.application_id))
        return found
    finally:
        client.close()


def held(server: RedisServer, deployment: Deployment) -> dict[str, bytes]:
    """Read the snapshots that the view holds, by account."""
    client = server.client()
    keys = Keys(deployment.settings.application_id, meta_of(server, deployment).get(names.BUILD, b""))
    found = {}
    for key in client.scan_iter(match=f"*{keys.account('')}*".replace("{", "?").replace("}", "?"), count=1000):
        record = client.get(key)
        if record is not None and (packed := packed_snapshot(record)) is not None:
            found[key.decode().removeprefix(keys.account(""))] = read_snapshot(packed)
    client.close()
    return found


def ask(server: RedisServer, deployment: Deployment, question: str, *arguments: Any) -> Any:
    """Ask the reader something."""

    async def answer() -> Any:
        async with redis.asyncio.Redis(port=server.port) as client:
            return await getattr(ViewReader(client, deployment.settings.application_id), question)(*arguments)

    return asyncio.run(answer())


def wait_complete(server: RedisServer, deployment: Deployment, process: WorkerProcess, accounts: int) -> ViewStatus:
    """Wait until the view is complete and holds so many accounts."""

    def complete() -> ViewStatus | None:
        assert process.running, process.log_tail
        try:
            status: ViewStatus = ask(server, deployment, "status")
        except ServingError:
            return None
        return status if status.built and status.accounts == accounts else None

    return eventually(complete, f"the view holds {accounts} accounts")


def metric(process: WorkerProcess, name: str, **labels: str) -> float:
    """Ask for the sum of a metric's series with these labels."""
    wanted = labels.items()
    return sum(
        value for (found, pairs), value in process.metrics().items() if found == name and wanted <= dict(pairs).items()
    )


def test_what_is_published_is_in_the_view_and_what_is_aborted_is_not(deploy: Deploy, own_redis: RedisServer) -> None:
    """Snapshots, changes and erasures of committed transactions, and nothing else; its lag falls to zero."""
    deployment = deploy()
    publisher = Publisher(deployment)
    publisher.publish({one: snapshot(one) for one in "ABC"}, ("A", tier_change("A", 1)))
    publisher.publish({"X": snapshot("X")}, commit=False)
    view = deployment.process("view", "view").start().wait_ready()
    wait_complete(own_redis, deployment, view, 3)

    publisher.publish({"A": snapshot("A", 2, tier="key"), "C": None}, ("B", churn_change("B", 1, lost=True)))

    eventually(lambda: held(own_redis, deployment).keys() == {"A", "B"}, "C is erased")
    eventually(lambda: len(ask(own_redis, deployment, "latest_changes")) == 2, "both changes are there")
    assert ask(own_redis, deployment, "account", "A").snapshot.tier == "key"
    assert ask(own_redis, deployment, "account", "B").history[0].type == "account.lost"
    eventually(lambda: metric(view, "account_health_view_lag_records") == 0, "nothing waits")
    assert metric(view, "account_health_view_records_total", kind="snapshot", outcome="erased") == 1
    assert metric(view, "account_health_view_accounts") == 2
    assert metric(view, "account_health_view_built") == 1
    assert view.terminate() == 0


def test_a_stopped_process_goes_on_where_it_was(deploy: Deploy, own_redis: RedisServer) -> None:
    """Killed at any moment, it takes in what came since, and nothing twice."""
    deployment = deploy()
    publisher = Publisher(deployment)
    publisher.publish({one: snapshot(one) for one in "AB"}, ("A", tier_change("A", 1)))
    view = deployment.process("view", "view").start().wait_ready()
    wait_complete(own_redis, deployment, view, 2)
    eventually(lambda: len(ask(own_redis, deployment, "latest_changes")) == 1, "the change is there")
    build = meta_of(own_redis, deployment)[names.BUILD]
    view.kill()
    publisher.publish({"B": None, "C": snapshot("C")}, ("A", tier_change("A", 2)))

    view.start().wait_ready()

    eventually(lambda: held(own_redis, deployment).keys() == {"A", "C"}, "it went on")
    eventually(lambda: len(ask(own_redis, deployment, "latest_changes")) == 2, "the other change is there")
    assert meta_of(own_redis, deployment)[names.BUILD] == build
    assert metric(view, "account_health_view_rebuilds_total") == 0
    assert metric(view, "account_health_view_records_total", outcome="stale") == 0


def test_one_command_builds_the_view_anew(deploy: Deploy, own_redis: RedisServer) -> None:
    """Without a process that keeps it, and beside one, which notices and goes on with the new build."""
    deployment = deploy()
    publisher = Publisher(deployment)
    publisher.publish({f"A{n}": snapshot(f"A{n}") for n in range(500)})
    assert "500 accounts" in run_command(deployment.variables, "view", "--once")
    view = deployment.process("view", "view").start().wait_ready()
    client = own_redis.client()
    client.delete(Keys(deployment.settings.application_id, meta_of(own_redis, deployment)[names.BUILD]).account("A7"))
    client.close()
    assert len(held(own_redis, deployment)) == 499

    assert "500 accounts" in run_command(deployment.variables, "view", "--once", "--rebuild")

    wait_complete(own_redis, deployment, view, 500)
    assert len(held(own_redis, deployment)) == 500
    publisher.publish({"A7": None})
    eventually(lambda: len(held(own_redis, deployment)) == 499, "the process goes on")


def test_months_say_since_when_they_are_complete(deploy: Deploy, own_redis: RedisServer) -> None:
    """Built while the topic has all churn events they always were; built later, only since then."""
    deployment = deploy()
    topic = deployment.settings.topics.churn_risk
    Publisher(deployment).publish({"A": snapshot("A")}, ("A", churn_change("A", 1, lost=True)))
    view = deployment.process("view", "view").start().wait_ready()
    wait_complete(own_redis, deployment, view, 1)
    eventually(lambda: ask(own_redis, deployment, "churn_months").months, "the loss is counted")
    assert ask(own_redis, deployment, "churn_months").complete_since is None

    admin = quiet_admin(deployment.settings)
    count = len(admin.list_topics(topic, timeout=10).topics[topic].partitions)
    for trimmed in admin.delete_records([TopicPartition(topic, one, OFFSET_END) for one in range(count)]).values():
        trimmed.result(10)
    run_command(deployment.variables, "view", "--once", "--rebuild")

    found = ask(own_redis, deployment, "churn_months")
    assert found.complete_since is not None
    assert found.months == ()


@pytest.mark.parametrize("reason", ["schema", "topic", "away", "position"])
def test_a_view_that_cannot_be_trusted_is_built_anew(deploy: Deploy, own_redis: RedisServer, reason: str) -> None:
    """One of another version, of a topic that is gone, of long ago, or behind what the topics still hold."""
    deployment = deploy()
    Publisher(deployment).publish({"A": snapshot("A")})
    run_command(deployment.variables, "view", "--once")
    client, key = own_redis.client(), meta_key(deployment.settings.application_id)
    before = client.hget(key, names.BUILD)
    changed: dict[str, tuple[bytes, Any]] = {
        "schema": (names.SCHEMA, "0-other"),
        "topic": (names.TOPIC_ID + b"snapshots", "another"),
        "away": (names.UPDATED_AT, int((time.time() - 7 * 86_400) * 1000)),
        "position": (names.POSITION + b"snapshots:0", 1_000_000),
    }
    client.hset(key, *changed[reason])

    view = deployment.process("view", "view").start().wait_ready()

    wait_complete(own_redis, deployment, view, 1)
    assert client.hget(key, names.BUILD) > before
    assert metric(view, "account_health_view_rebuilds_total", reason=reason) == 1
    assert not list(client.scan_iter(match=f"*:{before.decode()}:*"))
    client.close()


def test_redis_is_killed_and_comes_back_empty_while_the_worker_works_on(deploy: Deploy, own_redis: RedisServer) -> None:
    """After the rebuild the view equals the compacted topic, account by account; the worker did not notice."""
    deployment = deploy()
    worker = deployment.worker().start()
    view = deployment.process("view", "view", stuck_deadline_seconds="60").start()
    _orders(deployment, 0)
    deployment.wait_settled(worker)
    wait_complete(own_redis, deployment, view, 40)

    own_redis.kill()
    _orders(deployment, 1)
    deployment.wait_settled(worker)
    eventually(lambda: metric(view, "account_health_view_failures_total", reason="unavailable") > 0, "it is noticed")
    eventually(lambda: metric(view, "account_health_view_lag_records") > 0, "records wait")
    assert not ready(view)
    gone = {"type": "account.erased", "event_id": "x", "account_id": "C-3", "occurred_at": "2026-06-01T00:00:00Z"}
    send(deployment.settings, InputTopic.PROFILES, gone)
    deployment.wait_settled(worker)
    own_redis.start()

    wait_complete(own_redis, deployment, view, 39)
    _orders(deployment, 2)
    deployment.wait_settled(worker)

    def equal() -> bool:
        found = latest(read_topic(deployment.settings, deployment.settings.topics.snapshots))
        return held(own_redis, deployment) == {
            key: one.value() for key, one in found.items() if one.value() is not None
        }

    eventually(equal, "the view equals the topic")
    assert metric(view, "account_health_view_rebuilds_total", reason="absent") == 2
    assert metric(worker, "account_health_dead_letters_total") == 0
    assert metric(worker, "account_health_transactions_total", result="aborted") == 0


def test_a_redis_that_hangs_is_waited_for_and_no_longer_than_it_may(deploy: Deploy, own_redis: RedisServer) -> None:
    """A frozen Redis makes the view late, not wrong; one that stays so ends the process, for its supervisor."""
    deployment = deploy(redis_timeout_ms="100")
    publisher = Publisher(deployment)
    publisher.publish({"A": snapshot("A")})
    view = deployment.process("view", "view", stuck_deadline_seconds="10").start().wait_ready()
    with own_redis.frozen():
        publisher.publish({"B": snapshot("B")})
        eventually(lambda: metric(view, "account_health_view_failures_total") > 0, "it is noticed")
    eventually(lambda: held(own_redis, deployment).keys() == {"A", "B"}, "it goes on")

    own_redis.kill()
    assert view.wait(60.0) == 1
    assert "Traceback" not in view.log


def test_a_full_redis_is_told_and_the_view_goes_on_when_there_is_room(deploy: Deploy, own_redis: RedisServer) -> None:
    """Redis refuses to write: nothing is half written, the reason is in the metrics."""
    deployment = deploy()
    publisher = Publisher(deployment)
    publisher.publish({"A": snapshot("A")})
    view = deployment.process("view", "view").start().wait_ready()
    client = own_redis.client()
    client.config_set("maxmemory", 1)
    publisher.publish({"B": snapshot("B")})
    eventually(lambda: metric(view, "account_health_view_failures_total", reason="refused") > 0, "it is refused")
    assert held(own_redis, deployment).keys() == {"A"}

    client.config_set("maxmemory", 0)
    client.close()

    eventually(lambda: held(own_redis, deployment).keys() == {"A", "B"}, "it goes on")
    eventually(lambda: ready(view), "it is ready again")


def test_a_batch_that_is_refused_for_ever_is_given_up(
    deploy: Deploy, own_redis: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    """What only writing brings to light is tried again no longer than a Redis that is gone; no log names an account."""
    deployment = deploy()
    settings = deployment.settings.model_copy(update={"stuck_deadline_seconds": 2})
    give_up_at = time.monotonic() + 20
    projector = Projector(
        settings,
        redis_client(settings),
        ViewMetrics(),
        Owner(written=lambda _: None, failed=lambda: None, stopped=lambda: time.monotonic() > give_up_at),
    )
    projector.run(until=lambda: projector.built)
    client = own_redis.client()
    client.execute_command("ACL SETUSER", "default", "-set")
    client.close()
    Publisher(deployment).publish({"MILLER": snapshot("MILLER")})

    with pytest.raises(redis.exceptions.NoPermissionError, match="'set'") as raised:
        projector.run(until=lambda: False)

    projector.close()
    assert "MILLER" not in f"{raised.value} {[vars(one) for one in caplog.records]}"


def ready(process: WorkerProcess) -> bool:
    """Ask whether it is ready."""
    return bool(json.loads(process.ask("/readyz")[1])["ready"])


def _orders(deployment: Deployment, month: int) -> None:
    events = [
        {
            "type": "order.completed",
            "event_id": f"{month}-{number}",
            "account_id": f"C-{number}",
            "occurred_at": f"2026-0{month + 1}-05T10:00:00Z",
            "order_id": f"O-{month}-{number}",
            "amount": str(100 + number),
            "currency": "GBP",
        }
        for number in range(40)
        if month < 2 or number != 3
    ]
    send(deployment.settings, InputTopic.ORDERS, *events)
