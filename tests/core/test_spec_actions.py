"""Recommended actions, and what else a snapshot says, as tables."""

# ruff: noqa: E501  # a row of a table is one line

from typing import Any, Final

import msgspec

from models.actions import DEFAULT_ACTIONS
from processors.snapshots import snapshot
from tests.core.test_spec_tiers import BOUNDS, ONLY_REVENUE
from tests.support.portfolios import curve, cut_points
from tests.support.scenario import Played, play, policy_of
from tests.support.tables import Row, table

CUTS: Final = cut_points(revenue=curve())
KEY: Final = "d0 order 500; d10 order 500"
"""A key account with an own gap of (10 + 10) / 2 days: medium after 20 silent days, high after 40, lost after 60."""

DECLINING: Final = "d0 order 500; d45 order 500; d90 order 500; d140 order 500; d190 order 500; d240 order 1; d290 order 1; d330 order 1"
"""A key account whose last half-year brought less than the one before, and that orders as often as ever."""


def account(steps: str, **sections: Any) -> Played:
    """Let the steps happen to an account that is graded by revenue, with the default actions."""
    settings: dict[str, Any] = {
        "scorecard": {"weights": ONLY_REVENUE},
        "tiers": BOUNDS,
        "churn": {"portfolio_gap_days": 10, "lost_days": 60},
    }
    return play(steps, policy_of(**{**settings, **sections}), CUTS)


def recommended(played: Played) -> str:
    """Name the actions of a snapshot, each with the reasons it answers."""
    actions = snapshot(played.held, played.context).actions
    return ", ".join(" ".join([one.name, *one.reasons]) for one in actions)


@table("""
| case                                    | steps                                                  | actions |
| a new account                           | d0 order 500                                           | onboard |
| one without an order                    | d0 profile 1                                           | |
| a key account on time                   | d0 order 500; d95 order 500                            | |
| one at risk                             | KEY; d30 time                                          | check_in overdue, onboard overdue |
| at high risk                            | KEY; d50 time                                          | call_now overdue |
| a basic account at risk                 | d0 order 1; d10 order 1; d30 time                      | onboard overdue |
| lost                                    | KEY; d70 time                                          | win_back overdue |
| come back                               | KEY; d70 time; d71 order 1                             | welcome_back |
| an open severe ticket                   | KEY; d11 open T high                                   | escalate_support open_severe_ticket, onboard open_severe_ticket |
| a missed deadline too                   | KEY; d11 open T high; d11 breach T                     | escalate_support open_severe_ticket sla_breached, onboard open_severe_ticket sla_breached |
| a complaint about quality               | KEY; d11 complain quality                              | review_quality quality_complaint, onboard quality_complaint |
| another one                             | KEY; d11 complain price                                | ask_for_feedback complaint, onboard complaint |
| a rival                                 | KEY; d11 profile 1 competitive_pressure=90@d11         | defend_against_competitor competitive_pressure, onboard competitive_pressure |
| a renewal                               | KEY; d11 profile 1 renewal=d20                         | prepare_renewal renewal_near, onboard renewal_near |
| half of the lines are not bought        | d0 order 500; d95 order 500 lines=a,b,c,d              | cross_sell |
| fewer than half                         | d0 order 500; d95 order 500 lines=a,b,c,d,e            | |
| a standard account is not cross-sold    | d0 order 5; d95 order 5 lines=a                        | |
| half of the budget is left              | d0 order 500; d95 order 500; d95 profile 1 budget=2000 | expand |
| less than half                          | d0 order 500; d95 order 500; d95 profile 1 budget=1999 | |
| not to who buys less                    | DECLINING; d330 profile 1 budget=9000                  | |
| nor what is new to it                   | DECLINING; d330 order 1 lines=a                        | |
| a basic account is not expanded         | d0 order 1; d95 order 1; d95 profile 1 budget=2000     | |
| not while it is at risk                 | KEY; d11 profile 1 budget=9000; d30 time               | check_in overdue, onboard overdue |
""")
def test_the_default_actions(row: Row) -> None:
    """Each rule speaks while all that it asks for holds, and names the reasons it answers, or all there are."""
    assert recommended(account(row["steps"].replace("KEY", KEY).replace("DECLINING", DECLINING))) == row["actions"]


def test_every_default_action_is_recommended_above() -> None:
    """No rule of the default policy is without a row."""
    table_text = test_the_default_actions.pytestmark[0].args[1]  # type: ignore[attr-defined]  # what the decorator left
    told = " ".join(one.values[0]["actions"] for one in table_text)

    assert [one.name for one in DEFAULT_ACTIONS if one.name not in told] == []


@table("""
| rule                                                              | steps             | actions |
| {"name": "x"}                                                     | d0 order 500      | x |
| {"name": "x", "tiers": ["growth", "key"]}                         | d0 order 500      | x |
| {"name": "x", "tiers": ["basic"]}                                 | d0 order 500      | |
| {"name": "x", "levels": ["unproven"]}                             | d0 order 500      | x |
| {"name": "x", "levels": ["low"]}                                  | d0 order 500      | |
| {"name": "x", "lifecycles": ["new"]}                              | d0 order 500      | x |
| {"name": "x", "lifecycles": ["steady"]}                           | d0 order 500      | |
| {"name": "x", "reasons": ["overdue"]}                             | d0 order 500      | |
| {"name": "x", "reasons": ["sla_breached", "complaint"]}           | d0 order 500; d0 breach T | x sla_breached |
| {"name": "x", "white_space_min": 0}                               | d0 order 500      | |
| {"name": "x", "white_space_min": 87.5}                            | d0 order 500 lines=a | x |
| {"name": "x", "white_space_min": 88}                              | d0 order 500 lines=a | |
| {"name": "x", "headroom_min": 0}                                  | d0 order 500      | |
| {"name": "x", "headroom_min": 50}                                 | d0 profile 1 budget=1000; d0 order 500 | x |
| {"name": "x", "tiers": ["growth"], "levels": ["high"]}            | d0 order 500      | |
""")
def test_the_conditions_of_an_action(row: Row) -> None:
    """All that a rule names must hold; a part that is absent is below every minimum."""
    rules = [eval(row["rule"], {})]  # noqa: S307  # the cells are written above

    assert recommended(account(row["steps"], actions=rules)) == row["actions"]


def test_actions_come_in_the_policy_s_order() -> None:
    """As they are listed, whatever they are called."""
    assert recommended(account("d0 order 1", actions=[{"name": "b"}, {"name": "a"}])) == "b, a"


def test_a_snapshot_says_what_a_profile_does() -> None:
    """An editor finds every field of the profile in force, the budget in the reporting currency."""
    played = account(
        "d0 profile 3 name=Acme segment=retail since=d-9 renewal=d9 budget=500 value_fit=5@d0 override=key@d3"
    )
    shown = snapshot(played.held, played.context)
    assert shown.profile is not None

    assert (shown.name, shown.currency, str(shown.override_until)) == ("Acme", "EUR", "2026-01-04")
    told = {name: one for name, one in msgspec.to_builtins(shown.profile).items() if one is not None}
    assert told == {
        "version": 3,
        "customer_since": "2025-12-23",
        "segment": "retail",
        "budget": {"amount": "500.00", "currency": "EUR"},
        "renewal_on": "2026-01-10",
        "ratings": {"value_fit": {"value": 5.0, "rated_at": "2026-01-01"}},
        "override": {"tier": "key", "reason": "test", "until": "2026-01-04"},
    }
