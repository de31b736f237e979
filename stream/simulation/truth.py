"""The ground truth of a simulated history: what each account did, and what was injected."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Final

from models.events import InputTopic
from models.reasons import RefusalReason
from stream.simulation.company import LabelledRecord
from stream.simulation.delivery import Mark
from stream.simulation.life import TROUBLE_DAYS
from stream.simulation.persona import Persona
from stream.simulation.spec import SimulationSpec, date_of, day_of

FORMAT: Final = 1
"""Version of the truth files; grows when a field changes its meaning."""
TOP_SHARE: Final = 0.2

_SEVERE: Final = ("high", "critical")
_DATE_CHARACTERS: Final = len("2026-01-31")


@dataclass(slots=True)
class AccountTruth:
    """One account, as its accepted records add up."""

    persona: Persona
    types: Counter[str] = field(default_factory=Counter)
    marks: Counter[Mark] = field(default_factory=Counter)
    cancelled_first: int = 0
    """Orders that were sent after their cancellation."""
    first_order_on: str | None = None
    last_order_on: str | None = None
    returned_on: str | None = None
    completed: Decimal = Decimal(0)
    cancelled: Decimal = Decimal(0)
    refunded: Decimal = Decimal(0)
    troubles: Counter[str] = field(default_factory=Counter)
    """Severe tickets, missed deadlines and complaints of the 60 days before it leaves."""
    _cancelled_ids: set[str] = field(default_factory=set)

    def note(self, labelled: LabelledRecord) -> None:
        """Count one of the account's records."""
        self.marks[labelled.mark] += 1
        if labelled.mark not in (Mark.CLEAN, Mark.LATE):
            return
        fields = labelled.fields
        self.types[fields["type"]] += 1
        match labelled.record.topic:
            case InputTopic.ORDERS:
                self._note_order(fields)
            case InputTopic.SUPPORT:
                self._note_support(fields)
            case InputTopic.PROFILES:
                pass

    def line(self, last_day: int) -> dict[str, Any]:
        """Return the account as a line of the truth file, without what lies after the last day."""
        persona = self.persona
        life = persona.life
        has_churned = self.has_churned(last_day)
        return {
            "account_id": persona.account_id,
            "name": persona.name,
            "since": date_of(life.since_day).isoformat(),
            "acquired_on": date_of(life.start_day).isoformat(),
            "size_class": persona.size_class,
            "annual_spend_minor": round(persona.annual_spend_minor),
            "gap_days": round(persona.gap_days, 2),
            "regularity": round(persona.regularity, 2),
            "growth_per_year": round(persona.growth_per_year, 4),
            "margin": round(persona.margin, 4),
            "first_order_on": self.first_order_on,
            "last_order_on": self.last_order_on,
            "churned_on": date_of(life.churn_day).isoformat() if has_churned else None,
            "churn_cause": life.churn_cause if has_churned else None,
            "returned_on": self.returned_on,
            "troubles_60d": {
                "severe_tickets": self.troubles["ticket.opened"],
                "sla_breaches": self.troubles["sla.breached"],
                "complaints": self.troubles["complaint.filed"],
            }
            if has_churned
            else None,
            "lifetime": {
                "orders": self.orders,
                "revenue": str(self.revenue),
                "refunded": str(self.refunded),
                "cancelled": str(self.cancelled),
            },
            "events": dict(sorted(self.types.items())),
            "cancelled_before_order": self.cancelled_first,
            "late": self.marks[Mark.LATE],
            "duplicates": self.marks[Mark.DUPLICATE],
            "conflicts": self.marks[Mark.CONFLICT],
            "malformed": self.marks[Mark.MALFORMED],
        }

    @property
    def orders(self) -> int:
        """Orders completed and not cancelled."""
        return self.types["order.completed"] - self.types["order.cancelled"]

    @property
    def revenue(self) -> Decimal:
        """What its orders brought, less what was cancelled or refunded."""
        return self.completed - self.cancelled - self.refunded

    def has_churned(self, last_day: int) -> bool:
        """Tell whether it had ordered, and left by the end of a day."""
        return self.first_order_on is not None and self.persona.life.churn_day <= last_day

    def _note_order(self, fields: dict[str, Any]) -> None:
        amount = Decimal(fields["amount"])
        match fields["type"]:
            case "order.completed":
                self.completed += amount
                self.cancelled_first += fields["order_id"] in self._cancelled_ids
                self._note_order_day(fields["occurred_at"][:_DATE_CHARACTERS])
            case "order.cancelled":
                self.cancelled += amount
                self._cancelled_ids.add(fields["order_id"])
            case _:
                self.refunded += amount

    def _note_order_day(self, on: str) -> None:
        # ISO dates compare as text. A record that is late may be the earliest.
        self.first_order_on = min(on, self.first_order_on or on)
        self.last_order_on = max(on, self.last_order_on or on)
        if on > date_of(self.persona.life.churn_day).isoformat():
            self.returned_on = min(on, self.returned_on or on)

    def _note_support(self, fields: dict[str, Any]) -> None:
        type_ = fields["type"]
        if type_ == "ticket.opened" and fields["severity"] not in _SEVERE:
            return
        churn_day = self.persona.life.churn_day
        first = date_of(churn_day - TROUBLE_DAYS + 1).isoformat()
        if first <= fields["occurred_at"][:_DATE_CHARACTERS] <= date_of(churn_day).isoformat():
            self.troubles[type_] += 1


