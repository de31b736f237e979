"""Windows, refunds, cancellations, and what becomes of each event, as tables."""

# ruff: noqa: E501  # a row of a table is one line

from typing import Final

from models.state import AccountState
from processors.figures import windows_of
from processors.snapshots import snapshot
from processors.windows import Movement, add, sums
from tests.support.scenario import FIRST_DAY, Played, play, windowed
from tests.support.tables import Row, table

SHORT: Final = windowed(5, 10)


def told(played: Played, as_of: str, days: int) -> str:
    """Write a window as of a day: revenue, orders, profit."""
    window = windows_of(played.held, FIRST_DAY + int(as_of.removeprefix("d")), played.context)[str(days)]
    return f"{window.revenue} {window.orders} {window.profit or '-'}"


@table("""
| case                                  | ordered | window | as of | counted |
| its own day                           | 100     | 30     | 100   | yes     |
| the last day of a window of 30        | 100     | 30     | 129   | yes     |
| the day after a window of 30          | 100     | 30     | 130   | no      |
| the last day of a window of 90        | 100     | 90     | 189   | yes     |
| the day after a window of 90          | 100     | 90     | 190   | no      |
| the last day of a window of 365       | 100     | 365    | 464   | yes     |
| the day after a window of 365         | 100     | 365    | 465   | no      |
| a window of one day, that day         | 100     | 1      | 100   | yes     |
| a window of one day, the day after    | 100     | 1      | 101   | no      |
""")
def test_a_window_of_n_days_ends_with_its_day(row: Row) -> None:
    """A window of N days as of D is D − N + 1 to D, both included."""
    state = AccountState("A")
    add(state, int(row["ordered"]), Movement(100, 1, None), horizon_start_day=0)

    assert sums(state, int(row["as of"]), int(row["window"])).orders == (row["counted"] == "yes")


@table("""
| case                                     | steps                                                        | as of | 5 days         | 10 days        |
| an order                                 | d0 order 100 cost=60                                         | d4    | 100.00 1 40.00 | 100.00 1 40.00 |
| it leaves the short window first         | d0 order 100 cost=60                                         | d5    | 0.00 0 -       | 100.00 1 40.00 |
| it leaves the long window last           | d0 order 100 cost=60                                         | d10   | 0.00 0 -       | 0.00 0 -       |
| an order of nothing is an order          | d0 order 0                                                   | d0    | 0.00 1 -       | 0.00 1 -       |
| an unknown cost is not a cost of nothing | d0 order 100; d0 order 50 cost=20                            | d0    | 150.00 2 30.00 | 150.00 2 30.00 |
| a refund counts on its own day           | d0 order 100 cost=60; d6 refund 30 cost=10                   | d6    | -30.00 0 -20.00 | 70.00 1 20.00 |
| a refund takes no order away             | d0 order 100; d0 refund 100                                  | d0    | 0.00 1 -       | 0.00 1 -       |
| a refund without its cost                | d0 order 100 cost=60; d0 refund 30                           | d0    | 70.00 1 40.00  | 70.00 1 40.00  |
| a refund alone makes a day negative      | d0 refund 30                                                 | d0    | -30.00 0 -     | -30.00 0 -     |
| a cancellation undoes the day ordered    | d0 order 100 cost=60; d6 order 5; d6 cancel 100 cost=60 ordered=d0 | d6 | 5.00 1 -    | 5.00 1 -       |
| a cancellation undoes one order          | d0 order 100; d0 order 40; d2 cancel 100 ordered=d0          | d2    | 40.00 1 -      | 40.00 1 -      |
| a cancellation before its order          | d1 cancel 100 ordered=d0                                     | d1    | -100.00 -1 -   | -100.00 -1 -   |
| the order after its cancellation         | d1 cancel 100 ordered=d0; d0 order 100                       | d1    | 0.00 0 -       | 0.00 0 -       |
| a late order counts on its own day       | d6 order 5; d1 order 100                                     | d6    | 5.00 1 -       | 105.00 2 -     |
""")
def test_what_each_event_does_to_the_windows(row: Row) -> None:
    """Revenue, orders and profit of two windows follow from the day on which each event counts."""
    played = play(row["steps"], SHORT)

    assert told(played, row["as of"], 5) == row["5 days"]
    assert told(played, row["as of"], 10) == row["10 days"]


