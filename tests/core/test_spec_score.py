"""From parts to the score: components, absent parts, confidence, scorecards and points, as tables."""

# ruff: noqa: E501  # a row of a table is one line

from fractions import Fraction
from typing import Final

from hypothesis import example, given
from hypothesis import strategies as st

from models.policy import Weights
from processors.context import PART_COUNTS, Card
from processors.scorecard import COMPONENTS, PARTS, Graded, combine, points_of
from processors.snapshots import snapshot
from tests.support.portfolios import cut_points
from tests.support.scenario import play, policy_of
from tests.support.tables import Row, table

DEFAULT: Final = (30, 25, 15, 15, 15)
WHOLE: Final = 10_000


def five(text: str) -> tuple[int, int, int, int, int]:
    """Read five weights."""
    revenue, profit, strategic, potential, relationship = map(int, text.split())
    return revenue, profit, strategic, potential, relationship


def known(text: str) -> list[float | None]:
    """Read parts as `revenue=50 growth=80`; the others are absent."""
    values = dict(one.split("=") for one in text.split())
    assert values.keys() <= set(PARTS)
    return [float(values[name]) if name in values else None for name in PARTS]


def scored(parts: str, weights: str = "30 25 15 15 15", missing: str = "rescale") -> Graded:
    """Combine parts with weights."""
    return combine(known(parts), Card(None, five(weights), missing_is_zero=missing == "zero", shares=None))


def test_the_components_and_their_parts() -> None:
    """Fifteen parts make five components; weights are theirs, in this order."""
    assert [(name, PARTS[first:end]) for name, first, end in COMPONENTS] == [
        ("revenue", ("revenue",)),
        ("profit", ("profit",)),
        ("strategic", ("market_share", "brand_influence", "cooperation_potential")),
        ("potential", ("growth", "headroom", "white_space", "industry_growth")),
        ("relationship", ("tenure", "regularity", "depth", "satisfaction", "value_fit", "support")),
    ]
    assert [name for name, _, _ in COMPONENTS] == list(Weights.model_fields)
    assert tuple(end - first for _, first, end in COMPONENTS) == PART_COUNTS
    assert tuple(Weights().model_dump().values()) == DEFAULT


@table("""
| case                                            | parts                                       | weights    | score   | components          |
| one part                                        | revenue=50                                  | 1 0 0 0 0  | 50      | 50 - - - -          |
| two whole components                            | revenue=80 profit=20                        | 3 1 0 0 0  | 65      | 80 20 - - -         |
| a component is the mean of its parts            | market_share=90 brand_influence=60 cooperation_potential=30 | 0 0 1 0 0 | 60 | - - 60 - - |
| of those that are present                       | market_share=90 cooperation_potential=30    | 0 0 1 0 0  | 60      | - - 60 - -          |
| one part of four has a quarter of the weight    | revenue=50 growth=80                        | 30 0 0 15 0 | 53.33  | 50 - - 80 -         |
| two of four have half of it                     | revenue=50 growth=100 headroom=60           | 30 0 0 15 0 | 56     | 50 - - 80 -         |
| all four have all of it                         | revenue=50 growth=80 headroom=80 white_space=80 industry_growth=80 | 30 0 0 15 0 | 60 | 50 - - 80 - |
| one of six                                      | revenue=50 tenure=100                       | 30 0 0 0 15 | 53.85  | 50 - - - 100        |
| a component of no weight says nothing           | revenue=50 profit=100                       | 1 0 0 0 0  | 50      | 50 100 - - -        |
| only one of no weight is present                | profit=100                                  | 1 0 0 0 0  | -       | - 100 - - -         |
| nothing is present                              |                                             | 1 1 1 1 1  | -       | - - - - -           |
| all are nothing                                 | revenue=0 profit=0                          | 1 1 1 1 1  | 0       | 0 0 - - -           |
| all are full                                    | revenue=100 profit=100 market_share=100 growth=100 tenure=100 | 30 25 15 15 15 | 100 | 100 100 100 100 100 |
| half a hundredth is rounded up                  | revenue=0.01 profit=0                       | 1 1 0 0 0  | 0.01    | 0.01 0 - - -        |
| less is rounded down                            | revenue=0.01 profit=0                       | 1 2 0 0 0  | 0       | 0.01 0 - - -        |
| the default weights                             | revenue=80 profit=60 market_share=30 growth=40 headroom=60 tenure=12 support=90 | 30 25 15 15 15 | 64.55 | 80 60 30 50 51 |
""")
def test_the_score_rests_on_what_is_known(row: Row) -> None:
    """A component weighs as much as of its parts is known: one known by one part of six has no full say.

    In the last row: (30 × 80 + 25 × 60 + 15/3 × 30 + 15 × 2/4 × 50 + 15 × 2/6 × 51) / (30 + 25 + 5 + 7.5 + 5) = 64.55.
    """
    graded = scored(row["parts"], row["weights"])
    shown = ["-" if one is None else f"{one / 100:g}" for one in graded.components]

    assert ("-" if graded.score is None else f"{graded.score / 100:g}") == row["score"]
    assert " ".join(shown) == row["components"]


