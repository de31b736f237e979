"""Waiting in tests: look again and again until a deadline, never sleep for a fixed time."""

import math
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
    progress: Callable[[], object] | None = None,
    still_s: float = math.inf,
) -> T:
    """Return the condition's first true value; raise TimeoutError naming `what` at the deadline.

    Args:
        condition: what is waited for.
        what: the same in words.
        timeout_s: the deadline.
        interval_s: between two looks.
        progress: changes as long as it is worth while to wait.
        still_s: the deadline of `progress` that does not change.
    """
    now = time.monotonic()
    deadline, still_deadline, last = now + timeout_s, now + still_s, object()
    while True:
        value = condition()
        if value:
            return value
        now = time.monotonic()
        if progress is not None and (found := progress()) != last:
            last, still_deadline = found, now + still_s
        if now > deadline:
            raise TimeoutError(f"not within {timeout_s:g} s: {what}")
        if now > still_deadline:
            raise TimeoutError(f"nothing has changed for {still_s:g} s, and not yet: {what}")
        # The one place that waits between two looks at a condition.
        time.sleep(interval_s)
