"""The parts of the score, each with its edges, as tables. Formulas and sources: docs/semantics.md."""

# ruff: noqa: E501  # a row of a table is one line

from typing import Any, Final

from models.policy import Policy
from models.portfolio import CutPoints
from processors.snapshots import snapshot
from tests.support.portfolios import cut_points, peers
from tests.support.scenario import Played, play, policy_of, windowed
from tests.support.tables import Row, table

PEERS: Final = peers([10_000, 20_000, 20_000, 40_000, 100_000])
"""Five accounts that bring 100, 200, 200, 400 and 1000: a median of 200, and a 99 % quantile of 400 + 0.96 × 600 = 976."""
CUTS: Final = cut_points(revenue=PEERS, profit=PEERS)


def part(name: str, played: Played) -> str:
    """Give a part as a snapshot shows it."""
    components = snapshot(played.held, played.context).components
    (value,) = [one.parts[name] for one in components if name in one.parts]
    return str(value)


def measured(name: str, steps: str, policy: Policy | None = None, cuts: CutPoints | None = CUTS) -> str:
    """Let the steps happen to a new account and give one of its parts."""
    return part(name, play(steps, policy, cuts))


@table("""
| case                                             | steps                          | revenue |
| never ordered                                    | d0 profile 1                   | None    |
| every order cancelled                            | d0 order 9; d1 cancel 9 ordered=d0 | None |
| an order of nothing                              | d0 order 0                     | 0.0     |
| more refunded than ordered                       | d0 order 100; d1 refund 101    | 0.0     |
| ordered once, and nothing for a year             | d0 order 1000; d365 time       | 0.0     |
| the last day of that year                        | d0 order 1000; d364 time       | 95.0    |
| less than anybody                                | d0 order 99.99                 | 0.0     |
| as the smallest: half of one of five, half of it | d0 order 100                   | 5.0     |
| just above it: one of five                       | d0 order 100.01                | 10.0    |
| the median, which two have: one and half of two  | d0 order 200                   | 20.0    |
| above it: three of five, and ln 1.5 / ln 4.88    | d0 order 300                   | 42.79   |
| as the second: three and a half, and ln 2 / ln 4.88 | d0 order 400                | 56.86   |
| as the first: four and a half, and all for size  | d0 order 1000                  | 95.0    |
| more than anybody                                | d0 order 1000.01               | 100.0   |
| a hundred times as much                          | d0 order 100000                | 100.0   |
| several orders and a refund count together       | d0 order 250; d9 order 200; d30 refund 50 | 56.86 |
""")
def test_contribution(row: Row) -> None:
    """Half by rank among accounts that ordered within a year, half by size between median and 99 % quantile."""
    assert measured("revenue", row["steps"]) == row["revenue"]


@table("""
| case                                        | cuts      | revenue | profit |
| before the first census                     | none      | None    | None   |
| nobody ordered                              | nobody    | None    | None   |
| nobody's costs are known                    | costless  | 56.86   | None   |
""")
def test_contribution_needs_a_portfolio(row: Row) -> None:
    """Without peers there is nothing to compare with."""
    cuts = {"none": None, "nobody": cut_points(), "costless": cut_points(revenue=PEERS)}[row["cuts"]]
    played = play("d0 order 400 cost=0", cuts=cuts)

    assert (part("revenue", played), part("profit", played)) == (row["revenue"], row["profit"])


@table("""
| case                              | peers          | value | revenue |
| all bring the same                | 100 100 100    | 99    | 0.0     |
| as all                            | 100 100 100    | 100   | 25.0    |
| more than all                     | 100 100 100    | 101   | 100.0   |
| one alone                         | 100            | 100   | 25.0    |
| most of them bring nothing    | 0 0 0 100 300  | 100   | 35.0    |
| nobody brings anything            | 0 0 -5         | 1     | 100.0   |
""")
def test_contribution_among_odd_peers(row: Row) -> None:
    """Where the median is no size to compare with, that of the accounts that bring something is."""
    values = [100 * int(one) for one in row["peers"].split()]

    assert measured("revenue", f"d0 order {row['value']}", cuts=cut_points(revenue=peers(values))) == row["revenue"]


