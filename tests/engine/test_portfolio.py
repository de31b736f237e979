"""A partition's part in the portfolio: what stands in its transaction, also after an abort; when a worker counts."""

import asyncio
import threading
from collections.abc import Iterator
from typing import Final

import msgspec
import pytest

from models.events import InputTopic
from models.policy import Policy
from models.portfolio import (
    CensusHead,
    PortfolioFormatError,
    decode_census,
    decode_cut_points,
    encode_census,
    encode_cut_points,
)
from processors.context import Context
from processors.partition import Partition
from processors.portfolio.census import publishable
from stream.checkpoint import CUT_POINTS_KEY, CensusStep, CutPointsStep, OpenStep
from stream.handling import Place
from stream.health import Health
from stream.monitor import Monitor
from stream.portfolio.keeper import DRAWING_PARTITION, Keeper
from stream.portfolio.part import Offer
from stream.portfolio.topic import LATEST_KEY, Board, Posted, census_key
from stream.records import OutRecord
from stream.restore import Restored
from stream.settings import Settings, load_settings
from stream.task import PartitionTask
from stream.telemetry import Metrics
from tests.support.cuts import MADE_UP, made_up_census
from tests.support.scenario import DAY_MS, make_event

POLICY: Final = Policy(reporting_currency="EUR")
CONTEXT: Final = Context(POLICY)
FIRST: Final = 20_000
"""A day."""
DEADLINE_SECONDS: Final = 30.0


@pytest.fixture
def settings() -> Settings:
    """Settings of a broker that is not there."""
    return load_settings(
        {
            "ACCOUNT_HEALTH_BOOTSTRAP_SERVERS": "127.0.0.1:1",
            "ACCOUNT_HEALTH_INSTANCE_ID": "w",
            "ACCOUNT_HEALTH_CLOCK": "event",
        }
    )


def task_of(settings: Settings, context: Context = CONTEXT, partition: int = 0, **restored: object) -> PartitionTask:
    """Open a partition of two."""
    fields = {"accounts": Partition(context), "positions": dict.fromkeys(InputTopic, 0)}
    found = Restored(**fields, settled_policy_version=None, records=0, seconds=0.0, **restored)  # type: ignore[arg-type]  # as they come
    return PartitionTask(Place(partition, 2, dict.fromkeys(InputTopic, "id")), found, settings, lambda: 1)


def order(task: PartitionTask, account_id: str, day: int) -> None:
    """Let an account order."""
    fields = {"order_id": "O", "amount": "10", "currency": "EUR"}
    moment_ms = day * DAY_MS + DAY_MS // 2
    task.accounts.apply(make_event(account_id, "order.completed", f"{account_id}-{day}", moment_ms, **fields))


def commit(task: PartitionTask) -> None:
    """Commit what is open."""
    task.committed(task.changes())


def census(as_of_day: int, accounts: int) -> Posted:
    """A census of so many accounts."""
    found = msgspec.structs.replace(publishable(made_up_census()), as_of_day=as_of_day, accounts=accounts)
    return Posted(CensusHead(as_of_day, accounts), encode_census(found))


def test_a_census_is_published_once(settings: Settings) -> None:
    """It stands in the transaction with a step, and the checkpoint remembers it."""
    task = task_of(settings, partition=1)
    task.part.offer(Offer(CensusStep(FIRST, 3), b"census", None))

    assert task.has_news()
    assert list(task.part.published()) == [(b"census/1", b"census")]
    assert task.checkpoint().steps == [OpenStep(fresh=True), CensusStep(FIRST, 3)]
    assert task.checkpoint().census_day is None, "as long as it is not committed"
    commit(task)
    assert (task.has_news(), list(task.part.published())) == (False, [])
    assert (task.checkpoint().census_day, task.checkpoint().census_accounts) == (FIRST, 3)


def test_drawn_cut_points_are_adopted_where_they_are_published(settings: Settings) -> None:
    """State and portfolio topic get the same bytes in one transaction; those of others are adopted only."""
    for is_drawn in (True, False):
        task = task_of(settings)
        task.part.adopt(CONTEXT.with_cuts(MADE_UP), is_drawn=is_drawn)

        assert list(task.part.changelog()) == [(CUT_POINTS_KEY, encode_cut_points(MADE_UP))]
        assert list(task.part.published()) == [(LATEST_KEY, encode_cut_points(MADE_UP))] * is_drawn
        assert task.accounts.context.cuts is MADE_UP
        assert task.checkpoint().portfolio_version == MADE_UP.version
        commit(task)
        assert list(task.part.changelog()) == list(task.part.published()) == []
        assert task.checkpoint().portfolio_version == MADE_UP.version


