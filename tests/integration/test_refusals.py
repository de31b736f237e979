"""What a worker refuses to start on, each with one clear line and an exit code."""

import socket
from pathlib import Path
from typing import Final

from confluent_kafka import ConsumerGroupTopicPartitions, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from models.events import InputTopic
from models.policy import load_policy
from stream.topics import group_id
from tests.support.deployment import Deploy, Deployment
from tests.support.polling import eventually
from tests.support.sending import send
from tests.support.topics import delete_topic, quiet_admin
from tests.support.worker import WorkerProcess

END_S: Final = 40.0


def refusal(worker: WorkerProcess, **changed: str) -> str:
    """Start a worker that has to refuse; return its last line."""
    worker.start({f"ACCOUNT_HEALTH_{name.upper()}": value for name, value in changed.items()})
    code = worker.wait(END_S)
    assert code == 1, f"it ended with {code}"
    assert "Traceback" not in worker.log
    line = [one for one in worker.log.splitlines() if one][-1]
    assert " CRITICAL " in line, line
    return line


def test_a_topic_that_is_missing(deploy: Deploy) -> None:
    """The topics that are not there are named, and the command that makes them."""
    deployment = deploy()
    names = deployment.settings.topics
    admin = quiet_admin(deployment.settings)
    delete_topic(admin, names.churn_risk)

    line = refusal(deployment.worker())

    assert f"missing topics: {names.churn_risk}." in line
    assert "account-health topics create" in line


def test_inputs_with_different_numbers_of_partitions(deploy: Deploy) -> None:
    """The numbers are shown, topic by topic."""
    deployment = deploy()
    names = deployment.settings.topics
    admin = quiet_admin(deployment.settings)
    _recreate(admin, names.support, partitions=5)

    line = refusal(deployment.worker())

    assert "must have the same number of partitions" in line
    assert f"{names.support} 5" in line


def test_a_port_that_is_taken(deploy: Deploy) -> None:
    """The address of the probes is named, and nothing else is tried."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]

        line = refusal(deploy().worker(), http_port=str(port))

    assert f"127.0.0.1:{port}: Address already in use" in line


def test_what_does_not_fit_the_state_that_was_left(deploy: Deploy, tmp_path: Path) -> None:
    """Settings, offsets and topics that contradict the checkpoint are refused, each by its name."""
    # one partition: which of several would refuse first is not certain
    deployment = deploy(partitions="1", batch_records="100")
    names, admin = deployment.settings.topics, quiet_admin(deployment.settings)
    worker = deployment.worker()
    newer, older = (_policy(tmp_path, revision) for revision in (2, 1))
    _orders(deployment, 5)
    worker.start({"ACCOUNT_HEALTH_POLICY_FILE": str(newer), "ACCOUNT_HEALTH_REPORTING_CURRENCY": ""})
    deployment.wait_settled(worker)
    assert worker.terminate() == 0

    line = refusal(worker, policy_file=str(older))
    assert "the policy's revision is 1, the state's 2" in line

    line = refusal(worker, policy_file=str(_policy(tmp_path, 2, currency="EUR")))
    assert "reporting_currency GBP and cannot serve EUR" in line

    line = refusal(worker, policy_file=str(_policy(tmp_path, 2, zone="Asia/Tokyo")))
    assert "reporting_timezone UTC and cannot serve Asia/Tokyo" in line

    other = _policy(tmp_path, 2, lost_days=200)
    line = refusal(worker, policy_file=str(other))
    assert (
        f"policy {load_policy(other).version} has the revision 2 of another one, {load_policy(newer).version}" in line
    )
    assert "raise `revision`" in line

    deployment.dismiss(worker)
    _reset_offset(deployment, admin, names.support, 3)
    line = refusal(worker, policy_file=str(newer))
    assert f"the group's offset of {names.support} [0] is 3, the state's is 0" in line
    assert "reset by hand" in line

    _tickets(deployment, 5)
    end = TopicPartition(names.support, 0, 2)
    admin.delete_records([end])[end].result(10)
    line = refusal(worker)
    assert f"{names.support} [0] was trimmed: offsets 0 to 1 are gone unread" in line

    _recreate(admin, names.profiles, partitions=1)
    line = refusal(worker)
    assert f"{names.profiles} [0] was made anew" in line

    producer = Producer({"bootstrap.servers": deployment.settings.bootstrap_servers})
    producer.produce(names.state, b"\xc8" + bytes(20), b"C-1", 0)
    assert producer.flush(10) == 0
    line = refusal(worker)
    assert "state format 200 is newer than" in line


def test_a_policy_that_may_follow_the_state(deploy: Deploy, tmp_path: Path) -> None:
    """A policy of a higher revision is served, and the default one, without a file, after any of revision 1."""
    deployment = deploy(partitions="1")
    worker = deployment.worker()
    _orders(deployment, 1)

    for file in (_policy(tmp_path, 1, lost_days=200), "", _policy(tmp_path, 2), _policy(tmp_path, 3)):
        currency = "" if file else "GBP"
        worker.start({"ACCOUNT_HEALTH_POLICY_FILE": str(file), "ACCOUNT_HEALTH_REPORTING_CURRENCY": currency})
        _orders(deployment, 1)
        deployment.wait_settled(worker)
        assert worker.terminate() == 0


def _policy(folder: Path, revision: int, currency: str = "GBP", zone: str = "UTC", lost_days: int = 365) -> Path:
    path = folder / f"policy-{revision}-{currency}-{zone.replace('/', '-')}-{lost_days}.toml"
    path.write_text(
        f'revision = {revision}\nreporting_currency = "{currency}"\nreporting_timezone = "{zone}"\n'
        f"[churn]\nlost_days = {lost_days}\n"
    )
    return path


def _orders(deployment: Deployment, count: int) -> None:
    _send(deployment, InputTopic.ORDERS, count, type="order.completed", order_id="O", amount="10", currency="GBP")


def _tickets(deployment: Deployment, count: int) -> None:
    _send(deployment, InputTopic.SUPPORT, count, type="ticket.opened", ticket_id="T", severity="low")


def _send(deployment: Deployment, topic: InputTopic, count: int, **fields: str) -> None:
    moment = "2026-01-05T10:00:00Z"
    events = [{"event_id": f"e{n}", "account_id": f"C-{n}", "occurred_at": moment, **fields} for n in range(count)]
    send(deployment.settings, topic, *events)


def _recreate(admin: AdminClient, name: str, partitions: int) -> None:
    delete_topic(admin, name)

    def made() -> bool:
        try:
            admin.create_topics([NewTopic(name, partitions, 1)])[name].result(10)
        except KafkaException:
            return False
        return True

    eventually(made, "the topic is made again")
    eventually(
        lambda: all(one.leader >= 0 for one in admin.list_topics(name, timeout=5).topics[name].partitions.values()),
        "the topic has leaders",
    )


def _reset_offset(deployment: Deployment, admin: AdminClient, name: str, offset: int) -> None:
    """Set an offset of the group, as soon as the worker that has ended is no longer a member of it."""
    group = group_id(deployment.settings.application_id)
    asked = [ConsumerGroupTopicPartitions(group, [TopicPartition(name, 0, offset)])]

    def was_set() -> bool:
        try:
            found = admin.alter_consumer_group_offsets(asked)[group].result(10).topic_partitions
        except KafkaException:
            return False
        return all(one.error is None for one in found)

    eventually(was_set, "the offset is set", timeout_s=30, interval_s=0.2)
