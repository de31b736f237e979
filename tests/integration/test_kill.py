"""Workers that are killed lose nothing and repeat nothing."""

import random
from pathlib import Path

import pytest

from tests.support.deployment import Deploy, Deployment, History, differences, gaps
from tests.support.polling import eventually

KILLS = 3
RUNS_MAX = 3


def test_a_worker_that_is_killed_three_times_loses_and_repeats_nothing(
    online_retail: History, deploy: Deploy, tmp_path: Path, pytestconfig: pytest.Config
) -> None:
    """After kill -9 at random points, everything published is what an uninterrupted replay publishes, once."""
    history = online_retail.part(2, tmp_path)
    chance = random.Random(pytestconfig.getoption("hypothesis_seed"))

    for _ in range(RUNS_MAX):
        # few records a transaction, so that there are many points between two commits
        deployment = deploy(batch_records="100", commit_interval_ms="50")
        deployment.produce(history.path, "--end-of-input")
        if _killed_before_the_end(deployment, chance):
            break
    else:
        pytest.fail(f"in {RUNS_MAX} runs the work was done before the last kill")

    published = deployment.published()
    assert differences(history.replayed, published) == ""
    assert gaps(published.tier_changes) == gaps(published.churn_events) == []


def _killed_before_the_end(deployment: Deployment, chance: random.Random) -> bool:
    """Kill a worker at three points of the work and let it finish; tell whether each kill came before the end."""
    view, worker = deployment.view, deployment.worker()
    sent = view.sent()
    shares = sorted(chance.uniform(0.02, 0.8) for _ in range(KILLS))
    print(f"kills at {', '.join(f'{share:.0%}' for share in shares)} of {sent} records")  # noqa: T201  # repeats the run

    def reached(share: float) -> bool:
        assert worker.running, "the worker ended by itself"
        view.update()
        return view.processed() >= share * sent

    for share in shares:
        worker.start()
        eventually(lambda: reached(share), f"{share:.0%} is processed", timeout_s=60, interval_s=0)  # noqa: B023  # called here
        worker.kill()
    view.update()
    unfinished = view.processed() < sent
    worker.start()
    deployment.wait_settled(worker)
    return unfinished
