"""Our worker as a process, and what it tells of itself."""

import re
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from benchmarks.catalogue import ROOT
from benchmarks.contenders.account_health import COMMAND, environment
from tests.support.polling import eventually

_STOP_SECONDS: Final = 30.0
_READY_SECONDS: Final = 300.0


class Worker:
    """The command `account-health worker` with the default policy and settings, but for a port of its own.

    Args:
        bootstrap_servers: of the broker.
        topic_prefix: of its topics.
        application_id: its name.
        release: the folder whose packages it runs; these sources if nothing else is said.
    """

    def __init__(self, bootstrap_servers: str, topic_prefix: str, application_id: str, release: Path = ROOT) -> None:
        self._release = release
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self._port = probe.getsockname()[1]
        self._environment = {
            **environment(bootstrap_servers, topic_prefix, application_id),
            "ACCOUNT_HEALTH_HTTP_PORT": str(self._port),
        }
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """Id of the process."""
        assert self._process is not None, "the worker is started"
        return self._process.pid

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(COMMAND, cwd=self._release, env=self._environment)
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        assert self._process is not None, "the worker is started"
        self._process.send_signal(signal.SIGTERM)
        self._process.wait(_STOP_SECONDS)

    def wait_until_ready(self) -> float:
        """Wait until it serves all partitions; returns the seconds since now."""
        started = time.monotonic()
        eventually(self._is_ready, "the worker is ready", timeout_s=_READY_SECONDS)
        return time.monotonic() - started

    def metric(self, name: str, labels: str = "") -> float:
        """Add up a metric over all label sets that hold the given text."""
        return sum(
            float(value)
            for found, value in re.findall(
                rf"^account_health_{name}(\{{.*\}})? (\S+)$", self._get("metrics"), re.MULTILINE
            )
            if labels in found
        )

    def check(self) -> None:
        """Raise RuntimeError if it has ended."""
        assert self._process is not None, "the worker is started"
        if self._process.poll() is not None:
            raise RuntimeError(f"the worker ended with {self._process.returncode}")

    def _is_ready(self) -> bool:
        self.check()
        try:
            self._get("readyz")
        except (urllib.error.URLError, ConnectionError):
            return False
        return True

    def _get(self, path: str) -> str:
        with urllib.request.urlopen(f"http://127.0.0.1:{self._port}/{path}", timeout=10) as answer:
            text: str = answer.read().decode()
            return text
