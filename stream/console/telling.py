"""Telling: reasons, causes and changes in words, the same wherever they are shown."""

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import Final, NamedTuple, assert_never

from models.outputs import (
    AccountLost,
    AccountRecovered,
    Cause,
    ChurnEvent,
    ChurnLevel,
    ChurnReason,
    ChurnRiskChanged,
    Direction,
    TierChanged,
)
from models.snapshots import Action, ChurnFigures
from stream.console.formats import Formats
from stream.console.words import Words

_COMPONENTS_TOLD: Final = 3
_HUNDREDTHS: Final = 100


KINDS: Final = ("up", "down", "risk_up", "risk_down", "lost", "back")
"""Kinds of changes, as they are counted and filtered by."""
_LEVELS: Final = tuple(ChurnLevel)


class Told(NamedTuple):
    """A change in words."""

    what: str
    why: str
    good: bool
    """Whether it is good news, as it is shown beside the words."""


def tell(event: TierChanged | ChurnEvent, words: Words, formats: Formats) -> Told:
    """Say what changed about an account, and why."""
    match event:
        case TierChanged():
            return Told(_tier_text(event, words), _tier_reason(event, words, formats), _is_good(event.direction))
        case ChurnRiskChanged():
            before = "none" if event.previous_level is None else event.previous_level
            what = words(
                "tell.risk", before=words.name("churn_level", before), after=words.name("churn_level", event.level)
            )
            order = ("none", "unproven", "low", "medium", "high", "lost")
            return Told(what, _churn_reason(event, words, formats), order.index(event.level) < order.index(before))
        case AccountLost():
            return Told(words("tell.lost"), _churn_reason(event, words, formats), good=False)
        case AccountRecovered():
            return Told(words("tell.recovered"), _churn_reason(event, words, formats), good=True)
        case _:
            assert_never(event)


def kind_of(event: TierChanged | ChurnEvent) -> str:
    """Give the kind of a change, one of `KINDS`."""
    match event:
        case TierChanged():
            return "up" if _is_good(event.direction) else "down"
        case AccountLost():
            return "lost"
        case AccountRecovered():
            return "back"
        case _:
            before = event.previous_level or ChurnLevel.NONE
            return "risk_up" if _LEVELS.index(event.level) > _LEVELS.index(before) else "risk_down"


def when_text(value: datetime, today: date, words: Words, formats: Formats) -> str:
    """Say when something was, in words that stay true as long as the day: of today and yesterday, at which time."""
    day = formats.date_of(value)
    if day == today:
        return formats.time(value)
    if day == today - timedelta(days=1):
        return words("tell.yesterday", time=formats.time(value))
    return formats.day(day)


def reasons_text(reasons: Sequence[ChurnReason], words: Words) -> str:
    """Say churn reasons in one line."""
    return words("tell.between").join(words.name("reason", one) for one in reasons)


def risk_reason(churn: ChurnFigures, words: Words, formats: Formats) -> str:
    """Say why an account is at risk; where no signal speaks, how likely it is to stay away."""
    if churn.reasons:
        return sentence(reasons_text(churn.reasons, words))
    if churn.risk is None:
        return words("tell.no_risk")
    return words("tell.only_risk", risk=formats.percent(churn.risk), days=churn.horizon_days)


def action_text(actions: Sequence[Action], words: Words) -> str:
    """Say what to do, the first recommendation first."""
    return words("tell.between").join(words.name("action", one.name) for one in actions)


def components_text(event: TierChanged, words: Words, formats: Formats, *, every: bool = False) -> str:
    """Say which components moved the score, the largest first: the first three, or every one and to the last digit."""
    moved = sorted(
        (one for one in event.components if one.delta_hundredths), key=lambda one: -abs(one.delta_hundredths)
    )
    told = [
        f"{words.name('component', one.name)} {formats.signed(one.delta_hundredths / _HUNDREDTHS, 2 if every else 1)}"
        for one in (moved if every else moved[:_COMPONENTS_TOLD])
    ]
    return words("tell.comma").join(told)


def _tier_text(event: TierChanged, words: Words) -> str:
    after = words.name("tier", event.tier)
    if event.previous_tier is None:
        return words("tell.tier_first", after=after)
    return words(
        "tell.tier",
        direction=words.name("direction", event.direction),
        before=words.name("tier", event.previous_tier),
        after=after,
    )


def _tier_reason(event: TierChanged, words: Words, formats: Formats) -> str:
    cause = sentence(words("tell.cause", cause=words.name("cause", event.cause)))
    moved = components_text(event, words, formats)
    return words("tell.cause_moved", cause=cause, moved=moved) if moved else cause


def _churn_reason(event: ChurnEvent, words: Words, formats: Formats) -> str:
    parts = []
    # A silence is worth a word only where it is longer than the account's rhythm explains.
    silent = ChurnReason.OVERDUE in event.reasons or isinstance(event, AccountLost)
    if silent and event.silent_days is not None and event.own_gap_days is not None:
        parts.append(words("tell.silence", silent=event.silent_days, gap=formats.decimal(event.own_gap_days, 0)))
    said = [one for one in event.reasons if one is not ChurnReason.OVERDUE or not parts]
    if said:
        parts.append(reasons_text(said, words))
    if not parts or event.cause in {Cause.CORRECTION, Cause.CONFIGURATION}:
        parts.insert(0, words("tell.cause", cause=words.name("cause", event.cause)))
    return sentence(words("tell.between").join(parts))


def _is_good(direction: Direction) -> bool:
    return direction in {Direction.ENTERED, Direction.PROMOTED}


def sentence(text: str) -> str:
    """Begin a text as a sentence."""
    return text[:1].upper() + text[1:]
