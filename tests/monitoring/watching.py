"""Beside the workers while things go wrong: who notes the alerts, who asks the API, where deliveries go."""

import base64
import re
import threading
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final, Self

from tests.delivery.destination import Destination
from tests.support.broker import free_port
from tests.support.polling import eventually
from tests.support.prometheus import Prometheus
from tests.support.worker import WorkerProcess

_WATCH_S: Final = 0.2
_API_PORT: Final = re.compile(r"the API on port (\d+)")

Alert = dict[str, Any]


class Watch:
    """Notes every alert that ever fires, and starts workers again that end, as a supervisor would."""

    def __init__(self, prometheus: Prometheus) -> None:
        self.fired: dict[str, Alert] = {}
        self.targets: dict[str, dict[str, str]] = {}
        self.supervised: list[WorkerProcess] = []
        self._prometheus = prometheus
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="watch", daemon=True)

    def add(self, worker: WorkerProcess, job: str) -> WorkerProcess:
        """Start a worker on a port of its own, and scrape it."""
        port = free_port()
        worker.start({"ACCOUNT_HEALTH_HTTP_PORT": str(port)})
        self.targets[f"127.0.0.1:{port}"] = {"job": job, "instance": worker.instance_id}
        self._prometheus.scrape(self.targets)
        return worker

    def wait_scraped(self, *jobs: str) -> None:
        """Wait until their counters are known as they are now: nothing can be told of what was counted before."""
        for job in jobs:
            eventually(
                lambda job=job: self._prometheus.query(f'account_health_events_total{{job="{job}"}}'),  # type: ignore[misc]  # bound at once
                f"{job} is scraped",
            )

    def wait(self, *alerts: str, timeout_s: float) -> None:
        """Wait until these alerts have fired, for so long at most: whoever asks for them says what is missing."""
        with suppress(TimeoutError):
            eventually(lambda: self.fired.keys() >= set(alerts), ", ".join(alerts), timeout_s=timeout_s)

    def _run(self) -> None:
        while not self._stopped.wait(_WATCH_S):
            for name, found in self._prometheus.firing().items():
                self.fired.setdefault(name, found[0])
            for worker in self.supervised:
                if not worker.running:
                    worker.wait(0)
                    worker.start()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        self._thread.join()


def write_destinations(folder: Path, destinations: Mapping[str, Destination]) -> str:
    """Write a file of destinations, all of them webhooks; return where it is."""
    secret = folder / "webhook-secret"
    secret.write_text(f"whsec_{base64.b64encode(bytes(32)).decode()}", encoding="utf-8")
    path = folder / "destinations.toml"
    path.write_text(
        "".join(
            f'[destinations.{name}]\npreset = "webhook"\nurl = "{one.url}/"\nsecret = {{ file = "{secret}" }}\n'
            for name, one in destinations.items()
        ),
        encoding="utf-8",
    )
    return str(path)


@contextmanager
def asking(api: WorkerProcess) -> Iterator[None]:
    """Ask the API for the portfolio, again and again, a few times a second when it answers at once."""
    port = eventually(lambda: _API_PORT.search(api.log), "the API listens")[1]
    url = f"http://127.0.0.1:{port}/api/v1/portfolio"
    stopped = threading.Event()

    def ask() -> None:
        while not stopped.wait(0.2):
            with suppress(OSError), urllib.request.urlopen(url, timeout=10) as answer:  # our own
                answer.read()

    thread = threading.Thread(target=ask, name="asking", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stopped.set()
        thread.join()
