"""Support events: open tickets, counts a day, survey answers, and what tickets cost."""

from bisect import bisect_left
from enum import StrEnum, unique
from typing import assert_never

from models.events import (
    ComplaintCategory,
    ComplaintFiled,
    CsatAnswered,
    NpsAnswered,
    Severity,
    SlaBreached,
    SupportEvent,
    TicketOpened,
    TicketReopened,
    TicketResolved,
)
from models.state import OPEN_TICKETS_MAX, SURVEYS_MAX, AccountState, OpenTicket, SupportDay, SurveyAnswer

SEVERE = frozenset({Severity.HIGH, Severity.CRITICAL})


@unique
class SupportKind(StrEnum):
    """What is counted a day; short, since every packed state carries them."""

    OPENED_LOW = "ol"
    OPENED_MEDIUM = "om"
    OPENED_HIGH = "oh"
    OPENED_CRITICAL = "oc"
    REOPENED = "re"
    BREACHED = "sb"
    COMPLAINT_QUALITY = "cq"
    COMPLAINT_DELIVERY = "cd"
    COMPLAINT_SERVICE = "cs"
    COMPLAINT_PRICE = "cp"
    COMPLAINT_OTHER = "co"


OPENED = {
    Severity.LOW: SupportKind.OPENED_LOW,
    Severity.MEDIUM: SupportKind.OPENED_MEDIUM,
    Severity.HIGH: SupportKind.OPENED_HIGH,
    Severity.CRITICAL: SupportKind.OPENED_CRITICAL,
}
COMPLAINTS = {
    ComplaintCategory.QUALITY: SupportKind.COMPLAINT_QUALITY,
    ComplaintCategory.DELIVERY: SupportKind.COMPLAINT_DELIVERY,
    ComplaintCategory.SERVICE: SupportKind.COMPLAINT_SERVICE,
    ComplaintCategory.PRICE: SupportKind.COMPLAINT_PRICE,
    ComplaintCategory.OTHER: SupportKind.COMPLAINT_OTHER,
}
COMPLAINT_KINDS = frozenset(COMPLAINTS.values())


def record(
    state: AccountState,
    event: SupportEvent,
    day: int,
    horizon_start_day: int,
    service_cost_minor: dict[Severity, int],
) -> bool:
    """Take a support event into the state; False if its day is older than the horizon.

    A ticket that is resolved without having been opened leaves no trace; one opened twice stays open once. One opened
    before the horizon counts in the lifetime figures only: its resolution may have come and gone.
    """
    match event:
        case TicketOpened():
            _open(state, event.ticket_id, event.severity, day, horizon_start_day)
            state.lifetime_service_cost_minor += service_cost_minor.get(event.severity, 0)
            return _count(state, day, OPENED[event.severity], horizon_start_day)
        case TicketReopened():
            _open(state, event.ticket_id, event.severity, day, horizon_start_day)
            return _count(state, day, SupportKind.REOPENED, horizon_start_day)
        case TicketResolved():
            state.open_tickets = [one for one in state.open_tickets if one.ticket_id != event.ticket_id]
            return day >= horizon_start_day
        case SlaBreached():
            return _count(state, day, SupportKind.BREACHED, horizon_start_day)
        case ComplaintFiled():
            return _count(state, day, COMPLAINTS[event.category], horizon_start_day)
        case CsatAnswered() | NpsAnswered():
            return _answer(state, SurveyAnswer(day, event.kind, event.score), horizon_start_day)
    assert_never(event)


def drop_before(state: AccountState, horizon_start_day: int) -> None:
    """Forget the support days, survey answers and open tickets older than the horizon."""
    del state.support_days[: _first_index(state, horizon_start_day)]
    if state.surveys and state.surveys[0].day < horizon_start_day:
        state.surveys = [answer for answer in state.surveys if answer.day >= horizon_start_day]
    if any(ticket.opened_day < horizon_start_day for ticket in state.open_tickets):
        state.open_tickets = [ticket for ticket in state.open_tickets if ticket.opened_day >= horizon_start_day]


def counts(state: AccountState, as_of_day: int, window_days: int) -> dict[str, int]:
    """Count the support events of a window by kind; kinds that did not happen are left out."""
    found: dict[str, int] = {}
    for one in state.support_days[_first_index(state, as_of_day - window_days + 1) :]:
        found[one.kind] = found.get(one.kind, 0) + one.count
    return found


def service_cost(support_counts: dict[str, int], service_cost_minor: dict[Severity, int]) -> int:
    """Cost of the tickets opened, in minor units."""
    return sum(cost * support_counts.get(OPENED[severity], 0) for severity, cost in service_cost_minor.items())


def severe_open(state: AccountState) -> int:
    """Count the open tickets of high or critical severity."""
    return sum(ticket.severity in SEVERE for ticket in state.open_tickets)


def survey_points(answer: SurveyAnswer) -> float:
    """Take an answer to 0-100: CSAT 1-5 in steps of 25, NPS 0-10 in steps of 10."""
    return float((answer.score - 1) * 25 if answer.kind == "csat" else answer.score * 10)


def next_edge_day(state: AccountState, as_of_day: int, window_days: int) -> int | None:
    """Give the first day after `as_of_day` on which a support day leaves the window; None if it is empty."""
    index = _first_index(state, as_of_day - window_days + 1)
    return state.support_days[index].day + window_days if index < len(state.support_days) else None


def _open(state: AccountState, ticket_id: str, severity: Severity, day: int, horizon_start_day: int) -> None:
    if day < horizon_start_day:
        return
    others = [one for one in state.open_tickets if one.ticket_id != ticket_id]
    state.open_tickets = [*others, OpenTicket(ticket_id, severity, day)][-OPEN_TICKETS_MAX:]


def _count(state: AccountState, day: int, kind: SupportKind, horizon_start_day: int) -> bool:
    if day < horizon_start_day:
        return False
    rows = state.support_days
    index = bisect_left(rows, (day, kind.value), key=_place)
    if index < len(rows) and _place(rows[index]) == (day, kind):
        rows[index].count += 1
    else:
        rows.insert(index, SupportDay(day, kind, 1))
    return True


def _answer(state: AccountState, answer: SurveyAnswer, horizon_start_day: int) -> bool:
    if answer.day < horizon_start_day:
        return False
    state.surveys = sorted([*state.surveys, answer], key=lambda one: one.day)[-SURVEYS_MAX:]
    return True


def _place(row: SupportDay) -> tuple[int, str]:
    return row.day, row.kind


def _first_index(state: AccountState, day: int) -> int:
    return bisect_left(state.support_days, (day, ""), key=_place)
