"""A short notation for what happens to an account, so that a test's rows can be read aloud.

Steps are divided by `;`, in the order in which they arrive: a day as `d5` (days after `FIRST_DAY`, a time of day may
follow: `d5@23:30`), a verb with its operands, then options as `name=value`:

    d0 order 100 cost=60 lines=pumps,valves; d3 refund 20 ordered=d0; d3 cancel 100 ordered=d0; d5 open T-1 high
    d9 profile 1 segment=retail since=d-400 budget=500 renewal=d90 market_share=80@d0 override=key@d30; d90 time

`time` lets the time pass until the end of that day.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date
from typing import Any, Final

from models.bodies import OutputEvent, TierChanged
from models.events import TOPIC_OF_TYPE, AccountEvent, Ratings, adapter_of
from models.fields import from_epoch_ms
from models.policy import Policy, read_policy
from models.portfolio import CutPoints
from models.state import AccountState, ErasedAccount
from processors.account import Step, advance, apply
from processors.context import Context, date_of, day_of_date

FIRST_DAY: Final = day_of_date(date(2026, 1, 1))
MINUTE_MS: Final = 60_000
DAY_MS: Final = 86_400_000
ACCOUNT: Final = "A-1"


def policy_of(**sections: Any) -> Policy:
    """Make a policy in EUR; sections are given as in its file."""
    return read_policy({"reporting_currency": "EUR", **sections})


def windowed(*days: int, **sections: Any) -> Policy:
    """Make a policy with other windows, and with the settings that must fit into the longest."""
    longest = days[-1]
    fitting = {
        "scorecard": {"growth_days": max(longest // 2, 1)},
        "churn": {"support_days": min(longest, 90)},
        "support": {"days": min(longest, 90)},
    }
    merged = {name: fitting.get(name, {}) | sections.pop(name, {}) for name in fitting}
    return policy_of(window_days=list(days), **merged, **sections)


def make_event(account_id: str, type_: str, event_id: str, occurred_ms: int, **fields: Any) -> AccountEvent:
    """Make an event as if it had come over the wire."""
    raw = {
        "account_id": account_id,
        "type": type_,
        "event_id": event_id,
        "occurred_at": from_epoch_ms(occurred_ms).isoformat(),
        **fields,
    }
    event = adapter_of(TOPIC_OF_TYPE[type_]).validate_python(raw)
    assert event.type != "clock.advanced"
    return event


def moment_ms(text: str) -> int:
    """Read `d5` (noon) or `d5@23:30` as a moment in UTC.

    >>> moment_ms("d1@00:10") - moment_ms("d0@23:50") == 20 * MINUTE_MS
    True
    """
    day, _, clock = text.partition("@")
    hours, minutes = (clock or "12:00").split(":")
    return (FIRST_DAY + int(day.removeprefix("d"))) * DAY_MS + (int(hours) * 60 + int(minutes)) * MINUTE_MS


def iso(text: str) -> str:
    """Write a moment of the notation as the wire has it."""
    return from_epoch_ms(moment_ms(text)).isoformat()


def _money(operands: list[str], options: dict[str, str]) -> dict[str, Any]:
    fields: dict[str, Any] = {"amount": operands[0], "currency": options.get("currency", "EUR")}
    if "cost" in options:
        fields["cost"] = options["cost"]
    if "ordered" in options:
        fields["ordered_at"] = iso(options["ordered"])
    return fields


def _ticket(operands: list[str], _: dict[str, str]) -> dict[str, Any]:
    return {"ticket_id": operands[0], "severity": operands[1] if len(operands) > 1 else "low"}


def _order(operands: list[str], options: dict[str, str]) -> dict[str, Any]:
    lines = options["lines"].split(",") if "lines" in options else []
    return {"order_id": options.get("order", "O"), "product_lines": lines, **_money(operands, options)}


def _cancel(operands: list[str], options: dict[str, str]) -> dict[str, Any]:
    return {"order_id": options.get("order", "O"), **_money(operands, options)}


def day_of(text: str) -> date:
    """Read `d5` as a date.

    >>> day_of("d-1").isoformat()
    '2025-12-31'
    """
    return date_of(FIRST_DAY + int(text.removeprefix("d")))


def _profile(operands: list[str], options: dict[str, str]) -> dict[str, Any]:
    fields: dict[str, Any] = {"profile_version": int(operands[0])}
    ratings: dict[str, Any] = {}
    for name, text in options.items():
        value, _, day = text.partition("@")
        match name:
            case "budget":
                fields["budget"] = {"amount": value, "currency": "EUR"}
            case "since" | "renewal":
                fields[_PROFILE_DAYS[name]] = day_of(text).isoformat()
            case "override":
                fields["override"] = {"tier": value, "reason": "test", "until": day_of(day).isoformat()}
            case _ if name in Ratings.model_fields:
                ratings[name] = {"value": value, "rated_at": day_of(day).isoformat()}
            case _:
                fields[name] = text
    return fields | {"ratings": ratings}


_PROFILE_DAYS: Final = {"since": "customer_since", "renewal": "renewal_on"}


_Reader = Callable[[list[str], dict[str, str]], dict[str, Any]]
_VERBS: Final[dict[str, tuple[str, _Reader]]] = {
    "order": ("order.completed", _order),
    "refund": ("order.refunded", _money),
    "cancel": ("order.cancelled", _cancel),
    "open": ("ticket.opened", _ticket),
    "resolve": ("ticket.resolved", _ticket),
    "reopen": ("ticket.reopened", _ticket),
    "breach": ("sla.breached", lambda operands, _: {"ticket_id": operands[0]}),
    "complain": ("complaint.filed", lambda operands, _: {"category": operands[0]}),
    "csat": ("survey.answered", lambda operands, _: {"kind": "csat", "score": int(operands[0])}),
    "nps": ("survey.answered", lambda operands, _: {"kind": "nps", "score": int(operands[0])}),
    "profile": ("profile.updated", _profile),
    "erase": ("account.erased", lambda _, __: {}),
}


def read_event(text: str, number: int, account_id: str = ACCOUNT) -> AccountEvent:
    """Read one step of the notation that is an event; its id is `id=` or its number."""
    when, verb, *rest = text.split()
    operands = [word for word in rest if "=" not in word]
    options = dict(word.split("=", 1) for word in rest if "=" in word)
    event_id = options.pop("id", f"e{number}")
    type_, reader = _VERBS[verb]
    return make_event(account_id, type_, event_id, moment_ms(when), **reader(operands, options))


@dataclass
class Played:
    """What became of an account."""

    context: Context
    state: AccountState | None = None
    erased: ErasedAccount | None = None
    steps: list[Step] = field(default_factory=list)

    @property
    def outputs(self) -> list[OutputEvent]:
        """All that was published, in order."""
        return [output for step in self.steps for output in step.outputs]

    @property
    def held(self) -> AccountState:
        """The account, which there is."""
        assert self.state is not None
        return self.state

    def outcomes(self) -> str:
        """What became of each event, in words."""
        told = [step.outcome or (step.refusal and step.refusal.reason) for step in self.steps]
        return " ".join(str(one) for one in told if one is not None)

    def changes(self, kind: str) -> str:
        """Name the changes of `tier` or of `churn`, each with its day and cause, in one line."""
        return ", ".join(
            self._told(one) for one in self.outputs if kind == ("tier" if isinstance(one, TierChanged) else "churn")
        )

    def _told(self, change: OutputEvent) -> str:
        day = self.context.day_of(int(change.occurred_at.timestamp() * 1000)) - FIRST_DAY
        if isinstance(change, TierChanged):
            return f"d{day} {change.direction} {change.tier} {change.cause}"
        name = change.type.removeprefix("account.").removesuffix("_risk_changed")
        return f"d{day} {name} {change.level} {change.cause}"

    def play(self, text: str) -> "Played":
        """Let the steps happen; more may follow."""
        for step in (one.strip() for one in text.split(";")):
            if not step:
                continue
            if step.endswith(" time"):
                until_ms = self.context.end_of_day_ms(moment_ms(step.split()[0]) // DAY_MS)
                self.steps.append(advance(self.held, until_ms, self.context))
                continue
            event = read_event(step, len(self.steps))
            self.steps.append(apply(self.state, event, self.context, erased=self.erased))
            self.state = self.steps[-1].state
            self.erased = self.steps[-1].erased or self.erased
        return self


def play(text: str, policy: Policy | None = None, cuts: CutPoints | None = None) -> Played:
    """Let the steps happen to a new account, against a portfolio if its cut points are given."""
    return Played(Context(policy or policy_of(), b"secret", cuts=cuts)).play(text)


def day_name(day: int | None) -> str:
    """Write a day of the state in the notation; `-` for none."""
    return "-" if day is None else f"d{day - FIRST_DAY}"


def date_name(day: int) -> str:
    """Write a day of the state as a date."""
    return date_of(day).isoformat()
