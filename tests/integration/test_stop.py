"""Workers that are asked to stop, that join, that leave and that are restarted, under load."""

import json
import re
import subprocess
import sys
from collections import Counter
from http import HTTPStatus
from pathlib import Path

from stream.topics import group_id
from tests.support.deployment import PARTITIONS, Deploy, History, differences, gaps
from tests.support.polling import eventually
from tests.support.worker import WorkerProcess

GRACE_S = 25.0
"""The default grace period of a worker."""


def test_a_worker_that_is_stopped_under_load_loses_and_repeats_nothing(
    online_retail: History, deploy: Deploy, tmp_path: Path
) -> None:
    """SIGTERM ends a busy worker with 0 within its grace period, and the next one goes on where it was."""
    history = online_retail.part(4, tmp_path)
    deployment = deploy(batch_records="50", commit_interval_ms="50")
    deployment.produce(history.path, "--end-of-input")
    view, worker = deployment.view, deployment.worker().start()
    sent = view.sent()

    def busy() -> bool:
        view.update()
        return view.processed() > sent // 4

    eventually(busy, "a quarter is processed", timeout_s=60, interval_s=0)
    code = worker.terminate(GRACE_S)
    view.update()
    processed = view.processed()
    worker.start()
    deployment.wait_settled(worker)

    assert code == 0
    assert processed < sent, "the work was done before the worker was stopped"
    published = deployment.published()
    assert differences(history.replayed, published) == ""
    assert gaps(published.tier_changes) == gaps(published.churn_events) == []


def test_a_second_worker_that_joins_and_leaves_changes_nothing(
    online_retail: History, deploy: Deploy, tmp_path: Path
) -> None:
    """While records keep coming, partitions go to a second worker and come back, and every result is as in a replay."""
    history = online_retail.part(4, tmp_path)
    deployment = deploy(batch_records="50", commit_interval_ms="50")
    first, second = deployment.worker("worker-0"), deployment.worker("worker-1")
    first.start().wait_ready()
    with deployment.trickling(history.path, "--end-of-input") as records_come:
        second.start()
        eventually(lambda: "opened partition" in second.log, "the second worker holds partitions", timeout_s=60)
        assert records_come(), "all was sent before the second worker had joined"
        code = second.terminate(GRACE_S)

    deployment.wait_settled(first)

    assert code == 0
    assert "revoked" in first.log
    published = deployment.published()
    assert differences(history.replayed, published) == ""
    assert gaps(published.tier_changes) == gaps(published.churn_events) == []


def test_a_rolling_restart_moves_no_partition(online_retail: History, deploy: Deploy, tmp_path: Path) -> None:
    """Each worker comes back within its session to the partitions that it had, while records keep coming."""
    history = online_retail.part(4, tmp_path)
    deployment = deploy(batch_records="50", commit_interval_ms="50", session_timeout_ms="30000")
    workers = [deployment.worker(f"worker-{number}").start() for number in range(2)]
    eventually(lambda: all(map(held_by, workers)), "each worker holds partitions", timeout_s=60)
    held, before = [held_by(worker) for worker in workers], [opened_by(worker) for worker in workers]
    with deployment.trickling(history.path, "--end-of-input") as records_come:
        codes = []
        for worker in workers:
            codes.append(worker.terminate(GRACE_S))
            assert records_come(), f"all was sent before {worker.instance_id} had stopped"
            worker.start().wait_ready()
    deployment.wait_settled(*workers)

    assert codes == [0, 0]
    assert [opened_by(worker) - once for worker, once in zip(workers, before, strict=True)] == list(map(Counter, held))
    published = deployment.published()
    assert differences(history.replayed, published) == ""
    assert gaps(published.tier_changes) == gaps(published.churn_events) == []


MEMBER_THAT_DIES = """
import os, sys
from confluent_kafka import Consumer

servers, group, instance_id, topic, session = sys.argv[1:]
options = {"partition.assignment.strategy": "cooperative-sticky", "enable.auto.commit": False}
member = Consumer(
    {"bootstrap.servers": servers, "group.id": group, "group.instance.id": instance_id, "session.timeout.ms": session}
    | options
)


def hold(consumer, partitions):
    consumer.incremental_assign([])
    print(len(partitions), flush=True)


member.subscribe([topic], on_assign=hold, on_revoke=lambda *_: os._exit(0))
while True:
    member.poll(0.1)
"""
"""A worker as the group sees it, which ends at the moment in which it is told to give partitions up."""


def test_partitions_are_taken_over_from_a_worker_that_dies_while_it_gives_them_up(
    online_retail: History, deploy: Deploy, tmp_path: Path
) -> None:
    """The group takes its return within its session for no change: what nobody holds is seen, and asked for."""
    history = online_retail.part(16, tmp_path)
    deployment = deploy(session_timeout_ms="10000")
    settings = deployment.settings
    arguments = (group_id(settings.application_id), "worker-0", settings.topics.orders, "10000")
    with subprocess.Popen(
        [sys.executable, "-c", MEMBER_THAT_DIES, settings.bootstrap_servers, *arguments], stdout=subprocess.PIPE
    ) as member:
        assert member.stdout is not None
        assert int(member.stdout.readline()) == PARTITIONS
        workers = [deployment.worker("worker-1").start()]
        assert member.wait(60) == 0
    workers.append(deployment.worker("worker-0").start())
    deployment.produce(history.path, "--end-of-input")

    deployment.wait_settled(*workers)

    assert "nobody holds partitions" in "".join(worker.log for worker in workers)
    assert differences(history.replayed, deployment.published()) == ""


def held_by(worker: WorkerProcess) -> list[int]:
    """Name the open partitions of a worker that does not wait for others."""
    status, answer = worker.ask("/readyz")
    assigned: list[int] = json.loads(answer)["assigned"] if status == HTTPStatus.OK else []
    return assigned if len(assigned) < PARTITIONS else []


def opened_by(worker: WorkerProcess) -> Counter[int]:
    """Count how often a worker has opened each partition, over all its starts."""
    return Counter(map(int, re.findall(r"opened partition (\d+)", worker.log_file.read_text())))
