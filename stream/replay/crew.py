"""The shards of a replay: in this process, or each in one of its own."""

import heapq
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from operator import itemgetter
from pathlib import Path
from types import TracebackType
from typing import Final, Self, TypeVar

from models.portfolio import CutPoints
from processors.portfolio.census import Counted
from stream.replay.outputs import Written
from stream.replay.shard import Report, Shard, Tally, Terms, Turn

_Result = TypeVar("_Result")
_WORTH_BYTES: Final = 2_000_000
"""Of inputs: less is replayed sooner than other processes have started."""


def processes_for(paths: Sequence[Path], partitions: int) -> int:
    """Give the number of processes that is worth its while: as many as there are cores to use."""
    if sum(path.stat().st_size for path in paths if path.exists()) < _WORTH_BYTES:
        return 1
    return max(1, min(partitions, len(os.sched_getaffinity(0))))


class Crew:
    """All partitions of a replay, dealt to shards; to be used in a `with` statement.

    Args:
        partitions: how many there are.
        processes: how many shards; one is in this process, several are in processes of their own.
        terms: what they judge by.
    """

    def __init__(self, partitions: int, processes: int, terms: Terms) -> None:
        self._partitions = partitions
        shares = [range(first, partitions, processes) for first in range(processes)]
        self._shard = Shard(shares[0], terms) if processes == 1 else None
        # Not forked: the terminal's progress bar is drawn by a thread.
        start = get_context("spawn")
        self._pools = [
            ProcessPoolExecutor(1, mp_context=start, initializer=_begin, initargs=(share, terms))
            for share in shares
            if processes > 1
        ]
        self._waiting: list[list[Turn]] = [[] for _ in shares]
        self._accounts = [0 for _ in shares]
        self.waiting_count = 0
        """Lines that `deal` was given and `work` was not asked to take yet."""

    @property
    def accounts(self) -> int:
        """How many accounts there are, as far as lines are taken."""
        return sum(self._accounts)

    def deal(self, turn: Turn) -> None:
        """Let a line wait for its shard."""
        self._waiting[turn.partition % len(self._waiting)].append(turn)
        self.waiting_count += 1

    def work(self) -> Report:
        """Let all lines be taken that wait."""
        reports = self._each(Shard.take, [(turns,) for turns in self._waiting])
        self._waiting = [[] for _ in self._waiting]
        self.waiting_count = 0
        return self._together(reports)

    def advance(self, turn: int, moment_ms: int) -> Report:
        """Let time pass for every account."""
        return self._together(self._all(Shard.advance, turn, moment_ms))

    def count(self, as_of_day: int) -> list[Counted]:
        """Take the censuses of all accounts."""
        return self._all(Shard.count, as_of_day)

    def adopt(self, cuts: CutPoints) -> None:
        """Go by other cut points."""
        self._all(Shard.adopt, cuts)

    def refresh(self, turn: int) -> Report:
        """Look at every account."""
        return self._together(self._all(Shard.refresh, turn))

    def snapshots(self) -> list[tuple[str, bytes]]:
        """Describe every account, in the order of their ids."""
        return list(heapq.merge(*self._all(Shard.snapshots), key=itemgetter(0)))

    def tallies(self) -> list[Tally]:
        """Say what became of events and accounts."""
        return self._all(Shard.tally)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for pool in self._pools:
            pool.shutdown(wait=error is None, cancel_futures=True)

    def _together(self, reports: list[Report]) -> Report:
        self._accounts = [one.accounts for one in reports]
        written = [line for one in reports for line in one.written]
        if len(reports) > 1:
            # What one partition wrote in one turn stays in its order.
            written.sort(key=_place)
        return Report(
            written,
            min((one.first_ms for one in reports if one.first_ms is not None), default=None),
            max((one.last_ms for one in reports if one.last_ms is not None), default=None),
            self.accounts,
        )

    def _all(self, work: Callable[..., _Result], *arguments: object) -> list[_Result]:
        return self._each(work, [arguments] * len(self._waiting))

    def _each(self, work: Callable[..., _Result], arguments: Sequence[tuple[object, ...]]) -> list[_Result]:
        if self._shard is not None:
            return [work(self._shard, *arguments[0])]
        asked = [pool.submit(_work, work, *one) for pool, one in zip(self._pools, arguments, strict=True)]
        return [one.result() for one in asked]


def _place(one: Written) -> tuple[int, int]:
    return one.turn, one.partition


_held: list[Shard] = []
"""The shard of this process, if it is one of a crew."""


def _begin(share: range, terms: Terms) -> None:
    _held.append(Shard(share, terms))


def _work(work: Callable[..., _Result], *arguments: object) -> _Result:
    return work(_held[0], *arguments)