class Truth:
    """Collects the ground truth while a history is written."""

    def __init__(self, spec: SimulationSpec, seed: int) -> None:
        self.spec = spec
        self.seed = seed
        self.accounts: dict[str, AccountTruth] = {}
        self.lines: Counter[InputTopic] = Counter()
        self.injected: list[dict[str, Any]] = []

    def note(self, labelled: LabelledRecord) -> None:
        """Count the next record of the history."""
        topic = labelled.record.topic
        persona = labelled.persona
        self.lines[topic] += 1
        account = self.accounts.get(persona.account_id)
        if account is None:
            account = self.accounts[persona.account_id] = AccountTruth(persona)
        account.note(labelled)
        if labelled.mark is not Mark.CLEAN:
            entry = {
                "topic": topic,
                "line": self.lines[topic],
                "account_id": persona.account_id,
                "event_id": labelled.fields["event_id"],
                "mark": labelled.mark,
            }
            if labelled.reason is not None:
                entry["reason"] = labelled.reason
            self.injected.append(entry)

    def account_lines(self) -> Iterator[dict[str, Any]]:
        """Yield one line an account, by id."""
        for account_id in sorted(self.accounts):
            yield self.accounts[account_id].line(self.spec.last_day)

    def summary(self) -> dict[str, Any]:
        """Return what is true of the company as a whole."""
        spec = self.spec
        return {
            "format": FORMAT,
            "seed": self.seed,
            "spec": {
                "accounts": spec.accounts,
                "days": spec.days,
                "from": date_of(spec.first_day).isoformat(),
                "until": spec.until.isoformat(),
                "currency": spec.currency,
                "malformed_share": spec.malformed_share,
                "late_share": spec.late_share,
                "duplicate_share": spec.duplicate_share,
                "conflict_share": spec.conflict_share,
            },
            "lines": {topic: self.lines[topic] for topic in InputTopic},
            "events": dict(sorted(self.types().items())),
            "marks": dict(self.marks()),
            "refused": dict(sorted(self.refused().items())),
            "cancelled_before_order": self.cancelled_first(),
            "revenue": str(sum((one.revenue for one in self.accounts.values()), Decimal(0))),
            "top_20_percent_share": round(self.top_share(), 4),
            "churned": dict(sorted(self.churned().items())),
            "returned": self.returned(),
            "injected": self.injected,
        }

    def types(self) -> Counter[str]:
        """Count the accepted events by type."""
        return sum((one.types for one in self.accounts.values()), Counter[str]())

    def marks(self) -> Counter[Mark]:
        """Count the records by what is special about them, every mark present."""
        marks = Counter(dict.fromkeys(Mark, 0))
        for account in self.accounts.values():
            marks.update(account.marks)
        return marks

    def refused(self) -> Counter[RefusalReason]:
        """Count the malformed records by the reason for which they must be refused."""
        return Counter(entry["reason"] for entry in self.injected if "reason" in entry)

    def churned(self) -> Counter[str]:
        """Count the accounts that left, by cause; those that came back too."""
        last_day = day_of(self.spec.until)
        return Counter(str(one.persona.life.churn_cause) for one in self.accounts.values() if one.has_churned(last_day))

    def returned(self) -> int:
        """Count the accounts that left and came back."""
        return sum(one.returned_on is not None for one in self.accounts.values())

    def cancelled_first(self) -> int:
        """Count the orders that were sent after their cancellation."""
        return sum(one.cancelled_first for one in self.accounts.values())

    def top_share(self) -> float:
        """Return the share of revenue from the largest fifth of accounts with an order, 0 to 1."""
        revenues = sorted(
            (one.revenue for one in self.accounts.values() if one.first_order_on is not None),
            reverse=True,
        )
        total = sum(revenue for revenue in revenues if revenue > 0)
        top = sum(revenues[: round(len(revenues) * TOP_SHARE)])
        return float(top / total) if total else 0.0