@table("""
| case                                           | steps                                                   | min  | profit |
| all costs are known: 400                       | d0 order 1000 cost=600                                  | 0.5  | 56.86  |
| a margin of 40 % on the whole revenue          | d0 order 500 cost=300; d0 order 500                     | 0.5  | 56.86  |
| exactly as much known as must be               | d0 order 70 cost=35; d0 order 930                       | 0.07 | 68.9   |
| a cent less                                    | d0 order 69.99 cost=35; d0 order 930.01                 | 0.07 | None   |
| nothing known                                  | d0 order 1000                                           | 0.5  | None   |
| nothing need be known, and nothing is          | d0 order 1000                                           | 0    | None   |
| a loss                                         | d0 order 1000 cost=1001                                 | 0.5  | 0.0    |
| sold for nothing, at a cost                    | d0 order 0 cost=50                                      | 0.5  | 0.0    |
| silent for a year, costs once known            | d0 order 1000 cost=600; d365 time                       | 0.5  | 0.0    |
| silent for a year, costs never known           | d0 order 1000; d365 time                                | 0.5  | None   |
| a refund takes its part of the margin along    | d0 order 1500 cost=900; d1 refund 500                   | 0.5  | 56.86  |
| a refund with its cost                         | d0 order 1500 cost=900; d1 refund 500 cost=300          | 0.5  | 56.86  |
""")
def test_profit(row: Row) -> None:
    """Ranked is the known margin times the whole revenue; too little known is not guessed."""
    policy = policy_of(scorecard={"profit_coverage_min": float(row["min"])})

    assert measured("profit", row["steps"], policy) == row["profit"]


@table("""
| case                                  | steps                                                          | profit |
| tickets cost: 450 − 50                | d0 order 1000 cost=550; d1 open T high                         | 56.86  |
| each of them: 450 − 2 × 50 − 50       | d0 order 1000 cost=550; d1 open A high; d1 open B high; d2 open A high | 42.79 |
| a reopened one does not               | d0 order 1000 cost=550; d1 open T high; d2 reopen T high       | 56.86  |
| one older than a year does not        | d0 open T high; d364 order 1000 cost=600; d365 time            | 56.86  |
| nor does the margin matter            | d0 order 500 cost=275; d0 order 500; d1 open T high            | 56.86  |
| they cost a silent account too        | d0 order 1000 cost=550; d365 open T high                       | 0.0    |
""")
def test_profit_is_less_what_support_cost(row: Row) -> None:
    """The cost of tickets of the year is taken off once, after the margin."""
    policy = policy_of(support={"service_cost": {"high": 50}})

    assert measured("profit", row["steps"], policy) == row["profit"]


@table("""
| case                       | rated       | as of | value |
| never                      |             | d9    | None  |
| on its day                 | 82.5@d9     | d9    | 82.5  |
| nothing at all             | 0@d9        | d9    | 0.0   |
| a year less a day later    | 82.5@d0     | d364  | 82.5  |
| a year later               | 82.5@d0     | d365  | None  |
| before it was given        | 82.5@d20    | d9    | 82.5  |
| out of date on arrival     | 82.5@d-400  | d9    | None  |
""")
def test_ratings(row: Row) -> None:
    """A rating counts for 365 days from its day on, and for none of the others."""
    names = ("market_share", "brand_influence", "cooperation_potential", "industry_growth", "value_fit")
    for name in names:
        given = f" {name}={row['rated']}" if row["rated"] else ""
        played = play(f"d0 profile 1{given}; {row['as of']} time")
        assert [part(one, played) for one in names] == [row["value"] if one == name else "None" for one in names]


