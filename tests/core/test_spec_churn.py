"""Churn levels, losses, recoveries and their reasons, as tables."""

# ruff: noqa: E501  # a row of a table is one line

from typing import Any, Final

from models.bodies import TierChanged
from models.policy import Policy
from processors.snapshots import snapshot
from tests.support.scenario import play, policy_of
from tests.support.tables import Row, table

_CHURN: Final = {"portfolio_gap_days": 10, "lost_days": 60, "support_days": 90}
TWICE: Final = "d0 order 100; d10 order 100"
"""An own gap of (10 + 10) / 2 days: medium from 20 days of silence on, high from 40 on."""


def rhythm(**churn: Any) -> Policy:
    """Judge against a portfolio's gap of ten days; lost after sixty."""
    return policy_of(churn={**_CHURN, **churn})


@table("""
| case                                     | steps                                  | changes |
| all three levels                         | d69 time                               | d30 churn medium time, d50 churn high time |
| lost instead of the level's event        | d70 time                               | d30 churn medium time, d50 churn high time, d70 lost lost time |
| the day before medium                    | d29 time                               | |
| the day of medium                        | d30 time                               | d30 churn medium time |
| the day before high                      | d49 time                               | d30 churn medium time |
| an order brings it back                  | d30 order 1                            | d30 churn medium time, d30 churn low behaviour |
| an order on the day before               | d29 order 1                            | |
| a late order brings it back              | d31 time; d29 order 1                  | d30 churn medium time, d30 churn low correction |
| a refund is no sign of life              | d29 refund 1; d30 time                 | d30 churn medium time |
| an order recovers a lost one             | d70 time; d90 order 1                  | d30 churn medium time, d50 churn high time, d70 lost lost time, d90 recovered low behaviour |
| a late order shows it never was lost     | d70 time; d60 order 1                  | d30 churn medium time, d50 churn high time, d70 lost lost time, d70 recovered low correction |
| a refund never recovers                  | d70 time; d75 refund 100               | d30 churn medium time, d50 churn high time, d70 lost lost time |
| a cancellation that leaves one order day | d70 time; d75 cancel 100 ordered=d10   | d30 churn medium time, d50 churn high time, d70 lost lost time, d75 churn unproven correction |
| a cancellation of every order            | d70 time; d75 cancel 100 ordered=d10; d75 cancel 100 ordered=d0 | d30 churn medium time, d50 churn high time, d70 lost lost time, d75 churn unproven correction |
| a support event neither                  | d70 time; d75 resolve T; d75 nps 10    | d30 churn medium time, d50 churn high time, d70 lost lost time |
| a profile neither                        | d70 time; d75 profile 1                | d30 churn medium time, d50 churn high time, d70 lost lost time |
| the return is undone                     | d70 time; d90 order 1; d91 cancel 1 ordered=d90 | d30 churn medium time, d50 churn high time, d70 lost lost time, d90 recovered low behaviour, d91 lost lost correction |
| lost again after a return                | d70 time; d90 order 1; d400 time       | d30 churn medium time, d50 churn high time, d70 lost lost time, d90 recovered low behaviour, d157 churn medium time, d190 lost lost time |
""")
def test_when_the_level_changes(row: Row) -> None:
    """Silence against the own rhythm raises the level, an order lowers it, and a loss is a loss until an order.

    Where a cancellation leaves fewer than two order days, the account did not come back: its level just changed.
    """
    assert play(f"{TWICE}; {row['steps']}", rhythm()).changes("churn") == row["changes"]


@table("""
| case                                   | steps                                                     | level    | changes |
| no order yet                           | d0 open T high; d0 breach T; d300 time                    | none     | |
| one order                              | d0 order 1; d300 time                                     | unproven | |
| one order and every bad sign           | d0 order 1; d1 open T critical; d1 breach T; d300 time    | unproven | |
| two orders on one day                  | d0@09:00 order 1; d0@18:00 order 1; d300 time             | unproven | |
| a second order that was cancelled      | d0 order 1; d5 order 1; d6 cancel 1 ordered=d5; d300 time | unproven | |
| a refund is no second order            | d0 order 1; d5 refund 1; d300 time                        | unproven | |
| a second order day                     | d0 order 1; d5 order 1                                    | low      | |
""")
def test_who_has_no_rhythm_to_lose(row: Row) -> None:
    """Without two order days there is no rhythm, and nobody is alerted or lost."""
    played = play(row["steps"], rhythm())

    assert (played.held.churn_level, played.changes("churn")) == (row["level"], row["changes"])


