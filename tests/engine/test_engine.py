"""Turns that an engine takes seldom, and that no broker can be made to bring about at will."""

import asyncio
import itertools
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from confluent_kafka import KafkaError, Message, TopicPartition

from models.codec import pack
from models.events import InputTopic
from models.policy import Policy
from models.state import AccountState
from processors.context import Context
from processors.partition import Partition
from stream import engine as engine_module
from stream import poller as poller_module
from stream.checkpoint import TickStep
from stream.engine import Batch, Engine
from stream.handling import Place
from stream.health import Health
from stream.inputs import Run
from stream.monitor import Monitor
from stream.records import OutRecord
from stream.restore import Restored
from stream.settings import Settings, load_settings
from stream.task import PartitionTask
from stream.telemetry import Metrics
from stream.transactions import TransactionAbortedError

NOW_MS = 1_790_000_000_000
POLICY = Policy(reporting_currency="EUR")


class FakePoller:
    """Remembers what the poll thread was asked for."""

    def __init__(self) -> None:
        self.calls: list[tuple[Any, ...]] = []
        self.group_metadata = None

    def __getattr__(self, name: str) -> Any:
        return lambda *arguments: self.calls.append((name, *arguments))


@pytest.fixture
def settings() -> Settings:
    """Settings of a broker that is not there."""
    return load_settings({"ACCOUNT_HEALTH_BOOTSTRAP_SERVERS": "127.0.0.1:1", "ACCOUNT_HEALTH_INSTANCE_ID": "w"})


@pytest.fixture
def task(settings: Settings) -> PartitionTask:
    """A partition that nothing has happened to."""
    ids = dict.fromkeys(InputTopic, "id")
    restored = Restored(Partition(Context(POLICY)), dict.fromkeys(InputTopic, 0), None, 0, 0.0)
    return PartitionTask(Place(0, 1, ids), restored, settings, lambda: NOW_MS)


@pytest.fixture
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    """A loop to build an engine on, which knows no other."""
    with asyncio.Runner() as runner:
        yield runner.get_loop()


async def _engine(settings: Settings) -> Engine:
    monitor = Monitor(Metrics(), Health(60), POLICY, settings.topics)
    return Engine(settings, Context(POLICY), monitor, lambda: NOW_MS)


def _order(offset: int) -> Message:
    return Message("orders", 0, offset, key=b"A", value=b"{}", timestamp=(1, NOW_MS))


def test_the_live_clock_waits_for_the_records_that_an_agent_holds(task: PartitionTask) -> None:
    """When the last records of a backlog are in hand, time does not run ahead of them to the wall clock."""
    for topic in InputTopic:
        task.inputs.reached_end(topic)

    task.busy = True
    task.tick(10, lambda _: None)
    assert task.accounts.clock_ms < 0

    task.busy = False
    task.tick(10, lambda _: None)
    assert task.accounts.clock_ms == NOW_MS


def test_an_abort_resumes_what_was_paused_for_want_of_room(
    settings: Settings, task: PartitionTask, loop: asyncio.AbstractEventLoop
) -> None:
    """What filled the buffer is forgotten, so that nothing would ever be processed to make room."""
    engine = loop.run_until_complete(_engine(settings))
    poller = FakePoller()
    engine._poller = poller  # type: ignore[assignment]  # does what is asked for here
    engine._tasks[0] = task
    engine._paused = {(InputTopic.ORDERS, 0), (InputTopic.ORDERS, 1)}
    task._steps = [TickStep(NOW_MS, 1)]

    engine._go_back(TransactionAbortedError("for a test"))

    assert [call for call in poller.calls if call[0] == "resume"] == [("resume", InputTopic.ORDERS, 0)]
    assert engine._paused == {(InputTopic.ORDERS, 1)}


def test_a_reset_that_another_abort_has_overtaken_lets_no_record_in(
    settings: Settings, task: PartitionTask, loop: asyncio.AbstractEventLoop
) -> None:
    """What is fetched between two resets is fetched again after the second: it would come twice."""
    engine = loop.run_until_complete(_engine(settings))
    poller = FakePoller()
    engine._poller = poller  # type: ignore[assignment]  # does what is asked for here
    engine._tasks[0] = task
    for _ in range(2):
        task._steps = [TickStep(NOW_MS, 1)]
        engine._go_back(TransactionAbortedError("for a test", by_rebalance=True))
    (_, *first, _), (_, *second, _) = [call for call in poller.calls if call[0] == "reset"]

    engine.on_reset(*first)
    engine.on_messages(InputTopic.ORDERS, 0, [_order(0)])
    assert not task.inputs

    engine.on_reset(*second)
    engine.on_messages(InputTopic.ORDERS, 0, [_order(0)])
    assert task.inputs