@table("""
| case                                   | steps                                                 | growth |
| no order                               | d0 profile 1                                          | None   |
| no revenue                             | d0 order 0                                            | None   |
| less than none                         | d0 order 10; d9 refund 11                             | None   |
| everything in the later half           | d0 order 100                                          | 100.0  |
| its last day there                     | d0 order 100; d181 time                               | 100.0  |
| everything in the earlier half         | d0 order 100; d182 time                               | 0.0    |
| its last day there                     | d0 order 100; d363 time                               | 0.0    |
| on neither side: as much in both       | d0 order 100; d364 time                               | 50.0   |
| the same in both                       | d0 order 100; d182 order 100                          | 50.0   |
| twice as much: (200 + 75) / (100 + 75) | d0 order 100; d182 order 200                          | 66.67  |
| half as much                           | d0 order 200; d182 order 100                          | 33.33  |
| ten times as much                      | d0 order 100; d182 order 1000                         | 90.91  |
| refunds of a half count there          | d0 order 100; d182 order 200; d183 refund 100         | 50.0   |
| a half below 0 counts as 0             | d0 order 200; d182 refund 50                          | 0.0    |
""")
def test_growth(row: Row) -> None:
    """182 days against the 182 before, each with a quarter of the year's revenue added; 50 is none."""
    assert measured("growth", row["steps"]) == row["growth"]


@table("""
| case                        | steps                                | headroom |
| no budget                   | d0 order 100                         | None     |
| nothing spent               | d0 profile 1 budget=1000             | 100.0    |
| a quarter spent             | d0 profile 1 budget=1000; d0 order 250 | 75.0   |
| all of it                   | d0 profile 1 budget=1000; d0 order 1000 | 0.0   |
| more than it                | d0 profile 1 budget=1000; d0 order 2000 | 0.0   |
| refunded                    | d0 profile 1 budget=1000; d0 refund 250 | 100.0 |
| what was spent a year ago   | d0 profile 1 budget=1000; d0 order 250; d365 time | 100.0 |
| a budget is told no more    | d0 profile 1 budget=1000; d1 profile 2 | None   |
""")
def test_headroom(row: Row) -> None:
    """What of the budget is not spent with us within a year."""
    assert measured("headroom", row["steps"]) == row["headroom"]


@table("""
| case                              | steps                                                    | white_space | depth |
| no line is known                  | d0 order 1                                               | None        | None  |
| one of eight                      | d0 order 1 lines=pumps                                   | 87.5        | 12.5  |
| the same again                    | d0 order 1 lines=pumps; d1 order 1 lines=pumps           | 87.5        | 12.5  |
| two in one order                  | d0 order 1 lines=pumps,valves                            | 75.0        | 25.0  |
| all of them                       | d0 order 1 lines=a,b,c,d,e,f,g,h                         | 0.0         | 100.0 |
| more than there should be         | d0 order 1 lines=a,b,c,d,e,f,g,h,i                       | 0.0         | 100.0 |
| the last day of the horizon       | d0 order 1 lines=pumps; d364 time                        | 87.5        | 12.5  |
| the day after                     | d0 order 1 lines=pumps; d365 time                        | None        | None  |
| ordered again in between          | d0 order 1 lines=a,b; d9 order 1 lines=a; d365 time      | 87.5        | 12.5  |
| a late order keeps the later day  | d9 order 1 lines=a; d0 order 1 lines=a; d373 time        | 87.5        | 12.5  |
| an order before the horizon       | d365 order 1; d0 order 1 lines=a                         | None        | None  |
| a cancelled order was ordered     | d0 order 1 lines=a; d1 cancel 1 ordered=d0               | 87.5        | 12.5  |
""")
def test_product_lines(row: Row) -> None:
    """White space and depth are two sides of the same: how many lines of those an account should buy it bought."""
    played = play(row["steps"])

    assert (part("white_space", played), part("depth", played)) == (row["white_space"], row["depth"])


