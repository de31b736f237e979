"""What holds after every step of any history: bounds, sums, sequences and revisions."""

from collections.abc import Iterator
from typing import Any, Final

import msgspec
from hypothesis import given

from models.bodies import OutputEvent, TierChanged
from models.codec import header, pack, unpack
from models.events import CsatAnswered, OrderCompleted, TicketOpened
from models.orders import order_of
from models.outputs import ChurnLevel, Tier
from models.policy import Policy
from models.state import (
    OPEN_TICKETS_MAX,
    PRODUCT_LINES_MAX,
    RECENT_EVENT_BYTES,
    RECENT_EVENTS_MAX,
    SURVEYS_MAX,
    AccountState,
)
from processors.account import Step, advance, apply
from processors.context import Context
from processors.recent import fingerprint, seen
from processors.snapshots import snapshot
from processors.support import SupportKind
from processors.windows import halves, order_days, rhythm, totals
from tests.core.histories import FIRST, Arrival, histories, policies, portfolios
from tests.support.portfolios import Portfolio
from tests.support.scenario import ACCOUNT, DAY_MS, make_event, play, policy_of, read_event


def walk(policy: Policy, history: list[Arrival], *counted: Portfolio) -> Iterator[tuple[AccountState, Step, Context]]:
    """Take the events one by one, then the days after them one by one, showing the account after each.

    The cut points of each portfolio that is given hold for a share of the way. An account is shown with those that it
    was last evaluated with.
    """
    contexts = [Context(policy, cuts=one.cut_points(number + 1)) for number, one in enumerate(counted)]
    state: AccountState | None = None
    for number, arrival in enumerate(history):
        context = contexts[number * len(contexts) // len(history)]
        step = apply(state, arrival.event, context)
        state = step.state
        if state is not None:
            yield state, step, contexts[state.portfolio_version - 1]
    if state is not None:
        for day in range(state.as_of_day, state.as_of_day + policy.horizon_days + 2):
            step = advance(state, context.end_of_day_ms(day), context)
            yield state, step, context


TOTALS: Final = (
    *("revenue_minor", "orders", "costed_revenue_minor", "cost_minor", "order_days", "squared_gaps"),
    *("early_from_day", "late_from_day", "early_minor", "late_minor"),
)
RHYTHM: Final = ("order_days", "first_day", "last_day")


def fields(one: object, names: tuple[str, ...]) -> list[Any]:
    """Read them."""
    return [getattr(one, name) for name in names]


def visible(state: AccountState, context: Context) -> dict[str, Any]:
    """Give what a reader of snapshots sees, but for when it was and which revision."""
    shown = msgspec.structs.asdict(snapshot(state, context))
    return {name: value for name, value in shown.items() if name not in {"as_of", "revision"}}


@given(policies(), histories(), portfolios(), portfolios())
def test_every_collection_of_the_state_is_bounded(
    policy: Policy, history: list[Arrival], one: Portfolio, other: Portfolio
) -> None:
    """Days are of the horizon, sorted and not empty; ids, tickets, answers and support days have their maximum."""
    for state, _, _ in walk(policy, history, one, other):
        horizon = range(state.as_of_day - policy.horizon_days + 1, state.as_of_day + 1)
        assert state.days == sorted(set(state.days))
        assert all(day in horizon for day in state.days)
        columns = (state.revenue_minor, state.orders, state.costed_revenue_minor, state.cost_minor)
        assert {len(column) for column in columns} == {len(state.days)}
        assert all(map(any, zip(*columns, strict=True)))
        places = [(one.day, one.kind) for one in state.support_days]
        assert places == sorted(set(places))
        assert all(one.day in horizon and one.count > 0 and SupportKind(one.kind) for one in state.support_days)
        assert all(answer.day in horizon for answer in state.surveys)
        assert state.due_day is None or state.due_day > state.as_of_day
        for recent in (state.recent_orders, state.recent_support, state.recent_profiles):
            assert len(recent) <= RECENT_EVENTS_MAX * RECENT_EVENT_BYTES


@given(policies(), histories(), portfolios())
def test_what_is_kept_beside_a_state_equals_what_it_holds(
    policy: Policy, history: list[Arrival], counted: Portfolio
) -> None:
    """Totals that were kept up to date from the first event on are those of a state that was just unpacked."""
    for state, _, context in walk(policy, history, counted):
        again = unpack(pack(state))
        # What the sums of the halves are as of is whoever asked last.
        days = context.growth_days
        assert halves(state, state.as_of_day, days) == halves(again, state.as_of_day, days)
        assert fields(totals(state), TOTALS) == fields(totals(again), TOTALS)
        assert fields(rhythm(state), RHYTHM) == fields(rhythm(again), RHYTHM)
        assert order_days(state) == order_days(again)


@given(policies(), histories(), portfolios(), portfolios())
def test_each_tier_change_adds_up_and_follows_the_last(
    policy: Policy, history: list[Arrival], one: Portfolio, other: Portfolio
) -> None:
    """Deltas sum to the score's change, points to the score, and `before` is what the last change said."""
    last: TierChanged | None = None
    for _, step, _ in walk(policy, history, one, other):
        for change in step.outputs:
            if not isinstance(change, TierChanged):
                continue
            deltas = [one.delta_hundredths for one in change.components]
            points = [one.points_hundredths for one in change.components]
            before = [one.points_before_hundredths for one in change.components]
            assert sum(deltas) == change.score_delta_hundredths
            assert sum(points) == round((change.score or 0) * 100)
            assert sum(before) == round((change.score_before or 0) * 100)
            assert [new - old for new, old in zip(points, before, strict=True)] == deltas
            if last is None:
                assert (change.previous_tier, change.direction, change.score_before) == (None, "entered", None)
            else:
                assert change.previous_tier == last.tier != change.tier
                assert change.score_before == last.score
                assert before == [one.points_hundredths for one in last.components]
                assert [one.score_before for one in change.components] == [one.score for one in last.components]
            last = change


@given(policies(), histories(), portfolios(), portfolios())
def test_sequences_have_no_gap_and_events_are_dated_in_order(
    policy: Policy, history: list[Arrival], one: Portfolio, other: Portfolio
) -> None:
    """Each topic's events of an account are numbered 1, 2, 3 … and never go back in time."""
    outputs: list[OutputEvent] = [found for _, step, _ in walk(policy, history, one, other) for found in step.outputs]
    tiers = [one for one in outputs if isinstance(one, TierChanged)]
    churn = [one for one in outputs if not isinstance(one, TierChanged)]

    assert [one.sequence for one in tiers] == list(range(1, len(tiers) + 1))
    assert [one.sequence for one in churn] == list(range(1, len(churn) + 1))
    moments = [one.occurred_at for one in outputs]
    assert moments == sorted(moments)


@given(policies(), histories(), portfolios(), portfolios())
def test_churn_events_follow_each_other(
    policy: Policy, history: list[Arrival], one: Portfolio, other: Portfolio
) -> None:
    """A loss and a recovery alternate, and no event says what was so already or concerns an unproven account alone."""
    lost = False
    for _, step, _ in walk(policy, history, one, other):
        for change in step.outputs:
            if isinstance(change, TierChanged):
                continue
            assert change.previous_level != change.level
            proven = change.level not in {ChurnLevel.NONE, ChurnLevel.UNPROVEN}
            assert (change.type == "account.recovered") == (change.previous_level is ChurnLevel.LOST and proven)
            assert (change.type == "account.lost") == (change.level is ChurnLevel.LOST)
            assert lost == (change.previous_level is ChurnLevel.LOST)
            lost = change.level is ChurnLevel.LOST
            assert change.trigger_event_id is not None or change.cause in {"time", "configuration", "portfolio"}


@given(policies(), histories(), portfolios(), portfolios())
def test_the_revision_grows_with_every_evaluation(
    policy: Policy, history: list[Arrival], one: Portfolio, other: Portfolio
) -> None:
    """A snapshot with another value has a higher revision, and what is not looked at keeps its own."""
    seen: dict[str, Any] | None = None
    revision = 0
    for state, step, context in walk(policy, history, one, other):
        if step.changed:
            assert state.revision > revision
            seen = visible(state, context)
        else:
            assert state.revision == revision
            assert visible(state, context) == seen
        revision = state.revision


@given(policies(), histories(), portfolios(), portfolios())
def test_a_snapshot_is_what_the_state_was_graded_as(
    policy: Policy, history: list[Arrival], one: Portfolio, other: Portfolio
) -> None:
    """Reading an account changes nothing, and agrees with tier, score, points and level that were settled."""
    for state, step, context in walk(policy, history, one, other):
        packed = pack(state)
        shown = snapshot(state, context)
        assert pack(state) == packed
        assert shown.tier == (state.tier or Tier.UNRATED)
        assert shown.churn.level == state.churn_level
        assert round(sum(one.points for one in shown.components), 2) == (shown.score or 0)
        assert shown.score == (None if state.score is None else state.score / 100)
        for change in step.outputs[-1:]:
            # A due day may have made it at the very moment of the event, which was evaluated after it.
            last = change.trigger_event_id is not None or step.outcome is None
            if last and isinstance(change, TierChanged) and change.occurred_at == shown.as_of:
                assert (shown.tier, shown.windows, shown.confidence) == (
                    change.tier,
                    change.windows,
                    change.confidence,
                )


@given(policies(), histories(), portfolios(), portfolios())
def test_the_header_tells_what_the_state_says(
    policy: Policy, history: list[Arrival], one: Portfolio, other: Portfolio
) -> None:
    """Format, pending snapshot, tier, level and due day are read without unpacking."""
    for number, (state, _, _) in enumerate(walk(policy, history, one, other)):
        if number % 3 == 0:
            state.published_revision = state.revision
        found = header(pack(state))
        assert found == (1, state.revision > state.published_revision, state.tier, state.churn_level, state.due_day)


def test_no_more_open_tickets_are_remembered_than_the_maximum() -> None:
    """The ticket opened first is forgotten for a further one, and the maximum is exactly kept."""
    context, state = Context(policy_of()), AccountState(ACCOUNT)
    for number in range(OPEN_TICKETS_MAX + 3):
        ticket = {"ticket_id": f"T{number}", "severity": "high"}
        event = make_event(ACCOUNT, "ticket.opened", f"e{number}", FIRST * DAY_MS, **ticket)
        assert isinstance(event, TicketOpened)
        apply(state, event, context)

    assert [one.ticket_id for one in state.open_tickets] == [f"T{number}" for number in range(3, OPEN_TICKETS_MAX + 3)]


def test_no_more_answers_are_remembered_than_the_maximum() -> None:
    """The latest answers are kept, by their own day and not by their arrival."""
    context, state = Context(policy_of()), AccountState(ACCOUNT)
    for number in range(SURVEYS_MAX + 5):
        day = FIRST + (number * 7) % (SURVEYS_MAX + 5)
        event = make_event(ACCOUNT, "survey.answered", f"e{number}", day * DAY_MS, kind="csat", score=3)
        assert isinstance(event, CsatAnswered)
        apply(state, event, context)

    assert [one.day - FIRST for one in state.surveys] == list(range(5, SURVEYS_MAX + 5))


def test_no_more_product_lines_are_remembered_than_the_maximum() -> None:
    """The line ordered longest ago is forgotten for a further one; of lines ordered on one day, the last by name."""
    played = play("; ".join(f"d{day} order 1 lines=old-{day}" for day in range(PRODUCT_LINES_MAX)))
    played.play("d90 order 1 lines=new-a,new-b; d91 order 1 lines=old-2")
    kept = {*(f"old-{day}" for day in range(2, PRODUCT_LINES_MAX)), "new-a", "new-b"}
    assert set(played.held.product_lines) == kept

    many = ",".join(f"same-{number:02}" for number in range(PRODUCT_LINES_MAX + 2))
    same = play(f"d0 order 1 lines={many}").held.product_lines
    assert list(same) == [f"same-{number:02}" for number in range(PRODUCT_LINES_MAX)]


def test_exactly_32_event_ids_are_remembered() -> None:
    """The 32nd last event is still a duplicate; the one before it is taken again."""
    context = Context(policy_of())
    events = [
        make_event(ACCOUNT, "order.completed", f"e{n}", FIRST * DAY_MS, order_id="O", amount="1", currency="EUR")
        for n in range(33)
    ]
    state = AccountState(ACCOUNT)
    for event in events:
        apply(state, event, context)

    assert apply(state, events[1], context).outcome == "duplicate"
    assert apply(state, events[0], context).outcome == "applied"


def test_remembered_ids_are_compared_as_wholes() -> None:
    """An id whose hash lies across two remembered ones was not seen; beside such a one, it still is found."""
    event = read_event("d0 order 1", 0)
    assert isinstance(event, OrderCompleted)
    mark = fingerprint(order_of(event))
    across = bytes(4) + mark[:8] + bytes(12)

    assert seen(across, mark) is None
    assert seen(across + mark, mark) == "duplicate"
    assert seen(across + mark[:8] + bytes(4), mark) == "conflict"
