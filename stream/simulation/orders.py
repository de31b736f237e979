"""An account's orders, and what is given back or called off."""

import math
from collections.abc import Iterator
from random import Random
from typing import Final

from models.events import InputTopic
from models.fields import MINOR_DIGITS
from stream.simulation.happening import Episode, Fields, Happening, instant, money
from stream.simulation.persona import Persona
from stream.simulation.spec import DAY_MS, HOUR_MS, MINUTE_MS, YEAR_DAYS
from stream.simulation.tempo import amount_factor, draw_gap_ms, draw_moment_ms, working_day

_SAMPLE_SHARE: Final = 0.003
_COST_MISSING_SHARE: Final = 0.02
_COST_SIGMA: Final = 0.04
_CANCELLED_SHARE: Final = 0.015
_CANCELLED_FIRST_SHARE: Final = 0.2
_CANCELLED_HOURS: Final = (0.5, 96.0)
_REFUNDED_SHARE: Final = 0.025
_REFUNDED_DAYS: Final = (2.0, 35.0)
_REFUNDED_WHOLE_SHARE: Final = 0.3
_REFUNDED_PART: Final = (0.05, 0.6)
_REFUND_NAMES_ORDER_SHARE: Final = 0.8


def order_episodes(persona: Persona, random: Random, currency: str) -> Iterator[Episode]:
    """Yield an account's orders while it is a customer, each with its cancellation or refund."""
    desk = _OrderDesk(persona, random, currency)
    life = persona.life
    due_ms, previous_ms = life.first_order_day * DAY_MS, 0
    while (active_ms := life.next_active_ms(due_ms)) is not None:
        day = working_day(random, active_ms // DAY_MS)
        if life.next_active_ms(day * DAY_MS) != day * DAY_MS:
            due_ms = day * DAY_MS  # the wait for a working day took it past its last
            continue
        ordered_ms = max(draw_moment_ms(random, day), previous_ms + MINUTE_MS)
        yield ordered_ms, desk.order(ordered_ms)
        previous_ms = ordered_ms
        due_ms = ordered_ms + draw_gap_ms(persona, random, day)


class _OrderDesk:
    """Writes the events of one account's orders."""

    def __init__(self, persona: Persona, random: Random, currency: str) -> None:
        self._persona = persona
        self._random = random
        self._currency = currency
        self._digits = MINOR_DIGITS[currency]
        self._orders = 0

    def order(self, ordered_ms: int) -> list[Happening]:
        """Return one order with all that follows from it."""
        random = self._random
        self._orders += 1
        amount_minor = self._draw_amount_minor(ordered_ms // DAY_MS)
        cost_minor = self._draw_cost_minor(amount_minor)
        chance = random.random()
        if chance < _CANCELLED_SHARE:
            return self._cancelled(ordered_ms, amount_minor, cost_minor)
        order = Happening(ordered_ms, InputTopic.ORDERS, self._completed(ordered_ms, amount_minor, cost_minor))
        if chance < _CANCELLED_SHARE + _REFUNDED_SHARE and amount_minor > 0:
            return [order, self._refunded(ordered_ms, amount_minor, cost_minor)]
        return [order]

    def _draw_amount_minor(self, day: int) -> int:
        persona, random = self._persona, self._random
        if random.random() < _SAMPLE_SHARE:
            return 0
        sigma = persona.amount_sigma
        # exp(−σ²/2) keeps the mean of the log-normal at 1.
        noise = math.exp(sigma * random.gauss(0, 1) - sigma * sigma / 2)
        mean_minor = persona.annual_spend_minor * persona.gap_days / YEAR_DAYS
        return max(round(mean_minor * amount_factor(persona, day) * noise), 1)

    def _draw_cost_minor(self, amount_minor: int) -> int | None:
        margin = self._persona.margin + _COST_SIGMA * self._random.gauss(0, 1)
        is_known = self._random.random() >= _COST_MISSING_SHARE and self._persona.cost_known
        return max(round(amount_minor * (1 - margin)), 0) if is_known else None

    def _completed(self, ordered_ms: int, amount_minor: int, cost_minor: int | None) -> Fields:
        lines = self._persona.product_lines
        fields = self._fields("o", "order.completed", ordered_ms, amount_minor, cost_minor)
        fields["order_id"] = self._order_id
        fields["product_lines"] = self._random.sample(lines, self._random.randint(1, len(lines)))
        return fields

    def _cancelled(self, ordered_ms: int, amount_minor: int, cost_minor: int | None) -> list[Happening]:
        random = self._random
        cancelled_ms = ordered_ms + int(random.uniform(*_CANCELLED_HOURS) * HOUR_MS)
        fields = self._fields("x", "order.cancelled", cancelled_ms, amount_minor, cost_minor)
        fields |= {"order_id": self._order_id, "ordered_at": instant(ordered_ms)}
        cancellation = Happening(cancelled_ms, InputTopic.ORDERS, fields)
        # The two are sent by different systems: sometimes the order is sent after its cancellation.
        held_ms = 0
        if random.random() < _CANCELLED_FIRST_SHARE:
            held_ms = cancelled_ms + random.randint(MINUTE_MS, HOUR_MS)
        completed = self._completed(ordered_ms, amount_minor, cost_minor)
        return [Happening(ordered_ms, InputTopic.ORDERS, completed, held_ms), cancellation]

    def _refunded(self, ordered_ms: int, amount_minor: int, cost_minor: int | None) -> Happening:
        random = self._random
        refunded_ms = ordered_ms + int(random.uniform(*_REFUNDED_DAYS) * DAY_MS)
        is_whole = random.random() < _REFUNDED_WHOLE_SHARE
        part = 1.0 if is_whole else random.uniform(*_REFUNDED_PART)
        returned_minor = max(round(amount_minor * part), 1)
        cost_back_minor = None if cost_minor is None else round(cost_minor * part)
        fields = self._fields("r", "order.refunded", refunded_ms, returned_minor, cost_back_minor)
        if random.random() < _REFUND_NAMES_ORDER_SHARE:
            fields |= {"order_id": self._order_id, "ordered_at": instant(ordered_ms)}
        return Happening(refunded_ms, InputTopic.ORDERS, fields)

    @property
    def _order_id(self) -> str:
        return f"SO-{self._persona.index + 1:06d}-{self._orders:04d}"

    def _fields(self, letter: str, type_: str, occurred_ms: int, amount_minor: int, cost_minor: int | None) -> Fields:
        fields: Fields = {
            "event_id": f"{self._persona.account_id}-{letter}{self._orders}",
            "type": type_,
            "account_id": self._persona.account_id,
            "occurred_at": instant(occurred_ms),
            "amount": money(amount_minor, self._digits),
            "currency": self._currency,
        }
        if cost_minor is not None:
            fields["cost"] = money(cost_minor, self._digits)
        return fields