@table("""
| case                                  | steps                                        | tenure |
| no order                              | d0 profile 1 since=d-400                     | None   |
| since the first order: not a week     | d0 order 1; d6 time                          | 0.0    |
| a week: 7 / 1826.25                   | d0 order 1; d7 time                          | 0.38   |
| two weeks less a day                  | d0 order 1; d13 time                         | 0.38   |
| since the customer's beginning        | d0 order 1; d0 profile 1 since=d-700         | 38.33  |
| five years: 1827 days of whole weeks  | d0 order 1; d0 profile 1 since=d-1827        | 100.0  |
| a week less                           | d0 order 1; d0 profile 1 since=d-1826        | 99.66  |
| the whole of it                       | d0 order 1; d0 profile 1 since=d-9000        | 100.0  |
| a beginning that is still to come     | d0 order 1; d0 profile 1 since=d20           | 0.0    |
| an order before the horizon           | d0 order 1; d400 order 1; d400@13:00 nps 9   | 21.85  |
| it rests when the account is lost     | d0 order 1; d186 time                        | 9.58   |
| and stays there                       | d0 order 1; d360 time                        | 9.58   |
""")
def test_tenure(row: Row) -> None:
    """Days since the beginning, five years being 100, in whole weeks, until the account counts as lost.

    With one order day and the portfolio's gap of 45 days an account counts as lost after 180 days of silence: 25 weeks.
    """
    assert measured("tenure", row["steps"]) == row["tenure"]


@table("""
| case                                      | days                | regularity |
| three order days                          | d0 d10 d20          | None       |
| four, evenly                              | d0 d10 d20 d30      | 100.0      |
| gaps of 5, 10, 15: 1 − √(50/3) / 10       | d0 d5 d15 d30       | 59.18      |
| gaps of 1, 1, 28: 1 − √162 / 10, under 0  | d0 d1 d2 d30        | 0.0        |
| every day                                 | d0 d1 d2 d3 d4      | 100.0      |
| several orders on a day are one           | d0 d0 d10 d20 d30   | 100.0      |
| a day older than the horizon counts not   | d0 d365 d375 d385   | None       |
""")
def test_regularity(row: Row) -> None:
    """One less the coefficient of variation of the gaps between the order days of a year, from four days on."""
    assert measured("regularity", "; ".join(f"{day} order 1" for day in row["days"].split())) == row["regularity"]


def test_a_day_without_an_order_left_is_no_order_day() -> None:
    """Neither a refund's day nor that of a cancelled order counts for the rhythm."""
    steps = "d0 order 1; d10 order 1; d20 order 1; d25 refund 1; d26 order 5; d27 cancel 5 ordered=d26"

    assert measured("regularity", steps) == "None"
    assert measured("regularity", f"{steps}; d30 order 1") == "100.0"


@table("""
| case                                       | steps                                            | satisfaction |
| no answer                                  | d0 order 1                                       | None         |
| csat in steps of 25                        | d0 csat 4                                        | 75.0         |
| worst and best                             | d0 csat 1; d0 csat 5                             | 50.0         |
| nps in steps of 10                         | d0 nps 3                                         | 30.0         |
| both                                       | d0 csat 5; d0 nps 0; d0 nps 0                    | 33.33        |
| half a year old counts half                | d0 nps 10; d180 nps 1; d182 time                 | 40.0         |
| in whole weeks                             | d0 nps 10; d180 nps 1; d188 time                 | 40.0         |
| the last day of an answer                  | d0 nps 3; d364 time                              | 30.0         |
| an answer of the past                      | d0 nps 3; d365 time                              | None         |
""")
def test_satisfaction(row: Row) -> None:
    """The mean of the answers of a year, each worth half as much for each 180 days of its age, in whole weeks.

    Without an order weeks begin on day 0 of the calendar: d182 and d189 are the first days of one. As of d182 the
    answers are 182 and 2 days old: (100 × 0.496 + 10 × 0.992) / 1.488 = 40.
    """
    assert measured("satisfaction", row["steps"]) == row["satisfaction"]


