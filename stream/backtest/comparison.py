"""What two policies make of one history: tiers, alerts, flaps, and who foretold better who would leave."""

from bisect import bisect_right
from collections import Counter
from collections.abc import Mapping, Sequence
from statistics import median
from typing import Final, Literal, NamedTuple, Protocol, TypeVar

import msgspec

from models.fields import epoch_ms
from processors.context import Context, date_of
from stream.backtest.history import Alert, Health, History

ALERT_LEVELS: Final = ("medium", "high")
"""Levels that are judged as a forecast; each includes the worse ones."""
_AT_LEAST: Final = {"medium": ("medium", "high"), "high": ("high",)}


_UNRATED: Final = "unrated"
TIERS: Final = ("key", "growth", "standard", "basic", _UNRATED)
_PLACES: Final = {tier: place for place, tier in enumerate(TIERS)}

_Name = TypeVar("_Name", bound=str)
Why = Literal["score", "veto", "confidence", "bounds"]


class Move(msgspec.Struct, frozen=True):
    """An account that ends in another tier."""

    account_id: str
    name: str | None
    old_tier: str | None
    new_tier: str | None
    """None if the account is known under one policy only."""
    old_score: float | None
    new_score: float | None
    deltas: dict[str, float]
    """What each component adds under the new policy less what it adds under the old; they sum to the scores' change."""
    why: Why
    """What is different."""


class AlertDifference(msgspec.Struct, frozen=True):
    """A churn event that one policy publishes and the other does not, on that day."""

    account_id: str
    level: str
    day: str


class Foretold(msgspec.Struct, frozen=True):
    """How well alerts of a level, or worse, told who would leave."""

    level: str
    alerts: int
    """Silences in which there was one, and of which the end is known."""
    right: int
    """Those in which the account left."""
    departures: int
    """Silences in which an account with a rhythm left."""
    foretold: int
    """Those in which there was an alert before."""
    precision: float | None
    recall: float | None
    lead_days: float | None
    """Median of the days from the alert to the day on which the account counts as gone."""


class Side(msgspec.Struct, frozen=True):
    """One policy's figures."""

    policy_version: str
    events: dict[str, int]
    """Events by what became of them; those that only one policy refuses are what makes the two differ."""
    refused: dict[str, int]
    """Events that a worker would make dead letters, by reason."""
    tiers: dict[str, int]
    tier_changes: int
    flaps: int
    churn_events: dict[str, int]
    foretold: list[Foretold]


class Comparison(msgspec.Struct, frozen=True):
    """All that is different, the old policy first."""

    accounts: int
    skipped: int
    """Events after the last day that counts."""
    left_after_days: int
    """A silence of as many days is a departure, for both."""
    old: Side
    new: Side
    moves: list[Move]
    tier_matrix: list[tuple[str, str, int]]
    """Old tier, new tier, accounts."""
    alerts_only_old: list[AlertDifference]
    alerts_only_new: list[AlertDifference]


class Silence(NamedTuple):
    """A time without an order: from an order day up to the next one, or to the end of what is known."""

    account_id: str
    start_day: int
    ordinal: int
    """How many order days there were before, the first of this silence with them."""
    left: bool | None
    """Whether it was a departure; None if it is not over and may still end in time."""


class Truth(NamedTuple):
    """What the accounts really did."""

    ordered: Mapping[str, Sequence[int]]
    """The order days of each account, ascending."""
    end_day: int
    """The last day that is known."""
    left_after_days: int
    """A silence of as many days is a departure."""

    def silence_of(self, account_id: str, day: int) -> Silence | None:
        """Find the silence of an account that a day lies in; None before its first order.

        >>> truth = Truth({"A": [10, 20, 100]}, end_day=150, left_after_days=60)
        >>> truth.silence_of("A", 25)
        Silence(account_id='A', start_day=20, ordinal=2, left=True)
        >>> truth.silence_of("A", 120).left is None
        True
        """
        days = self.ordered.get(account_id, ())
        index = bisect_right(days, day) - 1
        return None if index < 0 else self._silence(account_id, days, index)

    def departures(self) -> int:
        """Count the silences in which an account with more than one order day left."""
        return sum(
            self._silence(account_id, days, index).left is True
            for account_id, days in self.ordered.items()
            for index in range(1, len(days))
        )

    def _silence(self, account_id: str, days: Sequence[int], index: int) -> Silence:
        is_last = index + 1 == len(days)
        gap = (self.end_day if is_last else days[index + 1]) - days[index]
        left = True if gap >= self.left_after_days else None if is_last else False
        return Silence(account_id, days[index], index + 1, left)


