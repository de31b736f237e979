"""Health of a process beside the worker: when it was last heard of, and why it is not ready."""

import time
from collections.abc import Callable, Collection
from threading import Lock
from typing import Final, NamedTuple

from stream.health import Problem

STARTING: Final = "starting"
DRAINING: Final = "draining"


class Readiness(NamedTuple):
    """Why a process is not ready; empty when it is."""

    reasons: list[str]


class Condition:
    """What the probes tell, kept up to date by the process. Thread-safe.

    Args:
        silence_seconds_max: a process that was heard of, and then not for longer, should be restarted.
        clock: seconds of a clock that never goes back.

    >>> condition = Condition(60)
    >>> condition.readiness().reasons
    ['starting']
    >>> condition.hear()
    >>> condition.readiness().reasons, condition.problems()
    ([], [])
    """

    def __init__(self, silence_seconds_max: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._silence_seconds_max: Final = silence_seconds_max
        self._clock: Final = clock
        self._lock = Lock()
        self._heard_seconds: float | None = None
        self._reasons: tuple[str, ...] = (STARTING,)
        self._draining = False

    def hear(self, reasons: Collection[str] = ()) -> None:
        """Say that the process is at work, and why it is not ready for others."""
        with self._lock:
            self._heard_seconds, self._reasons = self._clock(), tuple(reasons)

    def doubt(self, reason: str) -> None:
        """Say why the process is not ready; that it is at work is another question."""
        with self._lock:
            self._reasons = (reason,)

    def drain(self) -> None:
        """Say that the process is about to stop."""
        with self._lock:
            self._draining = True

    def problems(self) -> list[Problem]:
        """Return why the process should be restarted; nothing when it is well."""
        with self._lock:
            silence = 0.0 if self._heard_seconds is None else self._clock() - self._heard_seconds
        return [Problem("silent", silence)] if silence > self._silence_seconds_max else []

    def readiness(self) -> Readiness:
        """Return why the process is not ready; no reason when it is."""
        with self._lock:
            return Readiness([*self._reasons, *([DRAINING] if self._draining else [])])