@table("""
| case                                        | steps                                                       | outcomes                    |
| an order today                              | d5 order 1                                                  | applied                     |
| earlier on the same day                     | d5@18:00 order 1; d5@09:00 order 1                          | applied applied             |
| on the day before                           | d5 order 1; d4 order 1                                      | applied late                |
| on the first day of the horizon             | d9 order 1; d0 order 1                                      | applied late                |
| on the day before the horizon               | d10 order 1; d0 order 1                                     | applied too_late            |
| a late support event                        | d5 order 1; d4 breach T                                     | applied late                |
| a support event before the horizon          | d10 order 1; d0 breach T                                    | applied too_late            |
| an answer before the horizon                | d10 order 1; d0 nps 9                                       | applied too_late            |
| a cancellation today of an order in reach   | d9 order 1; d9 cancel 1 ordered=d0                          | applied applied             |
| a cancellation today of an order out of it  | d10 order 1; d10 cancel 1 ordered=d0                        | applied too_late            |
| a cancellation that comes late itself       | d9 order 1; d8 cancel 1 ordered=d7                          | applied late                |
| the same again                              | d5 order 1 id=x; d5 order 1 id=x                            | applied duplicate           |
| the same again, when it would be too late   | d0 order 1 id=x; d20 order 1; d0 order 1 id=x               | applied applied duplicate   |
| the same id with another amount             | d5 order 1 id=x; d5 order 2 id=x                            | applied conflict            |
| the same id with another day                | d5 order 1 id=x; d6 order 1 id=x                            | applied conflict            |
| the same id with another type               | d5 order 1 id=x; d5 refund 1 id=x                           | applied conflict            |
| the same id on another topic                | d5 order 1 id=x; d5 breach T id=x                           | applied applied             |
| a newer profile                             | d5 profile 1; d5 profile 2                                  | applied applied             |
| an older profile                            | d5 profile 2; d6 profile 1                                  | applied stale               |
| a profile of the same version               | d5 profile 2 name=A; d6 profile 2 name=B                    | applied applied             |
| a profile that happened earlier             | d5 profile 1; d4 profile 2                                  | applied applied             |
| an older profile seen before is a duplicate | d5 profile 1 id=x; d5 profile 2; d5 profile 1 id=x          | applied applied duplicate   |
| before an erasure                           | d5 order 1; d6 erase; d5 order 1; d6 order 1                | applied applied erased erased |
| after an erasure                            | d5 order 1; d6 erase; d6@12:01 order 1                      | applied applied applied     |
| a second erasure of the same moment         | d5 order 1; d6 erase; d6 erase                              | applied applied erased      |
| a currency without a rate                   | d5 order 1 currency=USD                                     | missing_rate                |
| the same after it was refused               | d5 order 1 currency=USD id=x; d5 order 1 id=x               | missing_rate applied        |
""")
def test_what_becomes_of_each_event(row: Row) -> None:
    """Every event has one named outcome, or the reason why it is refused."""
    assert play(row["steps"], SHORT).outcomes() == row["outcomes"]


@table("""
| case                                    | steps                                                    | first | last | orders | revenue |
| orders of the horizon                   | d0 order 100; d3 order 10                                | d0    | d3   | 2      | 110.00  |
| orders that left the horizon            | d0 order 100; d3 order 10; d40 time                      | d0    | d3   | 2      | 110.00  |
| an order before the horizon             | d20 order 100; d5 order 10                               | d5    | d20  | 2      | 110.00  |
| a refund makes no order day             | d0 order 100; d3 refund 10                               | d0    | d0   | 1      | 90.00   |
| a cancelled order makes none            | d0 order 100; d3 order 10; d4 cancel 10 ordered=d3       | d0    | d0   | 1      | 100.00  |
| a cancelled first order                 | d0 order 100; d3 order 10; d4 cancel 100 ordered=d0      | d3    | d3   | 1      | 10.00   |
| all is cancelled                        | d0 order 100; d4 cancel 100 ordered=d0                   | -     | -    | 0      | 0.00    |
| a cancelled order before the horizon    | d0 order 100; d20 order 10; d20 cancel 100 ordered=d0    | d0    | d20  | 1      | 10.00   |
""")
def test_the_lifetime_figures(row: Row) -> None:
    """First and last order day, orders and revenue of a lifetime outlive the horizon."""
    played = play(row["steps"], SHORT)
    life = snapshot(played.held, played.context).lifetime
    days = [
        "-" if day is None else f"d{day.toordinal() - 719163 - FIRST_DAY}"
        for day in (life.first_order, life.last_order)
    ]

    assert [*days, str(life.orders), life.revenue] == [row["first"], row["last"], row["orders"], row["revenue"]]