@table("""
| case                                     | parts                                       | weights        | score  |
| all is known                             | revenue=80 profit=20                        | 3 1 0 0 0      | 65     |
| what is not known is nothing             | revenue=80                                  | 3 1 0 0 0      | 60     |
| a quarter of a component                 | revenue=50 growth=80                        | 30 0 0 15 0    | 40     |
| only one of no weight is present         | profit=100                                  | 1 0 0 0 0      | 0      |
| nothing is present                       |                                             | 1 1 1 1 1      | -      |
""")
def test_absent_parts_may_count_as_nothing(row: Row) -> None:
    """With `missing = "zero"` the weighted sum is divided by all weights; the confidence is the same."""
    graded = scored(row["parts"], row["weights"], "zero")

    assert ("-" if graded.score is None else f"{graded.score / 100:g}") == row["score"]
    assert graded.confidence == scored(row["parts"], row["weights"]).confidence


@table("""
| case                                          | parts                          | weights     | others know                            | confidence |
| before anybody was counted: all counts        | revenue=1                      | 30 25 15 15 15 | -                                   | 0.3        |
| parts of a component count alone              | growth=1 headroom=1            | 0 0 0 1 0   | -                                      | 0.5        |
| everything is known                           | revenue=1 profit=1             | 1 1 0 0 0   | -                                      | 1.0        |
| nothing is known                              |                                | 1 1 1 1 1   | -                                      | 0.0        |
| of no weight                                  | profit=1                       | 1 0 0 0 0   | -                                      | 0.0        |
| all others know what this one does not        | revenue=1                      | 1 1 0 0 0   | profit=1                               | 0.5        |
| nobody does                                   | revenue=1                      | 1 1 0 0 0   | profit=0                               | 1.0        |
| a quarter of them                             | revenue=1                      | 1 1 0 0 0   | profit=0.25                            | 0.8        |
| what others do not know, but this one does    | revenue=1 profit=1             | 1 1 0 0 0   | profit=0                               | 1.0        |
| nobody rates: 30 / (30 + 25)                  | revenue=1                      | 30 25 15 15 15 | profit=1                            | 0.5455     |
| half rate one: 30 / (30 + 0.5 × 5)            | revenue=1                      | 30 25 15 15 15 | market_share=0.5                    | 0.9231     |
""")
def test_confidence(row: Row) -> None:
    """The share of what could be known that is: a part that is absent counts as far as others of the portfolio have it."""
    shares = None
    if row["others know"] != "-":
        told = dict(one.split("=") for one in row["others know"].split())
        shares = [float(told.get(name, 0)) for name in PARTS]
    card = Card(None, five(row["weights"]), missing_is_zero=False, shares=shares)

    assert combine(known(row["parts"]), card).confidence == float(row["confidence"])


def test_the_portfolio_says_what_others_know() -> None:
    """The shares of a version of the cut points reach the confidence of an account that is evaluated under it."""
    policy = policy_of(
        scorecard={"weights": {"revenue": 0, "profit": 0, "strategic": 3, "potential": 0, "relationship": 0}}
    )
    rated = "d0 profile 1 market_share=50@d0"
    found = [
        snapshot((one := play(rated, policy, cuts)).held, one.context).confidence
        for cuts in (None, cut_points(), cut_points(part_shares=[0.0] * 3 + [0.5] * 12))
    ]

    assert found == [0.3333, 0.3333, 0.5]


_CARDS: Final = [
    {"name": "eu retail", "segment": "retail", "region": "EU", "weights": {"revenue": 1, "profit": 0}},
    {"name": "retail", "segment": "retail", "weights": {"revenue": 2, "profit": 0}},
    {"name": "pumps", "industry": "pumps", "weights": {"revenue": 3, "profit": 0}},
    {"name": "eu", "region": "EU", "weights": {"revenue": 4, "profit": 0}},
]


