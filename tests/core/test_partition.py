"""A partition of accounts: commits, aborts and ticks leave what a plain list of accounts would."""

from collections import Counter
from collections.abc import Callable
from typing import Any, NamedTuple

from hypothesis import given
from hypothesis import strategies as st

from models.bodies import OutputEvent
from models.codec import pack, unpack
from models.events import AccountEvent
from models.policy import Policy
from models.state import ErasedAccount
from processors.account import advance, apply
from processors.context import Context
from processors.partition import Partition
from tests.core.histories import FIRST, SPAN_DAYS, Arrival, histories, moments, policies
from tests.support.portfolios import EVERY_PART, Portfolio
from tests.support.scenario import DAY_MS, make_event, policy_of, read_event
from tests.support.tables import Row, table

PEERS = Portfolio((500, 5_000, 30_000, 100_000), (0, 5_000, 20_000), 6, EVERY_PART)
OTHERS = Portfolio((2_000, 2_000, 60_000), (1, 15_000), 3.5, EVERY_PART)
END_MS = (FIRST + SPAN_DAYS + 40) * DAY_MS
END_OF_TIME = 2**31
PLENTY = 10_000


class Seen(NamedTuple):
    """All that can be observed of a partition."""

    clock_ms: int
    accounts: dict[str, bytes]
    committed: list[str]
    tiers: dict[str, int]
    levels: dict[str, int]
    pending: set[str]
    packed_bytes: int
    due: list[str]
    """The accounts that will ever be due, in the order in which time reaches them."""
    due_count: int


def seen(partition: Partition) -> Seen:
    """Observe a partition, without the zeros of its counters."""
    ids = sorted({*partition.account_ids(), *partition._touched})
    states = {account_id: partition.get(account_id) for account_id in ids}
    return Seen(
        partition.clock_ms,
        {account_id: pack(state) for account_id, state in states.items() if state is not None},
        sorted(partition.account_ids()),
        {name: count for name, count in partition.tiers.items() if count},
        {name: count for name, count in partition.levels.items() if count},
        set(partition.snapshots_pending),
        partition.packed_bytes,
        partition._due_accounts(END_OF_TIME, PLENTY),
        partition.due_count(),
    )


def commit(partition: Partition) -> None:
    """Commit all that was touched."""
    partition.commit(partition.changes())


def reopened(context: Context, clock_ms: int, log: dict[str, bytes], marks: dict[str, ErasedAccount]) -> Partition:
    """Restore a partition from what was written, as another worker would."""
    fresh = Partition(context, clock_ms)
    for account_id, packed in log.items():
        fresh.restore(account_id, packed)
    for key, mark in marks.items():
        fresh.restore_erased(key, mark)
    return fresh


@st.composite
def companies(draw: st.DrawFn) -> list[Arrival]:
    """Arrivals of three accounts, merged, with a few erasures."""
    arrivals = [one for name in "ABC" for one in draw(histories(name, events_max=10))]
    for number in range(draw(st.integers(0, 3))):
        name, at_ms = draw(st.sampled_from("ABC")), draw(moments())
        arrivals.append(Arrival(at_ms, make_event(name, "account.erased", f"x{number}", at_ms)))
    return sorted(arrivals, key=lambda arrival: arrival.at_ms)


ACTIONS = st.sampled_from(["", "", "tick", "tick one", "commit", "abort", "snapshot", "reopen", "count"])


