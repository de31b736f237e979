"""The demo from beginning to end, as a process of its own."""

import json
import os
import re
import shutil
import signal
import subprocess
import urllib.request
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from tests.support.polling import eventually
from tests.support.redis import require_redis_server
from tests.support.worker import COMMAND, environment

_MARK = "DEMO_TEST_RUN"
_TIMEOUT_S = 120
_SMALL = ("--accounts", "60", "--days", "120")


@pytest.fixture
def variables(tmp_path: Path) -> Mapping[str, str]:
    """Variables by which all processes of one demo are known, and its temporary folder is this test's."""
    return environment({_MARK: uuid.uuid4().hex, "TMPDIR": str(tmp_path), "COLUMNS": "200"})


@pytest.fixture
def demo(variables: Mapping[str, str]) -> Iterator[subprocess.Popen[str]]:
    """A small demo that goes on for ever, already processing."""
    process = subprocess.Popen(
        [*COMMAND, "demo", *_SMALL],
        env=variables,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        eventually(lambda: _worker_log(variables).count("opened partition") == 4, "the worker works", timeout_s=60)
        yield process
    finally:
        process.kill()
        process.communicate()


def _worker_log(variables: Mapping[str, str]) -> str:
    logs = list(Path(variables["TMPDIR"]).glob("account-health-demo-*/worker.log"))
    return logs[0].read_text() if logs else ""


def _processes(variables: Mapping[str, str]) -> dict[int, str]:
    """Find the living processes of a demo, and their command lines; one that only waits to be reaped has neither."""
    mark = f"{_MARK}={variables[_MARK]}".encode()
    found = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdecimal():
            try:
                if mark in (folder / "environ").read_bytes().split(b"\0"):
                    found[int(folder.name)] = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode().strip()
            except OSError:
                continue
    return found


def _folder_with_cat(factory: pytest.TempPathFactory) -> Path:
    """Make a folder of programs without redis-server, but with the one that the demo needs."""
    folder = factory.mktemp("programs")
    cat = shutil.which("cat")
    assert cat is not None
    (folder / "cat").symlink_to(cat)
    return folder


def test_once_ends_with_a_summary_and_leaves_nothing(variables: Mapping[str, str], tmp_path: Path) -> None:
    """The history is processed, every output has records, tiers have changed, and neither process nor file is left."""
    done = subprocess.run(
        [*COMMAND, "demo", "--once", *_SMALL],
        check=False,
        env=variables,
        capture_output=True,
        text=True,
        timeout=_TIMEOUT_S,
    )

    assert (done.returncode, done.stderr) == (0, "")
    published = re.search(r"^published +(.*)$", done.stdout, re.MULTILINE)
    assert published is not None, done.stdout
    counts = dict(re.findall(r"([a-z-]+) ([\d,]+)", published.group(1)))
    assert counts.keys() == {"tier-changes", "churn-risk", "snapshots", "dead-letters"}
    assert "0" not in counts.values()
    assert re.search(r"^first change .* \d+\.\d s after the start$", done.stdout, re.MULTILINE)
    assert re.search(r"^history +[\d,]+ events of 60 accounts and 120 days$", done.stdout, re.MULTILINE)
    assert done.stdout.count(" → ") >= 10
    assert _processes(variables) == {}
    assert list(tmp_path.iterdir()) == []


def test_an_interrupt_ends_all(demo: subprocess.Popen[str], variables: Mapping[str, str], tmp_path: Path) -> None:
    """Ctrl-C stops worker and broker, without a traceback, and leaves neither process nor file."""
    demo.send_signal(signal.SIGINT)
    output, _ = demo.communicate(timeout=_TIMEOUT_S)

    assert demo.returncode in {0, 130}, output
    assert "Traceback" not in output
    assert _processes(variables) == {}
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("redis", ["redis-server", "stand-in"])
def test_console_and_api_answer_once_the_history_is_done(
    variables: Mapping[str, str], tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, redis: str
) -> None:
    """On a real Redis where there is one, else on the stand-in; what was started for it ends with the demo."""
    if redis == "redis-server":
        require_redis_server()
    path = variables["PATH"] if redis == "redis-server" else str(_folder_with_cat(tmp_path_factory))
    process = subprocess.Popen(
        [*COMMAND, "demo", *_SMALL],
        env={**variables, "PATH": path},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        assert process.stdout is not None
        url = next(found[0] for line in process.stdout if (found := re.search(r"http://\S+/api/v1/portfolio", line)))
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(url, timeout=10) as answer:
            portfolio = json.load(answer)
        assert portfolio["accounts"] == 60
        assert sum(group["accounts"] for group in portfolio["groups"]["tier"]) == 60
        # redis-server writes over its environment, by which the others are known.
        assert bool(list(tmp_path.glob("account-health-demo-*/redis.log"))) == (redis == "redis-server")
    finally:
        process.send_signal(signal.SIGINT)
        output, _ = process.communicate(timeout=_TIMEOUT_S)

    assert "Traceback" not in output
    assert _processes(variables) == {}
    assert list(tmp_path.iterdir()) == []


def test_a_killed_demo_takes_its_worker_along(demo: subprocess.Popen[str], variables: Mapping[str, str]) -> None:
    """A demo that had no chance to stop its worker leaves none."""
    assert any(line.endswith(" worker") for line in _processes(variables).values())

    demo.kill()
    demo.wait()

    eventually(lambda: not _processes(variables), "no process of the demo is left")


def test_a_worker_that_ends_fails_the_demo_with_a_line(
    demo: subprocess.Popen[str], variables: Mapping[str, str]
) -> None:
    """The demo ends with 1, says what happened, and where the log is, which is still there."""
    (worker,) = (pid for pid, line in _processes(variables).items() if line.endswith(" worker"))

    os.kill(worker, signal.SIGKILL)
    output, _ = demo.communicate(timeout=_TIMEOUT_S)

    assert demo.returncode == 1
    (line,) = (one for one in output.splitlines() if one.startswith("error: "))
    assert "the worker ended with exit code -9" in line
    log_file = re.search(r"the worker's log is (\S+)$", line)
    assert log_file is not None
    assert "opened partition" in Path(log_file.group(1)).read_text()
    assert _processes(variables) == {}


def test_a_policy_that_cannot_be_used_is_a_line(variables: Mapping[str, str], tmp_path: Path) -> None:
    """A wrong policy is told before anything starts."""
    policy = tmp_path / "policy.toml"
    # ISO 4217's code for no currency: well formed, and nothing to report in.
    policy.write_text('reporting_currency = "XXX"\n')

    done = subprocess.run(
        [*COMMAND, "demo", "--policy", str(policy)],
        check=False,
        env=variables,
        capture_output=True,
        text=True,
        timeout=_TIMEOUT_S,
    )

    assert done.returncode == 2
    assert done.stderr.startswith("error: reporting_currency = ")
    assert list(tmp_path.iterdir()) == [policy]
