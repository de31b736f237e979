"""deploy/Dockerfile: what it says, and its steps, tried one by one without Docker."""

import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path
from typing import Any, Final

import pytest

from stream.health import Health, Progress
from stream.probes import ProbeServer
from stream.settings import Settings, load_settings
from stream.telemetry import Metrics
from tests.deploy.files import (
    OWN,
    ROOT,
    SERVICES,
    environment,
    image_environment,
    instructions,
    last_stage,
)
from tests.deploy.sandbox import Sandbox, sandbox
from tests.support.missing import missing
from tests.support.worker import run_command

PROJECT: Final[dict[str, Any]] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
CHECK_TIMEOUT_S: Final = 30


def _labels() -> dict[str, str]:
    return last_stage()["LABEL"].pairs


def _copied() -> set[str]:
    """Paths of the repository that the image is made from."""
    sources = (one.value.split()[:-1] for one in instructions() if one.name == "COPY" and "--from" not in one.value)
    return {path for paths in sources for path in paths}


def _allowed_by_dockerignore() -> list[str]:
    lines = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    rules = [line for line in lines if line and not line.startswith("#")]
    assert rules[0] == "*", "everything is left out but what is named"
    return [rule.removeprefix("!") for rule in rules if rule.startswith("!")]


def test_the_base_is_the_tested_python() -> None:
    """The image runs the version of Python that the tests run on, by a whole version, which a digest can replace.

    What is compiled for it is compiled by the same Python on the same Debian, in the image that has a compiler.
    """
    base, building = (one.value for one in instructions() if one.stage < 0 and one.name == "ARG")
    chosen = (ROOT / ".python-version").read_text(encoding="utf-8").strip()

    assert re.fullmatch(rf"PYTHON_IMAGE=python:{re.escape(chosen)}\.\d+-slim-\w+", base)
    assert building == base.replace("PYTHON_IMAGE", "BUILD_IMAGE").replace("-slim", "")
    assert [one.value for one in instructions() if one.name == "FROM"] == ["${BUILD_IMAGE} AS build", "${PYTHON_IMAGE}"]


def test_the_image_is_not_root() -> None:
    """The user is a number, so that Kubernetes can see that it is not root, and comes before what is run."""
    names = [one.name for one in instructions() if one.stage == instructions()[-1].stage]

    assert re.fullmatch(r"[1-9]\d+:[1-9]\d+", last_stage()["USER"].value)
    assert names.index("USER") < names.index("ENTRYPOINT")


def test_the_process_gets_the_signal() -> None:
    """No shell stands between SIGTERM and the worker."""
    assert last_stage()["ENTRYPOINT"].argv == [*PROJECT["scripts"]]
    assert last_stage()["CMD"].argv == ["worker"]
    assert last_stage()["STOPSIGNAL"].value == "SIGTERM"


def test_the_image_is_this_version() -> None:
    """The label, the tag that Compose gives, and the project agree on the version."""
    labels = _labels()

    assert labels["org.opencontainers.image.version"] == PROJECT["version"]
    assert labels["org.opencontainers.image.title"] == PROJECT["name"]
    assert labels["org.opencontainers.image.licenses"] == PROJECT["license"]
    assert {one["image"] for one in OWN.values()} == {f"{PROJECT['name']}:{PROJECT['version']}"}


def test_compose_builds_this_file() -> None:
    """Every service of ours is built from this Dockerfile, with the repository as its context."""
    builds = {(one["build"]["context"], one["build"]["dockerfile"]) for one in OWN.values()}

    assert builds == {(".", "deploy/Dockerfile")}


def test_the_image_listens_on_the_exposed_port() -> None:
    """The image is reached from outside of its container, at the port that it names."""
    settings = load_settings(image_environment())

    assert settings.http_host == "0.0.0.0"
    assert last_stage()["EXPOSE"].value == str(settings.http_port) == str(Settings().http_port)


