"""A real Prometheus, started as Compose starts it, scrapes a real worker under load: every query is answered."""

import math
import shutil
import subprocess
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final

import pytest

from tests.delivery.destination import Destination, Reply
from tests.deploy.files import (
    PROMETHEUS_FILE,
    ROOT,
    SERVICES,
    environment,
    read_yaml,
)
from tests.deploy.processes import program
from tests.monitoring.files import RULE_FILES, RUNBOOK, dashboards, panels, rules
from tests.monitoring.promql import answering, filled, queries_of
from tests.monitoring.watching import asking, write_destinations
from tests.support.broker import KafkaBroker, free_port
from tests.support.polling import eventually
from tests.support.prometheus import Prometheus, prometheus
from tests.support.redis import RedisServer, require_redis_server
from tests.support.worker import WorkerProcess, run_command, started_command

JOBS: Final = [job["job_name"] for job in read_yaml(PROMETHEUS_FILE)["scrape_configs"]]
_CHECK_TIMEOUT_S: Final = 30
_SCRAPES_MIN: Final = 4
_SCRAPE_INTERVAL: Final = "1s"
"""That of Compose is 5 s: two scrapes are the least that a rate needs, four make it sure."""
_ACCOUNTS: Final = "40"
_RATE: Final = "60"
"""Records a second: as many as keep it busy for longer than the tests take."""
_DAYS: Final = "400"


@pytest.fixture(scope="module")
def worker(kafka: KafkaBroker, tmp_path_factory: pytest.TempPathFactory) -> Iterator[WorkerProcess]:
    """A worker with the settings of its service, busy with the orders of a small company."""
    name = f"scraped-{uuid.uuid4()}"
    folder = tmp_path_factory.mktemp("worker")
    variables = environment(SERVICES["worker"]) | {
        "ACCOUNT_HEALTH_BOOTSTRAP_SERVERS": kafka.bootstrap_servers,
        "ACCOUNT_HEALTH_APPLICATION_ID": name,
        "ACCOUNT_HEALTH_TOPIC_PREFIX": f"{name}.",
    }
    run_command(variables, *SERVICES["topics"]["command"])
    run_command({}, "simulate", "--out", str(folder), "--accounts", _ACCOUNTS, "--days", _DAYS)
    process = WorkerProcess(variables, folder, "scraped").start()
    history = [str(folder / f"{topic}.jsonl") for topic in ("orders", "support", "profiles")]
    try:
        run_command(variables, "produce", "--now", *history)
        process.wait_ready()
        # The same again: duplicates, and records all the same.
        with started_command(variables, "produce", "--now", "--rate", _RATE, *history):
            yield process
    finally:
        process.kill()


@pytest.fixture(scope="module")
def view(worker: WorkerProcess, tmp_path_factory: pytest.TempPathFactory) -> Iterator[WorkerProcess]:
    """The process that keeps the view of the worker's accounts, with a Redis of its own."""
    require_redis_server()
    folder = tmp_path_factory.mktemp("view")
    with RedisServer(folder / "redis") as redis:
        variables = environment(SERVICES["view"]) | worker.variables | {"ACCOUNT_HEALTH_REDIS_URL": redis.url}
        process = WorkerProcess(variables, folder, "view", *SERVICES["view"]["command"])
        try:
            yield process.start().wait_ready()
        finally:
            process.kill()


@pytest.fixture(scope="module")
def api(view: WorkerProcess, tmp_path_factory: pytest.TempPathFactory) -> Iterator[WorkerProcess]:
    """The API over the view, which somebody asks."""
    variables = view.variables | {"ACCOUNT_HEALTH_API_PORT": "0"}
    process = WorkerProcess(variables, tmp_path_factory.mktemp("api"), "api", "serve")
    try:
        process.start().wait_ready()
        with asking(process):
            yield process
    finally:
        process.kill()


@pytest.fixture(scope="module")
def delivery(worker: WorkerProcess, tmp_path_factory: pytest.TempPathFactory) -> Iterator[WorkerProcess]:
    """The process that delivers what the worker publishes, to a destination that takes everything, and its time."""
    folder = tmp_path_factory.mktemp("delivery")
    # Eight at a time: some are delivered between any two scrapes, as long as the tests take.
    with Destination(lambda _: Reply(HTTPStatus.OK, body=b"ok", drip_seconds=1.0)) as destination:
        variables = worker.variables | {
            "ACCOUNT_HEALTH_DESTINATIONS_FILE": write_destinations(folder, {"crm": destination})
        }
        process = WorkerProcess(variables, folder, "delivery", "deliver")
        try:
            yield process.start().wait_ready()
        finally:
            process.kill()


def _adapted(addresses: dict[str, int]) -> dict[str, Any]:
    """The configuration with other ports by job and a shorter interval, and nothing else changed."""
    config: dict[str, Any] = read_yaml(PROMETHEUS_FILE)
    for name in ("scrape_interval", "scrape_timeout", "evaluation_interval"):
        config["global"][name] = _SCRAPE_INTERVAL
    config["rule_files"] = [str(PROMETHEUS_FILE.parent / pattern) for pattern in config["rule_files"]]
    for job in config["scrape_configs"]:
        job.pop("dns_sd_configs", None)
        job["static_configs"] = [{"targets": [f"127.0.0.1:{addresses[job['job_name']]}"]}]
    return config


