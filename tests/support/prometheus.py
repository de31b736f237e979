"""A real Prometheus as a process of its own, asked over HTTP."""

import json
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import yaml

from tests.deploy.processes import Running, program, running
from tests.support.broker import free_port

_REQUEST_TIMEOUT_S: Final = 10
_TARGETS: Final = "targets.json"


class PrometheusError(RuntimeError):
    """What Prometheus answered to a question that it does not understand."""


class Prometheus:
    """A running Prometheus.

    Args:
        process: it.
        port: that it listens on.
        folder: that it runs in.
    """

    def __init__(self, process: Running, port: int, folder: Path) -> None:
        self._process = process
        self.port: Final = port
        self.folder: Final = folder

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self.port}"

    def ask(self, path: str, **parameters: str) -> Any:
        """Return the answer's data, or None while there is no answer.

        Raises:
            RuntimeError: if the process has ended.
            PrometheusError: if the question is wrong.
        """
        self._process.check()
        url = f"{self.url}/api/v1/{path}?{urllib.parse.urlencode(parameters)}"
        try:
            with urllib.request.urlopen(url, timeout=_REQUEST_TIMEOUT_S) as answer:  # noqa: S310  # our own address
                return json.load(answer)["data"]
        except urllib.error.HTTPError as error:
            text = error.read().decode()
            if "bad_data" in text or "execution" in text:
                raise PrometheusError(text) from error
            return None
        except (TimeoutError, urllib.error.URLError, ConnectionError):
            return None

    def query(self, expression: str) -> list[dict[str, Any]]:
        """Return the series of an expression now; none while there is no answer."""
        found = self.ask("query", query=expression, time=str(time.time()))
        return [] if found is None else list(found["result"])

    def firing(self) -> dict[str, list[dict[str, Any]]]:
        """Return the alerts that fire, by name."""
        found: dict[str, list[dict[str, Any]]] = {}
        for alert in (self.ask("alerts") or {"alerts": []})["alerts"]:
            if alert["state"] == "firing":
                found.setdefault(alert["labels"]["alertname"], []).append(alert)
        return found

    def scrape(self, targets: Mapping[str, Mapping[str, str]]) -> None:
        """From now on, scrape these addresses, each with its labels, where the configuration reads them from a file."""
        groups = [{"targets": [address], "labels": dict(labels)} for address, labels in targets.items()]
        draft = self.folder / "draft.json"
        draft.write_text(json.dumps(groups), encoding="utf-8")
        draft.rename(self.folder / _TARGETS)


def from_file(interval: str, rules: Sequence[Path]) -> dict[str, Any]:
    """Return a configuration whose targets are what `Prometheus.scrape` was last given."""
    return {
        "global": {"scrape_interval": interval, "scrape_timeout": interval, "evaluation_interval": interval},
        "rule_files": [str(path) for path in rules],
        "scrape_configs": [{"job_name": "worker", "file_sd_configs": [{"files": [_TARGETS]}]}],
    }


@contextmanager
def prometheus(folder: Path, config: Mapping[str, Any], *flags: str, port: int | None = None) -> Iterator[Prometheus]:
    """Run a Prometheus with a configuration, its data in the folder."""
    binary = program("prometheus", "prometheus")
    port = free_port() if port is None else port
    folder.mkdir(parents=True, exist_ok=True)
    folder.joinpath("prometheus.yml").write_text(yaml.safe_dump(dict(config)), encoding="utf-8")
    own = ("--config.file=prometheus.yml", "--storage.tsdb.path=data", f"--web.listen-address=127.0.0.1:{port}")
    with running([binary, *own, *flags], folder, {}) as process:
        yield Prometheus(process, port, folder)