def test_everything_is_installed_by_hash() -> None:
    """No step installs from an index without hashes, or builds what it installed."""
    installs = [
        one.value for one in instructions() if one.name == "RUN" and "pip" in one.value and "install" in one.value
    ]

    assert len(installs) == 3
    for install in installs:
        assert ("--require-hashes" in install and "--only-binary=:all:" in install) or "--no-index" in install


def test_the_tools_that_build_are_the_locked_ones() -> None:
    """deploy/build.lock is an excerpt of requirements-dev.lock: what builds here builds there."""
    entry = re.compile(r"^[a-z][^\n]*==[^\n]+\\\n(?: {4}--hash=[^\n]+\n)+", re.MULTILINE)
    building = entry.findall((ROOT / "deploy" / "build.lock").read_text(encoding="utf-8"))
    locked = entry.findall((ROOT / "requirements-dev.lock").read_text(encoding="utf-8"))

    assert building
    assert [one for one in building if one not in locked] == []


def test_docker_is_sent_what_is_copied() -> None:
    """.dockerignore lets through exactly what the Dockerfile copies."""
    assert sorted(_allowed_by_dockerignore()) == sorted(_copied())
    assert all((ROOT / path).exists() for path in _copied())


def test_the_wheel_needs_no_more_than_is_copied() -> None:
    """The packages of the wheel, its page and its licence are among what is copied."""
    build = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["hatch"]["build"]
    wheel = build["targets"]["wheel"]
    needed = {
        *wheel["packages"],
        wheel["hooks"]["custom"]["path"],
        *PROJECT["license-files"],
        PROJECT["readme"],
        "pyproject.toml",
    }

    assert needed <= _copied()
    assert not any(fnmatch(path, "tests*") for path in _copied())


@pytest.fixture
def health() -> Health:
    """The health of a worker whose partitions may not stand still at all."""
    return Health(stuck_deadline_seconds=-1)


@pytest.fixture
def port(health: Health) -> Iterator[int]:
    """The port of a probes' server."""
    with ProbeServer("127.0.0.1", 0, health, Metrics().registry) as server:
        yield server.port


def _exit_code(command: list[str], port: int) -> int:
    """Run a health check, with a proxy that it must not ask."""
    environ = {**os.environ, "ACCOUNT_HEALTH_HTTP_PORT": str(port), "http_proxy": "http://127.0.0.1:9"}
    assert command[:2] == ["python", "-c"]
    argv = [sys.executable, "-c", command[2].replace(":8080/", f":{port}/")]
    return subprocess.run(argv, check=False, env=environ, capture_output=True, timeout=CHECK_TIMEOUT_S).returncode


def test_the_image_checks_that_the_worker_lives(port: int, health: Health) -> None:
    """The image's check passes while the worker makes progress, and fails when it is stuck or gone."""
    options, _, words = last_stage()["HEALTHCHECK"].value.partition(" CMD ")
    command = json.loads(words)

    lives = _exit_code(command, port)
    health.report({("orders", 2): Progress(5, 9)})

    assert "--start-period" in options
    assert lives == 0
    assert _exit_code(command, port) != 0
    assert _exit_code(command, 1) != 0


def test_compose_checks_that_the_worker_is_ready(port: int, health: Health) -> None:
    """Compose's check fails until partitions are assigned and restored."""
    command = SERVICES["worker"]["healthcheck"]["test"][1:]

    before = _exit_code(command, port)
    health.set_assigned([0])

    assert before != 0
    assert _exit_code(command, port) == 0


@pytest.fixture(scope="module")
def image() -> Iterator[Sandbox]:
    """What the Dockerfile makes, its steps carried out one by one."""
    if os.geteuid() != 0 or shutil.which("setpriv") is None:
        missing("the steps of the Dockerfile change users: be root, with util-linux")
    with sandbox(last_stage()["USER"].value) as made:
        made.build()
        yield made


def _run(image: Sandbox, *arguments: str, **environ: str) -> str:
    return image.run([*last_stage()["ENTRYPOINT"].argv, *arguments], **environ)


