"""A second, slow account of the same rules: it forgets nothing and looks at an account on every single day.

Written from docs/semantics.md, with exact numbers; see `tests.core.measures` for the score.
"""

from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal, localcontext
from fractions import Fraction
from typing import Final, NamedTuple

from models.churn_model import ChurnModel
from models.events import TOPIC_OF_TYPE, AccountEvent, InputTopic, OrderCancelled, OrderRefunded, ProfileUpdated
from models.policy import Policy, Veto
from tests.calibration.reference import log_odds as model_log_odds
from tests.core.ledger import Figures, Ledger, NoRate, day_number, line_of, local_day, minor_digits, to_minor
from tests.core.measures import (
    PRECISION,
    Judged,
    Measures,
    Noticed,
    Rhythm,
    Scored,
    exact,
    measure,
    override_of,
    real,
    score,
    scorecard,
)
from tests.support.portfolios import Portfolio

_LADDER: Final = ("key", "growth", "standard", "basic")
_IDS_KEPT: Final = 32
_FLAP_DAYS: Final = 30


class Change(NamedTuple):
    """A published change, reduced to what the rules decide."""

    kind: str
    day: int
    cause: str
    trigger: str | None
    before: str | None
    after: str
    figure: int | None
    """The score after a tier change, the risk at a churn event."""
    also: tuple[object, ...]
    """Confidence and flap of a tier change; reasons and value at stake of a churn event."""


