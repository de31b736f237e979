"""Due days, causes and erasures, as tables."""

# ruff: noqa: E501  # a row of a table is one line

from datetime import datetime
from typing import Any, Final

from models.fields import epoch_ms
from models.policy import Policy
from processors.account import Step, advance, apply
from processors.context import Context
from processors.snapshots import snapshot
from tests.core.test_spec_tiers import BOUNDS, CUTS, ONLY_REVENUE
from tests.support.scenario import (
    ACCOUNT,
    FIRST_DAY,
    Played,
    date_name,
    day_name,
    make_event,
    play,
    policy_of,
    read_event,
    windowed,
)
from tests.support.tables import Row, table


def quiet(**sections: Any) -> Policy:
    """Graded by revenue alone; windows of 5, 8, 16 and 20 days, dwell time of 3, support days of 4; lost after 60."""
    settings = {
        "scorecard": {"weights": ONLY_REVENUE, "growth_days": 8},
        "tiers": {**BOUNDS, "dwell_days": 3},
        "churn": {"support_days": 4, "portfolio_gap_days": 10, "lost_days": 60},
        "support": {"days": 4},
    }
    return windowed(5, 20, **{**settings, **sections})


def live(steps: str, policy: Policy | None = None) -> Played:
    """Let the steps happen to a new account, against a fixed portfolio."""
    return play(steps, policy or quiet(), CUTS)


def due_days(played: Played, last: int) -> str:
    """Let the time pass and note each day on which the account asked to be evaluated."""
    found = []
    while (day := played.held.due_day) is not None and day <= FIRST_DAY + last:
        found.append(day_name(day))
        advance(played.held, played.context.end_of_day_ms(day), played.context)
    return " ".join(found)


@table("""
| case                                        | steps                                       | until | due |
| no order: weeks since day 0                 | d0 profile 1                                | 25    | d7 d14 d21 |
| a sign leaves the support days and horizon  | d0 breach T                                 | 25    | d4 d7 d14 d20 d21 |
| two signs                                   | d0 breach T; d2 breach T                    | 15    | d4 d6 d7 d14 |
| an answer: the support days, the horizon    | d0 nps 9                                    | 25    | d4 d7 d14 d20 d21 |
| windows end; dwell time; weeks              | d0 order 100                                | 25    | d5 d7 d8 d14 d16 d20 d21 d23 |
| weeks since the first order                 | d3 order 100                                | 18    | d8 d10 d11 d17 |
| weeks since the customer's beginning        | d3 order 100; d3 profile 1 since=d-5        | 18    | d8 d9 d11 d16 |
| a lost account asks for nothing more        | d0 order 100; d1 order 100; d61 time        | 999   | |
| until it is                                 | d0 order 100; d1 order 100; d55 time        | 999   | d56 d61 |
| dwell time                                  | d0 order 1000; d1 refund 400                | 4     | d4 |
| a day that was undone is no edge            | d0 order 100; d0 cancel 100 ordered=d0      | 25    | d7 d14 d21 |
| thresholds of risk                          | d0 order 100; d10 order 100; d29 time       | 31    | d30 |
| medium and high at their exact days         | d0 order 100; d10 order 100; d48 time       | 51    | d49 d50 |
| a product line leaves the horizon           | d0 order 1; d1 order 1 lines=x; d20 time    | 22    | d21 |
| a rating is out of date                     | d0 profile 1 value_fit=1@d0; d363 time      | 366   | d364 d365 |
| an override ends                            | d0 profile 1 override=key@d3                | 6     | d4 |
| a renewal comes near, and is over           | d0 profile 1 renewal=d70                    | 72    | d7 d10 d14 d21 d28 d35 d42 d49 d56 d63 d70 d71 |
""")
def test_the_days_on_which_time_alone_may_change_something(row: Row) -> None:
    """An account asks for the days on which a window, a dwell time or a threshold has its edge, at least weekly."""
    asked, until = due_days(live(row["steps"]), int(row["until"])).split(), row["due"].split()

    # Classes may ask for further days.
    assert [day for day in asked if day in until] == until


def test_a_lost_account_is_left_alone() -> None:
    """Once its windows are empty and its classes have settled, an account asks for nothing."""
    played = live("d0 order 100; d1 order 100; d61 time")
    due_days(played, 61 + 365)

    assert played.held.due_day is None