@table("""
| case                                   | steps                                                         | changes |
| a severe ticket raises the level       | d25 open T high                                               | d25 churn medium behaviour |
| so does a critical one                 | d25 open T critical                                           | d25 churn medium behaviour |
| an ordinary ticket does not            | d25 open T medium                                             | |
| its resolution lowers it               | d25 open T high; d25@13:00 resolve T                          | d25 churn medium behaviour, d25 churn low behaviour |
| but not within the hysteresis          | d29 open T high; d29@13:00 resolve T; d31 time                | d29 churn medium behaviour |
| reopened, it counts again              | d25 open T high; d25@13:00 resolve T; d25@14:00 reopen T high | d25 churn medium behaviour, d25 churn low behaviour, d25 churn medium behaviour |
| a missed deadline                      | d26 breach T                                                  | |
| two of them                            | d25 breach T; d25 breach T                                    | d25 churn medium behaviour |
| a complaint, and time                  | d12 complain price; d29 time                                  | d26 churn medium time |
| two complaints                         | d23 complain price; d23 complain other                        | d23 churn medium behaviour |
| only so many of a kind count           | d12 open A high; d12 open B high; d12 open C high; d12 open D high | |
| a sign out of the support days         | d9 complain price; d27 time                                   | d26 churn medium time |
| three of them, and time                | d21 breach T; d21 breach T; d21 breach T; d99 order 1         | d21 churn medium behaviour, d32 churn high time, d70 lost lost time, d99 recovered low behaviour |
""")
def test_what_support_does_to_the_level(row: Row) -> None:
    """Open severe tickets, missed deadlines and complaints shift the log-odds by the policy's amounts."""
    assert play(f"{TWICE}; {row['steps']}", rhythm(signals_max=3)).changes("churn") == row["changes"]


@table("""
| days | changes |
| 5    | d23 churn medium behaviour, d28 churn low time, d30 churn medium time |
| 6    | d23 churn medium behaviour |
| 90   | d23 churn medium behaviour |
""")
def test_a_sign_is_forgotten_after_the_support_days(row: Row) -> None:
    """Two complaints raise the level until the day on which they are older than the policy's support days."""
    played = play(f"{TWICE}; d23 complain price; d23 complain other; d31 time", rhythm(support_days=int(row["days"])))

    assert played.changes("churn") == row["changes"]


@table("""
| case                             | steps                                                | reasons |
| on time                          | d20 order 1                                          | |
| the day before it is overdue     | d29 order 1 id=x; d29@13:00 cancel 1 ordered=d29     | |
| twice the own gap of silence     | d30 time                                             | overdue |
| an open severe ticket            | d11 open T high                                      | open_severe_ticket |
| an open ordinary ticket          | d11 open T low                                       | |
| a resolved one                   | d11 open T high; d12 resolve T                       | |
| a missed deadline                | d11 breach T                                         | sla_breached |
| a complaint                      | d11 complain delivery                                | complaint |
| a quality complaint              | d11 complain quality                                 | quality_complaint |
| both                             | d11 complain quality; d12 complain price             | complaint quality_complaint |
| signs within the support days    | d11 breach T; d100 time                              | overdue sla_breached |
| signs older than these           | d11 breach T; d101 time                              | overdue |
| all                              | d11 complain quality; d11 complain service; d11 breach T; d11 open T high; d30 time | overdue open_severe_ticket sla_breached complaint quality_complaint |
""")
def test_the_reasons_of_a_risk(row: Row) -> None:
    """Each reason code is given exactly while what it names holds."""
    played = play(f"{TWICE}; {row['steps']}", rhythm())

    assert " ".join(snapshot(played.held, played.context).churn.reasons) == row["reasons"]


