"""Tiers: hysteresis, dwell time, confidence, flaps, vetoes and overrides, as tables."""

# ruff: noqa: E501  # a row of a table is one line

from typing import Any, Final

from models.bodies import TierChanged
from models.policy import Policy
from processors.snapshots import snapshot
from tests.support.portfolios import curve, cut_points
from tests.support.scenario import Played, play, windowed
from tests.support.tables import Row, table

CUTS: Final = cut_points(revenue=curve(), profit=curve())
ONLY_REVENUE: Final = {"revenue": 1, "profit": 0, "strategic": 0, "potential": 0, "relationship": 0}
BOUNDS: Final = {"key": {"enter": 75, "leave": 70}}


def ladder(*, dwell: int = 3, weights: dict[str, int] | None = None, **sections: Any) -> Policy:
    """Grade by revenue alone: 10 scores 25, 100 scores 50, 1000 scores 75, 10000 scores 100; weeks instead of years."""
    scorecard = {"weights": weights or ONLY_REVENUE}
    return windowed(5, 20, scorecard=scorecard, tiers={**BOUNDS, "dwell_days": dwell}, **sections)


def climb(steps: str, policy: Policy | None = None) -> Played:
    """Let the steps happen to an account on the ladder."""
    return play(steps, policy or ladder(), CUTS)


@table("""
| case                                    | steps                                                    | changes |
| a first grade is entered                | d0 order 100                                             | d0 entered growth behaviour |
| the bound itself is in                  | d0 order 10                                              | d0 entered standard behaviour |
| just under the bound is out             | d0 order 9.99                                            | d0 entered basic behaviour |
| an order of nothing is basic            | d0 order 0                                               | d0 entered basic behaviour |
| promotion at once                       | d0 order 10; d1 order 90                                 | d0 entered standard behaviour, d1 promoted growth behaviour |
| promotion over several bands            | d0 order 1; d1 order 999                                 | d0 entered basic behaviour, d1 promoted key behaviour |
| nothing new                             | d0 order 100; d1 order 1                                 | d0 entered growth behaviour |
| between leave and enter: kept           | d0 order 1000; d1 refund 300; d19 time                   | d0 entered key behaviour |
| at the leave bound: kept                | d0 order 1000; d1 refund 369.04; d19 time                | d0 entered key behaviour |
| just under it: not kept                 | d0 order 1000; d1 refund 369.5; d19 time                 | d0 entered key behaviour, d4 demoted growth time |
| the day before the dwell time ends      | d0 order 1000; d1 refund 400; d3 time                    | d0 entered key behaviour |
| the day on which it ends                | d0 order 1000; d1 refund 400; d4 time                    | d0 entered key behaviour, d4 demoted growth time |
| an event on that day comes after time   | d0 order 1000; d1 refund 400; d4 order 1                 | d0 entered key behaviour, d4 demoted growth time |
| a recovery on the day before            | d0 order 1000; d1 refund 400; d3 order 400; d9 time      | d0 entered key behaviour |
| a break in between starts it again      | d0 order 1000; d1 refund 400; d3 order 100; d3@13:00 refund 100; d9 time | d0 entered key behaviour, d6 demoted growth time |
| the next tier whose bound is not left   | d0 order 1000; d1 refund 992; d9 time                    | d0 entered key behaviour, d4 demoted standard time |
| a bound left later ends later           | d0 order 1000; d1 refund 400; d3 refund 595; d9 time     | d0 entered key behaviour, d4 demoted growth time, d6 demoted basic time |
| demotion by an event after the time     | d0 order 1000; d1 refund 400; d3 time; d9 refund 1       | d0 entered key behaviour, d4 demoted growth time |
| a window that ends                      | d0 order 100; d22 time                                   | d0 entered growth behaviour |
| and the dwell time after it             | d0 order 100; d23 time                                   | d0 entered growth behaviour, d23 demoted basic time |
| part of a window that ends              | d0 order 960; d10 order 40; d40 time                     | d0 entered growth behaviour, d10 promoted key behaviour, d23 demoted standard time, d33 demoted basic time |
| withdrawn when no order is left         | d0 order 100; d1 cancel 100 ordered=d0                   | d0 entered growth behaviour, d1 withdrawn unrated correction |
| entered again after that                | d0 order 100; d1 cancel 100 ordered=d0; d2 order 10      | d0 entered growth behaviour, d1 withdrawn unrated correction, d2 entered standard behaviour |
| withdrawal forgets the dwell time       | d0 order 1000; d1 refund 400; d2 cancel 1000 ordered=d0; d2@13:00 order 1000; d9 time | d0 entered key behaviour, d2 withdrawn unrated correction, d2 entered growth behaviour |
| without an order never graded           | d0 open T high; d0 profile 1; d30 time                   | |
| a refund alone is not graded            | d0 refund 10; d30 time                                   | |
""")
def test_when_a_tier_changes(row: Row) -> None:
    """Promotion is at once, demotion after the dwell time under the leave bound, without a break."""
    assert climb(row["steps"]).changes("tier") == row["changes"]


