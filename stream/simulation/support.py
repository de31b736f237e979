"""An account's support events: ordinary tickets, surveys, and the troubles that drive it away."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from random import Random
from typing import Final

from models.events import ComplaintCategory, InputTopic, Severity
from stream.simulation.happening import Episode, Happening, instant
from stream.simulation.life import TROUBLE_DAYS, ChurnCause
from stream.simulation.persona import Persona
from stream.simulation.spec import DAY_MS, HOUR_MS
from stream.simulation.tempo import draw_moment_ms, working_day

_TARGET_HOURS: Final = {
    Severity.LOW: 168.0,
    Severity.MEDIUM: 72.0,
    Severity.HIGH: 24.0,
    Severity.CRITICAL: 8.0,
}
"""In so many hours the service-level agreement promises a solution."""
_CSAT_SHARE: Final = 0.35
_CSAT_HOURS: Final = (1.0, 48.0)
_CSAT_RANGE: Final = (1, 5)
_CSAT_NOISE: Final = 0.7
_NPS_PARTICIPANT_SHARE: Final = 0.6
_NPS_GAP_DAYS: Final = (120.0, 240.0)
_NPS_RANGE: Final = (0, 10)
_NPS_NOISE: Final = 1.2
_MOOD_IN_TROUBLE: Final = 0.08
_MOOD_LOST_TO_COMPETITOR: Final = 0.25
_REOPEN_HOURS: Final = (8.0, 120.0)
_TROUBLE_TICKETS: Final = (4, 8)
_TROUBLE_COMPLAINTS: Final = (1, 3)
_TROUBLE_SURVEYS: Final = (1, 2)
_TROUBLE_QUIET_DAYS: Final = 1.5
"""The last troubles come so long before the end that their events are over by then, or nearly."""


@dataclass(frozen=True, slots=True)
class _Service:
    """How well tickets are looked after."""

    severity_weights: tuple[int, int, int, int]
    time_factor: float
    """Median time to a solution as a share of what was promised."""
    time_sigma: float
    reopened_share: float
    unsolved_share: float
    complaint_share: float


_ORDINARY: Final = _Service((46, 38, 13, 3), 0.35, 0.75, 0.05, 0.01, 0.03)
_BAD: Final = _Service((0, 0, 65, 35), 1.4, 0.6, 0.3, 0.2, 0.0)


def support_episodes(persona: Persona, random: Random) -> Iterator[Episode]:
    """Yield an account's ordinary tickets while it is a customer, each from opening to survey."""
    if persona.support_gap_days is None:
        return
    desk = _SupportDesk(persona, random, "t")
    life = persona.life
    due_ms = life.start_day * DAY_MS
    while True:
        due_ms += int(random.expovariate(1 / persona.support_gap_days) * DAY_MS) + HOUR_MS
        active_ms = life.next_active_ms(due_ms)
        if active_ms is None:
            return
        due_ms = active_ms
        yield due_ms, desk.ticket(due_ms, _ORDINARY)


