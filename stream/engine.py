"""The engine: partition tasks on the event loop, between the poll thread and the transaction.

Everything here runs on the event loop. Records come from the poll thread, are dealt to the agents a batch at a time,
and all that follows from them is committed in one transaction, every `commit_interval_ms`.
"""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import Any, Final, NamedTuple

from confluent_kafka import KafkaException, Message, TopicPartition

from models.events import InputTopic
from models.state import AccountState
from processors.context import Context
from stream.cluster import Cluster, ClusterError
from stream.inputs import Run
from stream.monitor import Monitor
from stream.pacing import BATCH_SECONDS, CommitPace, Portion
from stream.poller import Poller
from stream.portfolio.keeper import Keeper
from stream.portfolio.topic import PARTITION
from stream.restore import Restored, RestoreError, restore
from stream.settings import Settings
from stream.slices import Slices
from stream.task import PartitionTask
from stream.telemetry import RebalanceKind, TransactionResult
from stream.transactions import TransactionAbortedError, Transactions

_log = logging.getLogger(__name__)
_TICK_SECONDS: Final = 0.05
_RESTORERS: Final = 4
"""Partitions restored at a time."""
_ABORTS_A_MINUTE_MAX: Final = 2
_MINUTE_SECONDS: Final = 60.0


class Batch(NamedTuple):
    """Records for an agent, and the task that owns them."""

    task: PartitionTask
    epoch: int
    """Of the task when it was dealt: an abort since then has made it stale."""
    runs: list[Run]
    """In the order in which they come; the agent of the first one's topic gets them all."""