@table("""
| case                                     | steps                                                           | costs | profit | cost  | life   |
| a cost for each severity                 | d0 order 100 cost=60; d1 open A low; d1 open B critical         | yes   | 9.75   | 30.25 | 9.75   |
| a severity without a price               | d0 order 100 cost=60; d1 open A high                            | yes   | 40.00  | 0.00  | 40.00  |
| no prices at all                         | d0 order 100 cost=60; d1 open A critical                        | no    | 40.00  | 0.00  | 40.00  |
| a ticket opened twice costs twice        | d0 order 100 cost=60; d1 open A critical; d2 open A critical    | yes   | -20.00 | 60.00 | -20.00 |
| a reopened ticket costs nothing more     | d0 order 100 cost=60; d1 open A critical; d2 reopen A critical  | yes   | 10.00  | 30.00 | 10.00  |
| a ticket that left the window            | d0 open A critical; d9 order 100 cost=60; d10 time              | yes   | 40.00  | 0.00  | 10.00  |
| a ticket before the horizon              | d12 order 100 cost=60; d0 open A critical                       | yes   | 40.00  | 0.00  | 10.00  |
| no known cost, no profit                 | d0 order 100; d1 open A critical                                | yes   | -      | 30.00 | -      |
""")
def test_what_support_costs(row: Row) -> None:
    """Profit is less the cost of the tickets opened in the window, which is also shown apart."""
    prices = {"low": "0.25", "critical": "30"} if row["costs"] == "yes" else {}
    policy = windowed(5, 10, support={"service_cost": prices})
    played = play(row["steps"], policy)
    shown = snapshot(played.held, played.context)
    window = shown.windows["10"]

    assert (window.profit or "-", window.service_cost, shown.lifetime.profit or "-") == (
        row["profit"],
        row["cost"],
        row["life"],
    )


@table("""
| case                             | steps                                                  | coverage |
| all costs known                  | d0 order 100 cost=60                                   | 1.0      |
| none known                       | d0 order 100                                           | 0.0      |
| a third known                    | d0 order 200; d0 order 100 cost=0                      | 0.3333   |
| no revenue                       | d0 order 0 cost=0                                      | None     |
| negative revenue                 | d0 refund 5                                            | None     |
| more known than there is         | d0 order 100 cost=1; d0 order 50; d0 refund 60         | 1.0      |
| less than nothing known          | d0 order 100; d0 refund 60 cost=1                      | 0.0      |
""")
def test_the_share_of_revenue_with_a_known_cost(row: Row) -> None:
    """Coverage is revenue with a known cost over revenue, from 0 to 1, and null without revenue."""
    played = play(row["steps"], SHORT)

    assert str(snapshot(played.held, played.context).windows["10"].profit_coverage) == row["coverage"]


@table("""
| case                                    | steps                                          | open | severe |
| opened                                  | d0 open A high                                 | A    | 1      |
| two                                     | d0 open A high; d0 open B low                  | A B  | 1      |
| resolved                                | d0 open A high; d1 resolve A                   |      | 0      |
| reopened                                | d0 open A low; d1 resolve A; d2 reopen A critical | A | 1      |
| opened twice is open once               | d0 open A low; d1 open A critical              | A    | 1      |
| resolved without having been opened     | d0 resolve A                                   |      | 0      |
| open on the last day of the horizon     | d0 open A high; d9 time                        | A    | 1      |
| open for longer than the horizon        | d0 open A high; d10 time                       |      | 0      |
| of two, the older one                   | d1 open B high; d0 open A high; d10 time       | B    | 1      |
| reopened within the horizon             | d0 open A high; d9 reopen A high; d18 time     | A    | 1      |
| opened before the horizon, told late    | d10 resolve B; d0 open A high                  |      | 0      |
| told late after its resolution          | d5 resolve A; d4 open A high; d14 time         |      | 0      |
| reopened before the horizon, told late  | d10 resolve B; d0 reopen A high                |      | 0      |
""")
def test_open_tickets(row: Row) -> None:
    """A ticket is open from its opening to its resolution, or until its day leaves the horizon."""
    played = play(row["steps"], SHORT)
    shown = snapshot(played.held, played.context).support

    assert " ".join(one.ticket_id for one in played.held.open_tickets) == row["open"]
    assert (shown.open, str(shown.severe)) == (len(played.held.open_tickets), row["severe"])
