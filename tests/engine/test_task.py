"""A partition task: what it remembers between two workers."""

from collections.abc import Callable
from typing import Final, Literal

from confluent_kafka import Message

from models.codec import pack
from models.events import InputTopic
from models.policy import Churn, Policy, Segmented
from models.state import AccountState, ProfileState
from processors.account import Step
from processors.context import DAY_MS, Context
from processors.partition import Partition
from stream.checkpoint import UNSETTLED, PublishStep
from stream.handling import Place
from stream.records import OutRecord
from stream.restore import Restored
from stream.settings import Settings
from stream.task import PartitionTask
from tests.support.cuts import MADE_UP

OLD: Final = Policy(reporting_currency="EUR", revision=1)
NEW: Final = Policy(reporting_currency="EUR", revision=2, churn=Churn(lost_days=200))
BACK: Final = Policy(reporting_currency="EUR", revision=3)
ACCOUNTS: Final = ("A-1", "A-2", "A-3")


def _task(
    packed: dict[str, bytes | None],
    policy: Policy,
    settled: str | None,
    *,
    clock: Literal["live", "event"] = "event",
    wall_clock_ms: Callable[[], int] = lambda: 1,
) -> PartitionTask:
    accounts = Partition(Context(policy))
    for account_id, state in packed.items():
        accounts.restore(account_id, state)
    accounts.set_clock(1)
    positions = dict.fromkeys(InputTopic, 0)
    place = Place(0, 1, dict.fromkeys(InputTopic, "id"))
    settings = Settings(reporting_currency="EUR", clock=clock)
    return PartitionTask(place, Restored(accounts, positions, settled, 0, 0.0), settings, wall_clock_ms)


def _advance(task: PartitionTask, limit: int) -> str:
    """Let time reach some accounts, commit, and give the policy that the checkpoint calls settled."""
    produced: list[OutRecord] = []
    task.tick(limit, produced.append)
    settled = task.checkpoint().policy_version
    task.committed(task.changes())
    return settled


def test_a_policy_that_is_taken_back_halfway_reaches_every_account_again() -> None:
    """Accounts that a half-done change of policy has moved come back with the policy that came before it."""
    old = {one: pack(AccountState(one, configuration=OLD.version)) for one in ACCOUNTS}
    halfway = _task({**old}, NEW, OLD.version)
    assert _advance(halfway, limit=1) == UNSETTLED
    states = {one: halfway.accounts.get(one) for one in ACCOUNTS}
    moved = {one: pack(state) for one, state in states.items() if state is not None}
    assert sorted({state.configuration for state in states.values() if state}) == sorted({OLD.version, NEW.version})

    back = _task({**moved}, BACK, UNSETTLED)

    assert _advance(back, limit=len(ACCOUNTS)) == BACK.version == OLD.version
    assert {state.configuration for one in ACCOUNTS if (state := back.accounts.get(one))} == {OLD.version}


def test_snapshots_are_held_back_until_a_new_policy_has_reached_every_account() -> None:
    """Since when is known, so that an operator can be told; it ends with the first snapshot."""
    task = _task({one: pack(AccountState(one, configuration=OLD.version)) for one in ACCOUNTS}, NEW, OLD.version)
    produced: list[OutRecord] = []
    _advance(task, limit=1)

    held = task.publish_snapshots(10, produced.append), task.held_back_since_ms
    _advance(task, limit=len(ACCOUNTS))
    published = task.publish_snapshots(10, produced.append), task.held_back_since_ms

    assert (held, published) == ((0, 1), (len(ACCOUNTS), None))


def test_a_snapshot_tells_the_clock_at_which_new_cut_points_reached_its_account() -> None:
    """The live clock moves on while nothing is due, which no other step tells: without it nobody could do it again."""
    now_ms = [DAY_MS]
    state = AccountState("A-1", revision=2, published_revision=1, configuration=OLD.version, as_of_ms=DAY_MS)
    task = _task({"A-1": pack(state)}, OLD, OLD.version, clock="live", wall_clock_ms=lambda: now_ms[0])
    produced: list[OutRecord] = []
    for topic in InputTopic:
        task.inputs.reached_end(topic)
    now_ms[0] += DAY_MS // 2
    silent = task.tick(10, produced.append)

    task.part.adopt(Context(OLD, cuts=MADE_UP))
    task.publish_snapshots(10, produced.append)

    found = task.accounts.get("A-1")
    assert silent == 0
    assert task.checkpoint().steps[-1] == PublishStep(["A-1"], now_ms[0])
    assert found is not None
    assert (found.as_of_ms, found.portfolio_version) == (now_ms[0], MADE_UP.version)


def test_only_segments_that_the_policy_names_are_told_apart() -> None:
    """There may be any number of others, and accounts without one."""
    weights = Policy(reporting_currency="EUR").scorecard.weights
    named = Segmented(name="Retail", segment="retail", weights=weights)
    task = _task({}, Policy(reporting_currency="EUR", scorecards=(named,)), None)

    def told(segment: str | None) -> str | None:
        return task._segment_of(Step(AccountState("A-1", profile=ProfileState(version=1, segment=segment))))

    assert [told("retail"), told("public"), told(None), task._segment_of(Step(None))] == ["retail", None, None, None]


def test_whoever_waits_for_a_commit_is_known_until_it_has_ended() -> None:
    """A record that is refused waits for its dead letter as any other waits; time is no record."""
    task = _task({one: pack(AccountState(one, configuration=OLD.version)) for one in ACCOUNTS}, NEW, OLD.version)
    produced: list[OutRecord] = []
    task.tick(len(ACCOUNTS), produced.append)
    before = task.holds_records()

    task.process(
        InputTopic.ORDERS, [Message("orders", 0, 0, key=b"A", value=b"rubbish", timestamp=(1, 1))], produced.append
    )
    during = task.holds_records()
    task.committed(task.changes())

    assert (before, during, task.holds_records()) == (False, True, False)
