"""Child processes that cannot outlive the demo."""

import contextlib
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from stream.demo.options import environment

_STOP_TIMEOUT_S: Final = 10.0
_TAIL_BYTES: Final = 8192


def ours(*arguments: str) -> tuple[str, ...]:
    """Give our command line, to be run by this interpreter and not by whatever is on PATH."""
    return (sys.executable, "-c", "from stream.cli import main; main()", *arguments)


class Child:
    """A program that writes its log to a file.

    It ends with this process, even when that is killed: a shell waits for the end of a pipe that nobody writes to,
    and then kills the program. (The kernel's own signal for this fires when the starting thread ends, exists on Linux
    only, and setting it runs Python between fork and exec.)
    """

    def __init__(self, command: Sequence[str], variables: Mapping[str, str], log_file: Path) -> None:
        self._command = tuple(command)
        self.log_file: Final = log_file
        self._variables = variables
        self._process: subprocess.Popen[bytes] | None = None
        self._guard: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it; returns at once."""
        with self.log_file.open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603  # our own command line
                self._command,
                # What it leaves in the folder for temporary files goes with the demo's own.
                env={**environment(self._variables), "TMPDIR": str(self.log_file.parent)},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                # An interrupt from the keyboard is for the demo, which then stops its children.
                start_new_session=True,
            )
        self._guard = subprocess.Popen(  # noqa: S603  # the only variable part is a number
            ["/bin/sh", "-c", f"cat; kill -KILL {self._process.pid}"],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    @property
    def exit_code(self) -> int | None:
        """Exit code; None while it runs, or before it was started."""
        return None if self._process is None else self._process.poll()

    def last_words(self) -> str:
        """Give the last line of its log."""
        with contextlib.suppress(OSError):
            with self.log_file.open("rb") as log:
                size = log.seek(0, 2)
                log.seek(max(0, size - _TAIL_BYTES))
                lines = [one.strip() for one in log.read().decode(errors="replace").splitlines()]
            return next((one for one in reversed(lines) if one), "it wrote nothing")
        return "it has no log"

    def stop(self) -> None:
        """Ask it to stop, and end it if it does not; harmless when there is none."""
        if self._process is not None:
            self._process.terminate()
            try:
                self._process.wait(_STOP_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
            self._process = None
        # Only now: had this process died meanwhile, the program would have had to end.
        if self._guard is not None:
            self._guard.kill()
            self._guard.communicate()
            self._guard = None


def free_port() -> int:
    """Find a port of 127.0.0.1 that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
