"""The portfolio of running workers: counted, drawn, published and gone by, each within a transaction."""

import json
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

import msgspec
from confluent_kafka.admin import AdminClient
from typer.testing import CliRunner

from models.policy import Classes
from models.portfolio import CutPoints, cut_points_to_json
from processors.portfolio.census import rows_of, take
from processors.portfolio.cutting import cut_points
from stream.administration import Administration
from stream.checkpoint import CHECKPOINT_KEY, CUT_POINTS_KEY, Checkpoint, CutPointsStep, decode
from stream.cli import app
from stream.handling import partition_of
from stream.portfolio.topic import Board
from tests.operators.staged import Event, event, order, send
from tests.support.cuts import MADE_UP
from tests.support.deployment import PARTITIONS, Deploy, Deployment
from tests.support.polling import eventually
from tests.support.topics import read_topic

LIVE: Final = {"cut_points_file": "", "census_interval_seconds": "0", "commit_interval_ms": "20"}
ACCOUNTS: Final = 60
DAYS: Final = 40


def orders(first_day: int, last_day: int) -> list[Event]:
    """Let every account order every few days, the later ones more and more often."""
    return [
        order(f"A-{number}", day, str(10 + number * number))
        for day in range(first_day, last_day)
        for number in range(ACCOUNTS)
        if day % (3 + (ACCOUNTS - number) // 4) == 0
    ]


def clock(day: int) -> list[Event]:
    """Move the clock of every partition to a day."""
    found: dict[int, Event] = {}
    for number in range(100):
        one = event(f"clock-{number}", day, "clock.advanced")
        found.setdefault(partition_of(one["account_id"].encode(), PARTITIONS), one)
    assert len(found) == PARTITIONS
    return list(found.values())


def board(deployment: Deployment) -> Board:
    """Read the portfolio topic."""
    found = Board()
    for message in read_topic(deployment.settings, deployment.settings.topics.portfolio, 1):
        found.take(message.key(), message.value())
    return found


def is_gone_by(deployment: Deployment, day: int) -> bool:
    """Tell whether every partition goes by cut points of a day, or a later one."""
    deployment.view.update()
    cuts, held = board(deployment).cuts, deployment.view.checkpoints
    return (
        cuts is not None
        and cuts.as_of_day >= day
        and len(held) == PARTITIONS
        and {one.portfolio_version for one in held.values()} == {cuts.version}
    )


def wait_gone_by(deployment: Deployment, day: int) -> CutPoints:
    """Wait until every partition goes by cut points of a day; returns them."""
    eventually(lambda: is_gone_by(deployment, day), f"cut points of day {day} are gone by", timeout_s=60)
    cuts = board(deployment).cuts
    assert cuts is not None
    return cuts


def day_number(day: int) -> int:
    """Count days as the core does."""
    return (time.strptime(event("A", day, "x")["occurred_at"][:10], "%Y-%m-%d").tm_yday - 1) + 20_454


def recounted(deployment: Deployment, as_of_day: int) -> CutPoints:
    """Draw cut points from all states that are committed."""
    states = [packed for packed in deployment.view.states.values() if packed is not None]
    return cut_points([take(rows_of(states), as_of_day)], 0, Classes())


def audited(deployment: Deployment, path: Path) -> list[dict[str, Any]]:
    """Audit from the first transaction on."""
    result = CliRunner().invoke(
        app, ["audit", "--from-beginning", "--json", str(path)], env={**deployment.variables, "COLUMNS": "200"}
    )
    assert result.exit_code == 0, result.output
    partitions: list[dict[str, Any]] = json.loads(path.read_text())["partitions"]
    return partitions


def adopted(deployment: Deployment) -> list[list[int]]:
    """Give the versions that each partition has gone by, as its checkpoints' steps say."""
    return [
        [step.version for one in found for step in one.steps if isinstance(step, CutPointsStep)]
        for found in _checkpoints(deployment)
    ]


def _checkpoints(deployment: Deployment) -> Iterable[list[Checkpoint]]:
    found: dict[int, list[Checkpoint]] = {partition: [] for partition in range(PARTITIONS)}
    for message in read_topic(deployment.settings, deployment.settings.topics.state):
        if message.key() == CHECKPOINT_KEY:
            found[message.partition() or 0].append(decode(message.value() or b""))
    return found.values()


def test_one_worker_counts_exactly(deploy: Deploy, tmp_path: Path) -> None:
    """When the day turns, the cut points are those of all states; every partition goes by them, and an audit agrees."""
    deployment = deploy(**LIVE)
    send(deployment.settings, [*orders(0, DAYS), *clock(DAYS)])
    worker = deployment.worker().start()
    deployment.wait_settled(worker)
    cuts = wait_gone_by(deployment, day_number(DAYS))
    deployment.wait_settled(worker)

    expected = recounted(deployment, day_number(DAYS))
    # Parts that need cut points come with the first of them, and are counted the next time.
    assert cuts == msgspec.structs.replace(expected, version=cuts.version, part_shares=cuts.part_shares)
    assert (cuts.accounts, cuts.relative_error) == (ACCOUNTS, 0)
    versions = adopted(deployment)
    assert [found[-1] for found in versions] == [cuts.version] * PARTITIONS
    assert versions[0] == list(range(1, cuts.version + 1)), "partition 0 draws them, one after the other"
    assert all(found == sorted(set(found)) for found in versions)
    metrics = worker.metrics()
    assert metrics["account_health_portfolio_version", frozenset()] == cuts.version
    assert metrics["account_health_portfolio_accounts", frozenset({("kind", "known")})] == ACCOUNTS
    assert sum(one["states"] for one in audited(deployment, tmp_path / "audit.json")) > ACCOUNTS


def test_two_workers_share_one_portfolio(deploy: Deploy, tmp_path: Path) -> None:
    """Each counts its partitions, one draws; killed in the middle, they go on with the version that they had."""
    deployment = deploy(**LIVE, batch_records="20")
    workers = [deployment.worker(f"worker-{number}").start() for number in range(2)]
    for worker in workers:
        worker.wait_ready()
    send(deployment.settings, orders(0, DAYS // 2))
    eventually(lambda: board(deployment).cuts is not None, "there are cut points")
    for worker in workers:
        worker.kill()
    for worker in workers:
        worker.start()
    send(deployment.settings, [*orders(DAYS // 2, DAYS), *clock(DAYS)])
    deployment.wait_settled(*workers, timeout_s=120)
    cuts = wait_gone_by(deployment, day_number(DAYS))
    deployment.wait_settled(*workers)

    expected = recounted(deployment, day_number(DAYS))
    # Parts that need cut points come with the first of them, and are counted the next time.
    assert cuts == msgspec.structs.replace(expected, version=cuts.version, part_shares=cuts.part_shares)
    versions = adopted(deployment)
    assert versions[0] == list(range(1, cuts.version + 1))
    assert all(found == sorted(set(found)) for found in versions)
    audited(deployment, tmp_path / "audit.json")


def test_cut_points_outlive_their_topic(deploy: Deploy, tmp_path: Path) -> None:
    """The portfolio topic is lost: workers go on with what they have adopted, and count on from its version."""
    deployment = deploy(**LIVE)
    send(deployment.settings, [*orders(0, 9), *clock(9)])
    worker = deployment.worker().start()
    before = wait_gone_by(deployment, day_number(9))
    assert worker.terminate() == 0
    _make_anew(deployment)
    worker.start().wait_ready()
    send(deployment.settings, [*orders(9, 12), *clock(12)])
    deployment.wait_settled(worker)

    after = wait_gone_by(deployment, day_number(12))
    assert (after.version > before.version, after.accounts) == (True, ACCOUNTS)
    assert all(found == sorted(set(found)) for found in adopted(deployment))
    audited(deployment, tmp_path / "audit.json")


def _make_anew(deployment: Deployment) -> None:
    name = deployment.settings.topics.portfolio
    admin = AdminClient({"bootstrap.servers": deployment.settings.bootstrap_servers})
    admin.delete_topics([name])[name].result(30)

    def gone() -> bool:
        return name not in admin.list_topics(timeout=10).topics

    eventually(gone, "the topic is gone")
    with Administration(deployment.settings) as administration:
        administration.create()


def test_fixed_cut_points_are_gone_by_from_the_first_event(deploy: Deploy, tmp_path: Path) -> None:
    """Nothing is counted; others of the same version are refused, with another version they are gone by next."""
    deployment = deploy()
    send(deployment.settings, orders(0, 5))
    worker = deployment.worker().start()
    deployment.wait_settled(worker)
    assert worker.terminate() == 0
    assert adopted(deployment) == [[MADE_UP.version]] * PARTITIONS
    assert board(deployment).censuses == {}

    other = tmp_path / "other.json"
    other.write_bytes(cut_points_to_json(msgspec.structs.replace(MADE_UP, mean_gap_days=1.5)))
    refusing = deployment.worker(cut_points_file=str(other)).start()
    assert refusing.wait(30) == 1
    assert "CUT_POINTS_FILE has the version 1 of other cut points" in refusing.log_tail

    other.write_bytes(cut_points_to_json(msgspec.structs.replace(MADE_UP, version=2, mean_gap_days=1.5)))
    again = deployment.worker(cut_points_file=str(other)).start()
    send(deployment.settings, orders(5, 8))
    deployment.wait_settled(again)
    assert adopted(deployment) == [[1, 2]] * PARTITIONS
    state = deployment.settings.topics.state
    written = {
        one.partition(): one.value() for one in read_topic(deployment.settings, state) if one.key() == CUT_POINTS_KEY
    }
    assert len(set(written.values())) == 1
    audited(deployment, tmp_path / "audit.json")
