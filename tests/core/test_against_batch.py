"""The incremental core against the slow one: same figures, same changes, on the same days, whatever happens."""

from fractions import Fraction
from typing import Final

from hypothesis import given
from hypothesis import strategies as st

from models.bodies import OutputEvent, TierChanged
from models.churn_model import ChurnModel
from models.codec import pack, unpack
from models.fields import epoch_ms, from_epoch_ms
from models.policy import Policy
from models.state import AccountState
from processors import churn, support
from processors.account import Step, advance, apply
from processors.context import Context
from processors.evaluation import evaluate
from processors.figures import windows_of
from processors.scorecard import PARTS, points_of
from tests.core.batch import Change, Reference
from tests.core.histories import FIRST, SPAN_DAYS, Arrival, histories, models, moments, policies, portfolios
from tests.core.ledger import minor_digits
from tests.core.measures import Noticed
from tests.support.portfolios import Portfolio

LAST_DAY: Final = FIRST + SPAN_DAYS + 90


def hundredths(value: float | None) -> int | None:
    """Read a published score or share of 100."""
    return None if value is None else round(value * 100)


def minor(text: str | None, digits: int) -> int | None:
    """Read published money."""
    return None if text is None else round(Fraction(text) * 10**digits)


def told(output: OutputEvent, context: Context) -> Change:
    """Reduce an output to what the slow rules decide."""
    day = context.day_of(epoch_ms(output.occurred_at))
    if isinstance(output, TierChanged):
        kind, before, after, figure = "tier", output.previous_tier, output.tier, hundredths(output.score)
        also: tuple[object, ...] = (output.confidence, output.flap)
        return Change(kind, day, output.cause, output.trigger_event_id, before, after, figure, also)
    risk = None if output.risk is None else round(output.risk * 10_000)
    also = (tuple(output.reasons), minor(output.value_at_stake, context.reporting_digits))
    levels = (output.previous_level, output.level)
    return Change(output.type, day, output.cause, output.trigger_event_id, *levels, risk, also)