@table("""
| case                               | dwell | steps                                        | changes |
| no dwell time: demoted at once     | 0     | d0 order 1000; d1 refund 400                 | d0 entered key behaviour, d1 demoted growth correction |
| no dwell time: over several bands  | 0     | d0 order 1000; d1 refund 999                 | d0 entered key behaviour, d1 demoted basic correction |
| no dwell time: at the window's end | 0     | d0 order 100; d20 time                       | d0 entered growth behaviour, d20 demoted basic time |
| a day                              | 1     | d0 order 1000; d1 refund 400; d2 time        | d0 entered key behaviour, d2 demoted growth time |
""")
def test_the_dwell_time_is_the_policy_s(row: Row) -> None:
    """A demotion waits for as many days as the policy says."""
    assert climb(row["steps"], ladder(dwell=int(row["dwell"]))).changes("tier") == row["changes"]


@table("""
| case                                      | weights  | steps                                    | changes |
| all is known                              | 1 1    | d0 order 2000 cost=0                     | d0 entered key behaviour |
| half is enough for key                    | 1 1    | d0 order 2000                            | d0 entered key behaviour |
| under half is growth at most              | 49 51  | d0 order 2000                            | d0 entered growth behaviour |
| and key as soon as more is known          | 49 51  | d0 order 2000; d1 order 2001 cost=0      | d0 entered growth behaviour, d1 promoted key behaviour |
| and growth at once when less is           | 49 51  | d0 order 2001 cost=0; d1 order 2002      | d0 entered key behaviour, d1 demoted growth behaviour |
| 0.30 is enough for a grade                | 30 70  | d0 order 2000                            | d0 entered growth behaviour |
| under it there is none                    | 29 71  | d0 order 2000                            | |
| and the grade is withdrawn at once        | 29 71  | d0 order 2001 cost=0; d1 order 2002      | d0 entered key behaviour, d1 withdrawn unrated behaviour |
""")
def test_confidence_limits_the_tier(row: Row) -> None:
    """Under 0.30 an account is unrated, under 0.50 it is growth at most, both at once."""
    revenue, profit = map(int, row["weights"].split())
    policy = ladder(weights={**ONLY_REVENUE, "revenue": revenue, "profit": profit})

    assert climb(row["steps"], policy).changes("tier") == row["changes"]


@table("""
| case                          | steps                                                             | flaps              |
| back within 30 days           | d0 order 1000; d1 refund 400; d4 order 400                        | False False True   |
| not back                      | d0 order 100; d1 order 900; d2 refund 999; d9 time                | False False False  |
| back after 31 days            | d0 order 1000; d1 refund 400; d35 order 1000                      | False False False False |
""")
def test_flaps(row: Row) -> None:
    """A change that undoes the one before it within 30 days is called a flap."""
    changes = [one for one in climb(row["steps"]).outputs if isinstance(one, TierChanged)]

    assert " ".join(str(one.flap) for one in changes) == row["flaps"]


def test_a_change_says_what_each_component_added() -> None:
    """Scores, points and deltas of a change, against numbers worked out by hand."""
    weights = {**ONLY_REVENUE, "revenue": 3, "profit": 3, "strategic": 3}
    rated = "d0 profile 1 market_share=60@d0 brand_influence=90@d0"
    played = climb(f"{rated}; d0 order 10 cost=9; d1 order 990 cost=891 id=trigger", ladder(weights=weights))
    first, second = played.outputs
    assert isinstance(first, TierChanged)
    assert isinstance(second, TierChanged)

    # 10 of revenue scores 25, 1 of profit 0; the mean of two of three ratings is 75 and weighs 3 × 2/3:
    # (3 × 25 + 3 × 0 + 2 × 75) / 8 = 28.125. Of three times three, eight are known.
    assert (first.score, first.score_before, first.score_delta_hundredths) == (28.13, None, 2813)
    assert first.confidence == 0.8889
    assert [(one.name, one.score, one.weight, one.points_hundredths) for one in first.components] == [
        ("revenue", 25.0, 3, 938),
        ("profit", 0.0, 3, 0),
        ("strategic", 75.0, 3, 1875),
        ("potential", 100.0, 0, 0),
        ("relationship", 0.0, 0, 0),
    ]
    # 1000 scores 75, a profit of 100 scores 50: (3 × 75 + 3 × 50 + 2 × 75) / 8 = 65.625.
    assert (second.score, second.score_before, second.score_delta_hundredths) == (65.63, 28.13, 3750)
    assert [
        (one.score_before, one.score, one.points_before_hundredths, one.points_hundredths, one.delta_hundredths)
        for one in second.components[:3]
    ] == [
        (25.0, 75.0, 938, 2813, 1875),
        (0.0, 50.0, 0, 1875, 1875),
        (75.0, 75.0, 1875, 1875, 0),
    ]
    assert (second.previous_tier, second.tier, second.trigger_event_id) == ("standard", "growth", "trigger")
    assert (second.windows["5"].revenue, second.windows["5"].profit) == ("1000.00", "100.00")


