"""Positions are shown as three say them and repaired after a reset by hand; a rebuild stands beside the original."""

import json
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import pytest
from confluent_kafka import Consumer, ConsumerGroupTopicPartitions, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient
from typer.testing import CliRunner, Result

from stream import cluster
from stream.cli import app
from stream.topics import group_id
from tests.operators.staged import event, order
from tests.support.deployment import Deploy, Deployment
from tests.support.polling import eventually
from tests.support.topics import quiet_admin

TIMEOUT_S = 30.0


def _run(deployment: Deployment, *arguments: str, typed: str | None = None) -> Result:
    environ = {**deployment.variables, "COLUMNS": "220"}
    return CliRunner().invoke(app, ["positions", *arguments], env=environ, input=typed)


def _rows(deployment: Deployment) -> list[dict[str, Any]]:
    found = _run(deployment, "show", "--json")
    return [json.loads(line) for line in found.stdout.splitlines()]


def _send(deployment: Deployment, days: range) -> None:
    path = deployment.folder / f"{uuid.uuid4().hex}.jsonl"
    events = [order(f"A-{number}", day) for day in days for number in range(10)]
    events.append(event("A-1", days.stop, "clock.advanced"))
    path.write_text("".join(f"{json.dumps(one)}\n" for one in events))
    deployment.produce(path)


def _commit(deployment: Deployment, topic: str, partition: int, offset: int) -> None:
    """Set an offset of the group by hand, as soon as its members are gone."""
    admin = quiet_admin(deployment.settings)
    group = group_id(deployment.settings.application_id)
    asked = [ConsumerGroupTopicPartitions(group, [TopicPartition(topic, partition, offset)])]

    def committed() -> bool:
        try:
            found = admin.alter_consumer_group_offsets(asked)[group].result(TIMEOUT_S).topic_partitions
        except KafkaException:
            return False
        return all(one.error is None for one in found)

    eventually(committed, "the offset is set", timeout_s=TIMEOUT_S, interval_s=0.2)


@contextmanager
def _open_transaction(deployment: Deployment) -> Iterator[Producer]:
    """Leave offsets of the group in a transaction, as a worker does that is killed while it commits."""
    servers = {"bootstrap.servers": deployment.settings.bootstrap_servers}
    producer = Producer({**servers, "transactional.id": f"{deployment.settings.application_id}-killed"})
    producer.init_transactions(TIMEOUT_S)
    producer.begin_transaction()
    group = Consumer({**servers, "group.id": group_id(deployment.settings.application_id)})
    offset = TopicPartition(deployment.settings.topics.orders, 0, 1)
    producer.send_offsets_to_transaction([offset], group.consumer_group_metadata(), TIMEOUT_S)
    try:
        yield producer
    finally:
        group.close()


@pytest.fixture
def done(deploy: Deploy) -> Deployment:
    """An application that has processed its input and was stopped."""
    deployment = deploy()
    _send(deployment, range(0, 60, 5))
    worker = deployment.worker().start()
    deployment.wait_settled(worker)
    assert worker.terminate() == 0
    deployment.dismiss(worker)
    return deployment


def test_positions_agree_while_a_worker_runs_and_after(deploy: Deploy) -> None:
    """Topic, checkpoint and group say the same of every input and partition, with clock and policy."""
    deployment = deploy()
    _send(deployment, range(0, 60, 5))
    before = _rows(deployment)
    worker = deployment.worker().start()
    deployment.wait_settled(worker)

    rows = _rows(deployment)
    table = _run(deployment, "show")

    assert len(before) == len(rows) == 3 * deployment.settings.partitions
    assert all(row["agrees"] and row["checkpoint"] is None for row in before)
    assert sum(row["lag"] for row in before) == sum(row["end"] for row in rows) == 12 * 10 + 4
    assert all(row["agrees"] and row["lag"] == 0 for row in rows)
    assert all(row["checkpoint"] == row["committed"] == row["end"] for row in rows)
    assert {row["clock"] for row in rows} == {"2026-03-05T12:00:00.000Z"}
    assert {row["policy_revision"] for row in rows} == {1}
    assert table.exit_code == 0
    assert deployment.settings.topics.profiles in table.output


def test_offsets_that_were_set_by_hand_are_set_back(done: Deployment) -> None:
    """The worker refuses and names the command; the command repairs; the worker goes on and nothing is done twice."""
    before = done.published()
    topic = done.settings.topics.orders
    partition = next(row["partition"] for row in _rows(done) if row["topic"] == topic and row["end"] > 5)
    _commit(done, topic, partition, 2)

    shown = _run(done, "show")
    refused = done.worker("worker-1").start()
    assert refused.wait(TIMEOUT_S) == 1
    unconfirmed = _run(done, "reset", "--to", "checkpoint", typed="something else\n")
    still = _run(done, "show")
    repaired = _run(done, "reset", "--to", "checkpoint", typed=f"{done.settings.application_id}\n")
    after = _run(done, "show")
    worker = done.worker("worker-2").start()
    _send(done, range(60, 70, 5))
    done.wait_settled(worker)

    remedy = "account-health positions reset --to checkpoint"
    assert (shown.exit_code, still.exit_code, after.exit_code) == (1, 1, 0)
    assert remedy in shown.output
    assert remedy in refused.log
    assert unconfirmed.exit_code == 2
    assert "nothing was changed" in unconfirmed.output
    assert repaired.exit_code == 0, repaired.output
    published = done.published()
    for name, changes in before.tier_changes.items():
        assert published.tier_changes[name][: len(changes)] == changes
    orders = {body["lifetime"]["orders"] for body in published.snapshots.values() if body is not None}
    assert orders == {14}