@pytest.mark.parametrize("offsets", [(4, 5), (5, 6, 5), (5, 6, 5, 6), (6, 5)])
def test_records_that_come_twice_end_the_worker(task: PartitionTask, offsets: tuple[int, ...]) -> None:
    """Whatever the client hands over, no offset is processed again."""
    task.positions[InputTopic.ORDERS] = 5

    with pytest.raises(AssertionError, match="once, in order"):
        task.process(InputTopic.ORDERS, [_order(offset) for offset in offsets], lambda _: None)


@pytest.mark.parametrize(
    ("seconds_apart", "by_rebalance", "ends"),
    [(10.0, False, True), (31.0, False, False), (10.0, True, False)],
)
def test_a_third_abort_within_a_minute_ends_the_worker(
    settings: Settings,
    loop: asyncio.AbstractEventLoop,
    monkeypatch: pytest.MonkeyPatch,
    *,
    seconds_apart: float,
    by_rebalance: bool,
    ends: bool,
) -> None:
    """What is done again and again for nothing needs another process, or somebody to look; a rebalance is no fault."""
    engine = loop.run_until_complete(_engine(settings))
    moments = itertools.count(0.0, seconds_apart)
    monkeypatch.setattr(engine_module, "time", SimpleNamespace(monotonic=lambda: next(moments)))

    for _ in range(2):
        engine._go_back(TransactionAbortedError("for a test"))
    assert not engine.failure.done()
    engine._go_back(TransactionAbortedError("the broker is full", by_rebalance=by_rebalance))

    assert engine.failure.done() == ends
    if ends:
        assert engine.failure.result() == (
            "3 transactions were aborted within a minute, the last one: the broker is full"
        )