@table("""
| case                              | profile                              | scorecard |
| no profile                        | -                                    | None      |
| a profile that says nothing       |                                      | None      |
| all conditions hold               | segment=retail region=EU             | eu retail |
| one of two holds                  | segment=retail region=US             | retail    |
| the first that holds              | segment=retail industry=pumps        | retail    |
| another one                       | industry=pumps region=EU             | pumps     |
| the last one                      | region=EU                            | eu        |
| none holds                        | segment=Retail region=eu             | None      |
""")
def test_an_account_s_scorecard(row: Row) -> None:
    """The first entry whose conditions all hold gives the weights; without one the general ones hold."""
    steps = "d0 order 1" if row["profile"] == "-" else f"d0 profile 1 {row['profile']}; d0 order 1"
    played = play(steps, policy_of(scorecards=_CARDS))
    shown = snapshot(played.held, played.context)
    weights = {"eu retail": 1, "retail": 2, "pumps": 3, "eu": 4, "None": 30}

    assert str(shown.scorecard) == row["scorecard"]
    assert [one.weight for one in shown.components[:3]] == [
        weights[row["scorecard"]],
        25 if row["scorecard"] == "None" else 0,
        15,
    ]


@table("""
| case                                | weights        | components           | score | points         |
| one component                       | 1 0 0 0 0      | 50 - - - -           | 5000  | 5000 0 0 0 0   |
| equal halves of an odd number       | 1 1 0 0 0      | 50.01 50 - - -       | 5001  | 2501 2500 0 0 0 |
| three thirds                        | 1 1 1 0 0      | 50 50 50 - -         | 5000  | 1667 1667 1666 0 0 |
| the largest remainder gets the rest | 1 1 1 0 0      | 1 1 1.04 - -         | 101   | 33 33 35 0 0   |
| the first of equal remainders does  | 1 1 1 0 0      | 1 1 1.02 - -         | 101   | 34 33 34 0 0   |
| the remainder is not enough         | 1 1 1 0 0      | 1 1 1.01 - -         | 100   | 33 33 34 0 0   |
| an absent one gets nothing          | 40 25 35 0 0   | 50 50 - - -          | 5000  | 3077 1923 0 0 0 |
| one of no weight gets nothing       | 1 0 0 0 0      | 50 100 - - -         | 5000  | 5000 0 0 0 0   |
| none is present                     | 1 1 1 1 1      | - - - - -            | -     | 0 0 0 0 0      |
| all are full                        | 30 25 15 15 15 | 100 100 100 100 100  | 10000 | 3000 2500 1500 1500 1500 |
""")
def test_points_by_largest_remainder(row: Row) -> None:
    """Points are whole hundredths that sum to the score, the rest given to the largest remainders."""
    parts: list[float | None] = []
    for one, (_, first, end) in zip(row["components"].split(), COMPONENTS, strict=True):
        parts += [None if one == "-" else float(one)] * (end - first)
    card = Card(None, five(row["weights"]), missing_is_zero=False, shares=None)
    graded = combine(parts, card)

    assert ("-" if graded.score is None else str(graded.score)) == row["score"]
    assert " ".join(str(one.points) for one in points_of(graded, card)) == row["points"]


_PARTS = st.lists(st.none() | st.integers(0, WHOLE).map(lambda one: one / 100), min_size=15, max_size=15)
_WEIGHTS = st.tuples(*[st.integers(0, 1000)] * 5).filter(any)


@given(_PARTS, _WEIGHTS, st.booleans())
@example([100.0] * 15, (1000,) * 5, False)
def test_points_of_any_parts(parts: list[float | None], weights: tuple[int, int, int, int, int], zero: bool) -> None:  # noqa: FBT001  # drawn
    """Points sum to the score, are less than one from their exact share, and never negative."""
    card = Card(None, weights, missing_is_zero=zero, shares=None)
    graded = combine(parts, card)
    points = points_of(graded, card)
    weighed = []
    for score, weight, (_, first, end) in zip(graded.components, weights, COMPONENTS, strict=True):
        present = sum(one is not None for one in parts[first:end])
        weighed.append((Fraction(weight * present, end - first), score or 0))
    total = Fraction(sum(weights)) if zero else sum((weight for weight, _ in weighed), Fraction(0))
    exact = [weight * score / total if total else Fraction(0) for weight, score in weighed]

    assert sum(one.points for one in points) == (graded.score or 0)
    assert all(one.points >= 0 for one in points)
    assert all(abs(one.points - share) < 1 for one, share in zip(points, exact, strict=True))
    assert graded.score is None or abs(graded.score - sum(exact, Fraction(0))) <= Fraction(1, 2)
    assert graded.score is None or 0 <= graded.score <= WHOLE