@given(policies(), companies(), st.data())
def test_commits_and_aborts_leave_what_was_committed(
    policy: Policy, company: list[Arrival], data: st.DataObject
) -> None:
    """An abort shows exactly the last commit, and a commit exactly what a worker restores from what was written."""
    context = Context(policy, b"secret", cuts=PEERS.cut_points(1))
    partition = Partition(context)
    log: dict[str, bytes] = {}
    marks: dict[str, ErasedAccount] = {}
    committed = seen(partition)
    for arrival in company:
        partition.apply(arrival.event)
        match data.draw(ACTIONS):
            case "tick":
                list(partition.tick(arrival.at_ms, PLENTY))
            case "tick one":
                list(partition.tick(arrival.at_ms, 1))
            case "count":
                version = partition.context.portfolio_version + 1
                context = context.with_cuts((PEERS, OTHERS)[version % 2].cut_points(version))
                partition.context = context
            case "snapshot":
                for account_id in sorted(partition.snapshots_pending)[:2]:
                    partition.take_snapshot(account_id)
            case "abort":
                partition.abort()
                assert seen(partition) == committed
                assert partition.changes() == ({}, {})
            case "commit" | "reopen" as action:
                before = seen(partition)
                changes = partition.changes()
                partition.commit(changes)
                log |= {key: packed for key, packed in changes.states.items() if packed is not None}
                for key in [key for key, packed in changes.states.items() if packed is None]:
                    log.pop(key, None)
                marks |= changes.erased
                committed = seen(partition)
                fresh = reopened(context, partition.clock_ms, log, marks)
                assert committed == seen(fresh)
                assert committed.accounts == before.accounts == log
                assert (committed.pending, committed.due) == (before.pending, before.due)
                if action == "reopen":
                    partition = fresh
            case _:
                pass


@given(policies(), companies())
def test_the_counts_are_those_of_the_accounts(policy: Policy, company: list[Arrival]) -> None:
    """Tiers, churn levels, bytes and due days are counted once for each committed account."""
    partition = Partition(Context(policy, cuts=PEERS.cut_points(1)))
    for arrival in company:
        partition.apply(arrival.event)
        commit(partition)
    found = seen(partition)
    states = [unpack(packed) for packed in found.accounts.values()]

    assert len(partition) == len(states)
    assert found.tiers == Counter(state.tier or "" for state in states)
    assert found.levels == Counter(state.churn_level or "" for state in states)
    assert found.packed_bytes == sum(map(len, found.accounts.values()))
    due_days = {one.account_id: one.due_day for one in states if one.due_day is not None}
    assert set(found.due) == set(due_days)
    assert [due_days[name] for name in found.due] == sorted(due_days.values())


def _ticked(partition: Partition, now_ms: int, limit: int) -> list[OutputEvent]:
    outputs: list[OutputEvent] = []
    while True:
        reached = list(partition.tick(now_ms, limit))
        assert len(reached) <= limit
        if not reached:
            return outputs
        outputs += [one for _, step in reached for one in step.outputs]


@given(policies(), companies(), st.lists(st.integers(0, 4), min_size=1, max_size=9))
def test_what_is_put_in_order_before_changes_nothing(policy: Policy, company: list[Arrival], parts: list[int]) -> None:
    """Ticks find the same accounts in the same order, however much of them was put in order before, and when."""
    prepared, plain = (
        Partition(Context(policy, cuts=PEERS.cut_points(1))),
        Partition(Context(policy, cuts=PEERS.cut_points(1))),
    )
    for number, arrival in enumerate(company):
        part = parts[number % len(parts)]
        for one in (prepared, plain):
            one.apply(arrival.event)
        prepared.prepare_tick(arrival.at_ms + 40 * DAY_MS, part)
        if part == 0:
            commit(prepared)
            commit(plain)
        outputs = [[step.outputs for _, step in one.tick(0, 1)] for one in (prepared, plain)]
        assert outputs[0] == outputs[1]
    commit(prepared)
    commit(plain)
    while not prepared.prepare_tick(END_MS, 1):
        assert prepared.due_count() == plain.due_count()

    assert seen(prepared) == seen(plain)
    assert _ticked(prepared, END_MS, 2) == _ticked(plain, END_MS, 2)
    assert prepared.prepare_tick(END_MS, 0)


@given(policies(), companies())
def test_small_slices_of_time_equal_one_large_one(policy: Policy, company: list[Arrival]) -> None:
    """Ticks of one account each give the same outputs in the same order, and the same states, as one tick for all."""
    parts = [Partition(Context(policy, cuts=PEERS.cut_points(1))) for _ in range(2)]
    for part in parts:
        for arrival in company:
            part.apply(arrival.event)

    assert _ticked(parts[0], END_MS, 1) == _ticked(parts[1], END_MS, PLENTY)
    assert seen(parts[0]) == seen(parts[1])
    assert parts[0].due_count() == 0


