"""Counting the accounts of this worker, drawing cut points from all, and letting every partition go by them.

Off the hot path: a census reads headers of committed states, on a thread of its own. What comes of it is published by
the partition's task within a transaction, as a step of its own.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Final, NamedTuple

from models.policy import Classes
from models.portfolio import CensusHead, CutPoints, PortfolioFormatError, decode_census, encode_census
from processors.context import Context
from processors.portfolio.census import Counted, publishable, published, rows_of, take
from processors.portfolio.cutting import cut_points
from stream.checkpoint import CensusStep
from stream.monitor import Monitor
from stream.portfolio.part import Offer
from stream.portfolio.recount import Recount
from stream.portfolio.topic import Board, Feed, Posted
from stream.settings import Settings
from stream.task import PartitionTask

_log = logging.getLogger(__name__)
DRAWING_PARTITION: Final = 0
"""The partition whose task draws the cut points: whoever owns it is the only one."""
_SHARE_OF_TIME: Final = 20
"""A census is taken after as many times what the last one took, at the earliest."""
_DUE_SHARE: Final = 20
"""One in as many accounts may still be due when a day's census is taken."""
_GROWTH: Final = 1.2
"""New cut points do not wait for the next day when there are as many times the accounts: partitions that are counted
for the first time come one after the other."""
_PATIENCE_SECONDS: Final = 10.0
"""How long the censuses of other partitions are waited for when one has come to a new day."""


class _Census(NamedTuple):
    counted: Counted
    record: bytes
    seconds: float


