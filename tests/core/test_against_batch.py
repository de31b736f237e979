"""The incremental core against the slow one: same figures, same changes, on the same days, whatever happens."""

from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from models.codec import pack, unpack
from models.fields import epoch_ms, from_epoch_ms
from models.outputs import OutputEvent, TierChanged
from models.policy import Policy
from models.state import AccountState
from processors import churn, support, windows
from processors.account import advance, apply
from processors.context import Context
from processors.evaluation import evaluate
from tests.core.batch import Change, Reference, score_of
from tests.core.histories import FIRST, SPAN_DAYS, Arrival, histories, policies

LAST_DAY = FIRST + SPAN_DAYS + 90


def hundredths(value: float | None) -> int | None:
    """Read a published score or share of 100."""
    return None if value is None else round(value * 100)


def told(output: OutputEvent, context: Context) -> Change:
    """Reduce an output to what the slow rules decide."""
    day = context.day_of(epoch_ms(output.occurred_at))
    if isinstance(output, TierChanged):
        kind, before, after, figure = "tier", output.previous_tier, output.tier, hundredths(output.score)
        return Change(kind, day, output.cause, output.trigger_event_id, before, after, figure)
    risk = None if output.risk is None else round(output.risk * 10_000)
    return Change(output.type, day, output.cause, output.trigger_event_id, output.previous_level, output.level, risk)


def check_figures(state: AccountState, day: int, context: Context, reference: Reference) -> None:
    """Compare all that an evaluation reads of a state with the list of all events, as of a day."""
    ledger, policy = reference.ledger, context.policy
    found = evaluate(state, day, context)
    for window in found.windows:
        batch = ledger.figures(day, window.days)
        assert window.sums == batch[:4], (day - FIRST, window.days)
        assert (window.service_cost_minor, window.profit_minor) == (batch.service, batch.profit)
    days = zip(state.days, state.revenue_minor, state.orders, state.costed_revenue_minor, state.cost_minor, strict=True)
    start = day - policy.horizon_days
    assert {one[0]: one[1:] for one in days if one[0] > start} == ledger.day_rows(day)
    life = ledger.figures(None, None)
    assert state.lifetime_revenue_minor == life.revenue
    assert state.lifetime_orders == life.orders
    assert state.lifetime_costed_revenue_minor == life.costed
    assert state.lifetime_cost_minor == life.cost
    assert state.lifetime_service_cost_minor == life.service
    assert churn.own_gap_days(found.rhythm, policy.churn) == (None if (gap := reference.gap()) is None else float(gap))
    open_tickets = [one.ticket_id for one in state.open_tickets if one.opened_day > start]
    assert open_tickets == list(ledger.open_on(day))
    if len(open_tickets) == len(state.open_tickets):
        severities = ledger.open_on(day).values()
        assert support.severe_open(state) == sum(one in {"high", "critical"} for one in severities)
    counted = {"breached": "sb", "complaint quality": "cq", "complaint price": "cp", "reopened": "re"}
    for name, kind in counted.items():
        assert found.support_counts.get(kind, 0) == ledger.count(day, policy.churn.support_days, name)


def check_score(state: AccountState, day: int, context: Context, reference: Reference) -> None:
    """Compare the score with fractions: points are the nearest integers that sum to it."""
    year = reference.ledger.figures(day, context.policy.horizon_days)
    life = reference.ledger.figures(None, None)
    exact = score_of(
        context.policy,
        year,
        has_ordered=bool(reference.order_days()),
        knew_costs=bool(life.costed or life.cost),
    )
    graded = evaluate(state, day, context).graded
    assert graded.score == exact.score
    assert graded.confidence == exact.confidence
    assert sum(one.points for one in graded.components) == (exact.score or 0)
    for component, (name, score, points) in zip(graded.components, exact.components, strict=True):
        assert (component.name, component.score) == (name, score)
        assert abs(component.points - points) < Fraction(1)


@given(policies(), histories())
def test_figures_equal_the_list_of_all_events_on_every_day(policy: Policy, history: list[Arrival]) -> None:
    """Windows, lifetime, order days, support counts, open tickets and score are those of the whole list, each day."""
    context, reference = Context(policy), Reference(policy)
    state: AccountState | None = None
    for arrival in history:
        if state is not None:
            for day in range(state.as_of_day, context.day_of(arrival.event.occurred_ms)):
                reference.run_to(day)
                check_figures(state, day, context, reference)
                advance(state, context.end_of_day_ms(day), context)
                assert support.satisfaction(state) == reference.ledger.satisfaction(day)
        state = apply(state, arrival.event, context).state
        reference.take(arrival.event)
        if state is not None:
            check_figures(state, state.as_of_day, context, reference)
            check_score(state, state.as_of_day, context, reference)
    if state is not None:
        for day in range(state.as_of_day, state.as_of_day + policy.horizon_days + 2):
            reference.run_to(day)
            advance(state, context.end_of_day_ms(day), context)
            check_figures(state, day, context, reference)
            check_score(state, day, context, reference)
            assert support.satisfaction(state) == reference.ledger.satisfaction(day)