@table("""
| silence | ratio | risk   |
| 0       | 0.5   | 0.0588 |
| 5       | 0.5   | 0.0588 |
| 10      | 1     | 0.2    |
| 20      | 2     | 0.5    |
| 40      | 4     | 0.8    |
| 59      | 5.9   | 0.8969 |
""")
def test_the_risk_of_a_silence(row: Row) -> None:
    """Odds are (silence over own gap, at least 0.5, over 2) squared; here in numbers worked out by hand."""
    day = 10 + int(row["silence"])
    played = play(f"{TWICE}; d{day}@13:00 nps 9", rhythm())
    odds = (float(row["ratio"]) / 2) ** 2

    assert snapshot(played.held, played.context).churn.risk == float(row["risk"]) == round(odds / (1 + odds), 4)


@table("""
| case                            | gaps | order days      | own gap | lost after | horizon |
| two orders                      | 10   | d0 d10          | 10      | 60         | 90      |
| a regular customer              | 10   | d0 d5 d10 d15   | 6.25    | 60         | 90      |
| a slow one                      | 10   | d0 d80          | 45      | 135        | 90      |
| a slower one                    | 10   | d0 d130         | 70      | 210        | 140     |
| shrunk to the portfolio's       | 90   | d0 d10          | 50      | 150        | 100     |
| a fraction of a day is a day    | 10   | d0 d30 d81      | 30.33   | 91         | 90      |
""")
def test_the_own_gap(row: Row) -> None:
    """The own gap is the mean gap with one of the portfolio's added, and sets the horizon and when one is lost."""
    steps = "; ".join(f"{day} order 1" for day in row["order days"].split())
    last = int(row["order days"].split()[-1].removeprefix("d"))
    played = play(f"{steps}; d{last + int(row['lost after'])} time", rhythm(portfolio_gap_days=float(row["gaps"])))
    lost = played.outputs[-1]

    assert not isinstance(lost, TierChanged)
    assert (lost.type, lost.silent_days, lost.own_gap_days, lost.horizon_days) == (
        "account.lost",
        int(row["lost after"]),
        float(row["own gap"]),
        int(row["horizon"]),
    )
    assert not any(one.type == "account.lost" for one in played.outputs[:-1])


@table("""
| case                             | first order    | second order   | stake |
| a known profit                   | 100 cost=60    | 100 cost=60    | 16.00 |
| an unknown one: a margin of 0.3  | 100            | 100            | 12.00 |
| a loss                           | 100 cost=160   | 100            | 0.00  |
| no revenue                       | 0              | 0              | 0.00  |
""")
def test_the_value_at_stake(row: Row) -> None:
    """Value at stake is the risk (here 0.2) times the profit of the year, or the policy's margin on its revenue."""
    played = play(f"d0 order {row['first order']}; d10 order {row['second order']}; d20 nps 9", rhythm())

    assert snapshot(played.held, played.context).churn.value_at_stake == row["stake"]


@table("""
| case                                 | steps                                             | reasons |
| worse answers than before            | d0 nps 10; d92 order 1; d93 nps 8                 | satisfaction_down |
| not that much worse                  | d0 nps 9; d92 order 1; d93 nps 8                  | |
| better                               | d0 nps 5; d92 order 1; d93 nps 8                  | |
| nothing to compare with              | d92 order 1; d93 nps 0                            | |
| all answers are of the last 90 days  | d4 nps 10; d92 order 1; d93 nps 0                 | |
| none of them is                      | d0 nps 10; d1 nps 0; d92 order 1; d93 order 1     | |
| means are compared                   | d0 nps 10; d0 csat 1; d92 order 1; d93 nps 3      | satisfaction_down |
""")
def test_falling_satisfaction(row: Row) -> None:
    """A signal is a mean of the last 90 days that is 15 points or more below that of the answers before."""
    played = play(f"{TWICE}; {row['steps']}", rhythm())

    assert " ".join(snapshot(played.held, played.context).churn.reasons) == row["reasons"]


@table("""
| case                              | steps                                                 | reasons |
| high pressure                     | d11 profile 1 competitive_pressure=80@d11             | competitive_pressure |
| less                              | d11 profile 1 competitive_pressure=79.9@d11           | |
| a rating that is out of date      | d11 profile 1 competitive_pressure=90@d-400           | |
| a renewal within 60 days          | d11 profile 1 renewal=d71                             | renewal_near |
| a day later                       | d11 profile 1 renewal=d72                             | |
| today                             | d11 profile 1 renewal=d11                             | renewal_near |
| over                              | d11 profile 1 renewal=d10                             | |
| a third of the revenue is left    | d190 order 100; d195 order 40; d195@13:00 cancel 40 ordered=d195 | falling_revenue |
""")
def test_reasons_from_the_profile_and_the_revenue(row: Row) -> None:
    """Pressure and renewals come from the profile; revenue falls when the growth part is under 40."""
    played = play(f"{TWICE}; {row['steps']}", rhythm())

    assert " ".join(snapshot(played.held, played.context).churn.reasons) == row["reasons"]


