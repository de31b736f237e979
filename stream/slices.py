"""Due accounts and snapshots of a partition, a slice at a time: no event waits for more than a slice."""

import asyncio
import time
from collections.abc import Collection
from typing import Final

from stream.pacing import BATCH_SECONDS, SLICE_SECONDS, Portion, rest_seconds
from stream.task import PartitionTask, Produce

_ACCOUNTS_MAX: Final = 500
_ORDERED_ACCOUNTS: Final = 10_000
"""Due accounts that are put in order at a time, which takes about as long as to advance a slice of them."""
_CROWDED: Final = 5
"""While records wait, snapshots get this part of a slice: one takes several times what an event does, and a later one
says what several would have said."""
_TURNS: Final = 50
"""Of the event loop, which are enough for a batch to be dealt, to come to its agent and to be processed."""


class Slices:
    """Lets time reach accounts and publishes their snapshots, as many at a time as a slice may take."""

    def __init__(self) -> None:
        self._due = Portion(SLICE_SECONDS, _ACCOUNTS_MAX)
        self._snapshots = Portion(SLICE_SECONDS, _ACCOUNTS_MAX)
        self._due_seconds = 0.0
        self._snapshot_seconds = 0.0
        self._crowded = False

    def work(self, task: PartitionTask, produce: Produce) -> bool:
        """Do the next slice of a task; True if there is more to do."""
        started = time.perf_counter()
        if not task.prepare_tick(_ORDERED_ACCOUNTS):
            self._due_seconds, self._snapshot_seconds = time.perf_counter() - started, 0.0
            return True
        due, snapshots = self._due.size(), self._snapshots.size(_CROWDED if self._crowded else 1)
        ticking = time.perf_counter()
        advanced = task.tick(due, produce)
        ticked = time.perf_counter()
        published = task.publish_snapshots(snapshots, produce)
        ended = time.perf_counter()
        self._due_seconds, self._snapshot_seconds = ticked - started, ended - ticked
        self._due.took(ticked - ticking, advanced)
        self._snapshots.took(ended - ticked, published)
        return advanced == due or published == snapshots

    async def give_way(self, tasks: Collection[PartitionTask]) -> None:
        """Let a batch that is on its way be processed before the next slice, and rest if its commit is waited for."""
        until_seconds = time.monotonic() + BATCH_SECONDS
        for _ in range(_TURNS):
            await asyncio.sleep(0)
            if time.monotonic() > until_seconds or not any(task.busy or task.inputs for task in tasks):
                break
        self._crowded = any(task.busy or task.inputs for task in tasks)
        awaited = any(task.holds_records() for task in tasks)
        await asyncio.sleep(rest_seconds(self._due_seconds, self._snapshot_seconds, awaited=awaited))
