"""The stream of changes as it happens: one look at Redis for all who follow it."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from typing import Final, NamedTuple

from stream.serving.errors import CursorExpiredError, ServingError, TooManyClientsError, ViewUnavailableError
from stream.serving.places import Place, read_place
from stream.serving.reader import CHANGES_MAX, ViewReader
from stream.serving.results import Change

_log = logging.getLogger(__name__)

QUEUED_MAX: Final = 1000
"""Changes that wait for one follower, at most; one that is slower is let go, and may come back with its cursor."""
_LOOK_SECONDS: Final = 0.2
_UNAVAILABLE_SECONDS: Final = 1.0


class Reset(NamedTuple):
    """Changes may have been missed: the view was built anew, or they are too many. What follows goes on from here."""

    cursor: str


Item = Change | Reset


class _Follower:
    def __init__(self) -> None:
        # There is room for the end behind as many as may wait: to leave out one of them, nobody would notice.
        self.queue: asyncio.Queue[Item | None] = asyncio.Queue(QUEUED_MAX + 1)
        """None ends it."""

    def put(self, item: Item) -> bool:
        if self.queue.qsize() >= QUEUED_MAX:
            return False
        self.queue.put_nowait(item)
        return True

    def end(self) -> None:
        if not self.queue.full():
            self.queue.put_nowait(None)


class LiveChanges:
    """Follows the changes for as many as want to, while there is one.

    Args:
        reader: of the view.
        clients_max: how many may follow.
        tell: is told how many follow.
    """

    def __init__(self, reader: ViewReader, clients_max: int, tell: Callable[[int], None]) -> None:
        self._reader = reader
        self._clients_max = clients_max
        self._tell = tell
        self._followers: set[_Follower] = set()
        self._task: asyncio.Task[None] | None = None
        self._place = ""

    @contextlib.asynccontextmanager
    async def follow(self, after: str | None) -> AsyncGenerator[AsyncIterator[Item]]:
        """Give an iterator over the changes after a cursor, or from now on; it ends only when this is closed.

        Raises:
            QueryError: if the cursor is none.
            TooManyClientsError: if as many follow as may.
            ViewUnavailableError: if there is no complete view.
        """
        if after is not None:
            read_place(after)
        if len(self._followers) >= self._clients_max:
            raise TooManyClientsError("as many connections as may be are open already; try again later")
        follower = _Follower()
        self._followers.add(follower)
        try:
            await self._start()
            self._tell(len(self._followers))
            # Left in any case: one whose connection ends before the first item never begins to iterate.
            async with contextlib.aclosing(self._items(follower, after)) as items:
                yield items
        finally:
            self._followers.discard(follower)
            self._tell(len(self._followers))

    async def close(self) -> None:
        """End it, and all that follow."""
        for follower in self._followers.copy():
            follower.end()
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    async def _start(self) -> None:
        # Before a follower reads what it missed: what comes between that and the first look would be told to nobody.
        place = await self._reader.last_place()
        if self._task is None or self._task.done():
            self._place = place
            self._task = asyncio.create_task(self._watch(), name="live changes")

    async def _items(self, follower: _Follower, after: str | None) -> AsyncGenerator[Item]:
        """Give what is there already, then what comes: each change once, in order."""
        last: Place | None = None
        if after is not None:
            async for item in self._missed(after):
                last = read_place(item.cursor)
                yield item
        while (heard := await follower.queue.get()) is not None:
            place = read_place(heard.cursor)
            if last is not None and place <= last and isinstance(heard, Change):
                continue
            last = place
            yield heard

    async def _missed(self, after: str) -> AsyncGenerator[Item]:
        """Give the changes after a cursor up to now."""
        cursor, more = after, True
        while more:
            try:
                page = await self._reader.changes(cursor, CHANGES_MAX)
            except CursorExpiredError:
                page = await self._reader.changes(None, CHANGES_MAX)
                yield Reset(page.items[0].cursor if page.items else page.next)
            for change in page.items:
                yield change
            cursor, more = page.next, page.more

    async def _watch(self) -> None:
        """Look for changes, and hand them to everybody, until nobody follows."""
        while self._followers:
            try:
                await self._look()
            except ViewUnavailableError:
                await asyncio.sleep(_UNAVAILABLE_SECONDS)
            except ServingError:
                _log.exception("changes cannot be followed")
                await asyncio.sleep(_UNAVAILABLE_SECONDS)
            except Exception:  # noqa: BLE001  # whatever it is: who waited on would be told of nothing, and of no end
                _log.exception("changes cannot be followed")
                for follower in self._followers.copy():
                    self._let_go(follower)
            await asyncio.sleep(_LOOK_SECONDS)

    async def _look(self) -> None:
        try:
            page = await self._reader.changes(self._place, CHANGES_MAX)
        except CursorExpiredError:
            self._place = await self._reader.last_place()
            self._hand_out(Reset(self._place))
            return
        for change in page.items:
            self._hand_out(change)
        self._place = page.next

    def _hand_out(self, item: Item) -> None:
        for follower in self._followers.copy():
            if not follower.put(item):
                self._let_go(follower)

    def _let_go(self, follower: _Follower) -> None:
        # It finds out by its connection's end, and goes on behind what it has.
        self._followers.discard(follower)
        follower.end()