@pytest.mark.parametrize("name", OWN)
def test_the_image_has_the_commands(image: Sandbox, name: str) -> None:
    """The installed program, run by the image's user, knows the command of every service."""
    words = [word for word in SERVICES[name]["command"][:2] if re.fullmatch("[a-z]+", word)]

    assert f"account-health {' '.join(words)}" in _run(image, *words, "--help", NO_COLOR="1", COLUMNS="200")


def test_the_image_runs_the_wheel(image: Sandbox) -> None:
    """The packages come from the wheel, as the right user, and the image can install nothing more."""
    shown = image.run(["python", "-c", "import os, stream; print(os.getuid(), stream.__file__)"]).split()

    assert shown[0] == last_stage()["USER"].value.split(":")[0]
    assert Path(shown[1]).is_relative_to(image.inside("/opt/account-health"))
    assert not Path(image.inside("/opt/account-health/bin/pip")).exists()
    with pytest.raises(RuntimeError, match="No module named pip"):
        image.run(["python", "-m", "pip"])


def test_a_compiled_core_gives_the_same_bytes(image: Sandbox, tmp_path: Path) -> None:
    """The core in the image is compiled, and makes of a history with all its faults what the sources make of it.

    As a replay, and as a partition of a worker: all that every event passes.
    """
    folder = "/var/lib/account-health/history"
    events = [f"{folder}/{name}.jsonl" for name in ("profiles", "orders", "support")]
    _run(image, "simulate", "--out", folder, "--accounts", "60", "--days", "500", "--malformed-share", "0.02")

    _run(image, "replay", *events, "--out", f"{folder}/compiled")
    run_command({}, "replay", *map(image.inside, events), "--out", str(tmp_path))

    passing = str(Path(__file__).with_name("passing.py"))
    passed = image.run(["python", "-c", Path(passing).read_text(encoding="utf-8"), *events]).split()
    again = [sys.executable, passing, *map(image.inside, events)]
    told = subprocess.run(again, env=os.environ | {"PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=True)
    assert passed[2:] == ["{'.so'}"]
    assert told.stdout.split() == [*passed[:2], "{'.py'}"]
    assert int(passed[0]) > 0
    made, expected = (
        {one.name: one.read_bytes() for one in at.iterdir()}
        for at in (Path(image.inside(f"{folder}/compiled")), tmp_path)
    )
    assert all(expected.values())
    assert made == expected


def test_the_image_writes_where_a_volume_is(image: Sandbox) -> None:
    """The demo's history can be written by the image's user, and nothing beside what is installed."""
    folder = "/var/lib/account-health/simulated"

    _run(image, "simulate", "--out", folder, "--accounts", "2", "--days", "30")

    assert Path(image.inside(folder), "orders.jsonl").is_file()
    with pytest.raises(RuntimeError, match="Permission denied"):
        image.run(["touch", "/opt/account-health/bin/more"])


def test_the_image_has_good_settings(image: Sandbox) -> None:
    """With the variables of the worker's service, the image's settings and policy are usable."""
    assert "0.0.0.0" in _run(image, "check", **environment(SERVICES["worker"]))


_SIGN_IN: Final = """
import os
from fastapi.testclient import TestClient
from stream.serving.process import _application
from stream.serving.services import Services
from stream.settings import load_settings

with TestClient(_application(Services.of(load_settings(os.environ)))) as client:
    for path in ("/", "/console/assets/console.css"):
        answer = client.get(path)
        print(answer.status_code, answer.url.path, "account-health" in answer.text)
"""


def test_the_image_serves_the_console(image: Sandbox) -> None:
    """With the variables of its service, and without Redis: whoever comes is led to sign in, and the style is there."""
    shell = {"ACCOUNT_HEALTH_API_ADMIN_KEYS": f"me:{'k' * 32}"}
    environ = environment(SERVICES["serve"], shell) | {"ACCOUNT_HEALTH_REDIS_URL": "redis://127.0.0.1:1/0"}

    shown = image.run(["python", "-W", "ignore", "-c", _SIGN_IN], **environ)

    assert shown.splitlines()[-2:] == ["200 /console/sign-in True", "200 /console/assets/console.css False"]