@table("""
| case                                 | below      | steps                                                | tier     | veto |
| the bound itself is not below        | 100        | d0 order 1000; d1 refund 900                         | key      | - |
| just under it                        | 100        | d0 order 1000; d1 refund 900.01                      | standard | v |
| it ends at once                      | 100        | d0 order 1000; d1 refund 900.01; d1 order 0.01       | key      | - |
| nothing to hold down                 | 100        | d0 order 9                                           | basic    | - |
| an unrated account stays unrated     | 100        | d0 profile 1                                         | unrated  | - |
""")
def test_a_veto_holds_a_tier_down(row: Row) -> None:
    """While its condition holds, a veto caps the tier, at once; the tier that was earned is not forgotten."""
    veto = {"name": "v", "measure": "revenue", "below": float(row["below"]), "tier_max": "standard"}
    played = climb(row["steps"], ladder(dwell=30, vetoes=[veto]))
    shown = snapshot(played.held, played.context)

    assert (shown.tier, shown.veto or "-") == (row["tier"], row["veto"])


_RATED: Final = "d0 profile 1 market_share=40@d0 competitive_pressure=80@d0 industry_growth=30@d0 value_fit=20@d0"


@table("""
| measure              | bound         | before                       | vetoed |
| score                | below 75.01   | d0 order 1000                | yes    |
| score                | below 75      | d0 order 1000                | no     |
| score                | at_least 75   | d0 order 1000                | yes    |
| score                | at_least 75.01 | d0 order 1000               | no     |
| confidence           | below 1       | d0 order 1000                | no     |
| confidence           | at_least 1    | d0 order 1000                | yes    |
| revenue_score        | below 75.01   | d0 order 1000                | yes    |
| profit_score         | below 1       | d0 order 1000                | no     |
| profit_score         | below 1       | d0 order 1000 cost=1000      | yes    |
| strategic_score      | below 40.01   | d0 order 1000                | yes    |
| strategic_score      | below 40      | d0 order 1000                | no     |
| potential_score      | at_least 64.99 | d0 order 1000               | yes    |
| potential_score      | at_least 65.01 | d0 order 1000               | no     |
| relationship_score   | below 10.01   | d0 order 1000                | yes    |
| relationship_score   | below 10      | d0 order 1000                | no     |
| revenue              | at_least 1000 | d0 order 1000                | yes    |
| profit               | below 0       | d0 order 1000                | no     |
| profit               | below 0       | d0 order 1000 cost=1000.01   | yes    |
| profit               | below 0       | d0 order 1000 cost=1000      | no     |
| orders               | below 2       | d0 order 1000                | yes    |
| orders               | below 2       | d0 order 500; d0 order 500   | no     |
| open_severe_tickets  | at_least 1    | d0 order 1000                | no     |
| open_severe_tickets  | at_least 1    | d0 order 1000; d0 open T low | no     |
| open_severe_tickets  | at_least 1    | d0 order 1000; d0 open T high | yes   |
| competitive_pressure | at_least 80   | d0 order 1000                | yes    |
| competitive_pressure | at_least 80.5 | d0 order 1000                | no     |
""")
def test_what_a_veto_may_look_at(row: Row) -> None:
    """Each measure in the units of the policy, at its bound; what is absent vetoes nothing.

    Of the potential, growth is 100 and industry growth 30; of the relationship, tenure is 0 and value fit 20.
    """
    name, bound = row["bound"].split()
    veto = {"name": "v", "measure": row["measure"], name: float(bound), "tier_max": "basic"}
    played = climb(f"{_RATED}; {row['before']}", ladder(vetoes=[veto]))

    assert played.held.tier == ("basic" if row["vetoed"] == "yes" else "key")