@given(policies(), companies(), st.integers(1, 9))
def test_who_is_due_is_counted_before_anything_is_committed_too(
    policy: Policy, company: list[Arrival], every: int
) -> None:
    """The count is that of the accounts whose due day has come, whatever happened to them since the last commit."""
    partition = Partition(Context(policy))
    for number, arrival in enumerate(company, 1):
        partition.apply(arrival.event)
        if number % every == 0:
            commit(partition)
        if number % 3 == 0:
            counted, today = partition.due_count(), partition.context.day_of(partition.clock_ms)
            states = [partition.get(one) for one in {*partition.account_ids(), *partition._touched}]
            days = [one.due_day for one in states if one is not None and one.due_day is not None]
            assert counted == sum(day <= today for day in days)


def alone(policy: Policy, events: list[AccountEvent]) -> tuple[list[OutputEvent], bytes | None]:
    """Take one account's events with nobody else there, then let the time pass."""
    context, state, mark = Context(policy, cuts=PEERS.cut_points(1)), None, None
    outputs: list[OutputEvent] = []
    for event in events:
        step = apply(state, event, context, erased=mark)
        state, mark = step.state, step.erased or mark
        outputs += step.outputs
    if state is None:
        return outputs, None
    outputs += advance(state, END_MS, context).outputs
    return outputs, pack(state)


def together(
    policy: Policy, arrivals: list[Arrival], place: Callable[[str], int], *, ticking: bool
) -> dict[str, tuple[list[OutputEvent], bytes | None]]:
    """Take events of several accounts, divided among partitions; `ticking` lets time pass after every event."""
    parts = [Partition(Context(policy, cuts=PEERS.cut_points(1))) for _ in range(2)]
    outputs: dict[str, list[OutputEvent]] = {}
    for _, event in arrivals:
        part = parts[place(event.account_id)]
        outputs.setdefault(event.account_id, []).extend(part.apply(event).outputs)
        for account_id, step in part.tick(0, PLENTY) if ticking else ():
            outputs[account_id] += step.outputs
    for part in parts:
        for account_id, step in part.tick(END_MS, PLENTY):
            outputs[account_id] += step.outputs
    states = {name: parts[place(name)].get(name) for name in outputs}
    return {name: (told, None if (one := states[name]) is None else pack(one)) for name, told in outputs.items()}


def _halves(name: str) -> int:
    return ord(name) % 2


@given(policies(), companies(), st.randoms(use_true_random=False))
def test_other_partitions_change_nothing(policy: Policy, company: list[Arrival], dice: Any) -> None:
    """Each account tells the same, and ends as the same bytes, whatever happens in other partitions meanwhile."""
    queues = [[one for one in company if _halves(one.event.account_id) == number] for number in range(2)]
    expected = {
        name: told for queue in queues for name, told in together(policy, queue, _halves, ticking=False).items()
    }
    mixed: list[Arrival] = []
    while any(queues):
        mixed.append(dice.choice([queue for queue in queues if queue]).pop(0))

    assert together(policy, mixed, _halves, ticking=False) == expected


@given(policies(), companies())
def test_late_events_find_the_same_account_whenever_time_is_noticed(policy: Policy, company: list[Arrival]) -> None:
    """Whether accounts are advanced after each event of their partition or never, they went through the same."""
    assert together(policy, company, lambda _: 0, ticking=False) == together(policy, company, lambda _: 0, ticking=True)


@given(policies(), companies())
def test_other_accounts_change_nothing_when_events_come_in_order(policy: Policy, company: list[Arrival]) -> None:
    """With events in the order of their own time, each account tells the same alone, in one partition and in two."""
    in_order = sorted(company, key=lambda arrival: arrival.event.occurred_ms)
    names = {arrival.event.account_id for arrival in company}
    expected = {name: alone(policy, [one.event for one in in_order if one.event.account_id == name]) for name in names}

    assert together(policy, in_order, lambda _: 0, ticking=False) == expected
    assert together(policy, in_order, lambda _: 0, ticking=True) == expected
    assert together(policy, in_order, _halves, ticking=True) == expected


