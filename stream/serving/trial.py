"""Trying another policy on the accounts as they are: what is asked, what is answered, and how it is reckoned.

From the parts of the scores that snapshots hold, by the core's own functions. A replay of the whole history
(`account-health backtest`) says more: what would have happened on the way.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from enum import StrEnum, unique
from typing import Any, Final, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from models.outputs import Tier
from models.policy import Policy, Veto
from models.portfolio import PARTS_COUNT, CutPoints
from models.sections import Score, Share, Weight
from processors.context import Context
from processors.regrading import Regraded, regrade
from stream.backtest.comparison import Why, why
from stream.serving.errors import TrialRefusedError
from stream.serving.results import Result
from stream.serving.sample import Sampled
from stream.view.entry import decimal_text

LARGEST_MAX: Final = 50
"""Accounts that an answer names."""
VETOES_MAX: Final = 20
BACKTEST: Final = "account-health backtest --policy tried.toml EVENTS..."


class _Trial(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class WeightsTrial(_Trial):
    """Weights of the components that change."""

    revenue: Weight | None = None
    profit: Weight | None = None
    strategic: Weight | None = None
    potential: Weight | None = None
    relationship: Weight | None = None


class BoundTrial(_Trial):
    """Bounds of a tier that change."""

    enter: Score | None = None
    leave: Score | None = None


class TiersTrial(_Trial):
    """What changes in how a score becomes a tier."""

    key: BoundTrial | None = None
    growth: BoundTrial | None = None
    standard: BoundTrial | None = None
    confidence_min: Share | None = None
    """Below it an account is unrated."""
    key_confidence_min: Share | None = None
    """Below it an account is at most `growth`."""


class PolicyTrial(_Trial):
    """What is to be tried: what is not named stays as it is in the policy in force."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "weights": {"revenue": 40, "profit": 15},
                    "tiers": {"key": {"enter": 75, "leave": 70}},
                    "vetoes": [
                        {"name": "open case", "measure": "open_severe_tickets", "at_least": 2, "tier_max": "standard"}
                    ],
                }
            ]
        }
    )

    weights: WeightsTrial | None = None
    """Of the general scorecard; those of the policy's `scorecards` stay."""
    tiers: TiersTrial | None = None
    vetoes: tuple[Veto, ...] | None = Field(None, max_length=VETOES_MAX)
    """All of them: an empty list lifts those in force."""


@unique
class TrialLimit(StrEnum):
    """What a trial cannot say."""

    LAST_EVALUATION = "last_evaluation"
    """Each account is as of its last evaluation."""
    NO_DWELL_HISTORY = "no_dwell_history"
    """How long a score has been below a bound is not known: every dwell time counts as passed."""
    PRESENT_CUT_POINTS = "present_cut_points"
    """Ranks and shares are those of the present portfolio."""
    VETOED_AS_NEW = "vetoed_as_new"
    """The tier that an account had earned behind a veto is not known: it is graded as a new one."""
    TIERS_ONLY = "tiers_only"
    """Churn risk, alerts and flaps are not computed."""
    ESTIMATED = "estimated"
    """Not all accounts were looked at."""
    OTHER_POLICY = "other_policy"
    """Some accounts were last evaluated under another policy than the one in force."""


class TierMove(Result):
    """Accounts that go from one tier to another."""

    before: Tier
    """Under the policy in force."""
    after: Tier
    """Under the one that is tried."""
    accounts: int
    """Estimated where only a part of the accounts was looked at."""
    revenue: str
    """Of the longest window; estimated likewise."""


class TrialAccount(Result):
    """An account that would change its tier."""

    account_id: str
    name: str | None
    before: Tier
    after: Tier
    score_before: float | None
    score_after: float | None
    revenue: str
    owner: str | None
    why: Why
    """What is different: the score, a veto, the confidence, or the bounds alone."""