@table("""
| case                                         | steps                                     | costs | due         |
| without prices support days are enough       | d0 open T low; d1 resolve T               | no    | d4 d20      |
| with prices the profit of windows changes    | d0 open T low                             | yes   | d4 d5 d20   |
""")
def test_prices_of_tickets_make_their_days_edges(row: Row) -> None:
    """Where tickets cost money, a window that a ticket leaves is an edge."""
    policy = quiet(support={"days": 4, "service_cost": {"low": 1} if row["costs"] == "yes" else {}})
    asked = due_days(live(row["steps"], policy), 20).split()

    assert [day for day in asked if day not in {"d7", "d14"}] == row["due"].split()


@table("""
| cause         | first                       | then                          | policy | changes |
| behaviour     | d0 order 100                | d1 order 900                  | same   | d1 promoted key behaviour |
| time          | d0 order 100                | d23 time                      | same   | d23 demoted basic time |
| configuration | d0 order 100                | d1 time                       | other  | d0 demoted standard configuration |
| configuration, then the event | d0 order 100 | d1 order 900                 | other  | d0 demoted standard configuration, d1 promoted growth behaviour |
| configuration, then time      | d0 order 100 | d23 time                     | other  | d0 demoted standard configuration, d20 demoted basic time |
| correction by a refund        | d0 order 100 | d1 refund 90; d4 refund 5    | same   | d4 demoted standard time |
| correction by a cancellation  | d0 order 100 | d1 cancel 100 ordered=d0     | same   | d1 withdrawn unrated correction |
| correction by a late order    | d0 order 100 | d3 order 1; d1 order 900     | same   | d3 promoted key correction |
| a too late event corrects     | d0 order 100 | d21 order 1; d0 cancel 100 ordered=d0 | same | |
""")
def test_the_cause_of_a_change(row: Row) -> None:
    """The cause is the step after which the new tier held: configuration, then time, then the event."""
    played = live(row["first"])
    told = len(played.outputs)
    if row["policy"] == "other":
        bounds = {"key": 80, "growth": 70, "standard": 40}
        tiers = {name: {"enter": bound, "leave": bound} for name, bound in bounds.items()}
        played.context = Context(quiet(tiers={**tiers, "dwell_days": 0}), cuts=CUTS)
    played.play(row["then"])
    changes = played.changes("tier").split(", ")[told:]

    assert ", ".join(changes) == row["changes"]


def test_a_change_of_policy_without_effect_tells_nothing() -> None:
    """Another policy is noticed once, raises the revision, and publishes a change only if there is one."""
    played = live("d0 order 100")
    revision = played.held.revision
    played.context = Context(quiet(revision=2, tiers={**BOUNDS, "dwell_days": 4}), cuts=CUTS)
    played.play("d1 time")
    first = played.held.revision
    played.play("d1 time")

    assert len(played.outputs) == 1
    assert revision < first == played.held.revision
    assert snapshot(played.held, played.context).policy_version == played.context.policy.version


def test_another_revision_of_the_same_policy_is_the_same_policy() -> None:
    """A revision alone evaluates nobody."""
    played = live("d0 order 100")
    revision = played.held.revision
    played.context = Context(quiet(revision=2), cuts=CUTS)

    assert advance(played.held, 0, played.context) == Step(played.held)
    assert played.held.revision == revision


def test_time_never_goes_back() -> None:
    """An earlier moment leaves an account as it is, and says that nothing has to be written."""
    played = live("d0 order 100; d9 order 1")
    before = played.held.due_day
    step = advance(played.held, 0, played.context)

    assert (step.changed, step.outputs, played.held.due_day) == (False, (), before)


