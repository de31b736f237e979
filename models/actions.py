"""Recommended actions: rules of the policy that name what to do next about an account."""

from typing import Annotated, Final

from pydantic import Field

from models.outputs import ChurnLevel, ChurnReason, Lifecycle, Tier
from models.sections import Score, Section


class ActionRule(Section):
    """A recommendation, and when it is made: all conditions that are given must hold."""

    name: Annotated[str, Field(min_length=1, max_length=100)]
    tiers: tuple[Tier, ...] = ()
    """One of these tiers; empty for any."""
    levels: tuple[ChurnLevel, ...] = ()
    """One of these churn levels; empty for any."""
    lifecycles: tuple[Lifecycle, ...] = ()
    """One of these phases of the lifecycle; empty for any."""
    reasons: tuple[ChurnReason, ...] = ()
    """One of these churn reasons; empty for any, also none."""
    white_space_min: Score | None = None
    """The white-space part at least."""
    headroom_min: Score | None = None
    """The headroom part at least."""


_KEY, _GROWTH, _STANDARD = Tier.KEY, Tier.GROWTH, Tier.STANDARD
_Reason = ChurnReason
_SOUND = (Lifecycle.NEW, Lifecycle.RECOVERED, Lifecycle.GROWING, Lifecycle.STEADY)
"""Room to sell more is what a decline leaves: who buys less, or has fallen silent, is asked why and not for more."""
DEFAULT_ACTIONS: Final = (
    ActionRule(name="call_now", tiers=(_KEY, _GROWTH), levels=(ChurnLevel.HIGH,)),
    ActionRule(name="check_in", tiers=(_KEY, _GROWTH, _STANDARD), levels=(ChurnLevel.MEDIUM,)),
    ActionRule(name="win_back", levels=(ChurnLevel.LOST,)),
    ActionRule(name="escalate_support", reasons=(_Reason.OPEN_SEVERE_TICKET, _Reason.SLA_BREACHED)),
    ActionRule(name="review_quality", reasons=(_Reason.QUALITY_COMPLAINT,)),
    ActionRule(name="ask_for_feedback", reasons=(_Reason.SATISFACTION_DOWN, _Reason.COMPLAINT)),
    ActionRule(name="defend_against_competitor", reasons=(_Reason.COMPETITIVE_PRESSURE,)),
    ActionRule(name="prepare_renewal", reasons=(_Reason.RENEWAL_NEAR,)),
    ActionRule(
        name="cross_sell", tiers=(_KEY, _GROWTH), levels=(ChurnLevel.LOW,), lifecycles=_SOUND, white_space_min=50
    ),
    ActionRule(
        name="expand",
        tiers=(_KEY, _GROWTH, _STANDARD),
        levels=(ChurnLevel.LOW,),
        lifecycles=_SOUND,
        headroom_min=50,
    ),
    ActionRule(name="welcome_back", lifecycles=(Lifecycle.RECOVERED,)),
    ActionRule(name="onboard", lifecycles=(Lifecycle.NEW,)),
)