def test_offsets_that_a_transaction_holds_are_waited_for(done: Deployment, caplog: pytest.LogCaptureFixture) -> None:
    """A killed worker's transaction holds the group's offsets until the broker aborts it: the command waits."""
    with _open_transaction(done) as killed, ThreadPoolExecutor(1) as operator:
        resetting = operator.submit(_run, done, "reset", "--to", "checkpoint", "--yes")
        eventually(lambda: "UNSTABLE_OFFSET_COMMIT" in caplog.text, "the command waits", timeout_s=TIMEOUT_S)
        waited = not resetting.done()
        killed.abort_transaction(TIMEOUT_S)
        result = resetting.result(TIMEOUT_S)

    assert waited
    assert result.exit_code == 0, result.output
    assert caplog.text.count("UNSTABLE_OFFSET_COMMIT") == 1
    assert all(row["agrees"] for row in _rows(done))


def test_offsets_that_a_transaction_never_lets_go_are_told(done: Deployment, monkeypatch: pytest.MonkeyPatch) -> None:
    """When the broker should have aborted the transaction long ago, the command says what holds the offsets."""
    monkeypatch.setattr(cluster, "_ABORTED_SECONDS", 1 - done.settings.transaction_timeout_ms / 1000)
    with _open_transaction(done) as hanging:
        result = _run(done, "reset", "--to", "checkpoint", "--yes")
        hanging.abort_transaction(TIMEOUT_S)

    assert result.exit_code == 1
    assert "a transaction has held the group's offsets of partition 0 for 1 s" in result.output
    assert "kafka-transactions.sh" in result.output


def test_a_group_with_members_is_left_alone(done: Deployment) -> None:
    """While a worker runs nothing is set, whatever is confirmed."""
    worker = done.worker().start().wait_ready()

    result = _run(done, "reset", "--to", "checkpoint", "--yes")

    assert result.exit_code == 1
    assert "has members: worker-0. Stop every worker" in result.output
    assert worker.running
    assert all(row["agrees"] for row in _rows(done))


def test_the_beginning_is_refused_where_something_was_published(done: Deployment) -> None:
    """A new beginning in the same topics would contradict what subscribers know: the way to rebuild is told."""
    result = _run(done, "reset", "--to", "beginning", "--yes")

    assert result.exit_code == 1
    assert "Nothing was changed" in result.output
    assert f"ACCOUNT_HEALTH_INPUT_TOPIC_PREFIX={done.settings.topic_prefix}" in result.output
    assert all(row["agrees"] for row in _rows(done))


def test_a_rebuild_as_told_stands_beside_what_it_replaces(done: Deployment, deploy: Deploy) -> None:
    """With a new application id and prefix, and the old one for the inputs, the same accounts come out again."""
    beside = deploy(input_topic_prefix=done.settings.topic_prefix)
    worker = beside.worker("worker-1").start()

    beside.wait_settled(worker)

    assert beside.published() == done.published()
    assert _run(beside, "show").exit_code == 0
    audited = CliRunner().invoke(app, ["audit", "--from-beginning"], env=beside.variables)
    assert audited.exit_code == 0, audited.output


def test_a_lost_state_begins_again_only_with_outputs_made_anew(done: Deployment) -> None:
    """Topics of state and outputs made anew: the worker refuses, the command deletes the offsets, the worker begins."""
    names = done.settings.topics
    before = done.published()
    admin = AdminClient({"bootstrap.servers": done.settings.bootstrap_servers})
    made = [names.state, names.portfolio, names.tier_changes, names.churn_risk, names.snapshots, names.dead_letters]
    for future in admin.delete_topics(made, operation_timeout=TIMEOUT_S).values():
        future.result(TIMEOUT_S)
    eventually(lambda: not set(made) & set(admin.list_topics(timeout=TIMEOUT_S).topics), "the topics are gone")
    done.create_topics()
    shown = _run(done, "show")
    refused = done.worker("worker-1").start()
    assert refused.wait(TIMEOUT_S) == 1
    done.dismiss(refused)

    begun = _run(done, "reset", "--to", "beginning", "--yes")

    remedy = "account-health positions reset --to beginning"
    assert shown.exit_code == 1
    assert remedy in shown.output
    assert remedy in refused.log
    assert begun.exit_code == 0, begun.output
    done._view = None
    worker = done.worker("worker-2").start()
    done.wait_settled(worker)
    assert done.published() == before