class Both:
    """One account by the core and by the slow rules, side by side."""

    def __init__(self, policy: Policy, portfolio: Portfolio | None = None, model: ChurnModel | None = None) -> None:
        self.portfolio, self.version, self.model = portfolio, 1, model
        self.reference = Reference(policy, portfolio, model)
        self.context = self._context(policy)
        self.state: AccountState | None = None
        self.outputs: list[OutputEvent] = []

    def _context(self, policy: Policy) -> Context:
        cuts = None if self.portfolio is None else self.portfolio.cut_points(self.version)
        return Context(policy, cuts=cuts, model=self.model)

    def reconfigure(self, policy: Policy) -> None:
        """Put another policy in force."""
        self.reference.reconfigure(policy)
        self.context = self._context(policy)

    def count(self, portfolio: Portfolio) -> None:
        """Publish cut points of another portfolio."""
        self.portfolio, self.version = portfolio, self.version + 1
        self.context = self._context(self.context.policy)

    def _noticed(self) -> Noticed | None:
        state, portfolio = self.state, self.portfolio
        if state is None or portfolio is None or state.portfolio_version == self.context.portfolio_version:
            return None
        return Noticed(portfolio, state.due_day, state.as_of_day)

    def take(self, arrival: Arrival, *, live: bool = False) -> Step:
        """Let an event arrive."""
        now_ms = arrival.at_ms if live else 0
        noticed = self._noticed()
        as_of_ms = 0 if self.state is None else self.state.as_of_ms
        step = apply(self.state, arrival.event, self.context, now_ms=now_ms)
        if self.state is None:
            self.reference.portfolio = self.portfolio
        else:
            self.reference.come_to(from_epoch_ms(as_of_ms))
        outcome = self.reference.take(arrival.event, from_epoch_ms(now_ms) if now_ms else None, noticed)
        assert str(step.outcome or (step.refusal and step.refusal.reason)) == outcome
        self.state = step.state
        self.outputs += step.outputs
        return step

    def pass_to(self, day: int) -> None:
        """Let the time pass to the end of a day."""
        if self.state is not None:
            noticed, as_of_day = self._noticed(), self.state.as_of_day
            self.outputs += advance(self.state, self.context.end_of_day_ms(day), self.context).outputs
            self.reference.run_to(max(day, as_of_day), noticed)

    def check_changes(self) -> None:
        """Compare all that was published."""
        assert [told(one, self.context) for one in self.outputs] == self.reference.changes

    def check_figures(self) -> None:
        """Compare all that an evaluation reads of a state with the list of all events, as of the reference's day."""
        state, reference, policy = self.state, self.reference, self.context.policy
        assert state is not None
        day = reference.day
        assert day is not None
        ledger, digits = reference.ledger, minor_digits(policy.reporting_currency)
        for name, window in windows_of(state, day, self.context).items():
            batch = ledger.figures(day, int(name))
            assert minor(window.revenue, digits) == batch.revenue
            assert (window.orders, window.profit_coverage) == (batch.orders, batch.coverage)
            assert minor(window.service_cost, digits) == batch.service
            assert minor(window.profit, digits) == batch.profit
        columns = (state.revenue_minor, state.orders, state.costed_revenue_minor, state.cost_minor)
        days = zip(state.days, *columns, strict=True)
        start = day - policy.horizon_days
        assert {one[0]: one[1:] for one in days if one[0] > start} == ledger.day_rows(day)
        life = ledger.figures(None, None)
        assert (state.lifetime_revenue_minor, state.lifetime_orders) == (life.revenue, life.orders)
        assert (state.lifetime_costed_revenue_minor, state.lifetime_cost_minor) == (life.costed, life.cost)
        assert state.lifetime_service_cost_minor == life.service
        open_tickets = [one.ticket_id for one in state.open_tickets if one.opened_day > start]
        assert open_tickets == list(ledger.open_on(day))
        if len(open_tickets) == len(state.open_tickets):
            assert support.severe_open(state) == ledger.severe(day)
        lines = {name: one for name, one in ledger.lines_bought.items() if one > start}
        assert {name: one for name, one in state.product_lines.items() if one > start} == lines

    def check_score(self) -> None:
        """Compare parts, score and confidence with exact numbers, and what was noted of a loss."""
        state, reference = self.state, self.reference
        assert state is not None
        day = reference.day
        assert day is not None
        found = evaluate(state, day, self.context)
        judged = reference.judge(day, reference.portfolio)
        for name, part in zip(PARTS, found.parts, strict=True):
            expected = judged.parts[name]
            assert (part is None) == (expected is None), name
            assert part is None or expected is None or abs(Fraction(part) - expected) < Fraction(1, 10**9), name
        exact = judged.scored
        assert found.graded.components == exact.components
        assert (found.graded.score, found.graded.confidence) == (exact.score, exact.confidence)
        assert found.card.name == exact.card
        points = points_of(found.graded, found.card)
        assert sum(one.points for one in points) == (exact.score or 0)
        for one, share in zip(points, exact.points, strict=True):
            assert abs(one.points - share) < Fraction(1)
        assert (found.ranked_profit_minor, found.year.revenue_minor) == (judged.profit, judged.year.revenue)
        assert found.veto == judged.veto
        gap = reference.rhythm(reference.portfolio).gap
        assert churn.own_gap_days(found.rhythm, self.context.portfolio_gap_days) == (
            None if gap is None else float(gap)
        )
        assert (state.tier, state.earned_tier, state.churn_level) == (reference.tier, reference.earned, reference.level)
        assert (state.lost_day, state.value_lost_minor) == (reference.lost_day, reference.value_lost)
        assert state.recovered_day == reference.recovered_day


@given(policies(), portfolios() | st.none(), histories())
def test_figures_equal_the_list_of_all_events_on_every_day(
    policy: Policy, portfolio: Portfolio | None, history: list[Arrival]
) -> None:
    """Windows, lifetime, tickets, product lines, parts and score are those of the whole list of events, on each day."""
    both = Both(policy, portfolio)
    for arrival in history:
        if both.state is not None:
            for day in range(both.state.as_of_day, both.context.day_of(arrival.event.occurred_ms)):
                both.pass_to(day)
                both.check_figures()
                both.check_score()
        both.take(arrival)
        if both.state is not None:
            both.check_figures()
            both.check_score()
    if both.state is not None:
        for day in range(both.state.as_of_day, both.state.as_of_day + policy.horizon_days + 2):
            both.pass_to(day)
            both.check_figures()
            both.check_score()


