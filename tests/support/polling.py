"""Waiting in tests: look again and again until a deadline, never sleep for a fixed time."""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def eventually(
    condition: Callable[[], T | None],
    what: str,
    *,
    timeout_s: float = 30.0,
    interval_s: float = 0.05,
) -> T:
    """Return the condition's first true value; raise TimeoutError naming `what` at the deadline."""
    deadline = time.monotonic() + timeout_s
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise TimeoutError(f"not within {timeout_s:g} s: {what}")
        time.sleep(interval_s)
