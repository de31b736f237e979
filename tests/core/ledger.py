"""What happened to one account, kept as it came: every figure is recomputed from the whole list."""

from collections import Counter
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo

from iso4217 import Currency

from models.events import (
    AccountEvent,
    ComplaintFiled,
    CsatAnswered,
    NpsAnswered,
    OrderCancelled,
    OrderCompleted,
    OrderRefunded,
    ProfileUpdated,
    SlaBreached,
    TicketOpened,
    TicketReopened,
    TicketResolved,
)
from models.policy import Policy

_DAY_ZERO: Final = date(1970, 1, 1)
SURVEYS_KEPT: Final = 32
TICKETS_KEPT: Final = 64


class NoRate(Exception):  # noqa: N818  # it is an answer, not an error
    """The policy cannot convert the money of an event."""


class Figures(NamedTuple):
    """A window, recomputed."""

    revenue: int
    orders: int
    costed: int
    cost: int
    service: int

    @property
    def profit(self) -> int | None:
        """Null when no cost is known."""
        return None if self.costed == 0 and self.cost == 0 else self.costed - self.cost - self.service

    @property
    def coverage(self) -> float | None:
        """As it is published, with four decimals; null without revenue."""
        if self.revenue <= 0:
            return None
        return round(float(min(Fraction(1), max(Fraction(0), Fraction(self.costed, self.revenue)))), 4)


class Line(NamedTuple):
    """One movement of money on a day."""

    day: int
    revenue: int
    orders: int
    cost: int | None


class Sign(NamedTuple):
    """One support event on a day."""

    day: int
    name: str


def local_day(moment: datetime, zone: str) -> int:
    """Count the local day of a moment."""
    return (moment.astimezone(ZoneInfo(zone)).date() - _DAY_ZERO).days


def day_number(value: date) -> int:
    """Count the day of a date."""
    return (value - _DAY_ZERO).days


def start_of(day: int, zone: str) -> datetime:
    """Find the first moment of a local day by trying every quarter of an hour around its midnight in UTC."""
    tried = datetime.combine(_DAY_ZERO + timedelta(days=day - 1), datetime.min.time(), ZoneInfo("UTC"))
    while local_day(tried, zone) < day:
        tried += timedelta(minutes=15)
    return tried


def minor_digits(currency: str) -> int:
    """Digits of a currency's minor unit."""
    digits = Currency(currency).exponent
    assert digits is not None
    return digits


def to_minor(amount: Decimal, currency: str, day: int, policy: Policy) -> int:
    """Convert by exact fractions; Python rounds a fraction half to even."""
    rate = Fraction(1)
    if currency != policy.reporting_currency:
        known = [one for one in policy.rates.get(currency, ()) if (one.since - _DAY_ZERO).days <= day]
        if not known:
            raise NoRate
        rate = Fraction(known[-1].rate)
    minor_units: int = 10 ** minor_digits(policy.reporting_currency)
    return round(Fraction(amount) * rate * minor_units)


def line_of(event: OrderCompleted | OrderRefunded | OrderCancelled, policy: Policy) -> Line:
    """Say what an order event moves, and on which day.

    Raises:
        NoRate: if its money cannot be converted.
    """
    zone = policy.reporting_timezone
    happened = local_day(event.occurred_at, zone)
    ordered = happened
    if isinstance(event, OrderRefunded | OrderCancelled) and event.ordered_at is not None:
        ordered = local_day(event.ordered_at, zone)
    amount = to_minor(event.amount, event.currency, ordered, policy)
    cost = None if event.cost is None else to_minor(event.cost, event.currency, ordered, policy)
    match event:
        case OrderCompleted():
            return Line(happened, amount, 1, cost)
        case OrderRefunded():
            return Line(happened, -amount, 0, None if cost is None else -cost)
        case OrderCancelled():
            return Line(ordered, -amount, -1, None if cost is None else -cost)


