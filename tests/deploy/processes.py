"""Programs that the tests of the deployment start, and end whatever happens."""

import shutil
import subprocess
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from tests.support.broker import guard
from tests.support.missing import missing

_STOP_TIMEOUT_S: Final = 30.0
_TAIL_CHARACTERS: Final = 4000


def program(name: str, package: str) -> str:
    """Return where a program is, or end the test saying which package has it."""
    return shutil.which(name) or missing(f"no {name}: apt-get install {package}")


class Running:
    """A started program whose output goes to a file."""

    def __init__(self, process: subprocess.Popen[bytes], log: Path) -> None:
        self.process: Final = process
        self._log = log

    @property
    def output(self) -> str:
        """The end of what it wrote so far."""
        return self._log.read_text(encoding="utf-8", errors="replace")[-_TAIL_CHARACTERS:]

    def check(self) -> None:
        """Raise RuntimeError with its output if it has ended."""
        if self.process.poll() is not None:
            raise RuntimeError(f"ended with {self.process.returncode}:\n{self.output}")


@contextmanager
def running(argv: Sequence[str], folder: Path, environ: Mapping[str, str]) -> Generator[Running]:
    """Run a program in a folder; SIGTERM at the end, SIGKILL if that is not enough."""
    log = folder / "output.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            argv, cwd=folder, env=dict(environ), stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT
        )
    watchdog = guard(process.pid)
    try:
        yield Running(process, log)
    finally:
        process.terminate()
        try:
            process.wait(_STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        # only now: until here the program may have to end with the tests
        watchdog.kill()
        watchdog.communicate()