@given(policies(), histories(), st.sampled_from(["live", "event"]))
def test_changes_equal_those_of_looking_at_the_account_every_day(
    policy: Policy, history: list[Arrival], clock: str
) -> None:
    """Outcomes, and changes with their days, causes, scores and risks, are those of evaluating every single day."""
    context, reference = Context(policy), Reference(policy)
    state: AccountState | None = None
    outputs: list[OutputEvent] = []
    for arrival in history:
        now_ms = arrival.at_ms if clock == "live" else 0
        step = apply(state, arrival.event, context, now_ms=now_ms)
        state = step.state
        outputs += step.outputs
        outcome = reference.take(arrival.event, from_epoch_ms(now_ms) if now_ms else None)
        assert str(step.outcome or (step.refusal and step.refusal.reason)) == outcome
    if state is not None:
        outputs += advance(state, context.end_of_day_ms(LAST_DAY), context).outputs
        reference.run_to(LAST_DAY)

    assert [told(one, context) for one in outputs] == reference.changes


@given(policies(), policies(), histories(), st.integers(0, 30))
def test_another_policy_is_noticed_as_of_the_account_s_own_day(
    policy: Policy, other: Policy, history: list[Arrival], switch: int
) -> None:
    """A change of policy is one evaluation before anything else, as the slow rules have it."""
    keep = {"reporting_currency", "reporting_timezone", "window_days", "rates", "support"}
    changed = policy.model_copy(
        update={name: getattr(other, name) for name in ("tiers", "scorecard")} | {"revision": 2}
    )
    assert all(getattr(changed, name) == getattr(policy, name) for name in keep)
    # The cached version of the copy is that of the original.
    changed = Policy.model_validate(changed.model_dump())
    context, reference = Context(policy), Reference(policy)
    state: AccountState | None = None
    outputs: list[OutputEvent] = []
    for number, arrival in enumerate(history):
        if number == switch:
            context = Context(changed)
            reference.reconfigure(changed)
        step = apply(state, arrival.event, context)
        state = step.state
        outputs += step.outputs
        reference.take(arrival.event)
    if state is not None:
        outputs += advance(state, context.end_of_day_ms(LAST_DAY), context).outputs
        reference.run_to(LAST_DAY)

    assert [told(one, context) for one in outputs] == reference.changes


@given(policies(), histories())
def test_time_in_one_go_equals_time_day_by_day(policy: Policy, history: list[Arrival]) -> None:
    """`advance` to a day leaves the same bytes, and tells the same, as `advance` to each day before it."""
    context = Context(policy)
    state: AccountState | None = None
    for arrival in history:
        state = apply(state, arrival.event, context).state
        if state is None:
            continue
        copy = unpack(pack(state))
        at_once = advance(state, context.end_of_day_ms(state.as_of_day + 15), context).outputs
        daily: list[OutputEvent] = []
        for day in range(copy.as_of_day, copy.as_of_day + 16):
            daily += advance(copy, context.start_of_day_ms(day), context).outputs
        for day in range(copy.as_of_day, context.day_of(state.as_of_ms) + 1):
            daily += advance(copy, context.end_of_day_ms(day), context).outputs
        assert tuple(daily) == at_once
        assert pack(copy) == pack(state)


@given(policies(), histories())
def test_packing_at_any_point_changes_nothing(policy: Policy, history: list[Arrival]) -> None:
    """A state that is packed and unpacked after every event ends as the one that never was."""
    context = Context(policy)
    kept: AccountState | None = None
    packed: bytes | None = None
    for arrival in history:
        first = apply(kept, arrival.event, context)
        second = apply(None if packed is None else unpack(packed), arrival.event, context)
        assert first.outputs == second.outputs
        assert first.outcome == second.outcome
        kept, packed = first.state, None if second.state is None else pack(second.state)
        assert (None if kept is None else pack(kept)) == packed


def test_the_last_day_of_a_window_is_its_own() -> None:
    """The doctests of windows hold for the functions the properties above call."""
    state = AccountState("A")
    windows.add(state, 10, windows.Movement(5, 1, None), horizon_start_day=0)

    assert [windows.sums(state, day, 3).revenue_minor for day in (10, 12, 13)] == [5, 5, 0]
