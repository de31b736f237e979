"""Turns that an engine takes seldom, and that no broker can be made to bring about at will."""

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

from models.codec import pack
from models.events import InputTopic
from models.policy import Policy
from models.state import AccountState
from processors.context import Context
from processors.partition import Partition
from stream import engine as engine_module
from stream.checkpoint import TickStep
from stream.engine import Batch, Engine
from stream.handling import Place
from stream.health import Health
from stream.monitor import Monitor
from stream.records import OutRecord
from stream.restore import Restored
from stream.settings import Settings, load_settings
from stream.task import PartitionTask
from stream.telemetry import Metrics

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

    engine._go_back("for a test")

    assert [call for call in poller.calls if call[0] == "resume"] == [("resume", InputTopic.ORDERS, 0)]
    assert engine._paused == {(InputTopic.ORDERS, 1)}


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


def test_polling_stops_while_the_event_loop_does_not_answer(
    settings: Settings, loop: asyncio.AbstractEventLoop
) -> None:
    """The next poll waits for the loop, so that a stuck one loses its partitions instead of holding them."""
    engine = loop.run_until_complete(_engine(settings))
    poller = engine._poller

    poller._wait_for_the_loop()
    assert not poller._answered.is_set(), "the loop has not run since"
    loop.run_until_complete(asyncio.sleep(0))

    assert poller._answered.is_set()


def test_no_snapshot_is_published_while_a_new_policy_reaches_the_accounts(task: PartitionTask) -> None:
    """A tier of one policy beside a score of another would be neither."""
    published: list[OutRecord] = []
    task.accounts.restore("A-1", pack(AccountState("A-1", revision=1, policy_version="another")))
    task.accounts.policy_changed()

    assert task.publish_snapshots(10, published.append) == 0

    task.accounts.policy_settled()
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
