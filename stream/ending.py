"""How a process ends: at once, its output written, whatever its threads are doing."""

import contextlib
import logging
import os
import sys
import threading
import time
from typing import Final, NoReturn

_log: Final = logging.getLogger(__name__)
EXIT_FAILED: Final = 1


def end(code: int) -> NoReturn:
    """End the process: an ordinary exit would wait for threads."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            stream.flush()
    os._exit(code)


def end_after(seconds: float, reason: str) -> None:
    """End the process non-zero after a time, unless it has ended by then."""

    def wait() -> None:
        time.sleep(seconds)
        _log.critical("%s", reason)
        end(EXIT_FAILED)

    threading.Thread(target=wait, name="deadline", daemon=True).start()