@table("""
| zone             | second moment        | its day    | third moment         | day after it | outcome |
| America/St_Johns | 2009-11-01T03:00:00Z | 2009-10-31 | 2009-11-01T03:10:00Z | 2009-10-31   | applied |
| America/St_Johns | 2009-11-01T02:30:30Z | 2009-11-01 | 2009-11-01T03:00:00Z | 2009-11-01   | late    |
| America/St_Johns | 2009-11-01T03:00:00Z | 2009-10-31 | 2009-11-01T02:30:30Z | 2009-11-01   | applied |
| Europe/Berlin    | 2009-10-31T22:30:00Z | 2009-10-31 | 2009-10-31T23:00:00Z | 2009-11-01   | applied |
| UTC              | 2009-10-31T23:00:00Z | 2009-10-31 | 2009-11-01T03:00:00Z | 2009-11-01   | applied |
""")
def test_days_never_go_back(row: Row) -> None:
    """An account's day grows and its due days end also where the clock goes back over midnight."""
    played = Played(Context(policy_of(reporting_timezone=row["zone"])))
    days = []
    # The first day leaves a window of 30 days on 2009-11-01.
    for number, moment in enumerate(["2009-10-02T15:00:00Z", row["second moment"], row["third moment"]]):
        order = {"order_id": "O", "amount": "100", "currency": "EUR"}
        moment_ms = epoch_ms(datetime.fromisoformat(moment))
        step = apply(played.state, make_event("A", "order.completed", f"e{number}", moment_ms, **order), played.context)
        played.state = step.state
        days.append(date_name(played.held.as_of_day))
    assert (days[1:], step.outcome) == ([row["its day"], row["day after it"]], row["outcome"])

    for day in range(played.held.as_of_day, played.held.as_of_day + 400):
        advance(played.held, played.context.end_of_day_ms(day), played.context)
        assert played.held.due_day is None or played.held.due_day > day
        assert played.held.as_of_day <= day


_ERASED: Final = "d0 order 100; d1 order 900; d6 erase"


@table("""
| case                               | then                                | outcome | sequence | incarnation | orders |
| an order at the erasure's moment   | d6 order 1                          | erased  | -        | -           | -      |
| an order before it                 | d5 order 1                          | erased  | -        | -           | -      |
| a support event before it          | d5 breach T                         | erased  | -        | -           | -      |
| a profile before it                | d5 profile 9                        | erased  | -        | -           | -      |
| an older erasure                   | d5 erase                            | erased  | -        | -           | -      |
| an order after it                  | d7 order 10                         | applied | 1        | 1           | 1      |
| the id of an erased event          | d7 order 10 id=e0                   | applied | 1        | 1           | 1      |
| a profile after it                 | d7 profile 0                        | applied | 0        | 1           | 0      |
| an old event after the new account | d7 order 10; d5 order 1             | erased  | 1        | 1           | 1      |
| erased again                       | d7 order 10; d8 erase; d9 order 10  | applied | 1        | 2           | 1      |
| erased twice before it comes back  | d8 erase; d9 order 10               | applied | 1        | 1           | 1      |
""")
def test_an_erasure_and_what_comes_after(row: Row) -> None:
    """Older events of an erased account are ignored; later ones begin a new account with sequences of its own."""
    played = live(f"{_ERASED}; {row['then']}")
    state = played.state
    found = (
        ["-"] * 3 if state is None else [str(state.tier_sequence), str(state.incarnation), str(state.lifetime_orders)]
    )

    assert played.steps[-1].outcome == row["outcome"]
    assert found == [row["sequence"], row["incarnation"], row["orders"]]


def test_a_new_incarnation_is_told_in_its_events() -> None:
    """Events of a new account carry the same sequence as the old one's, and another incarnation."""
    outputs = live(f"{_ERASED}; d7 order 10").outputs

    assert [(one.sequence, one.incarnation) for one in outputs] == [(1, 0), (2, 0), (1, 1)]


def test_an_unknown_account_can_be_erased() -> None:
    """An erasure of an account that is not known leaves a mark for what may still come, and the same incarnation."""
    played = live("d6 erase; d5 order 1; d7 order 1")

    assert played.outcomes() == "applied erased applied"
    assert played.held.incarnation == 0


def test_what_is_due_before_an_erasure_is_told() -> None:
    """A loss before the erasure is published, as it would have been had time been noticed; nothing after it."""
    played = live("d0 order 100; d1 order 100; d99 erase")

    assert "d61 lost lost time" in played.changes("churn")
    assert played.state is None
    assert played.steps[-1].changed


def test_a_refused_event_begins_no_account() -> None:
    """An event that is refused leaves no state, and an existing one unchanged."""
    context = Context(quiet())
    step = apply(None, read_event("d0 order 1 currency=USD", 0), context)

    assert (step.state, step.changed, step.outcome) == (None, False, None)
    assert step.refusal is not None
    assert ACCOUNT not in step.refusal.detail
