"""New cut points: when an account takes notice of them, and which cause its changes have, as tables."""

# ruff: noqa: E501  # a row of a table is one line

from typing import Any, Final

from models.outputs import Cause
from models.policy import Policy
from processors.account import advance
from processors.context import Context
from processors.partition import Partition
from processors.snapshots import snapshot
from tests.core.test_spec_tiers import BOUNDS, ONLY_REVENUE
from tests.support.portfolios import cut_points, peers
from tests.support.scenario import FIRST_DAY, Played, day_name, play, read_event, windowed
from tests.support.tables import Row, table

SMALL: Final = peers([100] * 100)
"""Peers who bring 1 each: any order scores 100."""
LARGE: Final = peers([100_000_00] * 100)
"""Peers who bring 100 000 each: any order scores 0."""
MIDDLING: Final = peers([100] * 60 + [100_000_00] * 40)
"""Of a hundred peers sixty bring 1: 1000 scores 50 × 0.6 by rank, and 50 × ln 1000 / ln 100000 by size, that is 60."""
PORTFOLIOS: Final = {"small": SMALL, "large": LARGE, "middling": MIDDLING}


def policy(**sections: Any) -> Policy:
    """Grade by revenue alone, over 5 and 20 days; the dwell time is 3 days; lost after 60 days of silence."""
    settings: dict[str, Any] = {
        "scorecard": {"weights": ONLY_REVENUE, "growth_days": 8},
        "tiers": {**BOUNDS, "dwell_days": 3},
        "churn": {"portfolio_gap_days": 10, "lost_days": 60},
    }
    return windowed(5, 20, **{**settings, **sections})


def recount(played: Played, name: str, gap_days: float | None = None) -> None:
    """Publish cut points of another portfolio."""
    cuts = cut_points(played.context.portfolio_version + 1, revenue=PORTFOLIOS[name], gap_days=gap_days)
    played.context = played.context.with_cuts(cuts)


def begin(steps: str, name: str = "small", **sections: Any) -> Played:
    """Let the steps happen against a first portfolio."""
    return play(steps, policy(**sections), cut_points(1, revenue=PORTFOLIOS[name]))


@table("""
| case                                              | first        | then          | later                       | changes |
| at the next event, before it                      | small        | middling      | d1 order 0.01               | d1 demoted growth portfolio |
| as of the moment of the event                     | middling     | small         | d3 nps 9                    | d3 promoted key portfolio |
| an event that is late: as of where the account is | middling     | small         | d3 nps 9; d2 nps 9          | d3 promoted key portfolio |
| then the event                                    | middling     | large         | d1 order 999000             | d1 demoted basic portfolio, d1 promoted key behaviour |
| at the next due day, if that comes first          | middling     | small         | d9 nps 9                    | d5 promoted key portfolio |
| the same by time alone                            | middling     | small         | d9 time                     | d5 promoted key portfolio |
| no due day yet                                    | middling     | small         | d1 time                     | d1 promoted key portfolio |
| they change nothing                               | small        | small         | d9 order 1                  | |
""")
def test_when_new_cut_points_reach_an_account(row: Row) -> None:
    """At its next due day, or else when it is looked at next; what they alone changed is caused by the portfolio.

    An account that ordered 1000 is due on d5, when that leaves a window. Without a dwell time a demotion is at once.
    """
    played = begin("d0 order 1000", row["first"], tiers={**BOUNDS, "dwell_days": 0})
    told = len(played.outputs)
    recount(played, row["then"])
    played.play(row["later"])

    assert ", ".join(played.changes("tier").split(", ")[told:]) == row["changes"]


@table("""
| case                                                | dwell | then     | later                    | changes |
| both: the window ends on the day they are noticed   | 0     | large    | d20 time                 | d20 demoted basic portfolio |
| time alone: the window ends, its orders are gone    | 0     | small    | d20 time                 | d20 demoted basic time |
| a dwell time that both begin ends by time           | 3     | middling | d25 time                 | d23 demoted basic time |
""")
def test_a_due_day_tells_time_and_portfolio_apart(row: Row) -> None:
    """If the new cut points alone give the tier already on the day before, the portfolio is the cause, else time."""
    played = begin("d0 order 1000; d19 time", tiers={**BOUNDS, "dwell_days": int(row["dwell"])})
    told = len(played.outputs)
    recount(played, row["then"])
    played.play(row["later"])

    assert ", ".join(played.changes("tier").split(", ")[told:]) == row["changes"]


def test_a_dwell_time_begins_when_the_account_notices() -> None:
    """However long an account was left alone: it is not demoted for days on which nobody knew the new cut points."""
    played = begin("d0 order 1000; d4 time")
    recount(played, "middling")
    played.play("d4@13:00 nps 9")

    assert played.held.below_since_days == [FIRST_DAY + 4, None, None]
    played.play("d9 time")
    assert played.changes("tier") == "d0 entered key behaviour, d7 demoted growth time"