def test_a_refused_event_does_not_move_the_clock() -> None:
    """An order that has no rate leaves the partition as it was, its clock too."""
    partition = Partition(Context(policy_of()))
    partition.apply(read_event("d0 order 100", 0, "A"))
    before = seen(partition)

    step = partition.apply(read_event("d40 order 100 currency=JPY", 1, "B"))

    assert step.refusal is not None
    assert seen(partition) == before


@table("""
| limit | ticks before the abort | told after it |
| 1     | 1                      | A B C         |
| 1     | 2                      | A B C         |
| 9     | 1                      | A B C         |
| 2     | 0                      | A B C         |
""")
def test_an_abort_forgets_who_was_evaluated_under_a_new_policy(row: Row) -> None:
    """After an abort every account is evaluated under the new policy again, and only once when that is committed."""
    partition = Partition(Context(policy_of()))
    for number, name in enumerate("ABC"):
        partition.apply(read_event("d0 order 100", number, name))
    commit(partition)
    partition.context = Context(policy_of(tiers={"dwell_days": 1}))
    partition.refresh()
    for _ in range(int(row["ticks before the abort"])):
        list(partition.tick(0, int(row["limit"])))
    partition.abort()
    assert partition.stale_count() == 3

    reached = []
    while told := [name for name, _ in partition.tick(0, int(row["limit"]))]:
        reached += told
        commit(partition)
    partition.abort()
    assert " ".join(reached) == row["told after it"]
    assert partition.stale_count() == 0


def test_an_abort_brings_back_an_erased_account() -> None:
    """An erasure that is not committed leaves the account, its due day, its pending snapshot and no mark."""
    partition = Partition(Context(policy_of(), b"secret"))
    partition.apply(read_event("d0 order 100", 0))
    commit(partition)
    before = seen(partition)
    partition.apply(read_event("d5 erase", 1))
    assert "A-1" not in seen(partition).accounts
    partition.abort()

    assert seen(partition) == before
    assert partition.apply(read_event("d1 order 100", 2)).outcome == "applied"


def test_marks_of_erasure_hold_no_id() -> None:
    """What is kept of an erased account is a keyed hash, a moment and a count, and another secret finds nothing."""
    context = Context(policy_of(), b"secret")
    partition = Partition(context)
    partition.apply(read_event("d0 order 100", 0))
    partition.apply(read_event("d5 erase", 1))
    changes = partition.changes()
    (key,) = changes.erased

    assert changes.states == {"A-1": None}
    assert "A-1" not in key
    assert len(key) == 64
    same = reopened(context, 0, {}, changes.erased)
    other = reopened(Context(policy_of(), b"other"), 0, {}, changes.erased)
    assert same.apply(read_event("d4 order 100", 2)).outcome == "erased"
    assert other.apply(read_event("d4 order 100", 2)).outcome == "applied"


def test_the_clock_is_the_latest_event_and_never_goes_back() -> None:
    """The event clock follows the latest event of any account; a tick to an earlier moment leaves it."""
    partition = Partition(Context(policy_of()))
    assert partition.due_count() == 0
    for number, text in enumerate(["d9 order 1", "d3 order 1"]):
        partition.apply(read_event(text, number, f"A-{number}"))
    list(partition.tick(0, PLENTY))

    assert partition.clock_ms == read_event("d9 order 1", 0).occurred_ms


def test_the_live_clock_counts_and_not_the_event() -> None:
    """With a live clock the moment of an event is that clock, even if the event is dated later."""
    partition = Partition(Context(policy_of()))
    step = partition.apply(read_event("d5 order 1", 0), now_ms=read_event("d7 order 1", 0).occurred_ms)
    assert step.outcome == "late"
    assert partition.clock_ms == read_event("d7 order 1", 0).occurred_ms