@given(policies(), portfolios() | st.none(), histories(), st.booleans())
def test_changes_equal_those_of_looking_at_the_account_every_day(
    policy: Policy,
    portfolio: Portfolio | None,
    history: list[Arrival],
    live: bool,  # noqa: FBT001  # drawn
) -> None:
    """Outcomes, and changes with their days, causes, scores and risks, are those of evaluating every single day."""
    both = Both(policy, portfolio)
    for arrival in history:
        both.take(arrival, live=live)
    both.pass_to(LAST_DAY)

    both.check_changes()


@given(policies(), portfolios() | st.none(), models(), histories())
def test_a_churn_model_foretells_on_the_same_days(
    policy: Policy, portfolio: Portfolio | None, model: ChurnModel, history: list[Arrival]
) -> None:
    """With a model instead of the policy's rule, levels change on the days on which its formula says so."""
    both = Both(policy, portfolio, model)
    for arrival in history:
        both.take(arrival)
        if both.state is not None:
            both.check_score()
    both.pass_to(LAST_DAY)

    both.check_changes()


@given(policies(), histories(), st.lists(st.tuples(moments(), portfolios()), max_size=4), st.booleans())
def test_other_cut_points_are_noticed_at_the_next_event_or_due_day(
    policy: Policy,
    history: list[Arrival],
    counted: list[tuple[int, Portfolio]],
    ticking: bool,  # noqa: FBT001  # drawn
) -> None:
    """What new cut points alone did is caused by the portfolio; what time did on the same day, by time."""
    both = Both(policy)
    waiting = sorted(counted, key=lambda one: one[0])
    for arrival in history:
        while waiting and waiting[0][0] <= arrival.at_ms:
            at_ms, portfolio = waiting.pop(0)
            if ticking and both.state is not None:
                both.pass_to(max(both.state.as_of_day, both.context.day_of(at_ms) - 1))
            both.count(portfolio)
        both.take(arrival)
        if both.state is not None and both.state.portfolio_version == both.context.portfolio_version:
            both.check_score()
    for _, portfolio in waiting:
        both.count(portfolio)
    both.pass_to(LAST_DAY)

    both.check_changes()


@given(policies(), policies(), portfolios() | st.none(), histories(), st.integers(0, 30))
def test_another_policy_is_noticed_as_of_the_account_s_own_day(
    policy: Policy, other: Policy, portfolio: Portfolio | None, history: list[Arrival], switch: int
) -> None:
    """A change of policy is one evaluation before anything else, as the slow rules have it."""
    changing = ("tiers", "scorecard", "scorecards", "vetoes", "churn")
    sections = {name: getattr(other, name) for name in changing}
    # Only what fits into the windows that stay.
    horizon = policy.horizon_days
    sections["scorecard"] = other.scorecard.model_copy(update={"growth_days": policy.scorecard.growth_days})
    support_days = min(other.churn.support_days, horizon)
    sections["churn"] = other.churn.model_copy(update={"support_days": support_days})
    # Checked again: the cached version of a copy is that of the original.
    changed = Policy.model_validate(policy.model_copy(update={**sections, "revision": 2}).model_dump())
    both = Both(policy, portfolio)
    for number, arrival in enumerate(history):
        if number == switch:
            both.reconfigure(changed)
        both.take(arrival)
    both.pass_to(LAST_DAY)

    both.check_changes()


@given(policies(), portfolios(), histories())
def test_time_in_one_go_equals_time_day_by_day(policy: Policy, portfolio: Portfolio, history: list[Arrival]) -> None:
    """`advance` to a day leaves the same bytes, and tells the same, as `advance` to each day before it."""
    context = Context(policy, cuts=portfolio.cut_points(1))
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


@given(policies(), portfolios(), histories())
def test_packing_at_any_point_changes_nothing(policy: Policy, portfolio: Portfolio, history: list[Arrival]) -> None:
    """A state that is packed and unpacked after every event ends as the one that never was."""
    context = Context(policy, cuts=portfolio.cut_points(1))
    kept: AccountState | None = None
    packed: bytes | None = None
    for arrival in history:
        first = apply(kept, arrival.event, context)
        second = apply(None if packed is None else unpack(packed), arrival.event, context)
        assert first.outputs == second.outputs
        assert first.outcome == second.outcome
        kept, packed = first.state, None if second.state is None else pack(second.state)
        assert (None if kept is None else pack(kept)) == packed
