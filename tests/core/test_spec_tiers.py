"""Scores, tiers, hysteresis and dwell time, as tables."""

# ruff: noqa: E501  # a row of a table is one line

from fractions import Fraction
from typing import Any, Final

from hypothesis import given
from hypothesis import strategies as st

from models.outputs import TierChanged
from models.policy import Policy, Scale
from processors.scorecard import FULL_SCORE, Measured, combine, on_scale
from processors.snapshots import snapshot
from tests.support.scenario import play, policy_of
from tests.support.tables import Row, table

ONLY_REVENUE: Final = {"revenue_weight": 1, "frequency_weight": 0, "profit_weight": 0}


def ladder(*, dwell: int = 3, **sections: Any) -> Policy:
    """Grade by revenue alone: 10 scores 25, 100 scores 50, 1000 scores 75, 10000 scores 100; weeks instead of years."""
    scorecard = {**ONLY_REVENUE, "revenue_scale": {"low": 1, "high": 10_000}}
    return policy_of(
        **{
            "window_days": [5, 20],
            "scorecard": scorecard,
            "tiers": {"dwell_days": dwell},
            "churn": {"support_days": 5},
            **sections,
        }
    )


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
    assert play(row["steps"], ladder()).changes("tier") == row["changes"]


@table("""
| case                               | dwell | steps                                        | changes |
| no dwell time: demoted at once     | 0     | d0 order 1000; d1 refund 400                 | d0 entered key behaviour, d1 demoted growth correction |
| no dwell time: over several bands  | 0     | d0 order 1000; d1 refund 999                 | d0 entered key behaviour, d1 demoted basic correction |
| no dwell time: at the window's end | 0     | d0 order 100; d20 time                       | d0 entered growth behaviour, d20 demoted basic time |
| a day                              | 1     | d0 order 1000; d1 refund 400; d2 time        | d0 entered key behaviour, d2 demoted growth time |
""")
def test_the_dwell_time_is_the_policy_s(row: Row) -> None:
    """A demotion waits for as many days as the policy says."""
    assert play(row["steps"], ladder(dwell=int(row["dwell"]))).changes("tier") == row["changes"]


@table("""
| case                                      | weights  | steps                                    | changes |
| all is known                              | 1 0 1    | d0 order 2000 cost=0                     | d0 entered key behaviour |
| half is enough for key                    | 1 0 1    | d0 order 2000                            | d0 entered key behaviour |
| under half is growth at most              | 49 0 51  | d0 order 2000                            | d0 entered growth behaviour |
| and key as soon as more is known          | 49 0 51  | d0 order 2000; d1 order 2001 cost=0      | d0 entered growth behaviour, d1 promoted key behaviour |
| and growth at once when less is           | 49 0 51  | d0 order 2001 cost=0; d1 order 2002      | d0 entered key behaviour, d1 demoted growth behaviour |
| 0.30 is enough for a grade                | 30 0 70  | d0 order 2000                            | d0 entered growth behaviour |
| under it there is none                    | 29 0 71  | d0 order 2000                            | |
| and the grade is withdrawn at once        | 29 0 71  | d0 order 2001 cost=0; d1 order 2002      | d0 entered key behaviour, d1 withdrawn unrated behaviour |
""")
def test_confidence_limits_the_tier(row: Row) -> None:
    """Under 0.30 an account is unrated, under 0.50 it is growth at most, both at once."""
    revenue, frequency, profit = map(int, row["weights"].split())
    scale = {"low": 1, "high": 10_000}
    weights = {"revenue_weight": revenue, "frequency_weight": frequency, "profit_weight": profit}
    policy = ladder(scorecard={**weights, "revenue_scale": scale, "profit_scale": scale})

    assert play(row["steps"], policy).changes("tier") == row["changes"]


@table("""
| case                          | steps                                                             | flaps              |
| back within 30 days           | d0 order 1000; d1 refund 400; d4 order 400                        | False False True   |
| not back                      | d0 order 100; d1 order 900; d2 refund 999; d9 time                | False False False  |
| back after 31 days            | d0 order 1000; d1 refund 400; d35 order 1000                      | False False False False |
""")
def test_flaps(row: Row) -> None:
    """A change that undoes the one before it within 30 days is called a flap."""
    changes = [one for one in play(row["steps"], ladder()).outputs if isinstance(one, TierChanged)]

    assert " ".join(str(one.flap) for one in changes) == row["flaps"]


def test_a_change_says_what_each_component_added() -> None:
    """Scores, points and deltas of a change, against numbers worked out by hand."""
    scale = {"low": 1, "high": 10_000}
    card = {"revenue_weight": 1, "frequency_weight": 1, "profit_weight": 2, "revenue_scale": scale}
    policy = ladder(scorecard={**card, "frequency_scale": {"low": 1, "high": 4}, "profit_scale": scale})
    first, second = play("d0 order 10; d1 order 990 cost=890 id=trigger", policy).outputs
    assert isinstance(first, TierChanged)
    assert isinstance(second, TierChanged)

    # 10 of revenue scores 25, one order 0, the profit is unknown: (25 + 0) / 2.
    assert (first.score, first.score_before, first.score_delta_hundredths, first.confidence) == (12.5, None, 1250, 0.5)
    assert [(one.name, one.score, one.points_hundredths, one.delta_hundredths) for one in first.components] == [
        ("revenue", 25.0, 1250, 1250),
        ("frequency", 0.0, 0, 0),
        ("profit", None, 0, 0),
    ]
    # 1000 scores 75, two orders 50, a profit of 100 scores 50: (75 + 50 + 2 × 50) / 4.
    assert (second.score, second.score_before, second.score_delta_hundredths) == (56.25, 12.5, 4375)
    assert [
        (one.score_before, one.score, one.points_hundredths, one.delta_hundredths) for one in second.components
    ] == [
        (25.0, 75.0, 1875, 625),
        (0.0, 50.0, 1250, 1250),
        (None, 50.0, 2500, 2500),
    ]
    assert (second.previous_tier, second.tier, second.trigger_event_id) == ("basic", "growth", "trigger")
    assert (second.windows["5"].revenue, second.windows["5"].profit) == ("1000.00", "100.00")


