"""Prometheus and Grafana: their files agree with the services, and a real Prometheus scrapes a real worker."""

import json
import shutil
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from stream import probes
from stream.settings import Settings, load_settings
from tests.deploy.files import (
    DATASOURCE_FILE,
    PROMETHEUS_FILE,
    ROOT,
    SERVICES,
    environment,
    image_environment,
    ports,
    read_yaml,
    seconds,
    settings_of,
)
from tests.deploy.processes import Running, program, running
from tests.support.broker import KafkaBroker, free_port
from tests.support.polling import eventually
from tests.support.worker import WorkerProcess, run_command

CONFIG: Final[dict[str, Any]] = read_yaml(PROMETHEUS_FILE)
JOBS: Final[dict[str, dict[str, Any]]] = {job["job_name"]: job for job in CONFIG["scrape_configs"]}
REQUEST_TIMEOUT_S: Final = 10
CHECK_TIMEOUT_S: Final = 30


def _mounted(name: str, path: Path) -> str:
    """Where a service sees a file of the repository."""
    for volume in SERVICES[name]["volumes"]:
        source, target = map(Path, volume.split(":")[:2])
        if path.is_relative_to(folder := (ROOT / source).resolve()):
            return str(target / path.relative_to(folder))
    raise AssertionError(f"{name} does not see {path}")


def _worker_settings() -> Settings:
    return load_settings(settings_of(image_environment() | environment(SERVICES["worker"])))


def test_the_configuration_is_valid() -> None:
    """Prometheus' own checker accepts the configuration and all that it refers to."""
    promtool = program("promtool", "prometheus")

    done = subprocess.run([promtool, "check", "config", PROMETHEUS_FILE], check=False, capture_output=True, text=True)

    assert done.returncode == 0, done.stderr


def test_prometheus_reads_the_file() -> None:
    """The file is mounted where Prometheus is told to look for it, and its data has a volume."""
    command = SERVICES["prometheus"]["command"]
    storage = next(word.partition("=")[2] for word in command if word.startswith("--storage.tsdb.path="))

    assert f"--config.file={_mounted('prometheus', PROMETHEUS_FILE)}" in command
    assert f"prometheus-data:{storage}" in SERVICES["prometheus"]["volumes"]


def test_every_worker_is_scraped() -> None:
    """The worker's job asks the name service for every worker, at the port that they listen on."""
    (found,) = JOBS["worker"]["dns_sd_configs"]

    assert found["names"] == ["worker"]
    assert found["names"][0] in SERVICES
    assert (found["type"], found["port"]) == ("A", _worker_settings().http_port)


def test_prometheus_watches_itself() -> None:
    """Prometheus' own job asks the port that it is published at."""
    (own,) = JOBS["prometheus"]["static_configs"]

    assert own["targets"] == [f"localhost:{ports(SERVICES['prometheus'])[0].container}"]


def test_a_scrape_ends_before_it_is_cut() -> None:
    """Prometheus gives up before the worker closes the connection, and before the next scrape."""
    timeout_s = seconds(CONFIG["global"]["scrape_timeout"])

    assert timeout_s < probes.REQUEST_SECONDS_MAX
    assert timeout_s < seconds(CONFIG["global"]["scrape_interval"])


def test_grafana_asks_prometheus() -> None:
    """Grafana is given one data source, where it looks for it: the Prometheus of this file."""
    provisioned = read_yaml(DATASOURCE_FILE)
    (source,) = provisioned["datasources"]
    port = ports(SERVICES["prometheus"])[0].container

    assert provisioned["apiVersion"] == 1
    assert _mounted("grafana", DATASOURCE_FILE).startswith("/etc/grafana/provisioning/datasources/")
    assert (source["type"], source["uid"], source["isDefault"]) == ("prometheus", "prometheus", True)
    assert source["url"] == f"http://prometheus:{port}"
    assert source["jsonData"]["timeInterval"] == CONFIG["global"]["scrape_interval"]


def test_grafana_has_no_login() -> None:
    """Nobody can log in to Grafana, so there is no password to choose; visitors only look."""
    environ = environment(SERVICES["grafana"])

    assert environ["GF_SECURITY_DISABLE_INITIAL_ADMIN_CREATION"] == "true"
    assert environ["GF_AUTH_DISABLE_LOGIN_FORM"] == "true"
    assert environ["GF_AUTH_BASIC_ENABLED"] == "false"
    assert environ["GF_AUTH_ANONYMOUS_ORG_ROLE"] == "Viewer"


