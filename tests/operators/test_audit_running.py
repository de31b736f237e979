"""The audit of workers that run, were killed, changed their policy: what they publish follows from what they read."""

import json
import time
from itertools import count
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from typer.testing import CliRunner, Result

from models.events import InputTopic
from stream.cli import app
from stream.files import merge
from stream.sending import Sender
from stream.simulation.export import file_of
from tests.support.deployment import Deploy, Deployment
from tests.support.worker import run_command


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