def test_an_abort_takes_back_accounts_and_not_what_they_are_compared_with(settings: Settings) -> None:
    """What was adopted comes first when the work is done again, so that the steps say what it was done under."""
    task = task_of(settings)
    order(task, "A", FIRST)
    commit(task)
    order(task, "B", FIRST)
    task.part.adopt(CONTEXT.with_cuts(MADE_UP))
    task.part.offer(Offer(CensusStep(FIRST, 1), b"census", None))
    order(task, "C", FIRST)

    task.abort()

    assert task.accounts.get("B") is None
    assert task.part.version == MADE_UP.version
    assert task.checkpoint().steps == [CutPointsStep(MADE_UP.version), CensusStep(FIRST, 1)]
    assert [key for key, _ in task.changelog(task.changes())][:-1] == [CUT_POINTS_KEY]
    assert len(list(task.part.published())) == 1


def test_fixed_cut_points_come_before_the_first_event(settings: Settings) -> None:
    """They are adopted on opening, unless the accounts were compared with them before."""
    fixed = CONTEXT.with_cuts(MADE_UP)

    assert task_of(settings, fixed).checkpoint().steps == [OpenStep(fresh=True), CutPointsStep(MADE_UP.version)]
    assert not task_of(settings, fixed, cuts=MADE_UP).has_news()


def test_the_board_keeps_the_latest() -> None:
    """Of each partition, and of the cut points; what is deleted stays known until it is replaced."""
    board = Board()
    for accounts in (1, 2):
        board.take(census_key(7), census(FIRST, accounts).record)
    board.take(LATEST_KEY, encode_cut_points(MADE_UP))
    for key in (census_key(7), LATEST_KEY, None, b"something else", b"census/x"):
        board.take(key, None)
    board.take(b"something else", b"else")

    assert (board.censuses[7].head.accounts, board.cuts) == (2, MADE_UP)
    with pytest.raises(PortfolioFormatError, match="newer than 1"):
        board.take(LATEST_KEY, b"\x02")


@pytest.fixture
def keeper(settings: Settings) -> Iterator["Kept"]:
    """A keeper of two partitions, whose topic nobody reads."""
    with asyncio.Runner() as runner:
        yield Kept(runner, settings)


class Kept:
    """A keeper, and the loop that its results come to."""

    def __init__(self, runner: asyncio.Runner, settings: Settings) -> None:
        self.runner = runner
        self.tasks = {number: task_of(settings, partition=number) for number in range(2)}
        self.failures: list[str] = []

        async def make() -> Keeper:
            monitor = Monitor(Metrics(), Health(60), POLICY, settings.topics, settings.clock)
            return Keeper(settings, CONTEXT, self.tasks, monitor, self.failures.append)

        self.keeper = runner.run(make())

    def work(self, partition: int) -> bool:
        """Let the keeper look at a task and see what came of it; returns whether its transaction holds something."""

        async def run() -> None:
            for _ in range(2):
                self.keeper.work(self.tasks[partition])
                # Behind a census or a draw, which is told to the loop before this is done.
                self.keeper._thread.submit(int).result()
                await asyncio.sleep(0)

        self.runner.run(run())
        assert self.failures == []
        return self.tasks[partition].has_news()


def test_a_partition_is_counted_when_it_is_young_and_when_the_day_turns(keeper: Kept) -> None:
    """The first account, a doubling, another day; never what is not committed, and nobody where nobody is."""
    task = keeper.tasks[1]
    counted = []
    for account_id, day, is_counted in (
        ("A", 0, True),
        ("A", 0, False),
        ("B", 0, True),
        ("C", 0, False),
        ("D", 0, True),
        ("A", 1, True),
        ("B", 1, False),
    ):
        order(task, account_id, FIRST + day)
        assert not keeper.work(1), "nothing is counted while something is not committed"
        commit(task)
        # What comes too early for the interval would wait for it.
        keeper.keeper._day_from_seconds.clear()
        keeper.keeper._earliest_seconds.clear()
        assert keeper.work(1) == is_counted
        counted += [
            (one.as_of_day - FIRST, one.accounts) for one in task.checkpoint().steps if isinstance(one, CensusStep)
        ]
        for key, record in task.part.published():
            assert (key, decode_census(record or b"").accounts) == (b"census/1", counted[-1][1])
        commit(task)

    assert counted == [(0, 1), (0, 2), (0, 4), (1, 4)]
    assert not keeper.work(0)