@table("""
| signal               | steps                                          | risk   |
| none                 | d11 nps 9                                      | 0.0588 |
| severe ticket        | d11 open T high                                | 0.1221 |
| missed deadline      | d11 breach T                                   | 0.0853 |
| complaint            | d11 complain price                             | 0.0934 |
| competitive pressure | d11 profile 1 competitive_pressure=80@d11      | 0.0853 |
| satisfaction         | d0 nps 9; d100 order 1; d101 nps 0; d101@13:00 order 1 | 0.0853 |
| all of a kind        | d11 open A high; d11 open B high; d11 open C high; d11 open D high | 0.4079 |
| several              | d11 open T high; d11 breach T; d11 complain price | 0.2549 |
""")
def test_what_a_signal_adds_to_the_risk(row: Row) -> None:
    """Odds of 1/16 right after an order, times e to the power of what the signals add; of a kind three at most count.

    0.8 for a severe ticket: e^0.8 / 16 = 0.1391, which is a risk of 0.1221.
    """
    played = play(f"{TWICE}; {row['steps']}", rhythm())

    assert snapshot(played.held, played.context).churn.risk == float(row["risk"])


@table("""
| case                              | steps                                                          | lost on    | value lost | lifecycle |
| not lost                          | d69 time                                                       | None       | None       | dormant   |
| since the day it counts as lost   | d70 time                                                       | 2026-03-12 | 60.00      | lost      |
| however long ago                  | d300 time                                                      | 2026-03-12 | 60.00      | lost      |
| a later refund does not change it | d70 time; d80 refund 100                                       | 2026-03-12 | 60.00      | lost      |
| recovered                         | d70 time; d90 order 1                                          | None       | None       | recovered |
| for 90 days                       | d70 time; d90 order 1; d149 order 1; d179 order 1              | None       | None       | recovered |
| not longer                        | d70 time; d90 order 1; d150 order 1; d180 order 1              | None       | None       | growing   |
| lost again                        | d70 time; d90 order 1; d190 time                               | 2026-07-10 | 60.30      | lost      |
| the loss was undone by a late order | d70 time; d60 order 1                                        | None       | None       | recovered |
""")
def test_what_a_loss_is_worth(row: Row) -> None:
    """A loss keeps its day and what a year with the account was worth then: its profit, or a margin on its revenue."""
    played = play(f"{TWICE}; {row['steps']}", rhythm())
    shown = snapshot(played.held, played.context)

    assert (str(shown.churn.lost_on), str(shown.churn.value_lost), shown.lifecycle) == (
        row["lost on"],
        row["value lost"],
        row["lifecycle"],
    )


def test_a_known_profit_is_what_a_loss_is_worth() -> None:
    """Where enough costs are known, the profit of the year counts, not a margin; never less than nothing."""
    found = []
    for cost in (40, 250):
        played = play(f"d0 order 100 cost={cost}; d10 order 100 cost={cost}; d70 time", rhythm())
        found.append(snapshot(played.held, played.context).churn.value_lost)

    assert found == ["120.00", "0.00"]


def test_extreme_policies_have_a_risk() -> None:
    """The steepest and the flattest rule with the strongest signals still give a risk between 0 and 1."""
    signals = dict.fromkeys(("severe_ticket_log_odds", "sla_breach_log_odds", "complaint_log_odds"), 10)
    for steepness in (0.001, 10):
        for sign in (1, -1):
            policy = rhythm(
                steepness=steepness,
                signals_max=100,
                ratio_min=0.0001,
                **{name: sign * value for name, value in signals.items()},
            )
            signs = "; ".join(f"d10 breach T; d10 complain quality; d10 open T-{n} high" for n in range(60))
            played = play(f"{TWICE}; {signs}; d75 time", policy)
            risk = snapshot(played.held, played.context).churn.risk
            assert risk is not None
            assert 0 <= risk <= 1