def test_whatever_keeps_a_partition_from_opening_ends_the_worker(
    settings: Settings, loop: asyncio.AbstractEventLoop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An error that nobody foresaw must not leave a partition that is held and never read."""

    def broken(*_: object) -> None:
        raise ValueError("nobody thought of this")

    class FakeCluster:
        committed = staticmethod(broken)

    engine = loop.run_until_complete(_engine(settings))
    engine._cluster = FakeCluster()  # type: ignore[assignment]  # opening asks it first
    monkeypatch.setattr(engine_module, "restore", broken)

    loop.run_until_complete(engine._open(3, assignment=1))

    assert "partition 3 cannot be opened: ValueError" in engine.failure.result()


def test_nothing_is_committed_after_a_failure(
    settings: Settings, task: PartitionTask, loop: asyncio.AbstractEventLoop
) -> None:
    """A batch that failed half way has left half of its effects behind: no commit that was waiting takes them."""
    engine = loop.run_until_complete(_engine(settings))
    engine._tasks[0] = task
    task._steps = [TickStep(NOW_MS, 1)]
    engine._transactions = None  # type: ignore[assignment]  # whoever touches it fails

    engine.fail("for a test")
    loop.run_until_complete(engine._commit())

    assert task.has_news()


def test_a_partition_that_was_taken_back_while_it_opened_is_not_fetched(
    settings: Settings, loop: asyncio.AbstractEventLoop
) -> None:
    """What was opened for one assignment is not fetched under another, or under none."""
    engine = loop.run_until_complete(_engine(settings))
    poller = engine._poller
    positions = dict.fromkeys(InputTopic, 0)

    poller.fetch(0, 1, positions)
    poller._assignments[0] = 2
    poller._commands.get()()

    assert poller._fetched == set()


class NeverAnswered:
    """An event that nobody sets."""

    def acquire(self, *, timeout: float) -> bool:
        """Answer as after the whole time."""
        assert timeout > 0
        return False


def test_a_stuck_event_loop_ends_the_process_instead_of_being_polled_for(
    settings: Settings, loop: asyncio.AbstractEventLoop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is polled until the loop has taken what came before; past the deadline the process ends."""
    poller = loop.run_until_complete(_engine(settings))._poller
    poller._ahead = NeverAnswered()  # type: ignore[assignment]  # the loop never runs
    poller._consumer = None  # type: ignore[assignment]  # whoever polls it fails

    def ended(code: int) -> None:
        raise SystemExit(code)

    monkeypatch.setattr(f"{poller_module.__name__}.os._exit", ended)

    with pytest.raises(SystemExit, match="1"):
        poller._poll_once()


class FakeConsumer:
    """Gives what it was made with, once."""

    def __init__(self, messages: list[Message]) -> None:
        self._messages = messages

    def poll(self, _: float) -> Message | None:
        """Give the first message."""
        return self._messages.pop(0)

    def consume(self, *_: object) -> list[Message]:
        """Give the messages behind it."""
        return self._messages

    def incremental_assign(self, _: object) -> None:
        """Hear that an assignment was heard of."""

    def consumer_group_metadata(self) -> None:
        """Belong to no generation."""

    def memberid(self) -> str:
        """Give nothing: it is in no group."""
        return ""


@pytest.mark.parametrize(
    ("fetched", "told"),
    [
        ("record end", ["on_messages", "on_end"]),
        ("end record", ["on_messages"]),
        ("end", ["on_end"]),
    ],
)
def test_an_end_is_told_only_if_nothing_was_fetched_behind_it(
    settings: Settings, loop: asyncio.AbstractEventLoop, fetched: str, told: list[str]
) -> None:
    """A record that was fetched after an end is news: the input is behind its end again."""
    poller = loop.run_until_complete(_engine(settings))._poller
    topic = settings.topics.orders
    end = KafkaError(KafkaError._PARTITION_EOF)
    messages = {"record": Message(topic, 0, 1, value=b"1"), "end": Message(topic, 0, 1, error=end)}
    poller._consumer = FakeConsumer([messages[one] for one in fetched.split()])  # type: ignore[assignment]  # see there
    calls: list[str] = []
    poller._tell = lambda call, *_: calls.append(call.__name__)  # type: ignore[method-assign]  # nothing runs it here

    poller._poll_once()

    assert [call for call in calls if call not in {"on_ends", "release"}] == told


def test_what_was_given_to_who_is_no_member_any_more_is_not_opened(
    settings: Settings, loop: asyncio.AbstractEventLoop
) -> None:
    """A session that ended before its assignment was heard of is not told of again: others may have the partitions."""
    poller = loop.run_until_complete(_engine(settings))._poller
    calls: list[str] = []
    poller._tell = lambda call, *_: calls.append(call.__name__)  # type: ignore[method-assign]  # nothing runs it here

    poller._on_assign(FakeConsumer([]), [TopicPartition(settings.topics.orders, 0)])  # type: ignore[arg-type]  # see there

    assert calls == ["fail"]


@pytest.mark.parametrize(("aborted", "expected"), [(False, "process commit process commit"), (True, "process commit")])
def test_a_full_transaction_is_committed_between_the_runs_of_a_batch(
    settings: Settings, task: PartitionTask, loop: asyncio.AbstractEventLoop, *, aborted: bool, expected: str
) -> None:
    """A batch of many short runs must not outgrow a checkpoint; what an abort made stale is not gone on with."""
    engine = loop.run_until_complete(_engine(settings))
    engine._tasks[0] = task
    calls: list[str] = []

    async def commit() -> None:
        calls.append("commit")
        task.epoch += aborted

    engine._commit = commit  # type: ignore[method-assign]  # there is no broker
    engine._transactions = FakePoller()  # type: ignore[assignment]  # remembers, and is always full
    task.process = lambda *_: calls.append("process")  # type: ignore[method-assign]  # what is done does not matter
    task.is_full = lambda: True  # type: ignore[method-assign]  # see above
    runs = [Run(InputTopic.ORDERS, []), Run(InputTopic.SUPPORT, [])]

    loop.run_until_complete(engine.process(Batch(task, task.epoch, runs)))

    assert " ".join(calls) == expected
    assert not task.busy


def test_no_snapshot_is_published_while_a_new_policy_reaches_the_accounts(task: PartitionTask) -> None:
    """A tier of one policy beside a score of another would be neither."""
    published: list[OutRecord] = []
    task.accounts.restore("A-1", pack(AccountState("A-1", revision=1, configuration="another")))
    task.accounts.refresh()

    assert task.publish_snapshots(10, published.append) == 0

    task.accounts.settled()
    assert task.publish_snapshots(10, published.append) == 1


def test_a_batch_that_is_cancelled_ends_the_worker(
    settings: Settings, task: PartitionTask, loop: asyncio.AbstractEventLoop
) -> None:
    """An agent that is cancelled while it waits for its turn would otherwise leave a hole behind it."""
    engine = loop.run_until_complete(_engine(settings))
    engine._tasks[0] = task

    async def cancel() -> None:
        async with engine._lock:
            waiting = asyncio.create_task(engine.process(Batch(task, task.epoch, [])))
            await asyncio.sleep(0)
            waiting.cancel()
        await asyncio.wait({waiting})

    loop.run_until_complete(cancel())

    assert "was cancelled" in engine.failure.result()