def survey_episodes(persona: Persona, random: Random) -> Iterator[Episode]:
    """Yield an account's answers to the half-yearly question whether it would recommend us."""
    if random.random() >= _NPS_PARTICIPANT_SHARE:
        return
    desk = _SupportDesk(persona, random, "n")
    life = persona.life
    due_ms = life.first_order_day * DAY_MS
    while True:
        due_ms += int(random.uniform(*_NPS_GAP_DAYS) * DAY_MS)
        active_ms = life.next_active_ms(due_ms)
        if active_ms is None:
            return
        due_ms = draw_moment_ms(random, working_day(random, active_ms // DAY_MS))
        yield due_ms, [desk.nps(due_ms)]


def trouble_episodes(persona: Persona, random: Random) -> Iterator[Episode]:
    """Yield what makes an account leave for bad service, in the 60 days before it does."""
    life = persona.life
    if life.churn_cause is not ChurnCause.BAD_SERVICE:
        return
    desk = _SupportDesk(persona, random, "b")
    end_ms = (life.churn_day + 1) * DAY_MS
    first_ms = end_ms - TROUBLE_DAYS * DAY_MS
    last_ms = end_ms - int(_TROUBLE_QUIET_DAYS * DAY_MS)
    kinds: list[Callable[[int], list[Happening]]] = []
    kinds += [desk.bad_ticket] * random.randint(*_TROUBLE_TICKETS)
    kinds += [desk.complaint] * random.randint(*_TROUBLE_COMPLAINTS)
    kinds += [desk.bad_survey] * random.randint(*_TROUBLE_SURVEYS)
    random.shuffle(kinds)
    moments_ms = sorted(random.randint(first_ms, last_ms) for _ in kinds)
    for moment_ms, kind in zip(moments_ms, kinds, strict=True):
        yield moment_ms, kind(moment_ms)


class _SupportDesk:
    """Writes one account's support events; `series` keeps the ids of its desks apart."""

    def __init__(self, persona: Persona, random: Random, series: str) -> None:
        self._persona = persona
        self._random = random
        self._series = series
        self._events = 0
        self._tickets = 0

    def ticket(self, opened_ms: int, service: _Service) -> list[Happening]:
        """Return the events of a ticket from its opening to the answer to its survey."""
        random = self._random
        self._tickets += 1
        severity = random.choices(tuple(Severity), weights=service.severity_weights)[0]
        promised_ms = int(_TARGET_HOURS[severity] * HOUR_MS)
        time_log = math.log(service.time_factor) + service.time_sigma * random.gauss(0, 1)
        solved_ms = opened_ms + int(promised_ms * math.exp(time_log))
        is_unsolved = random.random() < service.unsolved_share
        events = [self._of_ticket(opened_ms, "ticket.opened", severity)]
        is_late = is_unsolved or solved_ms > opened_ms + promised_ms
        if is_late:
            events.append(self._of_ticket(opened_ms + promised_ms, "sla.breached", None))
        if random.random() < service.complaint_share:
            events += self.complaint(opened_ms + int(random.random() * promised_ms))
        if is_unsolved:
            return events
        events.append(self._of_ticket(solved_ms, "ticket.resolved", severity))
        if random.random() < service.reopened_share:
            reopened_ms = solved_ms + int(random.uniform(*_REOPEN_HOURS) * HOUR_MS)
            events.append(self._of_ticket(reopened_ms, "ticket.reopened", severity))
            solved_ms = reopened_ms + int(random.random() * promised_ms)
            events.append(self._of_ticket(solved_ms, "ticket.resolved", severity))
        if random.random() < _CSAT_SHARE:
            answered_ms = solved_ms + int(random.uniform(*_CSAT_HOURS) * HOUR_MS)
            events.append(self._csat(answered_ms, is_late=is_late))
        return events

    def bad_ticket(self, opened_ms: int) -> list[Happening]:
        """Return the events of a severe ticket that is looked after badly."""
        return self.ticket(opened_ms, _BAD)

    def complaint(self, filed_ms: int) -> list[Happening]:
        """Return a formal complaint."""
        category = self._random.choice(tuple(ComplaintCategory))
        return [self._event(filed_ms, "complaint.filed", category=category)]

    def bad_survey(self, answered_ms: int) -> list[Happening]:
        """Return two answers of somebody in trouble: on the last contact, and on us as a whole."""
        return [self._csat(answered_ms, is_late=True), self.nps(answered_ms + HOUR_MS)]

    def nps(self, answered_ms: int) -> Happening:
        """Return an answer from 0 to 10 to whether they would recommend us."""
        low, high = _NPS_RANGE
        score = round(high * self._mood(answered_ms) + _NPS_NOISE * self._random.gauss(0, 1))
        score = min(max(score, low), high)
        return self._event(answered_ms, "survey.answered", kind="nps", score=score)

    def _csat(self, answered_ms: int, *, is_late: bool) -> Happening:
        low, high = _CSAT_RANGE
        noise = _CSAT_NOISE * self._random.gauss(0, 1)
        score = round(low + (high - low) * self._mood(answered_ms) + noise) - is_late
        score = min(max(score, low), high)
        return self._event(answered_ms, "survey.answered", kind="csat", score=score)

    def _mood(self, moment_ms: int) -> float:
        persona, day = self._persona, moment_ms // DAY_MS
        trouble, defection = persona.life.trouble(day), persona.life.defection(day)
        calm = persona.mood - _MOOD_LOST_TO_COMPETITOR * defection
        return calm + (_MOOD_IN_TROUBLE - calm) * trouble

    def _of_ticket(self, occurred_ms: int, type_: str, severity: Severity | None) -> Happening:
        ticket_id = f"T-{self._persona.index + 1:06d}-{self._series}{self._tickets}"
        if severity is None:
            return self._event(occurred_ms, type_, ticket_id=ticket_id)
        return self._event(occurred_ms, type_, ticket_id=ticket_id, severity=severity)

    def _event(self, occurred_ms: int, type_: str, **fields: str | int) -> Happening:
        self._events += 1
        account_id = self._persona.account_id
        head = {
            "event_id": f"{account_id}-{self._series}{self._events}",
            "type": type_,
            "account_id": account_id,
            "occurred_at": instant(occurred_ms),
        }
        return Happening(occurred_ms, InputTopic.SUPPORT, head | fields)
