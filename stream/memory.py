"""How often Python looks for garbage in cycles."""

import gc
from typing import Final

_THRESHOLDS: Final = (100_000, 20, 20)


def look_for_cycles_seldom() -> None:
    """Let the cyclic garbage collector run rarely, and pass over all that is there now.

    Records and states come and go by the million and hold no cycles: they are freed when nothing refers to them any
    more. By default the collector looks at them again and again, which takes more time than fetching them does.
    """
    gc.freeze()
    gc.set_threshold(*_THRESHOLDS)