@table("""
| gap of the portfolio | changes |
| 10                   | |
| 2                    | d23 churn medium portfolio |
""")
def test_the_portfolio_s_gap_changes_the_level(row: Row) -> None:
    """With a shorter mean gap of the portfolio, the same silence is longer than the account's rhythm explains.

    Two order days ten days apart have an own gap of (10 + 10) / 2 = 10, or of (10 + 2) / 2 = 6: the risk is one half
    after 20 days of silence, or after 12.
    """
    played = begin("d0 order 5; d10 order 5; d22 time")
    recount(played, "small", float(row["gap of the portfolio"]))
    played.play("d23 nps 9")

    assert played.changes("churn") == row["changes"]


@table("""
| gap of the portfolio | changes |
| 4                    | d26 churn medium portfolio |
| 6                    | d26 churn medium time |
| 7                    | d27 churn medium time |
| 10                   | d30 churn medium time |
""")
def test_a_due_day_tells_time_and_the_portfolio_s_gap_apart(row: Row) -> None:
    """What counts is the day before the due day, and not the one on which the account was last looked at.

    Looked at on d21, the account is due on d26. Its own gap is the mean of 10 and the portfolio's: the risk is one half
    after twice that, which is 14 days of silence, 16, 17 or 20 behind d10.
    """
    played = begin("d0 order 5; d10 order 5; d21 time")
    recount(played, "small", float(row["gap of the portfolio"]))
    played.play("d30 time")

    assert played.changes("churn") == row["changes"]


def test_every_cause_is_reached() -> None:
    """One account whose changes have all five causes, one after the other."""
    played = begin("d0 order 1000", "middling", tiers={**BOUNDS, "dwell_days": 0})
    recount(played, "small")
    played.play("d1 nps 9; d2 refund 1000; d3 order 1000; d3 profile 1 override=basic@d4; d5 time")

    assert played.changes("tier") == (
        "d0 entered growth behaviour, d1 promoted key portfolio, d2 demoted basic correction, "
        "d3 promoted key behaviour, d3 demoted basic configuration, d5 promoted key time"
    )
    assert {one.cause for one in played.outputs} >= set(Cause)


def test_a_change_names_the_cut_points_it_was_judged_by() -> None:
    """Null before the first census, then the version's number, in changes and in snapshots."""
    played = play("d0 order 1000", policy(tiers={**BOUNDS, "confidence_min": 0}))
    first = snapshot(played.held, played.context)
    recount(played, "small")
    played.play("d1 nps 9")
    second = snapshot(played.held, played.context)

    assert [one.portfolio_version for one in played.outputs] == [1]
    assert (first.portfolio.version, second.portfolio.version) == (None, 1)


def test_a_new_account_begins_with_the_cut_points_in_force() -> None:
    """Its first evaluation is its first order's, and no portfolio step comes before it."""
    played = begin("d0 order 1000", "small")

    assert played.held.revision == 1
    assert played.held.portfolio_version == 1


def test_a_peer_reaches_nobody_before_its_own_next_look() -> None:
    """A partition that is given new cut points changes no account; each notices at its event or due day."""
    partition = Partition(Context(policy(), cuts=cut_points(1, revenue=MIDDLING)))
    for number, name in enumerate("ABC"):
        partition.apply(read_event("d0 order 1000", number, name))
    partition.context = partition.context.with_cuts(cut_points(2, revenue=SMALL))
    before = {name: partition.get(name) for name in "ABC"}
    partition.apply(read_event("d1 order 1", 9, "B"))

    tiers = {name: state.tier for name in "ABC" if (state := partition.get(name)) is not None}
    assert tiers == {"A": "growth", "B": "key", "C": "growth"}
    assert partition.get("A") is before["A"]
    due = [name for name, _ in partition.tick(partition.context.end_of_day_ms(FIRST_DAY + 5), 10)]
    assert sorted(due) == ["A", "B", "C"]
    tiers = {name: state.tier for name in "ABC" if (state := partition.get(name)) is not None}
    assert set(tiers.values()) == {"key"}


def test_an_account_at_rest_is_not_looked_at_for_the_portfolio_s_sake() -> None:
    """A lost account without anything in its windows has no due day; new cut points give it none."""
    played = begin("d0 order 1; d1 order 1; d400 time")
    assert played.held.due_day is None
    recount(played, "large")

    step = advance(played.held, played.context.end_of_day_ms(FIRST_DAY + 401), played.context)
    assert step.changed
    assert (day_name(played.held.as_of_day), played.held.due_day) == ("d401", None)
