"""Prometheus and Grafana: their files agree with the services; tests/monitoring runs them."""

import subprocess
from pathlib import Path
from typing import Any, Final

import pytest

from stream import probes
from stream.settings import load_settings
from tests.deploy.files import (
    API_KEYS,
    DATASOURCE_FILE,
    OWN,
    PROMETHEUS_FILE,
    ROOT,
    SERVICES,
    environment,
    image_environment,
    is_one_shot,
    ports,
    read_yaml,
    seconds,
    settings_of,
)
from tests.deploy.processes import program

CONFIG: Final[dict[str, Any]] = read_yaml(PROMETHEUS_FILE)
JOBS: Final[dict[str, dict[str, Any]]] = {job["job_name"]: job for job in CONFIG["scrape_configs"]}
JOB_OF: Final = {
    name: job for job in CONFIG["scrape_configs"] for found in job.get("dns_sd_configs", ()) for name in found["names"]
}
"""The job that scrapes a service."""


def _mounted(name: str, path: Path) -> str:
    """Where a service sees a file of the repository."""
    for volume in SERVICES[name]["volumes"]:
        source, target = map(Path, volume.split(":")[:2])
        if path.is_relative_to(folder := (ROOT / source).resolve()):
            return str(target / path.relative_to(folder))
    raise AssertionError(f"{name} does not see {path}")


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


@pytest.mark.parametrize("name", [name for name, service in OWN.items() if not is_one_shot(service)])
def test_every_process_of_ours_is_scraped(name: str) -> None:
    """Each service has a job, which asks the name service for all of them, at their port."""
    (found,) = JOB_OF[name]["dns_sd_configs"]
    settings = load_settings(settings_of(image_environment() | environment(SERVICES[name], API_KEYS)))

    assert found["names"] == [name]
    assert (found["type"], found["port"]) == ("A", settings.http_port)


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
