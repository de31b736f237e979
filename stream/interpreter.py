"""What a worker, and what serves, ask of Python's interpreter."""

import gc
import sys
from typing import Final

_COLLECTOR_THRESHOLDS: Final = (100_000, 20, 20)
_SWITCH_SECONDS: Final = 0.001


def tune() -> None:
    """Look for garbage in cycles seldom, and let the threads take turns quickly.

    Records and states come and go by the million and hold no cycles: they are freed when nothing refers to them any
    more. By default the collector looks at them again and again, which takes more time than fetching them does.
    The poll thread has to have its turn several times for what it fetches, each time after up to five milliseconds by
    default.
    """
    spare_what_is_there()
    gc.set_threshold(*_COLLECTOR_THRESHOLDS)
    sys.setswitchinterval(_SWITCH_SECONDS)


def spare_what_is_there() -> None:
    """Let the collector pass over all that there is now, for good: neither accounts nor modules are garbage."""
    gc.freeze()