class Keeper:
    """Keeps the portfolio of a worker.

    Args:
        settings: of the worker.
        context: the policy in force. With cut points, those are gone by for ever, and nothing is counted.
        tasks: of this worker, by partition.
        monitor: where to report.
        fail: ends the worker.
    """

    def __init__(
        self,
        settings: Settings,
        context: Context,
        tasks: Mapping[int, PartitionTask],
        monitor: Monitor,
        fail: Callable[[str], None],
    ) -> None:
        self.board = Board()
        self._context = context
        self._tasks = tasks
        self._monitor = monitor
        self._fail = fail
        self._loop = asyncio.get_running_loop()
        self._interval_seconds = float(settings.census_interval_seconds)
        self._is_live = context.cuts is None
        self._thread = ThreadPoolExecutor(1, "census")
        self._feed = Feed(settings, self._on_record, fail, self._loop) if self._is_live else None
        self._counting: set[int] = set()
        self._earliest_seconds: dict[int, float] = {}
        self._day_from_seconds: dict[int, float] = {}
        self._drawing = False
        self._drawn_at_seconds = -self._interval_seconds
        self._behind_since_seconds: float | None = None
        # Publishing waits for the transaction: what is ready meanwhile stands here.
        self._ready: dict[int, tuple[PartitionTask, Offer]] = {}
        self._drawn: CutPoints | None = None
        # Of the latest version: tasks share it.
        self._latest = context

    def start(self) -> None:
        """Begin to listen."""
        if self._feed is not None:
            self._feed.start()

    def stop(self) -> None:
        """Listen and count no more; what tasks do until they are closed asks nothing more of this."""
        self._is_live = False
        if self._feed is not None:
            self._feed.stop()
        self._thread.shutdown(wait=False, cancel_futures=True)

    def work(self, task: PartitionTask) -> None:
        """Let a task go by the latest cut points, and count it if it is time; the transaction is held."""
        if not self._is_live:
            return
        part = task.part
        if not part.is_offering and (ready := self._ready.pop(task.partition, None)) is not None and ready[0] is task:
            part.offer(ready[1])
        if task.partition == DRAWING_PARTITION:
            self._draw(task)
            if self._drawn is not None and not part.is_adopting:
                if self._drawn.version == part.version + 1:
                    part.adopt(self._context_of(self._drawn), is_drawn=True)
                self._drawn = None
        elif (cuts := self.board.cuts) is not None and cuts.version > part.version and not part.is_adopting:
            part.adopt(self._context_of(cuts))
        self.count(task)

    def count(self, task: PartitionTask) -> None:
        """Begin a census of a task's committed accounts, if it is time and nothing is uncommitted."""
        accounts, partition, part = task.accounts, task.partition, task.part
        if not self._is_live or accounts.is_touched() or accounts.clock_ms < 0:
            return
        if part.is_offering or partition in self._counting or partition in self._ready:
            return
        day, count = accounts.context.day_of(accounts.clock_ms), len(accounts)
        now = time.monotonic()
        if not part.last.is_due(day, count) or now < self._earliest_seconds.get(partition, 0):
            return
        if not part.last.has_grown(count) and (
            now < self._day_from_seconds.get(partition, 0) or accounts.due_count() * _DUE_SHARE > count
        ):
            return
        self._counting.add(partition)
        self._run(_take, accounts.packed_states(), day).add_done_callback(
            lambda future: self._tell(self._on_census, task, future)
        )

    def _on_census(self, task: PartitionTask, future: "Future[_Census]") -> None:
        partition = task.partition
        self._counting.discard(partition)
        counted, record, seconds = future.result()
        now = time.monotonic()
        self._earliest_seconds[partition] = now + seconds * _SHARE_OF_TIME
        self._day_from_seconds[partition] = now + self._interval_seconds
        self._monitor.counted(seconds)
        if self._tasks.get(partition) is task:
            keeps = DRAWING_PARTITION in self._tasks
            step = CensusStep(counted.as_of_day, counted.accounts)
            self._ready[partition] = task, Offer(step, record, counted if keeps else None)

    def _draw(self, task: PartitionTask) -> None:
        """Begin to draw cut points from the latest censuses, if it is time."""
        censuses = self.board.censuses
        if self._drawing or self._drawn is not None or task.part.is_adopting or not censuses:
            return
        held, now = task.part.cuts, time.monotonic()
        last = Recount(growth=_GROWTH) if held is None else Recount(held.as_of_day, held.accounts, _GROWTH)
        day = max(one.head.as_of_day for one in censuses.values())
        accounts = sum(one.head.accounts for one in censuses.values())
        if not last.is_due(day, accounts):
            return
        if not last.has_grown(accounts):
            if now - self._drawn_at_seconds < self._interval_seconds:
                return
            # A partition without accounts is never counted; one that was may not be known here yet.
            if len(censuses) < task.partitions or any(one.head.as_of_day < day for one in censuses.values()):
                since = self._behind_since_seconds = self._behind_since_seconds or now
                if now - since < _PATIENCE_SECONDS:
                    return
        self._behind_since_seconds = None
        self._drawing, self._drawn_at_seconds = True, now
        known = {partition: self._known(partition, one) for partition, one in censuses.items()}
        self._run(_draw, known, task.part.version + 1, self._context.policy.classes).add_done_callback(
            lambda future: self._tell(self._on_drawn, future)
        )

    def _known(self, partition: int, posted: Posted) -> bytes | Counted:
        """Give a census as exactly as it is known here."""
        task = self._tasks.get(partition)
        counted = None if task is None else task.part.counted
        if counted is None or CensusHead(counted.as_of_day, counted.accounts) != posted.head:
            return posted.record
        return counted

    def _on_drawn(self, future: "Future[CutPoints]") -> None:
        self._drawing = False
        # Published by the next tick of the task, if it is still here and at the version before.
        self._drawn = drawn = future.result()
        _log.info(
            "cut points %s: %s accounts, %s active, as of day %s, %s",
            drawn.version,
            drawn.accounts,
            drawn.active_accounts,
            drawn.as_of_day,
            f"within {drawn.relative_error:.0%}" if drawn.relative_error else "exact",
        )

    def _on_record(self, key: bytes | None, value: bytes | None) -> None:
        try:
            self.board.take(key, value)
        except PortfolioFormatError as error:
            # A newer release has begun to write here: what is known stays good until this one is replaced, too.
            _log.warning("the portfolio topic holds what this release cannot read: %s", error)

    def _context_of(self, cuts: CutPoints) -> Context:
        # A version that was drawn and whose transaction failed is drawn again, with other contents.
        if self._latest.cuts != cuts:
            self._latest = self._context.with_cuts(cuts)
        return self._latest

    def _run(self, call: Callable[..., Any], *arguments: object) -> "Future[Any]":
        return self._thread.submit(call, *arguments)

    def _tell(self, call: Callable[..., None], *arguments: Any) -> None:
        def run() -> None:
            if not self._is_live:
                return
            try:
                call(*arguments)
            except Exception as error:  # noqa: BLE001  # a census that fails would fail for ever
                _log.exception("the portfolio cannot be counted")
                self._fail(f"the portfolio cannot be counted: {error!r}")

        self._loop.call_soon_threadsafe(run)


def _take(packed_states: list[bytes], as_of_day: int) -> _Census:
    started = time.perf_counter()
    counted = take(rows_of(packed_states), as_of_day)
    record = encode_census(publishable(counted))
    return _Census(counted, record, time.perf_counter() - started)


def _draw(known: Mapping[int, bytes | Counted], version: int, classes: Classes) -> CutPoints:
    counted = [published(decode_census(one)) if isinstance(one, bytes) else one for _, one in sorted(known.items())]
    return cut_points(counted, version, classes)