class Engine:
    """Runs the partitions that the group gives to this worker.

    Args:
        settings: of the worker.
        context: the policy in force.
        monitor: where to report.
        wall_clock_ms: the wall clock, epoch milliseconds.
    """

    def __init__(
        self, settings: Settings, context: Context, monitor: Monitor, wall_clock_ms: Callable[[], int]
    ) -> None:
        self.failure: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._settings = settings
        self._names = settings.topics
        self._context = context
        self._monitor = monitor
        self._wall_clock_ms = wall_clock_ms
        self._cluster: Cluster | None = None
        self._tasks: dict[int, PartitionTask] = {}
        self._opening: dict[int, asyncio.Task[None]] = {}
        self._paused: set[tuple[InputTopic, int]] = set()
        self._ends: dict[tuple[InputTopic, int], int] = {}
        self._news = asyncio.Event()
        # Held while a batch is processed and while a commit runs: nothing is produced during a commit.
        self._lock = asyncio.Lock()
        self._commits = CommitPace(settings)
        self._batches = Portion(BATCH_SECONDS, settings.batch_records)
        self._slices = Slices()
        self._transactions = Transactions(settings)
        # Of their own: a commit must never wait behind a restore.
        self._restorers = ThreadPoolExecutor(_RESTORERS, "restore")
        self._keeper = Keeper(settings, context, self._tasks, monitor, self.fail)
        self._poller = Poller(settings, self, asyncio.get_running_loop())
        self._abort_seconds: list[float] = []
        self._turn = 0
        self._background: list[asyncio.Task[None]] = []
        self._stopping = False
        self._joined = False

    @property
    def partitions(self) -> int:
        """How many partitions each input has."""
        assert self._cluster is not None, "connect comes first"
        return self._cluster.partitions

    def name_of(self, batch: Batch) -> str:
        """Give the full name of a batch's topic."""
        return self._names.of_input(batch.runs[0].topic)

    async def connect(self) -> None:
        """Look at the topics.

        Raises:
            ClusterError: if they cannot be worked with.
        """
        try:
            self._cluster = await asyncio.to_thread(Cluster, self._settings)
        except KafkaException as error:
            raise ClusterError(f"Kafka at {self._settings.bootstrap_servers}: {error.args[0]}") from error

    async def start(self) -> None:
        """Join the group. Records follow."""
        await self._transactions.start()
        self._poller.start()
        self._keeper.start()
        for what, work in (("a commit", self._commit_regularly()), ("a tick", self._let_time_pass())):
            self._background.append(asyncio.create_task(self._guarded(what, work)))

    async def stop(self) -> None:
        """Finish the batch in hand, commit, give every partition back."""
        self._stopping = True
        self._monitor.draining()
        self._keeper.stop()
        for opening in self._opening.values():
            opening.cancel()
        if not await self._poller.stop(self._settings.grace_period_seconds):
            self.fail("the group was not left in time")
        for task in self._background:
            task.cancel()

    def fail(self, reason: str) -> None:
        """End the worker: what happened has no remedy here, and its supervisor starts it again."""
        if not self.failure.done():
            self.failure.set_result(reason)

    def account(self, account_id: str) -> AccountState | None:
        """Read an account of this worker, with what is not committed yet."""
        for task in self._tasks.values():
            if (state := task.accounts.get(account_id)) is not None:
                return state
        return None

    def account_ids(self) -> list[str]:
        """Give the ids of the committed accounts of this worker."""
        return [one for task in self._tasks.values() for one in task.accounts.account_ids()]

    async def next_batch(self, timeout_seconds: float) -> Batch | None:
        """Give the next batch, partition by partition in turn; None if none came in time."""
        deadline = time.monotonic() + timeout_seconds
        while True:
            batch = self._deal()
            remaining = deadline - time.monotonic()
            if batch is not None or remaining <= 0:
                return batch
            self._news.clear()
            try:
                await asyncio.wait_for(self._news.wait(), min(remaining, self._settings.max_task_idle_ms / 1000 + 0.01))
            except TimeoutError:
                continue

    async def process(self, batch: Batch) -> None:
        """Process a batch, unless its partition has gone to another worker or back to its last commit since."""
        task = batch.task
        try:
            async with self._at_work():
                for run in batch.runs:
                    if self._tasks.get(task.partition) is not task or task.epoch != batch.epoch:
                        break
                    started = time.perf_counter()
                    self._transactions.begin()
                    task.process(run.topic, run.messages, self._transactions.produce)
                    self._transactions.serve()
                    seconds = time.perf_counter() - started
                    self._batches.took(seconds, len(run.messages))
                    self._monitor.processed(seconds, len(run.messages))
                    if self._transactions.is_half_full() or task.is_full():
                        await self._commit()
        except Exception as error:  # noqa: BLE001  # an event must never be lost: whatever it is, the worker ends
            _log.exception("a batch of partition %s failed", task.partition)
            self.fail(f"a batch of partition {task.partition} failed: {error!r}")
        except asyncio.CancelledError:
            # Whoever cancels an agent forgets its batch: going on would leave a hole.
            self.fail(f"a batch of partition {task.partition} was cancelled")
            raise
        finally:
            task.busy = False
            self._resume(task)
            self._news.set()

    # What the poll thread tells.

    def on_messages(self, topic: InputTopic, partition: int, messages: list[Message]) -> None:
        """Take fetched records."""
        task = self._tasks.get(partition)
        if task is None or task.resetting:
            return
        task.inputs.received(topic, messages)
        if task.inputs.buffered_bytes(topic) > self._settings.buffer_bytes:
            self._paused.add((topic, partition))
            self._poller.pause(topic, partition)
        self._news.set()

    def on_end(self, topic: InputTopic, partition: int) -> None:
        """Note that an input is read to its end."""
        task = self._tasks.get(partition)
        if task is not None and not task.resetting:
            task.inputs.reached_end(topic)
            self._news.set()

    def on_ends(self, ends: dict[tuple[InputTopic, int], int]) -> None:
        """Take the end offsets of what is fetched."""
        self._ends = ends
        self._report()

    def on_reset(self, partition: int, epoch: int) -> None:
        """Take records again after an abort, unless another one has followed: then they are fetched once more."""
        if (task := self._tasks.get(partition)) is not None and task.epoch == epoch:
            task.resetting = False

    def on_statistics(self, text: str) -> None:
        """Take what Kafka's client says of itself."""
        self._monitor.statistics(text)

    def on_assigned(self, partitions: list[int], assignment: int) -> None:
        """Open the partitions that the group gives."""
        _log.info("assigned: %s", partitions)
        self._joined = True
        self._monitor.rebalanced(RebalanceKind.ASSIGNED)
        for partition in partitions:
            self._opening[partition] = asyncio.create_task(self._open(partition, assignment))
        self._report()

    async def on_revoked(self, partitions: list[int]) -> None:
        """Commit, and close the partitions that the group takes back."""
        self._monitor.rebalanced(RebalanceKind.REVOKED)
        for partition in partitions:
            if (opening := self._opening.pop(partition, None)) is not None:
                opening.cancel()
        async with self._lock:
            async with self._undoing():
                await self._commit()
            for partition in partitions:
                self._tasks.pop(partition, None)
                self._paused -= {one for one in self._paused if one[1] == partition}
                self._monitor.closed(partition)
        self._report()
        _log.info("revoked: %s", partitions)

    async def _open(self, partition: int, assignment: int) -> None:
        cluster = self._cluster
        assert cluster is not None

        def open_() -> Restored:
            committed = cluster.committed(partition)
            return restore(partition, committed, cluster, self._context, self._settings)

        try:
            restored = await asyncio.get_running_loop().run_in_executor(self._restorers, open_)
        except (ClusterError, RestoreError, KafkaException) as error:
            self.fail(f"partition {partition} cannot be opened: {error}")
            return
        except Exception as error:  # noqa: BLE001  # a partition that nobody opens would wait for ever
            _log.exception("partition %s cannot be opened", partition)
            self.fail(f"partition {partition} cannot be opened: {error!r}")
            return
        place = cluster.place(partition)
        self._tasks[partition] = PartitionTask(place, restored, self._settings, self._wall_clock_ms)
        self._opening.pop(partition, None)
        self._poller.fetch(partition, assignment, restored.positions)
        self._monitor.restored(restored.seconds, restored.records)
        _log.info(
            "opened partition %s: %s accounts, %s records in %.2f s",
            partition,
            len(restored.accounts),
            restored.records,
            restored.seconds,
        )
        self._report()

    def _deal(self) -> Batch | None:
        tasks = list(self._tasks.values())
        now_seconds = time.monotonic()
        for step in range(len(tasks)):
            task = tasks[(self._turn + step) % len(tasks)]
            if task.busy or task.resetting or self._stopping:
                continue
            runs = task.inputs.next_runs(self._batches.size(), now_seconds)
            if runs:
                self._turn = (self._turn + step + 1) % len(tasks)
                task.in_hand(runs)
                return Batch(task, task.epoch, runs)
        return None

    def _resume(self, task: PartitionTask) -> None:
        for topic, partition in list(self._paused):
            waiting = task.inputs.buffered_bytes(topic)
            if partition == task.partition and waiting <= self._settings.buffer_bytes // 2:
                self._paused.discard((topic, partition))
                self._poller.resume(topic, partition)

    async def _commit_regularly(self) -> None:
        while True:
            await asyncio.sleep(self._commits.pause_seconds(time.monotonic()))
            async with self._at_work():
                now_ms = self._wall_clock_ms()
                behind_ms = min((one.behind_ms(now_ms) for one in self._tasks.values() if one.has_news()), default=0)
                if not self._commits.may_wait(time.monotonic(), behind_ms):
                    await self._commit()

    async def _guarded(self, what: str, work: Coroutine[Any, Any, None]) -> None:
        try:
            await work
        except Exception as error:  # noqa: BLE001  # an unknown state must not be worked on
            _log.exception("%s failed", what)
            self.fail(f"{what} failed: {error!r}")

    async def _let_time_pass(self) -> None:
        """Advance due accounts and publish snapshots, whatever happens meanwhile."""
        while True:
            more = False
            for task in list(self._tasks.values()):
                async with self._at_work():
                    if self._tasks.get(task.partition) is task and not task.resetting:
                        self._keeper.work(task)
                        more = self._slices.work(task, self._transactions.produce) or more
                        if self._transactions.is_half_full() or task.is_full():
                            await self._commit()
                await self._slices.give_way(self._tasks.values())
            await asyncio.sleep(0 if more else _TICK_SECONDS)

    async def _commit(self) -> None:
        """Commit what the tasks did; the lock is held."""
        if self.failure.done():
            # What failed may have done half of its work: nobody may see it.
            return
        dirty = [task for task in self._tasks.values() if task.has_news()]
        if not dirty:
            await self._transactions.abort()
            return
        names = self._names
        offsets: list[TopicPartition] = []
        written = []
        for task in dirty:
            changes = task.changes()
            written.append((task, changes))
            self._transactions.produce_all(names.portfolio, PARTITION, task.part.published())
            self._transactions.produce_all(names.state, task.partition, task.changelog(changes))
            offsets += [
                TopicPartition(names.of_input(topic), task.partition, position)
                for topic, position in task.positions.items()
            ]
        started = time.perf_counter()
        await self._transactions.commit(offsets, self._poller.group_metadata)
        ended_ms = self._wall_clock_ms()
        self._commits.committed(time.monotonic())
        self._monitor.transaction(TransactionResult.COMMITTED, time.perf_counter() - started, ended_ms)
        for task, changes in written:
            self._monitor.committed(task.committed(changes), ended_ms)
            self._keeper.count(task)
        self._report()

    @asynccontextmanager
    async def _at_work(self) -> AsyncIterator[None]:
        """Hold the transaction: whoever produces or commits does so in here."""
        async with self._lock, self._undoing():
            yield

    @asynccontextmanager
    async def _undoing(self) -> AsyncIterator[None]:
        """Go back to the last commit if the transaction cannot go on; the lock is held."""
        try:
            yield
        except TransactionAbortedError as error:
            _log.warning("transaction aborted: %s", error)
            started = time.perf_counter()
            await self._transactions.abort()
            self._monitor.transaction(TransactionResult.ABORTED, time.perf_counter() - started, self._wall_clock_ms())
            self._go_back(error)

    def _go_back(self, error: TransactionAbortedError) -> None:
        # Rebalances come in rows, as when workers are restarted one by one; what makes no progress is ended anyway.
        if not error.by_rebalance:
            now = time.monotonic()
            self._abort_seconds = [at for at in self._abort_seconds if now - at < _MINUTE_SECONDS] + [now]
            if (count := len(self._abort_seconds)) > _ABORTS_A_MINUTE_MAX:
                self.fail(f"{count} transactions were aborted within a minute, the last one: {error}")
        for task in self._tasks.values():
            if task.has_news() or task.accounts.is_touched():
                task.abort()
                self._poller.reset(task.partition, task.epoch, task.positions)
                # Nothing waits any longer that could make room by being processed.
                self._resume(task)

    def _report(self) -> None:
        if not self._joined:
            return
        self._monitor.partitions(self._tasks, self._ends, set(self._opening), self._wall_clock_ms())