class Prometheus:
    """A real Prometheus, asked over HTTP."""

    def __init__(self, process: Running, port: int) -> None:
        self._process = process
        self.port: Final = port

    def ask(self, path: str, **parameters: str) -> Any:
        """Return the answer's data, or None while there is no answer; fail if the process has ended."""
        self._process.check()
        url = f"http://127.0.0.1:{self.port}/api/v1/{path}?{urllib.parse.urlencode(parameters)}"
        try:
            with urllib.request.urlopen(url, timeout=REQUEST_TIMEOUT_S) as answer:
                return json.load(answer)["data"]
        except (urllib.error.URLError, ConnectionError):
            return None

    def query(self, expression: str) -> list[dict[str, Any]]:
        """Return the series of an expression now; none while there is no answer."""
        found = self.ask("query", query=expression, time=str(time.time()))
        return [] if found is None else list(found["result"])


def _adapted(worker_port: int, own_port: int) -> str:
    """The configuration with other addresses of the targets, and nothing else changed."""
    addresses = {"worker": worker_port, "prometheus": own_port}
    config = read_yaml(PROMETHEUS_FILE)
    for job in config["scrape_configs"]:
        job.pop("dns_sd_configs", None)
        job["static_configs"] = [{"targets": [f"127.0.0.1:{addresses[job['job_name']]}"]}]
    return yaml.safe_dump(config)


@pytest.fixture(scope="module")
def worker(kafka: KafkaBroker, tmp_path_factory: pytest.TempPathFactory) -> Iterator[WorkerProcess]:
    """A worker with the settings of its service, ready, on topics of its own."""
    name = f"scraped-{uuid.uuid4()}"
    variables = environment(SERVICES["worker"]) | {
        "ACCOUNT_HEALTH_BOOTSTRAP_SERVERS": kafka.bootstrap_servers,
        "ACCOUNT_HEALTH_APPLICATION_ID": name,
        "ACCOUNT_HEALTH_TOPIC_PREFIX": f"{name}.",
    }
    run_command(variables, *SERVICES["topics"]["command"])
    process = WorkerProcess(variables, tmp_path_factory.mktemp("worker"), "scraped")
    try:
        yield process.start().wait_ready()
    finally:
        process.kill()


@pytest.fixture(scope="module")
def prometheus(worker: WorkerProcess, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    """A Prometheus that scrapes it, started as Compose starts it but for addresses and paths."""
    binary = program("prometheus", "prometheus")
    folder, port = tmp_path_factory.mktemp("prometheus"), free_port()
    worker_port = eventually(worker._find_port, "the worker listens")
    folder.joinpath("prometheus.yml").write_text(_adapted(worker_port, port), encoding="utf-8")
    changed = {"--config.file": "prometheus.yml", "--storage.tsdb.path": "data"}
    pairs = (word.partition("=") for word in SERVICES["prometheus"]["command"])
    flags = [f"{name}={changed.get(name, value)}" for name, _, value in pairs]
    with running([binary, *flags, f"--web.listen-address=127.0.0.1:{port}"], folder, {}) as process:
        yield Prometheus(process, port)


def test_the_worker_is_scraped(prometheus: Prometheus) -> None:
    """Both targets of the configuration come up, scraped without an error."""

    def healthy() -> bool:
        found = prometheus.ask("targets", state="active") or {"activeTargets": []}
        return [target["health"] for target in found["activeTargets"]] == ["up"] * len(JOBS)

    eventually(healthy, "Prometheus has scraped every target")
    errors = [target["lastError"] for target in prometheus.ask("targets", state="active")["activeTargets"]]
    assert errors == [""] * len(JOBS)


def test_the_workers_metrics_can_be_queried(prometheus: Prometheus) -> None:
    """What is running, and how much of it, can be asked of Prometheus."""
    (build,) = eventually(lambda: prometheus.query("account_health_build_info"), "the build is known")
    held = eventually(
        lambda: prometheus.query(f"account_health_assigned_partitions == {_worker_settings().partitions}"),
        "partitions are held",
    )

    assert build["metric"]["job"] == "worker"
    assert build["value"][1] == "1"
    assert len(held) == 1


def test_compose_checks_that_prometheus_is_ready(prometheus: Prometheus) -> None:
    """Compose's health check passes on a Prometheus that is ready and fails where there is none."""
    check, *words = SERVICES["prometheus"]["healthcheck"]["test"]
    wget = shutil.which(words[0]) or program("wget", "wget")
    eventually(lambda: prometheus.ask("targets"), "Prometheus answers")

    def passes(port: int) -> bool:
        argv = [wget, *(word.replace(":9090/", f":{port}/") for word in words[1:])]
        return subprocess.run(argv, check=False, timeout=CHECK_TIMEOUT_S, capture_output=True).returncode == 0

    assert check == "CMD"
    eventually(lambda: passes(prometheus.port), "Prometheus is ready")
    assert not passes(1)
