"""Many accounts at a time, each account's records one after the other.

Runs in the event loop; all its collections are bounded by who gives it records, see `open`.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Collection
from typing import Final

from stream.delivery.events import Delivery, Place
from stream.delivery.positions import Positions

Partition = tuple[str, int]
Handle = Callable[[Delivery], Awaitable[None]]


class Dispatcher:
    """Hands records to `handle`, and knows how far each partition is done.

    Args:
        handle: ends when the record is done; an error ends everything, see `failure`.
    """

    def __init__(self, handle: Handle) -> None:
        self._handle = handle
        self._queues: dict[bytes, deque[Delivery]] = {}
        self._tasks: dict[bytes, asyncio.Task[None]] = {}
        self._positions: dict[Partition, Positions] = {}
        self._draining = False
        self.failure: Final[asyncio.Future[BaseException]] = asyncio.get_running_loop().create_future()
        """Done when `handle` raised what it should not."""

    @property
    def open(self) -> int:
        """How many records are read and not done, with those that wait for an older one to be done."""
        return sum(one.open for one in self._positions.values())

    def read_to(self) -> dict[Partition, int]:
        """Return the offset behind the last record that was read of each partition."""
        found = {partition: one.read_to for partition, one in self._positions.items()}
        return {partition: offset for partition, offset in found.items() if offset is not None}

    @property
    def idle(self) -> bool:
        """Whether nothing is left to do."""
        return not self._tasks

    @property
    def oldest_ms(self) -> int | None:
        """Timestamp of the oldest record that is not done."""
        return min((ms for one in self._positions.values() if (ms := one.oldest_ms) is not None), default=None)

    def take(self, delivery: Delivery) -> None:
        """Accept a record; the offsets of a partition ascend."""
        topic, partition, offset = delivery.place
        self._positions.setdefault((topic, partition), Positions()).read(offset, delivery.written_ms)
        queue = self._queues.setdefault(delivery.account, deque())
        queue.append(delivery)
        if delivery.account not in self._tasks:
            self._tasks[delivery.account] = asyncio.create_task(self._work(delivery.account, queue))

    def next_offsets(self) -> dict[Partition, int]:
        """Return from where on each partition would have to be read again."""
        found = {partition: one.next_offset for partition, one in self._positions.items()}
        return {partition: offset for partition, offset in found.items() if offset is not None}

    async def forget(self, partitions: Collection[Partition]) -> dict[Partition, int]:
        """Drop the records of partitions that are no longer ours; return from where on to read them again.

        What is under way is broken off, as it may be for another to do.
        """
        gone = set(partitions)
        ours = [account for account, queue in self._queues.items() if any(_within(one.place, gone) for one in queue)]
        stopped = [self._tasks.pop(account) for account in ours if account in self._tasks]
        for task in stopped:
            task.cancel()
        await asyncio.gather(*stopped, return_exceptions=True)
        for account in ours:
            kept = deque(one for one in self._queues.pop(account, ()) if not _within(one.place, gone))
            if kept:
                self._queues[account] = kept
                self._tasks[account] = asyncio.create_task(self._work(account, kept))
        return {
            one: found.next_offset
            for one in gone
            if (found := self._positions.pop(one, None)) is not None and found.next_offset is not None
        }

    def drain(self, under_way: Collection[asyncio.Task[object]]) -> None:
        """Begin no record more, and break off all but some tasks."""
        self._draining = True
        for task in self._tasks.values():
            if task not in under_way:
                task.cancel()

    async def stop(self) -> dict[Partition, int]:
        """Break off all that is under way; return from where on to read again."""
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        return self.next_offsets()

    async def _work(self, account: bytes, queue: deque[Delivery]) -> None:
        try:
            while queue and not self._draining:
                place = queue[0].place
                await self._handle(queue[0])
                queue.popleft()
                if (found := self._positions.get((place.topic, place.partition))) is not None:
                    found.done(place.offset)
        except Exception as error:  # noqa: BLE001  # whoever runs this has to see it, whatever it is
            if not self.failure.done():
                self.failure.set_result(error)
            return
        if self._tasks.get(account) is asyncio.current_task():
            del self._tasks[account], self._queues[account]


def _within(place: Place, partitions: Collection[Partition]) -> bool:
    return (place.topic, place.partition) in partitions
