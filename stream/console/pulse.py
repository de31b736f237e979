"""The pulse: what all open pages need to know at any moment, found out once for all of them."""

import asyncio
import contextlib
import logging
from collections import deque
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from enum import StrEnum, unique
from typing import Any, Final

from stream.serving.errors import ServingError
from stream.serving.live import LiveChanges, Reset
from stream.serving.reader import ViewReader
from stream.serving.results import Change, Portfolio, ViewStatus

_log = logging.getLogger(__name__)
BEHIND_AFTER: Final = timedelta(seconds=30)
"""The view says every two seconds that it is up to date; who has not heard of it for so long is told."""
RECENT_MAX: Final = 200
_LOOK_SECONDS: Final = 0.25
_AGAIN_SECONDS: Final = 5.0
_CHECK_SECONDS: Final = 1.0


@unique
class Condition(StrEnum):
    """How what is shown is to be taken."""

    CURRENT = "current"
    BEHIND = "behind"
    """It is as it was a while ago."""
    BUILDING = "building"
    UNAVAILABLE = "unavailable"
    """Redis does not answer."""


class Pulse:
    """Looks at the view, and follows its changes, while somebody has a page open.

    Args:
        reader: of the view.
        live: the changes as they happen, of which all pages together are one follower.
        is_watched: tells whether any page is open.
        check: finds out whose sessions were ended elsewhere, of those that have a page open.
    """

    def __init__(
        self,
        reader: ViewReader,
        live: LiveChanges,
        is_watched: Callable[[], bool],
        check: Callable[[], Awaitable[None]],
    ) -> None:
        self._reader = reader
        self._live = live
        self._is_watched = is_watched
        self._check = check
        self._tasks: list[asyncio.Task[None]] = []
        self._portfolio: tuple[int, Portfolio] | None = None
        self._adding_up = asyncio.Lock()
        self.status: ViewStatus | None = None
        self.beat = 0
        """Grows with every change and every write of the view: who has seen this number has nothing new to read."""
        self.recent: Final[deque[Change]] = deque(maxlen=RECENT_MAX)
        """The last changes that came while a page was open, oldest first."""

    def start(self) -> None:
        """Begin; in the event loop of the pages."""
        self._tasks = [
            asyncio.create_task(self._repeat(self.look, _LOOK_SECONDS), name="console status"),
            asyncio.create_task(self._repeat(self._follow, _AGAIN_SECONDS), name="console changes"),
            asyncio.create_task(self._repeat(self._check, _CHECK_SECONDS), name="console sessions"),
        ]

    async def stop(self) -> None:
        """End."""
        for task in self._tasks:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    @property
    def condition(self) -> Condition:
        """Tell how what is shown is to be taken now."""
        if self.status is None:
            return Condition.UNAVAILABLE
        if not self.status.built:
            return Condition.BUILDING
        written = self.status.updated_at
        late = written is None or datetime.now(UTC) - written > BEHIND_AFTER
        return Condition.BEHIND if late else Condition.CURRENT

    async def look(self) -> None:
        """Look at the view now; a page that is opened does so, as nobody may have looked for long."""
        status = None
        try:
            status = await self._reader.status()
        except ServingError as error:
            _log.debug("the view is not known: %s", error)
        finally:
            if status != self.status:
                self.status = status
                self.beat += 1

    async def portfolio(self) -> Portfolio:
        """Give all accounts together, read once for all pages that ask in one beat. Raises ServingError."""
        async with self._adding_up:
            if self._portfolio is None or self._portfolio[0] != self.beat:
                self._portfolio = self.beat, await self._reader.portfolio()
            return self._portfolio[1]

    async def _repeat(self, act: Callable[[], Awaitable[Any]], seconds: float) -> None:
        while True:
            if self._is_watched():
                try:
                    await act()
                except ServingError as error:
                    _log.debug("the console waits: %s", error)
                except Exception:  # noqa: BLE001  # whatever it is: open pages would stand still, and nobody would know
                    _log.exception("the console cannot look")
                    await asyncio.sleep(_AGAIN_SECONDS)
            await asyncio.sleep(seconds)

    async def _follow(self) -> None:
        async with self._live.follow(None) as items:
            async for item in items:
                if isinstance(item, Reset):
                    self.recent.clear()
                else:
                    self.recent.append(item)
                self.beat += 1
                if not self._is_watched():
                    return