@dataclass
class Ledger:
    """All accepted events of one account, in order of arrival."""

    policy: Policy
    lines: list[Line] = field(default_factory=list)
    signs: list[Sign] = field(default_factory=list)
    tickets: dict[str, str] = field(default_factory=dict)
    """The open ones with their severity, the one opened last at the end, whatever their age."""
    since: dict[str, int] = field(default_factory=dict)
    """The day on which each ticket was opened last, as far as that was told in time."""
    answers: list[tuple[int, int]] = field(default_factory=list)
    """Day and points of each, in order of arrival."""
    lines_bought: dict[str, int] = field(default_factory=dict)
    """The day on which each product line was ordered last."""
    profile: ProfileUpdated | None = None
    budget: int | None = None
    """In minor units, at the rate of the profile's day."""

    def enter(self, event: AccountEvent, today: int | None = None) -> None:
        """Write an event down, on a day if the horizon matters.

        Raises:
            NoRate: if its money cannot be converted.
        """
        day = local_day(event.occurred_at, self.policy.reporting_timezone)
        match event:
            case OrderCompleted() | OrderRefunded() | OrderCancelled():
                self.lines.append(line_of(event, self.policy))
                for name in event.product_lines if isinstance(event, OrderCompleted) else ():
                    self.lines_bought[name] = max(day, self.lines_bought.get(name, day))
            case ProfileUpdated(budget=budget):
                money = None if budget is None else to_minor(budget.amount, budget.currency, day, self.policy)
                self.profile, self.budget = event, money
            case TicketOpened() | TicketReopened():
                if today is None or today - day < self.policy.horizon_days:
                    self._open(event, day, today)
                opened = isinstance(event, TicketOpened)
                self.signs.append(Sign(day, f"opened {event.severity}" if opened else "reopened"))
            case TicketResolved():
                self.tickets.pop(event.ticket_id, None)
            case SlaBreached():
                self.signs.append(Sign(day, "breached"))
            case ComplaintFiled():
                self.signs.append(Sign(day, f"complaint {event.category}"))
            case CsatAnswered():
                self.answers.append((day, (event.score - 1) * 25))
            case NpsAnswered():
                self.answers.append((day, event.score * 10))
            case _:
                pass

    def _open(self, event: TicketOpened | TicketReopened, day: int, today: int | None) -> None:
        if today is not None:
            self.tickets = self.open_on(today)
        self.tickets.pop(event.ticket_id, None)
        self.tickets[event.ticket_id] = event.severity
        self.since[event.ticket_id] = day
        while len(self.tickets) > TICKETS_KEPT:
            del self.tickets[next(iter(self.tickets))]

    def open_on(self, as_of_day: int) -> dict[str, str]:
        """Give the tickets that count as open on a day: one that nobody resolved within the horizon is forgotten."""
        kept = self.policy.horizon_days
        return {one: severity for one, severity in self.tickets.items() if as_of_day - self.since[one] < kept}

    def _service_cost(self, signs: list[Sign]) -> int:
        if not signs or not self.policy.support.service_cost:
            return 0
        prices = {f"opened {severity}": cost for severity, cost in self.policy.support.service_cost.items()}
        scale = 10 ** minor_digits(self.policy.reporting_currency)
        return sum(round(Fraction(prices.get(sign.name, Decimal(0))) * scale) for sign in signs)

    def figures(self, as_of_day: int | None, days: int | None) -> Figures:
        """Recompute the window of `days` that ends with a day, or the lifetime if both are None."""

        def inside(day: int) -> bool:
            return as_of_day is None or days is None or as_of_day - days < day <= as_of_day

        lines = [line for line in self.lines if inside(line.day)]
        return Figures(
            revenue=sum(line.revenue for line in lines),
            orders=sum(line.orders for line in lines),
            costed=sum(line.revenue for line in lines if line.cost is not None),
            cost=sum(line.cost or 0 for line in lines),
            service=self._service_cost([sign for sign in self.signs if inside(sign.day)]),
        )

    def day_rows(self, as_of_day: int) -> dict[int, tuple[int, int, int, int]]:
        """Recompute the days of the horizon that are not empty: revenue, orders, costed revenue, cost."""
        found = {
            day: self.figures(day, 1)[:4]
            for day in {line.day for line in self.lines}
            if as_of_day - self.policy.horizon_days < day <= as_of_day
        }
        return {day: row for day, row in sorted(found.items()) if any(row)}

    def order_days(self) -> list[int]:
        """Recompute the days with more orders than cancellations."""
        net: Counter[int] = Counter()
        for line in self.lines:
            net[line.day] += line.orders
        return sorted(day for day, orders in net.items() if orders > 0)

    def count(self, as_of_day: int, days: int, *names: str) -> int:
        """Count the support events of a window whose name begins so."""
        return sum(as_of_day - days < sign.day <= as_of_day and sign.name.startswith(names) for sign in self.signs)

    def answers_on(self, as_of_day: int) -> list[tuple[int, int]]:
        """Give day and points of the latest answers within the horizon, in order of their days."""
        inside = [one for one in self.answers if as_of_day - self.policy.horizon_days < one[0] <= as_of_day]
        return sorted(inside, key=lambda one: one[0])[-SURVEYS_KEPT:]

    def product_lines(self, as_of_day: int) -> int:
        """Count the product lines ordered within the horizon."""
        return sum(as_of_day - self.policy.horizon_days < day for day in self.lines_bought.values())

    def heard_of_support(self, as_of_day: int) -> bool:
        """Tell whether anything of tickets and complaints is known of the horizon."""
        start = as_of_day - self.policy.horizon_days
        return any(start < sign.day for sign in self.signs) or bool(self.open_on(as_of_day))

    def severe(self, as_of_day: int) -> int:
        """Count the open tickets of high or critical severity."""
        return sum(severity in {"high", "critical"} for severity in self.open_on(as_of_day).values())

    def rating(self, name: str, as_of_day: int) -> Fraction | None:
        """Give a rating that is not out of date."""
        found = None if self.profile is None else getattr(self.profile.ratings, name)
        if found is None or as_of_day - day_number(found.rated_at) >= self.policy.scorecard.rating_days:
            return None
        return Fraction(str(found.value))