class TrialResult(Result):
    """What another policy would make of the accounts as they are."""

    accounts: int
    """All that there are."""
    looked_at: int
    whole: bool
    """Whether that is all of them. Otherwise counts are estimates: from the accounts with the most revenue, each, and
    from others drawn at random."""
    changed: int
    """Accounts that would change their tier."""
    currency: str | None
    policy_version: str
    """Of the policy in force, as this service knows it."""
    other_policy: int
    """Accounts looked at that were last evaluated under another policy or churn model than that."""
    tried_version: str
    unsettled: int
    """Accounts that, under the policy in force, stand in another tier than they come to once dwell times have passed:
    they are not counted as changed by the trial."""
    oldest: datetime | None
    """The accounts looked at are as of this moment at the earliest."""
    newest: datetime | None
    tiers_before: dict[Tier, int]
    tiers_after: dict[Tier, int]
    moves: tuple[TierMove, ...]
    largest: tuple[TrialAccount, ...]
    """Those with the most revenue that would change, at most fifty."""
    limits: tuple[TrialLimit, ...]
    """What this cannot say."""
    policy_changes: str
    """The changed part of the policy file, for `backtest`."""
    command: str
    """Says what this cannot: alerts, flaps and the way there, from a history of events."""


class Trial(NamedTuple):
    """Two policies: the one in force, and the one that is tried."""

    held: Policy
    tried: Policy
    changes: Mapping[str, Any]
    """What is different, in the names of the policy file."""


def trial_of(held: Policy, asked: PolicyTrial) -> Trial:
    """Make the policy that is to be tried.

    Raises:
        TrialRefusedError: if it would be none.
    """
    given = asked.model_dump(mode="json", exclude_none=True)
    changes: dict[str, Any] = {}
    if "weights" in given:
        changes["scorecard"] = {"weights": given["weights"]}
    for name in ("tiers", "vetoes"):
        if name in given:
            changes[name] = given[name]
    whole = _laid_over(held.model_dump(mode="json"), changes)
    try:
        return Trial(held, Policy.model_validate(whole), changes)
    except ValidationError as error:
        raise TrialRefusedError(
            [
                (".".join(str(part) for part in one["loc"]).removeprefix("scorecard."), one["msg"])
                for one in error.errors(include_url=False, include_context=False, include_input=False)
            ]
        ) from error


