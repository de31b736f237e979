"""A second, slow account of the same rules: it forgets nothing and looks at an account on every single day.

Written from docs of the semantics, with exact numbers: fractions for weights, decimals of 40 digits for logarithms.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal, localcontext
from fractions import Fraction
from typing import Final, NamedTuple

from models.events import TOPIC_OF_TYPE, AccountEvent, InputTopic, OrderCancelled, OrderRefunded, ProfileUpdated
from models.policy import Churn, Policy, Scale
from tests.core.ledger import Figures, Ledger, NoRate, line_of, local_day, minor_digits, to_minor

_PRECISION: Final = 40
_LADDER: Final = ("key", "growth", "standard", "basic")
_IDS_KEPT: Final = 32


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


def component_score(value: Fraction | None, scale: Scale) -> int | None:
    """Place a value on a logarithmic scale, in hundredths."""
    if value is None:
        return None
    low, high = Decimal(str(scale.low)), Decimal(str(scale.high))
    with localcontext(prec=_PRECISION):
        exact = Decimal(value.numerator) / Decimal(value.denominator)
        if exact <= low:
            return 0
        share = min(Decimal(1), (exact / low).ln() / (high / low).ln())
        return round(share * 10_000)


class Score(NamedTuple):
    """A score, the exact points of its components, and how sure it is."""

    score: int | None
    components: tuple[tuple[str, int | None, Fraction], ...]
    confidence: float
    """As it is published, with four decimals."""


def score_of(policy: Policy, year: Figures, *, has_ordered: bool, knew_costs: bool) -> Score:
    """Score the longest window by fractions."""
    card, major = policy.scorecard, 10 ** minor_digits(policy.reporting_currency)
    profit = year.profit
    if profit is None and knew_costs and year.revenue == 0:
        profit = -year.service
    if year.coverage is not None and year.coverage < card.profit_coverage_min:
        profit = None
    values: dict[str, tuple[Fraction | None, Scale, int]] = {
        "revenue": (Fraction(year.revenue, major), card.revenue_scale, card.revenue_weight),
        "frequency": (Fraction(year.orders), card.frequency_scale, card.frequency_weight),
        "profit": (None if profit is None else Fraction(profit, major), card.profit_scale, card.profit_weight),
    }
    scores = {
        name: (component_score(value if has_ordered else None, scale), weight)
        for name, (value, scale, weight) in values.items()
    }
    present = sum(weight for score, weight in scores.values() if score is not None)
    total = sum(weight for _, weight in scores.values())
    points = {
        name: Fraction(weight * score, present) if score is not None and present else Fraction(0)
        for name, (score, weight) in scores.items()
    }
    return Score(
        math.floor(sum(points.values()) + Fraction(1, 2)) if present else None,
        tuple((name, score, points[name]) for name, (score, _) in scores.items()),
        round(present / total, 4),
    )


def odds(ratio: Fraction, shift: float, policy: Churn) -> Decimal:
    """Odds of losing an account whose silence is `ratio` of its own gap."""
    held = max(ratio, Fraction(policy.ratio_min)) / Fraction(policy.even_ratio)
    with localcontext(prec=_PRECISION):
        base = Decimal(held.numerator) / Decimal(held.denominator)
        return base ** Decimal(str(policy.steepness)) * Decimal(str(shift)).exp()


@dataclass
class Reference:
    """One account by the slow rules. `now` is where its own time stands."""

    policy: Policy
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
    tier: str | None = None
    graded: bool = False
    level: str | None = None
    scores: list[tuple[int, int | None]] = field(default_factory=list)
    """Each evaluation's day and score, None when the account was not rated."""
    changes: list[Change] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.ledger = Ledger(self.policy)
        self.known_policy = self.policy.version

    def reconfigure(self, policy: Policy) -> None:
        """Put another policy in force, which is noticed at the next event or day."""
        self.policy = self.ledger.policy = policy

    def take(self, event: AccountEvent, now: datetime | None = None) -> str:
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
        self.run_to(today)
        outcome = self._enter(event, today)
        corrects = outcome != "applied" or isinstance(event, OrderRefunded | OrderCancelled)
        self._evaluate(today, "correction" if corrects else "behaviour", event.event_id)
        return outcome

    def run_to(self, last_day: int) -> None:
        """Look at the account on each day up to one."""
        if self.day is not None and self.known_policy != self.policy.version:
            self.known_policy = self.policy.version
            self._evaluate(self.day, "configuration", None)
        for day in range((last_day if self.day is None else self.day) + 1, last_day + 1):
            self._evaluate(day, "time", None)

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

    def order_days(self) -> list[int]:
        """All order days as they are known: those of the horizon exactly."""
        return [*self.old_order_days, *sorted(day for day, orders in self.net.items() if orders > 0)]

    def gap(self) -> Fraction | None:
        """Own gap, shrunk to the portfolio's."""
        days = self.order_days()
        if not days:
            return None
        first = days[0] if self.first_order is None else self.first_order
        return (days[-1] - first + Fraction(self.policy.churn.portfolio_gap_days)) / len(days)

    def _evaluate(self, day: int, cause: str, trigger: str | None) -> None:
        self.day = day
        self._age(day)
        year = self.ledger.figures(day, self.policy.horizon_days)
        life = self.ledger.figures(None, None)
        scored = score_of(
            self.policy, year, has_ordered=bool(self.order_days()), knew_costs=bool(life.costed or life.cost)
        )
        tier = self._grade(day, scored)
        if tier != self.tier and (tier != "unrated" or self.graded):
            self.changes.append(
                Change("tier", day, cause, trigger, self.tier if self.graded else None, tier, scored.score)
            )
            self.graded = True
        self.tier = tier
        level, risk = self._loyalty(day)
        kind = self._churn_kind(level)
        if kind is not None:
            self.changes.append(Change(kind, day, cause, trigger, self.level, level, risk))
        self.level = level

    def _grade(self, day: int, scored: Score) -> str:
        tiers = self.policy.tiers
        rated = scored.score is not None and scored.confidence >= tiers.confidence_min
        self.scores.append((day, scored.score if rated else None))
        if not rated or scored.score is None:
            return "unrated"
        bounds = {"key": tiers.key, "growth": tiers.growth, "standard": tiers.standard}
        best = next((name for name in _LADDER[:-1] if scored.score >= bounds[name].enter * 100), "basic")
        held = _LADDER.index(self.tier) if self.tier in _LADDER else len(_LADDER) - 1
        while held < _LADDER.index(best) and self._days_below(bounds[_LADDER[held]].leave, day) >= tiers.dwell_days:
            held += 1
        tier = _LADDER[min(held, _LADDER.index(best))]
        sure = scored.confidence >= tiers.key_confidence_min
        return "growth" if tier == "key" and not sure else tier

    def _days_below(self, leave: float, day: int) -> int:
        """Count for how many days the score has been under a bound without a break; -1 if it is not."""
        since = day + 1
        for evaluated, score in reversed(self.scores):
            if score is None or score >= leave * 100:
                break
            since = evaluated
        return day - since

    def _loyalty(self, day: int) -> tuple[str, int | None]:
        policy, days, gap = self.policy.churn, self.order_days(), self.gap()
        if gap is None:
            return "none", None
        silence = day - days[-1]
        chance = odds(Fraction(silence) / gap, self._shift(day), policy)
        with localcontext(prec=_PRECISION):
            risk = round(chance / (1 + chance) * 10_000)
        if len(days) == 1:
            return "unproven", risk
        if silence >= max(Fraction(policy.lost_days), Fraction(policy.lost_gaps) * gap):
            return "lost", risk
        for name, share, held_by in (("high", policy.high, {"high"}), ("medium", policy.medium, {"medium", "high"})):
            bound = Decimal(str(share)) - (Decimal(str(policy.hysteresis)) if self.level in held_by else 0)
            if chance >= bound / (1 - bound):
                return name, risk
        return "low", risk

    def _shift(self, day: int) -> float:
        policy = self.policy.churn
        severe = sum(severity in {"high", "critical"} for severity in self.ledger.open_on(day).values())
        breaches = self.ledger.count(day, policy.support_days, "breached")
        complaints = self.ledger.count(day, policy.support_days, "complaint")
        return (
            min(severe, policy.signals_max) * policy.severe_ticket_log_odds
            + min(breaches, policy.signals_max) * policy.sla_breach_log_odds
            + min(complaints, policy.signals_max) * policy.complaint_log_odds
        )

    def _churn_kind(self, level: str) -> str | None:
        if level == self.level:
            return None
        if level == "lost":
            return "account.lost"
        if self.level == "lost":
            proven = len(self.order_days()) > 1
            return "account.recovered" if proven else "account.churn_risk_changed"
        alerts = {"medium", "high"}
        return "account.churn_risk_changed" if level in alerts or self.level in alerts else None


def replayed(policy: Policy, events: Iterable[AccountEvent]) -> Reference:
    """Give a reference that took all these events by its own clock."""
    reference = Reference(policy)
    for event in events:
        reference.take(event)
    return reference