@pytest.fixture(scope="module")
def server(
    worker: WorkerProcess,
    view: WorkerProcess,
    api: WorkerProcess,
    delivery: WorkerProcess,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Prometheus]:
    """A Prometheus that has scraped all a few times, started as Compose starts it but for addresses and paths."""
    port = free_port()
    processes = {"worker": worker, "view": view, "serve": api, "delivery": delivery}
    addresses = {name: eventually(one._find_port, "it listens") for name, one in processes.items()}
    config = _adapted({**addresses, "prometheus": port})
    pairs = [word.partition("=") for word in SERVICES["prometheus"]["command"]]
    changed = {"--web.user-assets": str(ROOT / "docs")}
    ours = {"--config.file", "--storage.tsdb.path"}
    flags = [f"{name}={changed.get(name, value)}" for name, _, value in pairs if name not in ours]
    with prometheus(tmp_path_factory.mktemp("prometheus"), config, *flags, port=port) as started:
        scrapes = f"min(count_over_time(up[1m])) >= {_SCRAPES_MIN}"
        eventually(lambda: started.query(scrapes), "Prometheus has scraped everything a few times")
        yield started


def _answered(server: Prometheus, expression: str) -> None:
    """Wait until an expression is answered with a number at least; NaN, as of 0 / 0, is none."""

    def finite() -> bool:
        return any(math.isfinite(float(series["value"][1])) for series in server.query(expression))

    eventually(finite, expression)


def test_the_targets_are_scraped(server: Prometheus) -> None:
    """All targets of the configuration are up, scraped without an error, and no rule fails."""

    def targets() -> dict[str, tuple[str, str]]:
        found = server.ask("targets", state="active") or {"activeTargets": []}
        return {one["labels"]["job"]: (one["health"], one["lastError"]) for one in found["activeTargets"]}

    def rules_of_files() -> list[set[str]]:
        found = server.ask("rules") or {"groups": []}
        return [{rule["health"] for rule in group["rules"]} for group in found["groups"]]

    # One scrape in time is enough: another one may be late on a machine that is busy.
    eventually(lambda: targets() == dict.fromkeys(JOBS, ("up", "")), "all targets are scraped without an error")
    eventually(lambda: rules_of_files() == [{"ok"}] * len(RULE_FILES), "every rule is evaluated")


@pytest.mark.parametrize(
    "expression",
    [
        pytest.param(filled(expression, job="worker", instance="127.0.0.1:.*"), id=f"{panel.dashboard}: {panel.title}")
        for panel in panels()
        for expression in panel.expressions
    ],
)
def test_every_query_of_a_panel_is_answered(server: Prometheus, expression: str) -> None:
    """None is empty or in error."""
    _answered(server, expression)


@pytest.mark.parametrize("rule", rules(), ids=lambda rule: str(rule.get("alert") or rule.get("record")))
def test_every_query_of_a_rule_is_answered(server: Prometheus, rule: dict[str, Any]) -> None:
    """Also those of silent alerts, whose comparisons are made to answer 0 or 1: what they look at is there."""
    expression = answering(rule["expr"]) if "alert" in rule else rule["expr"]

    _answered(server, expression)


@pytest.mark.parametrize("page", sorted(RUNBOOK.glob("*.md")), ids=lambda path: str(path.stem))
def test_every_query_of_the_runbook_is_answered(server: Prometheus, page: Path) -> None:
    """Whoever follows a page at night gets an answer."""
    for expression in queries_of(page.read_text(encoding="utf-8")):
        _answered(server, expression)


@pytest.mark.parametrize("name", ["job", "instance"])
def test_the_variables_of_the_dashboards_have_values(server: Prometheus, name: str) -> None:
    """The label by which one chooses an application and a worker is there."""
    assert server.ask(f"label/{name}/values", **{"match[]": "account_health_assigned_partitions"})


def test_starts_are_marked_on_the_dashboards(server: Prometheus, worker: WorkerProcess) -> None:
    """The annotation gives the moment of the start, in milliseconds, with the policy."""
    (found,) = {one["target"]["expr"] for board in dashboards().values() for one in board["annotations"]["list"]}
    (series,) = server.query(filled(found))
    started = datetime.fromtimestamp(float(series["value"][1]) / 1000, UTC)

    assert series["metric"]["revision"] == "1"
    assert worker.running
    assert (datetime.now(UTC) - started).total_seconds() < 600


def test_a_healthy_worker_raises_no_alert(server: Prometheus) -> None:
    """At the rules' real durations, nothing fires, and nothing is about to, while a worker is busy."""
    found = server.ask("alerts")["alerts"]

    assert {alert["labels"]["alertname"] for alert in found if alert["state"] == "firing"} == set()


def test_compose_checks_that_prometheus_is_ready(server: Prometheus) -> None:
    """Compose's health check passes on a Prometheus that is ready and fails where there is none."""
    check, *words = SERVICES["prometheus"]["healthcheck"]["test"]
    wget = shutil.which(words[0]) or program("wget", "wget")

    def passes(port: int) -> bool:
        argv = [wget, *(word.replace(":9090/", f":{port}/") for word in words[1:])]
        return subprocess.run(argv, check=False, timeout=_CHECK_TIMEOUT_S, capture_output=True).returncode == 0

    assert check == "CMD"
    eventually(lambda: passes(server.port), "Prometheus is ready")
    assert not passes(1)