@dataclass
class Reference:
    """One account by the slow rules. `now` is where its own time stands."""

    policy: Policy
    portfolio: Portfolio | None = None
    model: ChurnModel | None = None
    ledger: Ledger = field(init=False)
    day: int | None = None
    now: datetime | None = None
    known_policy: str = field(init=False)
    recent: dict[InputTopic, list[tuple[str, AccountEvent]]] = field(default_factory=dict)
    profile_version: int = -1
    net: dict[int, int] = field(default_factory=dict)
    """Orders a day of the horizon."""
    old_order_days: list[int] = field(default_factory=list)
    first_order: int | None = None
    earned: str | None = None
    tier: str | None = None
    graded: bool = False
    graded_day: int = 0
    tier_before: str | None = None
    level: str | None = None
    lost_day: int | None = None
    value_lost: int | None = None
    recovered_day: int | None = None
    scores: list[tuple[int, int | None]] = field(default_factory=list)
    """Each evaluation's day and score, None when the account was not rated."""
    changes: list[Change] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.ledger = Ledger(self.policy)
        self.known_policy = self.policy.version

    def reconfigure(self, policy: Policy) -> None:
        """Put another policy in force, which is noticed at the next event or day."""
        self.policy = self.ledger.policy = policy

    def come_to(self, moment: datetime) -> None:
        """Let the account's own time be a moment, if it was not that far."""
        self.now = moment if self.now is None else max(self.now, moment)

    def take(self, event: AccountEvent, now: datetime | None = None, noticed: Noticed | None = None) -> str:
        """Take one event, at a live clock if one is given; returns what became of it."""
        if not self._convertible(event):
            return "missing_rate"
        topic = TOPIC_OF_TYPE[event.type]
        known = self.recent.setdefault(topic, [])
        same = [one for event_id, one in known[-_IDS_KEPT:] if event_id == event.event_id]
        if same:
            return "duplicate" if same[-1] == event else "conflict"
        if isinstance(event, ProfileUpdated):
            if event.profile_version < self.profile_version:
                return "stale"
            self.profile_version = event.profile_version
        known.append((event.event_id, event))
        self.now = max(one for one in (self.now, event.occurred_at, now) if one is not None)
        today = local_day(self.now, self.policy.reporting_timezone)
        self.run_to(today, noticed)
        before = self.ledger.profile
        outcome = self._enter(event, today)
        self._evaluate(today, self._cause(event, outcome, before, today), event.event_id)
        return outcome

    def run_to(self, last_day: int, noticed: Noticed | None = None) -> None:
        """Look at the account on each day up to one; other cut points are noticed on the way."""
        if self.day is None:
            self.portfolio = self.portfolio if noticed is None else noticed.portfolio
            self.day = last_day
            return
        if self.known_policy != self.policy.version:
            self.known_policy = self.policy.version
            own = self.day if noticed is None else noticed.own_day
            self._evaluate(own, "configuration", None, noticed)
            noticed = None
        for day in range(self.day + 1, last_day + 1):
            adopts = noticed is not None and day == noticed.due_day
            self._evaluate(day, "time", None, noticed if adopts else None)
        if noticed is not None and self.portfolio is not noticed.portfolio:
            self.portfolio = noticed.portfolio
            self._evaluate(last_day, "portfolio", None)

    def _cause(self, event: AccountEvent, outcome: str, before: ProfileUpdated | None, today: int) -> str:
        if outcome != "applied" or isinstance(event, OrderRefunded | OrderCancelled):
            return "correction"
        if isinstance(event, ProfileUpdated):
            moved = scorecard(self.policy, before) != scorecard(self.policy, event)
            if moved or override_of(before, today) != override_of(event, today):
                return "configuration"
        return "behaviour"

    def _convertible(self, event: AccountEvent) -> bool:
        try:
            Ledger(self.policy).enter(event)
            if isinstance(event, ProfileUpdated) and event.budget is not None:
                day = local_day(event.occurred_at, self.policy.reporting_timezone)
                to_minor(event.budget.amount, event.budget.currency, day, self.policy)
        except NoRate:
            return False
        return True

    def _enter(self, event: AccountEvent, today: int) -> str:
        self._age(today)
        self.ledger.enter(event, today)
        occurred = local_day(event.occurred_at, self.policy.reporting_timezone)
        counted = occurred
        if TOPIC_OF_TYPE[event.type] is InputTopic.ORDERS:
            line = line_of(event, self.policy)  # type: ignore[arg-type]  # the topic says so
            counted = line.day
            if counted > today - self.policy.horizon_days:
                self.net[counted] = self.net.get(counted, 0) + line.orders
            elif line.orders > 0:
                self._remember_old(counted)
        if isinstance(event, ProfileUpdated):
            return "applied"
        if counted <= today - self.policy.horizon_days:
            return "too_late"
        return "late" if occurred < today else "applied"

    def _age(self, today: int) -> None:
        for day in sorted(day for day in self.net if day <= today - self.policy.horizon_days):
            if self.net.pop(day) > 0:
                self._remember_old(day)

    def _remember_old(self, day: int) -> None:
        if not self.old_order_days or day > self.old_order_days[-1]:
            self.old_order_days.append(day)
        self.first_order = day if self.first_order is None else min(day, self.first_order)

    def rhythm(self, portfolio: Portfolio | None) -> Rhythm:
        """All order days as they are known, those of the horizon exactly, and the own gap."""
        days = (*self.old_order_days, *sorted(day for day, orders in self.net.items() if orders > 0))
        if not days:
            return Rhythm((), None, None)
        first = days[0] if self.first_order is None else self.first_order
        gap = portfolio.gap_days if portfolio is not None else None
        mean = Fraction(self.policy.churn.portfolio_gap_days if gap is None else gap)
        return Rhythm(days, first, (days[-1] - first + mean) / len(days))

    def judge(self, day: int, portfolio: Portfolio | None) -> Judged:
        """Say what the account is as of a day, coming from what it was."""
        rhythm = self.rhythm(portfolio)
        parts, profit = measure(self.policy, self.ledger, rhythm, day, portfolio)
        scored = score(self.policy, self.ledger.profile, parts, portfolio)
        year = self.ledger.figures(day, self.policy.horizon_days)
        earned = self._grade(day, scored)
        tier, veto = self._held_down(day, earned, scored, year, profit)
        by_hand = override_of(self.ledger.profile, day)
        level, risk, shift = self._loyalty(day, rhythm)
        reasons = self._reasons(day, rhythm, parts, shift)
        if by_hand is not None:
            tier, veto = by_hand, None
        return Judged(day, parts, profit, year, scored, earned, tier, veto, level, risk, reasons)

    def _evaluate(self, day: int, cause: str, trigger: str | None, noticed: Noticed | None = None) -> None:
        tier_cause = level_cause = cause
        alone = None
        if noticed is not None:
            assert self.day is not None
            alone = self.judge(self.day, noticed.portfolio)
            self.portfolio = noticed.portfolio
        self.day = day
        self._age(day)
        found = self.judge(day, self.portfolio)
        if alone is not None and cause == "time":
            tier_cause = "portfolio" if alone.tier == found.tier else cause
            level_cause = "portfolio" if alone.level == found.level else cause
        rated = found.earned != "unrated"
        self.scores.append((day, found.scored.score if rated else None))
        self._note_loss(found)
        self._tell_tier(found, tier_cause, trigger)
        kind = self._churn_kind(found.level)
        if kind is not None:
            also = (found.reasons, self._stake(found))
            self.changes.append(Change(kind, day, level_cause, trigger, self.level, found.level, found.risk, also))
        self.earned, self.tier, self.level = found.earned, found.tier, found.level

    def _tell_tier(self, found: Judged, cause: str, trigger: str | None) -> None:
        if found.tier == self.tier or (found.tier == "unrated" and not self.graded):
            return
        before = self.tier if self.graded else None
        flap = found.tier == self.tier_before and found.day - self.graded_day <= _FLAP_DAYS
        also = (found.scored.confidence, flap)
        self.changes.append(Change("tier", found.day, cause, trigger, before, found.tier, found.scored.score, also))
        self.tier_before, self.graded_day, self.graded = before, found.day, True

    def _grade(self, day: int, scored: Scored) -> str:
        tiers = self.policy.tiers
        if scored.score is None or scored.confidence < tiers.confidence_min:
            return "unrated"
        bounds = {"key": tiers.key, "growth": tiers.growth, "standard": tiers.standard}
        best = next((name for name in _LADDER[:-1] if scored.score >= bounds[name].enter * 100), "basic")
        held = _LADDER.index(self.earned) if self.earned in _LADDER else len(_LADDER) - 1
        while held < _LADDER.index(best):
            leave = bounds[_LADDER[held]].leave
            if self._days_below(leave, day, scored.score) < tiers.dwell_days:
                break
            held += 1
        tier = _LADDER[min(held, _LADDER.index(best))]
        sure = scored.confidence >= tiers.key_confidence_min
        return "growth" if tier == "key" and not sure else tier

    def _days_below(self, leave: float, day: int, score_now: int) -> int:
        """Count for how many days the score has been under a bound without a break; -1 if it is not."""
        since = day + 1
        for evaluated, one in reversed([*self.scores, (day, score_now)]):
            if one is None or one >= leave * 100:
                break
            since = evaluated
        return day - since

    def _held_down(
        self, day: int, tier: str, scored: Scored, year: Figures, profit: int | None
    ) -> tuple[str, str | None]:
        named = None
        for veto in self.policy.vetoes:
            value = self._measured(veto, day, scored, year, profit)
            low = veto.below is not None and value is not None and value < exact(veto.below)
            high = veto.at_least is not None and value is not None and value >= exact(veto.at_least)
            if (low or high) and tier in _LADDER and _LADDER.index(tier) < _LADDER.index(veto.tier_max):
                tier, named = veto.tier_max, veto.name
        return tier, named

    def _measured(self, veto: Veto, day: int, scored: Scored, year: Figures, profit: int | None) -> Fraction | None:
        major = 10 ** minor_digits(self.policy.reporting_currency)
        names = ("revenue_score", "profit_score", "strategic_score", "potential_score", "relationship_score")
        hundredths = dict(zip(names, scored.components, strict=True)) | {"score": scored.score}
        if veto.measure in hundredths:
            found = hundredths[veto.measure]
            return None if found is None else Fraction(found, 100)
        others = {
            "confidence": exact(scored.confidence),
            "revenue": Fraction(year.revenue, major),
            "profit": None if profit is None else Fraction(profit, major),
            "orders": Fraction(year.orders),
            "open_severe_tickets": Fraction(self.ledger.severe(day)),
            "competitive_pressure": self.ledger.rating("competitive_pressure", day),
        }
        return others[veto.measure]

    def _loyalty(self, day: int, rhythm: Rhythm) -> tuple[str, int | None, dict[str, int]]:
        policy, silence = self.policy.churn, rhythm.lost_silence(self.policy)
        if rhythm.gap is None or rhythm.last is None or silence is None:
            return "none", None, {}
        silent = day - rhythm.last
        signals = self._signals(day)
        shift = sum(
            (count * exact(getattr(policy, f"{name}_log_odds")) for name, count in signals.items()), Fraction(0)
        )
        with localcontext(prec=PRECISION):
            chance = self._odds(day, rhythm) * real(shift).exp()
            risk = round(chance / (1 + chance) * 10_000)
        if len(rhythm.days) == 1:
            return "unproven", risk, signals
        if silent >= silence:
            return "lost", risk, signals
        for name, share, held_by in (("high", policy.high, {"high"}), ("medium", policy.medium, {"medium", "high"})):
            bound = exact(share) - (exact(policy.hysteresis) if self.level in held_by else 0)
            # One part in a billion: what the logarithms of the worker are rounded by.
            if chance >= real(bound / (1 - bound)) * (1 - Decimal("1e-9")):
                return name, risk, signals
        return "low", risk, signals

    def _odds(self, day: int, rhythm: Rhythm) -> Decimal:
        policy, model = self.policy.churn, self.model
        if model is not None:
            # Of orders that came too late the first day is known, not that there was another one.
            days = [rhythm.first or 0, *rhythm.days[1:]]
            gap, horizon = model.portfolio_gap_days, model.horizon_days
            return Decimal(model_log_odds(model.parameters, days, day, horizon, gap)).exp()
        assert rhythm.gap is not None
        held = max((day - rhythm.days[-1]) / rhythm.gap, exact(policy.ratio_min)) / exact(policy.even_ratio)
        return real(held) ** Decimal(str(policy.steepness))

    def _signals(self, day: int) -> dict[str, int]:
        policy = self.policy.churn
        pressure = self.ledger.rating("competitive_pressure", day)
        pressed = pressure is not None and pressure >= exact(policy.competitive_pressure_high)
        return {
            "severe_ticket": min(self.ledger.severe(day), policy.signals_max),
            "sla_breach": min(self.ledger.count(day, policy.support_days, "breached"), policy.signals_max),
            "complaint": min(self.ledger.count(day, policy.support_days, "complaint"), policy.signals_max),
            "satisfaction_down": int(self._less_satisfied(day)),
            "competitive_pressure": int(pressed),
        }

    def _less_satisfied(self, day: int) -> bool:
        start = day - self.policy.churn.support_days
        answers = self.ledger.answers_on(day)
        late = [points for one, points in answers if one > start]
        early = [points for one, points in answers if one <= start]
        drop = exact(self.policy.churn.satisfaction_drop)
        return bool(late and early) and Fraction(sum(early), len(early)) - Fraction(sum(late), len(late)) >= drop

    def _reasons(self, day: int, rhythm: Rhythm, parts: Measures, signals: dict[str, int]) -> tuple[str, ...]:
        policy, profile = self.policy.churn, self.ledger.profile
        if rhythm.gap is None or rhythm.last is None:
            return ()
        quality = self.ledger.count(day, policy.support_days, "complaint quality")
        growth = parts["growth"]
        renewal = None if profile is None or profile.renewal_on is None else day_number(profile.renewal_on) - day
        holds = {
            "overdue": (day - rhythm.last) / rhythm.gap >= exact(policy.even_ratio),
            "open_severe_ticket": signals["severe_ticket"] > 0,
            "sla_breached": signals["sla_breach"] > 0,
            "complaint": signals["complaint"] > min(quality, policy.signals_max),
            "quality_complaint": min(quality, policy.signals_max) > 0,
            "satisfaction_down": signals["satisfaction_down"] > 0,
            "competitive_pressure": signals["competitive_pressure"] > 0,
            "falling_revenue": growth is not None and growth < exact(policy.falling_growth),
            "renewal_near": renewal is not None and 0 <= renewal <= policy.renewal_days,
        }
        return tuple(name for name, held in holds.items() if held)

    def _worth(self, found: Judged) -> int:
        margin = exact(self.policy.churn.margin)
        return max(0, found.profit if found.profit is not None else round(found.year.revenue * margin))

    def _stake(self, found: Judged) -> int | None:
        return None if found.risk is None else round(Fraction(found.risk * self._worth(found), 10_000))

    def _note_loss(self, found: Judged) -> None:
        if found.level == "lost":
            if self.lost_day is None:
                self.lost_day, self.value_lost = found.day, self._worth(found)
        elif self.lost_day is not None:
            self.lost_day = self.value_lost = None
            if found.level not in {"none", "unproven"}:
                self.recovered_day = found.day

    def _churn_kind(self, level: str) -> str | None:
        if level == self.level:
            return None
        if level == "lost":
            return "account.lost"
        if self.level == "lost":
            return "account.churn_risk_changed" if level in {"none", "unproven"} else "account.recovered"
        alerts = {"medium", "high"}
        return "account.churn_risk_changed" if level in alerts or self.level in alerts else None