def compare(old: History, new: History, truth: Truth, context: Context) -> Comparison:
    """Compare two histories of the same events.

    Args:
        old: under the policy that is in force.
        new: under the one that is tried.
        truth: what the accounts really did.
        context: for its calendar.
    """
    moves = [
        _move(account_id, old.accounts.get(account_id), new.accounts.get(account_id))
        for account_id in sorted(old.accounts.keys() | new.accounts.keys())
        if _tier(old, account_id) != _tier(new, account_id)
    ]
    matrix = Counter((one.tier, _tier(new, account_id) or "") for account_id, one in old.accounts.items())
    fired_old, fired_new = _fired(old, context), _fired(new, context)
    return Comparison(
        accounts=len(old.accounts.keys() | new.accounts.keys()),
        skipped=old.summary.skipped,
        left_after_days=truth.left_after_days,
        old=_side(old, truth, context),
        new=_side(new, truth, context),
        moves=moves,
        tier_matrix=[(before, after, count) for (before, after), count in sorted(matrix.items())],
        alerts_only_old=_difference(fired_old, fired_new),
        alerts_only_new=_difference(fired_new, fired_old),
    )


def foretold(level: str, alerts: Sequence[Alert], truth: Truth, context: Context) -> Foretold:
    """Judge the alerts of a level, or worse, against who left.

    One alert counts for each silence, the first. One that comes when the account already counts as gone foretells
    nothing. Accounts with a single order day have no rhythm and no alerts: their leaving is nobody's failure.
    """
    first: dict[Silence, int] = {}
    for alert in alerts:
        if alert.level not in _AT_LEAST[level]:
            continue
        day = context.day_of(epoch_ms(alert.occurred_at))
        silence = truth.silence_of(alert.account_id, day)
        if silence is not None and day - silence.start_day < truth.left_after_days:
            first.setdefault(silence, day)
    known = {silence: day for silence, day in first.items() if silence.left is not None}
    right = {silence: day for silence, day in known.items() if silence.left}
    told = sum(silence.ordinal > 1 for silence in right)
    departures = truth.departures()
    leads = [silence.start_day + truth.left_after_days - day for silence, day in right.items()]
    return Foretold(
        level=level,
        alerts=len(known),
        right=len(right),
        departures=departures,
        foretold=told,
        precision=round(len(right) / len(known), 4) if known else None,
        recall=round(told / departures, 4) if departures else None,
        lead_days=float(median(leads)) if leads else None,
    )


def _side(history: History, truth: Truth, context: Context) -> Side:
    return Side(
        policy_version=history.policy_version,
        events=_sorted(history.summary.outcomes),
        refused=_sorted(history.summary.refusals),
        tiers=_sorted(Counter(one.tier for one in history.accounts.values())),
        tier_changes=len(history.tier_changes),
        flaps=sum(one.flap for one in history.tier_changes),
        churn_events=_sorted(Counter(one.level for one in history.churn_events)),
        foretold=[foretold(level, history.churn_events, truth, context) for level in ALERT_LEVELS],
    )


def _sorted(counts: Mapping[_Name, int]) -> dict[str, int]:
    return {str(name): count for name, count in sorted(counts.items())}


def _tier(history: History, account_id: str) -> str | None:
    one = history.accounts.get(account_id)
    return None if one is None else one.tier


def _move(account_id: str, old: Health | None, new: Health | None) -> Move:
    points_old = {} if old is None else {one.name: one.points for one in old.components}
    points_new = {} if new is None else {one.name: one.points for one in new.components}
    deltas = {
        name: round(points_new.get(name, 0.0) - points_old.get(name, 0.0), 2)
        for name in dict.fromkeys([*points_old, *points_new])
    }
    known = new or old
    assert known is not None
    return Move(
        account_id=account_id,
        name=known.name,
        old_tier=None if old is None else old.tier,
        new_tier=None if new is None else new.tier,
        old_score=None if old is None else old.score,
        new_score=None if new is None else new.score,
        deltas={name: delta for name, delta in deltas.items() if delta},
        why="score" if old is None or new is None else why(old, new),
    )


class Judged(Protocol):
    """What decides a tier, of one account under one policy."""

    @property
    def tier(self) -> str:
        """Of the account."""

    @property
    def score(self) -> float | None:
        """Of the account."""

    @property
    def confidence(self) -> float:
        """How much is known."""

    @property
    def veto(self) -> str | None:
        """That holds the tier down."""


def why(old: Judged, new: Judged) -> Why:
    """Name what is different where a tier is, and can have led there.

    A score explains a tier that went its way, and no tier of being unrated; confidence that and being a key account.
    """
    if old.veto != new.veto:
        return "veto"
    if old.confidence != new.confidence and _UNRATED in {old.tier, new.tier}:
        return "confidence"
    places = _PLACES[old.tier], _PLACES[new.tier]
    if _UNRATED not in {old.tier, new.tier} and _goes(old.score or 0, new.score or 0) == _goes(*reversed(places)):
        return "score"
    is_surer = _goes(old.confidence, new.confidence) == _goes(*reversed(places)) and 0 in places
    return "confidence" if is_surer else "bounds"


def _goes(before: float, after: float) -> int:
    return (after > before) - (after < before)


def _fired(history: History, context: Context) -> set[tuple[str, str, int]]:
    return {(one.account_id, one.level, context.day_of(epoch_ms(one.occurred_at))) for one in history.churn_events}


def _difference(these: set[tuple[str, str, int]], others: set[tuple[str, str, int]]) -> list[AlertDifference]:
    return [
        AlertDifference(account_id, level, date_of(day).isoformat())
        for account_id, level, day in sorted(these - others, key=lambda one: (one[2], one[0], one[1]))
    ]
