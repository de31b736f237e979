"""Searches through the accounts: the same one is made once at a time, and a long one is remembered for a moment."""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable, Coroutine, Hashable
from functools import partial
from typing import Any, Final

from stream.serving.listing import Found

SCANNED_MIN: Final = 2000
"""Members that a search looks at before it is one to be remembered."""
REMEMBERED_SECONDS: Final = 2.0
"""What is told of each account is read anew in any case; which accounts are on a page is as old as this at most."""
_SEARCHES_MAX: Final = 256

Search = Callable[[], Coroutine[Any, Any, tuple[Found, int]]]
"""Gives what it finds, and how many members it looked at. It ends by itself, whoever waits for it."""


class Searches:
    """Makes searches, and remembers what the last long ones found.

    Many who ask for the same while it is searched would otherwise slow each other down until nobody is answered.
    """

    def __init__(self) -> None:
        self._running: dict[Hashable, asyncio.Task[tuple[Found, int]]] = {}
        self._found: OrderedDict[Hashable, tuple[float, Found]] = OrderedDict()

    async def find(self, asked: Hashable, search: Search) -> Found:
        """Give what a search finds, or has found a moment ago.

        Args:
            asked: tells searches apart.
            search: is made unless the same one is being made, or is remembered. What it raises is raised.
        """
        until, found = self._found.get(asked, (0.0, None))
        if found is not None and time.monotonic() <= until:
            return found
        running = self._running.get(asked)
        if running is None:
            running = self._running[asked] = asyncio.create_task(search(), name="search")
            running.add_done_callback(partial(self._end, asked))
        # Who gives up does not end it for the others.
        new, _ = await asyncio.shield(running)
        return new

    def _end(self, asked: Hashable, ended: "asyncio.Task[tuple[Found, int]]") -> None:
        del self._running[asked]
        if ended.cancelled() or ended.exception() is not None:
            return
        found, scanned = ended.result()
        self._found.pop(asked, None)
        if scanned >= SCANNED_MIN:
            self._found[asked] = time.monotonic() + REMEMBERED_SECONDS, found
        while len(self._found) > _SEARCHES_MAX:
            self._found.popitem(last=False)