@table("""
| case                                         | steps                                   | changes |
| a rating that is out of date vetoes no more  | d0 order 1000; d1 profile 1 competitive_pressure=90@d0; d11 time | d0 entered key behaviour, d1 demoted standard behaviour, d10 promoted key time |
| a ticket, until it is resolved               | d0 order 1000; d1 open T high; d2 resolve T | d0 entered key behaviour, d1 demoted growth behaviour, d2 promoted key behaviour |
| the lower of two vetoes                      | d0 order 1000; d1 open T high; d1@13:00 profile 1 competitive_pressure=90@d1 | d0 entered key behaviour, d1 demoted growth behaviour, d1 demoted standard behaviour |
| from the first grade on                      | d0 open T high; d0 order 1000           | d0 entered growth behaviour |
""")
def test_vetoes_come_and_go_at_once(row: Row) -> None:
    """A veto acts at once and ends at once, whatever the dwell time."""
    vetoes = [
        {"name": "tickets", "measure": "open_severe_tickets", "at_least": 1, "tier_max": "growth"},
        {"name": "rivals", "measure": "competitive_pressure", "at_least": 90, "tier_max": "standard"},
    ]
    policy = ladder(dwell=5, vetoes=vetoes)
    policy = policy.model_copy(update={"scorecard": policy.scorecard.model_copy(update={"rating_days": 10})})

    assert climb(row["steps"], policy).changes("tier") == row["changes"]


@table("""
| case                                        | steps                                                     | changes |
| it acts at once                             | d0 order 10; d1 profile 1 override=key@d9                 | d0 entered standard behaviour, d1 promoted key configuration |
| to the end of its last day                  | d0 order 10; d1 profile 1 override=key@d9; d9 time        | d0 entered standard behaviour, d1 promoted key configuration |
| and ends by time                            | d0 order 10; d1 profile 1 override=key@d9; d10 time       | d0 entered standard behaviour, d1 promoted key configuration, d10 demoted standard time |
| downwards too                               | d0 order 1000; d1 profile 1 override=basic@d2; d3 time    | d0 entered key behaviour, d1 demoted basic configuration, d3 promoted key time |
| an account without an order                 | d0 profile 1 override=key@d9; d10 time                    | d0 entered key configuration, d10 withdrawn unrated time |
| it beats a veto                             | d0 order 1000; d1 open T high; d2 profile 1 override=key@d9; d10 time | d0 entered key behaviour, d1 demoted growth behaviour, d2 promoted key configuration, d10 demoted growth time |
| another profile ends it                     | d0 order 10; d1 profile 1 override=key@d9; d2 profile 2   | d0 entered standard behaviour, d1 promoted key configuration, d2 demoted standard configuration |
| another profile keeps it                    | d0 order 10; d1 profile 1 override=key@d9; d2 profile 2 override=key@d9; d9 time | d0 entered standard behaviour, d1 promoted key configuration |
| one that is over already                    | d0 order 10; d5 profile 1 override=key@d4                 | d0 entered standard behaviour |
| one that ends today                         | d0 order 10; d5 profile 1 override=key@d5; d6 time        | d0 entered standard behaviour, d5 promoted key configuration, d6 demoted standard time |
| the tier that was earned is kept below it   | d0 order 1000; d1 profile 1 override=basic@d2; d1@13:00 refund 300; d3 time | d0 entered key behaviour, d1 demoted basic configuration, d3 promoted key time |
| the dwell time runs below it                | d0 order 1000; d1 profile 1 override=key@d9; d1@13:00 refund 400; d10 time | d0 entered key behaviour, d10 demoted growth time |
""")
def test_a_tier_set_by_hand(row: Row) -> None:
    """An override holds to the end of its last day, beats vetoes and being unrated, and hides nothing of what goes on."""
    veto = {"name": "tickets", "measure": "open_severe_tickets", "at_least": 1, "tier_max": "growth"}

    assert climb(row["steps"], ladder(vetoes=[veto])).changes("tier") == row["changes"]


def test_a_snapshot_names_override_and_veto() -> None:
    """Why a tier is not the one of the score is said: the last day of an override, else the veto."""
    veto = {"name": "tickets", "measure": "open_severe_tickets", "at_least": 1, "tier_max": "growth"}
    played = climb("d0 order 1000; d0 open T high", ladder(vetoes=[veto]))
    vetoed = snapshot(played.held, played.context)
    played.play("d1 profile 1 override=key@d9")
    overridden = snapshot(played.held, played.context)

    assert (vetoed.tier, vetoed.veto, vetoed.override_until) == ("growth", "tickets", None)
    assert (overridden.tier, overridden.veto, str(overridden.override_until)) == ("key", None, "2026-01-10")