def _laid_over(under: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    found = dict(under)
    for name, value in over.items():
        held = found.get(name)
        found[name] = _laid_over(held, value) if isinstance(value, dict) and isinstance(held, dict) else value
    return found


def tried(trial: Trial, looked_at: Sequence[Sampled], accounts: int, decimals: int) -> TrialResult:
    """Grade every account under both policies, and tell what is different.

    Args:
        trial: the policies.
        looked_at: accounts; each stands for as many as its weight says.
        accounts: how many there are.
        decimals: of the currency.
    """
    shares = _part_shares(looked_at)
    old, new = (Context(one, cuts=shares) for one in (trial.held, trial.tried))
    before, after = defaultdict[Tier, float](float), defaultdict[Tier, float](float)
    moved: defaultdict[tuple[Tier, Tier], list[float]] = defaultdict(lambda: [0.0, 0.0])
    changed: list[tuple[int, Sampled, Regraded, Regraded]] = []
    unsettled = 0.0
    for one in looked_at:
        was, now = regrade(one.known, old), regrade(one.known, new)
        before[was.tier] += one.weight
        after[now.tier] += one.weight
        unsettled += one.weight * (was.tier is not one.known.tier)
        if was.tier is not now.tier:
            sums = moved[was.tier, now.tier]
            sums[0] += one.weight
            sums[1] += one.weight * one.known.year.revenue_minor
            changed.append((one.known.year.revenue_minor, one, was, now))
    changed.sort(key=lambda found: (-found[0], found[1].account_id))
    other_policy = sum(one.policy_version != trial.held.version for one in looked_at)
    order = list(Tier)
    moments = [one.as_of for one in looked_at]
    return TrialResult(
        accounts=accounts,
        looked_at=len(looked_at),
        whole=len(looked_at) >= accounts,
        changed=round(sum(count for count, _ in moved.values())),
        currency=trial.held.reporting_currency,
        policy_version=trial.held.version,
        other_policy=other_policy,
        tried_version=trial.tried.version,
        unsettled=round(unsettled),
        oldest=min(moments, default=None),
        newest=max(moments, default=None),
        tiers_before={tier: round(before[tier]) for tier in order},
        tiers_after={tier: round(after[tier]) for tier in order},
        moves=tuple(
            TierMove(before=was, after=now, accounts=round(count), revenue=decimal_text(round(revenue), decimals))
            for (was, now), (count, revenue) in sorted(
                moved.items(), key=lambda item: (order.index(item[0][0]), order.index(item[0][1]))
            )
        ),
        largest=tuple(_account(*found[1:], decimals) for found in changed[:LARGEST_MAX]),
        limits=_limits(whole=len(looked_at) >= accounts, other_policy=other_policy > 0),
        policy_changes=_toml(trial.changes),
        command=BACKTEST,
    )


def _limits(*, whole: bool, other_policy: bool) -> tuple[TrialLimit, ...]:
    absent = {TrialLimit.ESTIMATED: whole, TrialLimit.OTHER_POLICY: not other_policy}
    return tuple(one for one in TrialLimit if not absent.get(one))


def _account(one: Sampled, was: Regraded, now: Regraded, decimals: int) -> TrialAccount:
    return TrialAccount(
        account_id=one.account_id,
        name=one.name,
        before=was.tier,
        after=now.tier,
        score_before=None if was.score is None else was.score / 100,
        score_after=None if now.score is None else now.score / 100,
        revenue=decimal_text(one.known.year.revenue_minor, decimals),
        owner=one.owner,
        why=why(was, now),
    )


def _part_shares(looked_at: Iterable[Sampled]) -> CutPoints | None:
    """Count which share of the active accounts has each part, as the census does: a confidence rests on it.

    None before any account was compared with a portfolio: then every part counts.
    """
    held, active, compared = [0.0] * PARTS_COUNT, 0.0, False
    for one in looked_at:
        compared = compared or one.is_compared
        if one.known.year.orders > 0:
            active += one.weight
            for place, part in enumerate(one.known.parts):
                held[place] += one.weight * (part is not None)
    if not compared or not active:
        return None
    return CutPoints(
        version=0,
        as_of_day=0,
        accounts=0,
        active_accounts=round(active),
        relative_error=0.0,
        mean_gap_days=None,
        revenue=None,
        profit=None,
        rfm=None,
        budget_top_fifth_minor=None,
        support_top_tenth_millionths=None,
        concentration=None,
        part_shares=tuple(one / active for one in held),
    )


def _toml(changes: Mapping[str, Any], path: str = "") -> str:
    """Write the changes as they stand in a policy file."""
    lines = [f"{name} = {_value(value)}" for name, value in changes.items() if not isinstance(value, dict)]
    text = (f"[{path}]\n" if path and lines else "") + "".join(f"{line}\n" for line in lines)
    for name, value in changes.items():
        if isinstance(value, dict):
            text += _toml(value, f"{path}.{name}" if path else name)
    return text


def _value(value: Any) -> str:
    if isinstance(value, list):
        return "[" + ", ".join(_value(one) for one in value) + "]"
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{name} = {_value(one)}" for name, one in value.items()) + " }"
    return _quoted(value) if isinstance(value, str) else repr(value).lower() if isinstance(value, bool) else repr(value)


def _quoted(text: str) -> str:
    return '"' + "".join(_ESCAPES.get(one, one if one.isprintable() else f"\\u{ord(one):04X}") for one in text) + '"'


_ESCAPES: Final = {'"': '\\"', "\\": "\\\\"}