@table("""
| case                                | weights | scores           | score | points         | confidence |
| one component                       | 1       | 5000             | 5000  | 5000           | 1.0        |
| equal halves of an odd number       | 1 1     | 5001 5000        | 5001  | 2501 2500      | 1.0        |
| three thirds                        | 1 1 1   | 5000 5000 5000   | 5000  | 1667 1667 1666 | 1.0        |
| the largest remainder gets the rest | 1 1 1   | 100 100 104      | 101   | 33 33 35       | 1.0        |
| the first of equal remainders does  | 1 1 1   | 100 100 102      | 101   | 34 33 34       | 1.0        |
| the remainder is not enough         | 1 1 1   | 100 100 101      | 100   | 33 33 34       | 1.0        |
| an absent one gets nothing          | 40 25 35 | 5000 5000 -     | 5000  | 3077 1923 0    | 0.65       |
| one of no weight gets nothing       | 1 0     | 5000 10000       | 5000  | 5000 0         | 1.0        |
| only one of no weight is present    | 0 1     | 5000 -           | -     | 0 0            | 0.0        |
| none is present                     | 1 1     | - -              | -     | 0 0            | 0.0        |
| all are full                        | 40 25 35 | 10000 10000 10000 | 10000 | 4000 2500 3500 | 1.0      |
""")
def test_points_by_largest_remainder(row: Row) -> None:
    """Points are whole hundredths that sum to the score, the rest given to the largest remainders."""
    scores = [None if one == "-" else int(one) for one in row["scores"].split()]
    weights = list(map(int, row["weights"].split()))
    graded = combine(
        [Measured(str(n), *one, {"part": one[0] and 1.0}) for n, one in enumerate(zip(scores, weights, strict=True))]
    )

    assert "-" if graded.score is None else str(graded.score) == row["score"]
    assert " ".join(str(one.points) for one in graded.components) == row["points"]
    assert graded.confidence == float(row["confidence"])


@given(st.lists(st.tuples(st.none() | st.integers(0, FULL_SCORE), st.integers(0, 1000)), min_size=1, max_size=6))
def test_points_of_any_components(parts: list[tuple[int | None, int]]) -> None:
    """Points sum to the score, are less than one from their exact share, and never negative."""
    if not any(weight for _, weight in parts):
        parts = [*parts, (5000, 1)]
    graded = combine(
        [
            Measured(str(number), score, weight, {"part": None if score is None else 1.0})
            for number, (score, weight) in enumerate(parts)
        ]
    )
    present = sum(weight for score, weight in parts if score is not None)
    exact = [Fraction(weight * (score or 0), present) if present else Fraction(0) for score, weight in parts]

    assert sum(one.points for one in graded.components) == (graded.score or 0)
    assert all(abs(one.points - share) < 1 for one, share in zip(graded.components, exact, strict=True))
    assert graded.score is None or abs(graded.score - sum(exact, start=Fraction(0))) <= Fraction(1, 2)


@table("""
| value   | score |
| -1      | 0     |
| 0       | 0     |
| 100     | 0     |
| 316.228 | 2500  |
| 1000    | 5000  |
| 10000   | 10000 |
| 99999   | 10000 |
""")
def test_a_logarithmic_scale(row: Row) -> None:
    """A tenth of the way in the logarithm is a tenth of the score, and nothing is below 0 or above 100."""
    assert on_scale(float(row["value"]), Scale(low=100, high=10_000)) == int(row["score"])


@table("""
| case                                    | steps                                                | profit score |
| known costs                             | d0 order 100 cost=90                                 | 25.0         |
| half of the revenue has a known cost    | d0 order 50 cost=40; d0 order 50                     | 25.0         |
| less than half                          | d0 order 50 cost=40; d0 order 50.02                  | None         |
| no known cost                           | d0 order 100                                         | None         |
| a loss                                  | d0 order 100 cost=900                                | 0.0          |
| silent for a year, costs once known     | d0 order 100 cost=90; d20 time                       | 0.0          |
| silent for a year, costs never known    | d0 order 100; d20 time                               | None         |
""")
def test_when_the_profit_is_graded(row: Row) -> None:
    """Profit is absent under a coverage of 0.5, and 0, not absent, after a year without an order."""
    scale = {"low": 1, "high": 10_000}
    card = {"revenue_weight": 1, "frequency_weight": 0, "profit_weight": 1, "profit_scale": scale}
    played = play(row["steps"], ladder(scorecard=card))
    profit = snapshot(played.held, played.context).components[2]
    assert (profit.name, str(profit.score)) == ("profit", row["profit score"])
