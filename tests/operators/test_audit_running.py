"""The audit of workers that run, were killed, changed their policy: what they publish follows from what they read."""

import json
import time
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any, Final
from zoneinfo import ZoneInfo

from typer.testing import CliRunner, Result

from models.events import InputTopic
from stream.checkpoint import CHECKPOINT_KEY, ReadStep, decode
from stream.cli import app
from stream.files import merge
from stream.sending import Sender
from stream.simulation.export import file_of
from tests.support.deployment import Deploy, Deployment
from tests.support.polling import eventually
from tests.support.topics import read_topic
from tests.support.worker import WorkerProcess, run_command

# New cut points as often as can be.
COUNTED: Final = {"cut_points_file": "", "census_interval_seconds": "0"}


def _simulate(folder: Path, *, days: int = 300, until: str = "2026-06-30") -> list[Path]:
    """Simulate a company with support, profiles, late and malformed events; one file for each input."""
    options = ("--accounts", "80", "--days", str(days), "--until", until, "--currency", "GBP")
    run_command({}, "simulate", "--out", str(folder), "--malformed-share", "0.02", *options)
    return [folder / file_of(topic) for topic in InputTopic]


def _send(files: list[Path], deployment: Deployment, *, end: bool = True) -> None:
    """Send files to their topics, each record a millisecond after the one before it."""
    lines = list(merge(files))
    milliseconds = count(time.time_ns() // 1_000_000 - 2 * len(lines))
    sender = Sender(deployment.settings, lambda: (next(milliseconds) + 0.5) / 1000)
    for line in lines:
        sender.send(line)
    if end:
        sender.end_input(max(line.occurred_ms or 0 for line in lines), ZoneInfo("UTC"))
    sender.close()
    assert sender.failed == 0, sender.first_failure


def _audit(deployment: Deployment, *options: str) -> Result:
    return CliRunner().invoke(app, ["audit", *options], env={**deployment.variables, "COLUMNS": "200"})


def _audited(deployment: Deployment, path: Path, *options: str) -> dict[str, Any]:
    result = _audit(deployment, "--json", str(path), *options)
    assert result.exit_code == 0, f"{result.output}\n{result.exception}"
    found: dict[str, Any] = json.loads(path.read_text())
    assert found["ok"]
    return {name: sum(one[name] for one in found["partitions"]) for name in ("records", "states", "outputs", "audited")}


def test_a_finished_run_passes(deploy: Deploy, tmp_path: Path) -> None:
    """All inputs, late events and dead letters among them, with the event clock: every transaction since the first."""
    deployment = deploy()
    _send(_simulate(tmp_path / "company"), deployment)
    worker = deployment.worker().start()
    deployment.wait_settled(worker)

    found = _audited(deployment, tmp_path / "audit.json", "--from-beginning")

    assert found["records"] == deployment.view.processed()
    assert found["states"] > 80
    assert found["outputs"] > 200


def test_a_run_that_was_killed_passes(deploy: Deploy, tmp_path: Path) -> None:
    """Killed twice in the middle, and audited while its successor works: what is committed follows from the steps."""
    deployment = deploy(**COUNTED)
    _send(_simulate(tmp_path / "company"), deployment)
    # Commits that are many and small: a worker that is fast must not be done before it is killed.
    worker = deployment.worker(batch_records="10", commit_interval_ms="10", catch_up_commit_interval_ms="10").start()
    sent = deployment.view.sent()
    for part in (sent // 4, sent // 2):
        _wait_for(deployment, part)
        worker.kill()
        assert _processed(deployment) < sent, "the run was over before the kill: the test says nothing"
        worker.start()

    meanwhile = _audited(deployment, tmp_path / "meanwhile.json", "--from-beginning")
    deployment.wait_settled(worker)
    found = _audited(deployment, tmp_path / "audit.json", "--from-beginning")

    assert 0 < meanwhile["records"] <= found["records"] == sent


def _wait_for(deployment: Deployment, records: int) -> None:
    eventually(lambda: _processed(deployment) > records, f"{records} records are processed", interval_s=0.01)


def _processed(deployment: Deployment) -> int:
    deployment.view.update()
    return deployment.view.processed()


def test_a_live_clock_passes_while_events_arrive(deploy: Deploy, tmp_path: Path) -> None:
    """With the live clock, killed in the middle and audited while events arrive: the recorded clocks decide."""
    now = datetime.now(UTC)
    deployment = deploy(clock="live", **COUNTED)
    files = _simulate(tmp_path / "company", until=f"{now - timedelta(days=1):%Y-%m-%d}")
    parts = [_part(files, number, tmp_path) for number in range(3)]
    worker = deployment.worker(batch_records="100").start()
    _send(parts[0], deployment, end=False)
    eventually(lambda: _processed(deployment) > 50, "some of it is processed")
    worker.kill()
    _send(parts[1], deployment, end=False)
    worker.start()
    # Idle: the clock goes on, which nothing tells of, and the records that follow are older than it.
    deployment.wait_settled(worker)
    committed_ms = max(_clocks_ms(deployment).values())
    eventually(lambda: _clock_ms(worker) > committed_ms, "the clock goes on by itself")
    _send(parts[2], deployment, end=False)

    meanwhile = _audited(deployment, tmp_path / "meanwhile.json", "--from-beginning")
    deployment.wait_settled(worker)
    found = _audited(deployment, tmp_path / "audit.json", "--from-beginning")

    assert 0 < meanwhile["records"] <= found["records"] == deployment.view.sent()
    assert _silent_moves(deployment) > 0, "time alone never moved a clock: the test says nothing about it"


def _clocks_ms(deployment: Deployment) -> dict[int | None, int]:
    """Give the clock of each partition as it was committed last."""
    records = read_topic(deployment.settings, deployment.settings.topics.state)
    checkpoints = (one for one in records if one.key() == CHECKPOINT_KEY)
    return {one.partition(): decode(one.value() or b"").clock_ms for one in checkpoints}


def _clock_ms(worker: WorkerProcess) -> float:
    """Give the clock that is behind all others of a worker."""
    found = worker.metrics().items()
    return 1000 * min(seconds for (name, _), seconds in found if name == "account_health_clock_timestamp_seconds")


def _silent_moves(deployment: Deployment) -> int:
    """Count the reads before which the clock had moved on since the checkpoint before, told by no step."""
    moves = 0
    clocks_ms: dict[int | None, int] = {}
    for message in read_topic(deployment.settings, deployment.settings.topics.state):
        if message.key() == CHECKPOINT_KEY:
            checkpoint = decode(message.value() or b"")
            before_ms = clocks_ms.get(message.partition(), checkpoint.clock_ms)
            reads = [step for step in checkpoint.steps if isinstance(step, ReadStep)]
            moves += bool(reads) and isinstance(checkpoint.steps[0], ReadStep) and reads[0].clock_ms > before_ms
            clocks_ms[message.partition()] = checkpoint.clock_ms
    return moves


def _part(files: list[Path], number: int, folder: Path) -> list[Path]:
    """Give a third of each file."""
    parts = []
    for path in files:
        lines = path.read_bytes().splitlines(keepends=True)
        size = len(lines) // 3 + 1
        part = folder / f"{number}-{path.name}"
        part.write_bytes(b"".join(lines[number * size : (number + 1) * size]))
        parts.append(part)
    return parts


def test_a_change_of_policy_passes_with_both_policies(deploy: Deploy, tmp_path: Path) -> None:
    """Every account is evaluated again under the new policy, killed meanwhile; the audit needs the older policy too."""
    deployment = deploy()
    old, new = tmp_path / "old.toml", tmp_path / "new.toml"
    old.write_text('revision = 1\nreporting_currency = "GBP"\n')
    new.write_text('revision = 2\nreporting_currency = "GBP"\n[tiers.key]\nenter = 70\nleave = 66\n')
    deployment.variables.update(
        ACCOUNT_HEALTH_REPORTING_CURRENCY="",
        ACCOUNT_HEALTH_POLICY_FILE=str(old),
        ACCOUNT_HEALTH_COMMIT_INTERVAL_MS="10",
        ACCOUNT_HEALTH_CATCH_UP_COMMIT_INTERVAL_MS="10",
    )
    files = _simulate(tmp_path / "company")
    first, second = (_part(files, number, tmp_path) for number in range(2))
    _send(first, deployment)
    worker = deployment.worker().start()
    deployment.wait_settled(worker)
    worker.terminate()
    deployment.variables["ACCOUNT_HEALTH_POLICY_FILE"] = str(new)
    changed = {"ACCOUNT_HEALTH_POLICY_FILE": str(new)}
    worker.start(changed)
    eventually(lambda: _under(deployment, revision=2), "the new policy is at work", interval_s=0.01)
    worker.kill()
    worker.start()
    _send(second, deployment)
    deployment.wait_settled(worker)
    eventually(lambda: _settled(deployment), "every account is evaluated again")

    partly = _audit(deployment)
    found = _audited(deployment, tmp_path / "audit.json", "--from-beginning", "--policy", str(old))

    assert partly.exit_code == 0, partly.output
    assert "the policy of revision 1" in partly.output
    assert found["records"] == deployment.view.processed()


def _under(deployment: Deployment, revision: int) -> bool:
    deployment.view.update()
    return any(one.policy_revision == revision for one in deployment.view.checkpoints.values())


def _settled(deployment: Deployment) -> bool:
    deployment.view.update()
    return all(one.policy_version == one.policy_in_force for one in deployment.view.checkpoints.values())
