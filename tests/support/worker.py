"""A worker as a process of its own, as in production, to be stopped, killed and asked over HTTP."""

import http.client
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final, Self

from prometheus_client.parser import text_string_to_metric_families

from tests.support.broker import guard
from tests.support.polling import eventually

COMMAND: Final = (sys.executable, "-c", "from stream.cli import main; main()")
"""The command line, run by this interpreter and not by whatever is on PATH."""

_PORT: Final = re.compile(r"probes and metrics on port (\d+)")
_STOPPED: Final = "State:\tT"
_REQUEST_TIMEOUT_S: Final = 10.0
_TAIL_CHARACTERS: Final = 6000

Sample = tuple[str, frozenset[tuple[str, str]]]
"""Name and labels of one time series."""


def environment(variables: Mapping[str, str]) -> dict[str, str]:
    """Return this process's environment with our settings in place of those that it may hold."""
    others = {name: value for name, value in os.environ.items() if not name.startswith("ACCOUNT_HEALTH_")}
    return {**others, **variables}


def run_command(variables: Mapping[str, str], *arguments: str, timeout_s: float = 120.0) -> str:
    """Run a command of the command line to its end; return what it printed, or fail with that."""
    done = subprocess.run(
        [*COMMAND, *arguments],
        check=False,
        env=environment(variables),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=timeout_s,
    )
    assert done.returncode == 0, f"account-health {' '.join(arguments)}: {done.returncode}\n{done.stdout}"
    return done.stdout


@contextmanager
def started_command(
    variables: Mapping[str, str], *arguments: str, stdin: int = subprocess.DEVNULL
) -> Iterator[subprocess.Popen[bytes]]:
    """Let a command of the command line run beside the test; it ends with the context."""
    process = subprocess.Popen(
        [*COMMAND, *arguments],
        env=environment(variables),
        stdin=stdin,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


class WorkerProcess:
    """One worker, or another command that serves until it is stopped.

    Its log, over all its starts, is in `folder`, which is its working folder too.

    The process ends with the test process, even when that is killed.
    """

    def __init__(
        self,
        variables: Mapping[str, str],
        folder: Path,
        instance_id: str,
        *arguments: str,
        program: Sequence[str] = COMMAND,
    ) -> None:
        self.instance_id: Final = instance_id
        self.folder: Final = folder / instance_id
        self.log_file: Final = folder / f"{instance_id}.log"
        self._program = tuple(program)
        self.variables = {
            **variables,
            "ACCOUNT_HEALTH_INSTANCE_ID": instance_id,
            "ACCOUNT_HEALTH_HTTP_PORT": "0",
        }
        self._arguments = arguments or ("worker",)
        self._process: subprocess.Popen[bytes] | None = None
        self._watchdog: subprocess.Popen[bytes] | None = None
        self._log_start = 0
        self._port: int | None = None

    @property
    def running(self) -> bool:
        """Whether there is a process, and it has not ended."""
        return self._process is not None and self._process.poll() is None

    @property
    def paused(self) -> bool:
        """Whether there is a process, and SIGSTOP holds it."""
        return self.running and _STOPPED in Path(f"/proc/{self._pid}/status").read_text()

    @property
    def log(self) -> str:
        """What it wrote since its last start."""
        with self.log_file.open("rb") as log:
            log.seek(self._log_start)
            return log.read().decode(errors="replace")

    @property
    def log_tail(self) -> str:
        """The end of what it wrote over all its starts."""
        if not self.log_file.exists():
            return "(never started)"
        return self.log_file.read_text(errors="replace")[-_TAIL_CHARACTERS:]

    def start(self, changed: Mapping[str, str] | None = None) -> Self:
        """Start it, with some settings changed for good; returns at once."""
        assert not self.running, f"{self.instance_id} is running already"
        self.variables.update(changed or {})
        self.folder.mkdir(parents=True, exist_ok=True)
        self._log_start = self.log_file.stat().st_size if self.log_file.exists() else 0
        self._port = None
        with self.log_file.open("ab") as log:
            self._process = subprocess.Popen(
                [*self._program, *self._arguments],
                env=environment(self.variables),
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                # an interrupt from the keyboard is for the tests, which then stop the worker
                start_new_session=True,
            )
        self._watchdog = guard(self._process.pid)
        return self

    def send(self, number: signal.Signals) -> None:
        """Send it a signal, and wait for nothing."""
        assert self._process is not None, f"{self.instance_id} was never started"
        self._process.send_signal(number)

    def terminate(self, timeout_s: float = 30.0) -> int:
        """Ask it to stop, as a supervisor does; return its exit code."""
        return self._end(signal.SIGTERM, timeout_s)

    def kill(self) -> None:
        """End it at once; harmless when there is none."""
        if self._process is not None:
            self._end(signal.SIGKILL, timeout_s=30.0)

    def wait(self, timeout_s: float) -> int:
        """Wait until it has ended by itself; return its exit code."""
        assert self._process is not None, f"{self.instance_id} was never started"
        code = self._process.wait(timeout_s)
        self._dismiss_watchdog()
        return code

    def wait_ready(self, timeout_s: float = 60.0) -> Self:
        """Wait until it says that it is ready."""
        eventually(lambda: self.ask("/readyz")[0] == http.client.OK, "the worker is ready", timeout_s=timeout_s)
        return self

    def last_words(self) -> str | None:
        """Tell its exit code and its last line if it has ended by itself; None if it was killed or never ran.

        A signal that it raised itself, as an assertion of a native library does, is an end by itself, too.
        """
        if self._process is None or (code := self.wait(0)) == -signal.SIGKILL:
            return None
        lines = self.log.splitlines()
        return f"{code}: {lines[-1] if lines else ''}"

    def ask(self, path: str) -> tuple[int, str]:
        """Ask its HTTP server; return status and body, or 0 and nothing while there is none.

        Raises:
            AssertionError: when the worker has ended.
        """
        port = self._find_port()
        assert self.running, f"{self.instance_id} ended with {self._process and self._process.returncode}"
        if port is None:
            return 0, ""
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=_REQUEST_TIMEOUT_S)
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        except ConnectionError:
            return 0, ""
        finally:
            connection.close()

    def metrics(self) -> dict[Sample, float]:
        """Return the value of every time series that it exports."""
        status, text = self.ask("/metrics")
        assert status == http.client.OK, f"/metrics answered {status}"
        return {
            (sample.name, frozenset(sample.labels.items())): sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
        }

    @property
    def _pid(self) -> int:
        assert self._process is not None, f"{self.instance_id} was never started"
        return self._process.pid

    def _find_port(self) -> int | None:
        if self._port is None and (found := _PORT.search(self.log)) is not None:
            self._port = int(found.group(1))
        return self._port

    def _end(self, how: signal.Signals, timeout_s: float) -> int:
        assert self._process is not None, f"{self.instance_id} was never started"
        self._process.send_signal(how)
        return self.wait(timeout_s)

    def _dismiss_watchdog(self) -> None:
        # only once the process is gone: had the tests died meanwhile, it would have had to end
        if self._watchdog is not None:
            self._watchdog.kill()
            self._watchdog.communicate()
            self._watchdog = None
