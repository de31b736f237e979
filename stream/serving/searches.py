"""Long searches, remembered for a moment: whoever asks the same meanwhile does not have it searched again."""

import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Final

from stream.serving.listing import Found

SCANNED_MIN: Final = 2000
"""Members that a search looks at before it is one to be remembered."""
REMEMBERED_SECONDS: Final = 2.0
"""What is told of each account is read anew in any case; which accounts are on a page is as old as this at most."""
_SEARCHES_MAX: Final = 256


class Searches:
    """What the last long searches found.

    Args:
        clock: in seconds.

    >>> now = [0.0]
    >>> searches = Searches(lambda: now[0])
    >>> searches.remember("a", Found([b"1"], None))
    >>> now[0] = 2.0
    >>> searches.recall("a"), searches.recall("b")
    (Found(members=[b'1'], after=None), None)
    >>> now[0] = 2.5
    >>> searches.recall("a")
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._found: OrderedDict[Hashable, tuple[float, Found]] = OrderedDict()

    def recall(self, asked: Hashable) -> Found | None:
        """Give what was found a moment ago; None if nothing is remembered."""
        until, found = self._found.get(asked, (0.0, None))
        return found if self._clock() <= until else None

    def remember(self, asked: Hashable, found: Found) -> None:
        """Remember what was found, and forget the oldest."""
        self._found.pop(asked, None)
        self._found[asked] = self._clock() + REMEMBERED_SECONDS, found
        while len(self._found) > _SEARCHES_MAX:
            self._found.popitem(last=False)
