"""Ends that no one asked for: soon, non-zero, the cause on the last line; and whoever starts it again loses nothing."""

import sys
from pathlib import Path
from typing import Final

from confluent_kafka import Producer

from stream.topics import transactional_id
from tests.support.broker import KafkaBroker
from tests.support.deployment import Deploy, Deployment, History, differences, gaps
from tests.support.polling import eventually
from tests.support.worker import WorkerProcess

END_S: Final = 30.0
"""A worker that cannot go on has ended by then: its supervisor waits no longer."""
_STUCK: Final = """
import threading
from stream.cli import main
from stream.task import PartitionTask
PartitionTask.process = lambda *_: threading.Event().wait()
main()
"""
"""A worker that never comes back from its first batch."""


def last_line(worker: WorkerProcess) -> str:
    """Wait until a worker has ended with 1; return the last line that it wrote."""
    code = worker.wait(END_S)
    line = worker.log.splitlines()[-1]
    assert code == 1, f"it ended with {code}: {line}"
    assert " CRITICAL " in line, line
    return line


def wait_busy(deployment: Deployment) -> int:
    """Wait until something is processed; return how many records there are."""
    view = deployment.view

    def busy() -> bool:
        view.update()
        return view.processed() > 0

    sent = view.sent()
    eventually(busy, "something is processed", timeout_s=60, interval_s=0)
    return sent


def test_a_worker_that_is_fenced_ends(online_retail: History, deploy: Deploy, tmp_path: Path) -> None:
    """Another producer takes its transactional id while it is at work; started again, it takes it back."""
    history = online_retail.part(4, tmp_path)
    deployment = deploy(batch_records="50", commit_interval_ms="50")
    deployment.produce(history.path, "--end-of-input")
    worker = deployment.worker().start()
    sent = wait_busy(deployment)
    settings = deployment.settings
    name = transactional_id(settings.application_id, worker.instance_id)
    Producer({"bootstrap.servers": settings.bootstrap_servers, "transactional.id": name}).init_transactions(END_S)

    line = last_line(worker)

    deployment.view.update()
    assert deployment.view.processed() < sent, "the work was done before the worker was fenced"
    assert "_FENCED" in line
    worker.start()
    deployment.wait_settled(worker)
    published = deployment.published()
    assert differences(history.replayed, published) == ""
    assert gaps(published.tier_changes) == gaps(published.churn_events) == []


def test_a_worker_that_is_stuck_ends(online_retail: History, deploy: Deploy, tmp_path: Path) -> None:
    """A batch that never ends stops the polling; past the deadline the process ends, and nothing of it is seen."""
    deployment = deploy(stuck_deadline_seconds="10")
    deployment.produce(online_retail.part(100, tmp_path).path)
    worker = WorkerProcess(deployment.variables, tmp_path, "stuck", program=(sys.executable, "-c", _STUCK))
    worker.start()
    try:
        eventually(lambda: "opened partition" in worker.log, "it holds partitions", timeout_s=60)

        line = last_line(worker)
    finally:
        worker.kill()

    assert "the event loop was stuck for 10 s" in line
    deployment.view.update()
    assert deployment.view.processed() == 0


def test_a_worker_whose_broker_is_gone_ends(online_retail: History, tmp_path: Path) -> None:
    """A transaction that nobody answers ends with the worker, once the broker would have aborted it."""
    history = online_retail.part(4, tmp_path)
    with (
        KafkaBroker(tmp_path / "kafka") as broker,
        Deployment(
            broker.bootstrap_servers,
            tmp_path,
            batch_records="50",
            commit_interval_ms="50",
            catch_up_commit_interval_ms="50",
            transaction_timeout_ms="2000",
            # longer than a commit is waited for: what the group does to a silent worker is another end
            session_timeout_ms="30000",
        ) as deployment,
    ):
        deployment.create_topics()
        deployment.produce(history.path)
        worker = deployment.worker().start()
        wait_busy(deployment)
        broker.pause()
        try:
            line = last_line(worker)
        finally:
            broker.resume()

    assert "a commit failed" in line