@table("""
| case                                  | feed | steps                                              | support |
| nothing is known                      | no   | d0 order 1                                         | None    |
| nothing happened                      | yes  | d0 order 1                                         | 100.0   |
| an answer says nothing of tickets     | no   | d0 csat 1                                          | None    |
| a ticket, not severe                  | no   | d0 open T medium                                   | 100.0   |
| a severe ticket                       | no   | d0 open T high                                     | 75.0    |
| resolved                              | no   | d0 open T high; d1 resolve T                       | 100.0   |
| two, one critical                     | no   | d0 open A high; d0 open B critical                 | 50.0    |
| reopened: ten more                    | no   | d0 open T high; d1 resolve T; d2 reopen T high     | 65.0    |
| a missed deadline                     | no   | d0 breach T                                        | 90.0    |
| a complaint, whatever about           | no   | d0 complain price                                  | 85.0    |
| never below nothing                   | no   | d0 complain price; d0 complain other; d0 complain quality; d0 complain service; d0 complain delivery; d0 complain price; d0 complain price | 0.0 |
| the last of 90 days                   | no   | d0 breach T; d89 time                              | 90.0    |
| after them                            | no   | d0 breach T; d90 time                              | 100.0   |
| the last day of the horizon           | no   | d0 breach T; d364 time                             | 100.0   |
| and nothing is known again            | no   | d0 breach T; d365 time                             | None    |
| a severe ticket as long as it is open | no   | d0 open T high; d364 time                          | 75.0    |
| or until nobody resolved it in a year | no   | d0 open T high; d365 time                          | None    |
| but with a feed silence is good       | yes  | d0 open T high; d365 time                          | 100.0   |
""")
def test_support(row: Row) -> None:
    """A hundred less what is open, was missed, reopened or complained about; silence is good only with a feed."""
    policy = policy_of(support={"feed": row["feed"] == "yes"})

    assert measured("support", row["steps"], policy) == row["support"]


@table("""
| setting                       | value | part         | steps                                          | measured |
| rating_days                   | 10    | market_share | d0 profile 1 market_share=5@d0; d9 time        | 5.0      |
| rating_days                   | 10    | market_share | d0 profile 1 market_share=5@d0; d10 time       | None     |
| growth_days                   | 10    | growth       | d0 order 1; d9 time                            | 100.0    |
| growth_days                   | 10    | growth       | d0 order 1; d10 time                           | 0.0      |
| growth_days                   | 10    | growth       | d0 order 1; d20 time                           | 50.0     |
| product_lines_target          | 2     | depth        | d0 order 1 lines=a                             | 50.0     |
| tenure_years                  | 1     | tenure       | d0 order 1; d0 profile 1 since=d-364           | 99.66    |
| regularity_days_min           | 3     | regularity   | d0 order 1; d1 order 1; d2 order 1             | 100.0    |
| satisfaction_half_life_days   | 7     | satisfaction | d0 nps 10; d7 nps 1; d7@13:00 order 1          | 40.0     |
""")
def test_settings_of_the_parts(row: Row) -> None:
    """What the policy's scorecard says of a part is what is measured."""
    value: Any = float(row["value"]) if row["setting"] == "tenure_years" else int(row["value"])

    assert measured(row["part"], row["steps"], policy_of(scorecard={row["setting"]: value})) == row["measured"]


@table("""
| windows | steps                          | revenue |
| 5 10    | d0 order 400; d9 time          | 56.86   |
| 5 10    | d0 order 400; d10 time         | 0.0     |
""")
def test_the_year_is_the_longest_window(row: Row) -> None:
    """A policy with other windows scores its longest one."""
    windows = [int(days) for days in row["windows"].split()]

    assert measured("revenue", row["steps"], windowed(*windows)) == row["revenue"]
