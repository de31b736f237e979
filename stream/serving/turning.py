"""From the turns that the view counts to months: who was lost, who came back, by reason, segment and owner."""

from collections.abc import Mapping
from datetime import datetime
from typing import Final

from stream.serving.portfolio import money_of
from stream.serving.results import ChurnMonth, ChurnMonths, TurnGroup, Turns
from stream.view.entry import decimal_text
from stream.view.months import OTHER, PARTS, WHOLE, Turn, TurnDimension, read_turn_key
from stream.view.totals import Total

GROUPS: Final = (WHOLE, PARTS, "currency")
"""The totals that the months are made of."""
VALUES_MAX: Final = 50
"""Values of one dimension that a month lists, those with the most accounts; the rest is `other`."""

Totals = Mapping[str, Mapping[str, Total]]
_Parts = dict[tuple[str, str, str], list[tuple[str | None, Total]]]


def months_of(totals: Totals, complete_since: datetime | None, updated_at: datetime) -> ChurnMonths:
    """Give the months that the totals, by group and value, make."""
    currency, decimals = money_of(totals)
    whole = totals.get(WHOLE, {})
    parts: _Parts = {}
    for name, total in totals.get(PARTS, {}).items():
        key = read_turn_key(name)
        parts.setdefault((key.month, key.turn.value, key.dimension.value), []).append((key.value, total))

    def turns(month: str, turn: Turn) -> Turns:
        everything = whole.get(f"{month}:{turn}", Total())
        by = {one: _listed(parts.get((month, turn.value, one.value), []), decimals) for one in TurnDimension}
        return Turns(
            accounts=everything.accounts,
            value_at_stake=decimal_text(everything.stake, decimals),
            by_reason=by[TurnDimension.REASON],
            by_segment=by[TurnDimension.SEGMENT],
            by_owner=by[TurnDimension.OWNER],
        )

    return ChurnMonths(
        currency=currency,
        complete_since=complete_since,
        updated_at=updated_at,
        months=tuple(
            ChurnMonth(month=month, lost=turns(month, Turn.LOST), recovered=turns(month, Turn.RECOVERED))
            for month in sorted({name.partition(":")[0] for name in whole})
        ),
    )


def _listed(values: list[tuple[str | None, Total]], decimals: int) -> tuple[TurnGroup, ...]:
    ordered = sorted(values, key=lambda one: (one[0] == OTHER, -one[1].accounts, one[0] or ""))
    shown = {name: total.copy() for name, total in ordered[:VALUES_MAX]}
    for _, total in ordered[VALUES_MAX:]:
        shown.setdefault(OTHER, Total()).include(total)
    return tuple(
        TurnGroup(value=name, accounts=one.accounts, value_at_stake=decimal_text(one.stake, decimals))
        for name, one in shown.items()
    )
