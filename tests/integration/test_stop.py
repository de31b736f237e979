"""Workers that are asked to stop, that join, that leave and that are restarted, under load."""

import json
import re
from collections import Counter
from http import HTTPStatus
from pathlib import Path

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
    with deployment.producing(history.path, "--end-of-input", "--rate", "700") as producing:
        second.start()
        eventually(lambda: "opened partition" in second.log, "the second worker holds partitions", timeout_s=60)
        assert producing.poll() is None, "all was sent before the second worker had joined"
        code = second.terminate(GRACE_S)
        assert producing.wait(60) == 0

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
    with deployment.producing(history.path, "--end-of-input", "--rate", "700") as producing:
        codes = []
        for worker in workers:
            codes.append(worker.terminate(GRACE_S))
            assert producing.poll() is None, f"all was sent before {worker.instance_id} had stopped"
            worker.start().wait_ready()
        assert producing.wait(60) == 0
    deployment.wait_settled(*workers)

    assert codes == [0, 0]
    assert [opened_by(worker) - once for worker, once in zip(workers, before, strict=True)] == list(map(Counter, held))
    published = deployment.published()
    assert differences(history.replayed, published) == ""
    assert gaps(published.tier_changes) == gaps(published.churn_events) == []


def held_by(worker: WorkerProcess) -> list[int]:
    """Name the open partitions of a worker that does not wait for others."""
    status, answer = worker.ask("/readyz")
    assigned: list[int] = json.loads(answer)["assigned"] if status == HTTPStatus.OK else []
    return assigned if len(assigned) < PARTITIONS else []


def opened_by(worker: WorkerProcess) -> Counter[int]:
    """Count how often a worker has opened each partition, over all its starts."""
    return Counter(map(int, re.findall(r"opened partition (\d+)", worker.log_file.read_text())))