def test_days_that_fly_past_are_not_all_counted(keeper: Kept) -> None:
    """While history is read the interval lies between two censuses; a portfolio that doubles does not wait."""
    task = keeper.tasks[1]
    for day in range(3):
        order(task, "A", FIRST + day)
        commit(task)
        assert keeper.work(1) == (day == 0)
        commit(task)
    assert (task.part.last.day, task.part.last.accounts) == (FIRST, 1)

    order(task, "B", FIRST + 3)
    commit(task)
    # What a census may take of the time is another bound.
    keeper.keeper._earliest_seconds.clear()
    keeper.work(1)
    commit(task)
    assert (task.part.last.day, task.part.last.accounts) == (FIRST + 3, 2)


def test_cut_points_are_drawn_from_the_latest_of_all(keeper: Kept) -> None:
    """By the task of partition 0 alone, numbered on from what it has; others go by what the topic says."""
    board, drawing, other = keeper.keeper.board, *keeper.tasks.values()
    assert drawing.partition == DRAWING_PARTITION
    board.censuses |= {0: census(FIRST, 10), 1: census(FIRST, 20)}
    keeper.work(0)

    ((key, record),) = drawing.part.published()
    drawn = decode_cut_points(record or b"")
    assert (key, drawn.version, drawn.as_of_day, drawn.accounts) == (LATEST_KEY, 1, FIRST, 30)
    assert drawing.part.version == 1
    assert not keeper.work(1), "not before it is committed, and read"
    commit(drawing)
    board.cuts = drawn
    keeper.work(1)
    assert (other.part.version, list(other.part.published())) == (1, [])
    commit(other)
    assert [keeper.work(0), keeper.work(1)] == [False, False], "once a day is enough"
    board.censuses[1] = census(FIRST, 25)
    assert not keeper.work(0)
    board.censuses[1] = census(FIRST, 26)
    keeper.work(0)
    assert drawing.part.version == 2, "but for a portfolio that has grown by a fifth"


def test_a_partition_that_is_behind_is_waited_for(keeper: Kept, monkeypatch: pytest.MonkeyPatch) -> None:
    """When the day turns, cut points wait for the censuses of that day, for a bounded time."""
    board, drawing = keeper.keeper.board, keeper.tasks[0]
    keeper.keeper._interval_seconds = 0
    board.censuses |= {0: census(FIRST, 10), 1: census(FIRST, 20)}
    keeper.work(0)
    commit(drawing)
    board.censuses[0] = census(FIRST + 1, 10)
    assert not keeper.work(0)

    monkeypatch.setattr("stream.portfolio.keeper._PATIENCE_SECONDS", 0.0)
    keeper.work(0)
    assert drawing.part.version == 2


def test_old_cut_points_are_not_gone_back_to(keeper: Kept) -> None:
    """A topic that says less than a partition knows changes nothing."""
    task = keeper.tasks[1]
    task.part.adopt(CONTEXT.with_cuts(msgspec.structs.replace(MADE_UP, version=5)))
    commit(task)
    keeper.keeper.board.cuts = msgspec.structs.replace(MADE_UP, version=4)

    assert not keeper.work(1)
    assert task.part.version == 5


def test_after_an_abort_nothing_is_lost_or_doubled(keeper: Kept) -> None:
    """A census that was offered is offered again by the same task, and taken once."""
    task = keeper.tasks[1]
    order(task, "A", FIRST)
    commit(task)
    keeper.work(1)
    task.abort()

    steps: list[object] = list(task.checkpoint().steps)
    assert steps == [CensusStep(FIRST, 1)]
    commit(task)
    produced: list[OutRecord] = []
    task.tick(10, produced.append)
    assert (keeper.work(1), produced) == (False, [])


def test_a_worker_that_stops_counts_no_more(keeper: Kept) -> None:
    """A census that waits for its turn is given up, and none is begun, while the last transactions are committed."""
    begun, released = threading.Event(), threading.Event()
    for task in keeper.tasks.values():
        order(task, "A", FIRST)
        commit(task)

    async def stop() -> None:
        keeper.keeper._thread.submit(begun.set)
        keeper.keeper._thread.submit(released.wait, DEADLINE_SECONDS)
        begun.wait(DEADLINE_SECONDS)
        keeper.keeper.work(keeper.tasks[0])
        keeper.keeper.stop()
        released.set()
        for task in keeper.tasks.values():
            keeper.keeper.work(task)
            keeper.keeper.count(task)
        keeper.keeper._thread.shutdown()
        await asyncio.sleep(0)

    keeper.runner.run(stop())

    assert keeper.failures == []
    assert not any(task.has_news() for task in keeper.tasks.values())
