"""Money is converted once and rounded half to even; a day is a local one: as tables."""

# ruff: noqa: E501  # a row of a table is one line

from datetime import date, datetime
from decimal import Decimal
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.codec import pack
from models.fields import epoch_ms, from_epoch_ms
from models.orders import nano_of
from processors.account import apply
from processors.context import Context, MissingRateError, date_of, day_of_date
from processors.snapshots import snapshot
from tests.core.ledger import local_day, start_of
from tests.support.scenario import FIRST_DAY, make_event, play, policy_of, windowed
from tests.support.tables import Row, table

RATES: Final = {
    "USD": [{"since": "2026-01-01", "rate": "0.5"}, {"since": "2026-01-11", "rate": "0.25"}],
    "JPY": [{"since": "2026-01-01", "rate": "0.006"}],
    "KWD": [{"since": "2026-01-01", "rate": "3"}],
}


@table("""
| case                                   | reporting | amount      | currency | minor         |
| cents                                  | EUR       | 12.34       | EUR      | 1234          |
| half a cent goes to the even one, down | EUR       | 0.125       | EUR      | 12            |
| half a cent goes to the even one, up   | EUR       | 0.135       | EUR      | 14            |
| more than half a cent                  | EUR       | 0.125000001 | EUR      | 13            |
| a yen has no cents                     | JPY       | 1234        | JPY      | 1234          |
| half a yen, down                       | JPY       | 2.5         | JPY      | 2             |
| half a yen, up                         | JPY       | 1.5         | JPY      | 2             |
| half a yen of nothing                  | JPY       | 0.5         | JPY      | 0             |
| a dinar has a thousand fils            | KWD       | 1.234       | KWD      | 1234          |
| half a fils, down                      | KWD       | 1.0005      | KWD      | 1000          |
| half a fils, up                        | KWD       | 1.0015      | KWD      | 1002          |
| the largest amount, at its ninth digit | EUR       | 99999999999.999999999 | EUR | 10000000000000 |
""")
def test_rounding_to_minor_units(row: Row) -> None:
    """Amounts become whole minor units of the reporting currency, half to even."""
    context = Context(policy_of(reporting_currency=row["reporting"]))

    assert context.to_minor(nano_of(Decimal(row["amount"])), row["currency"], FIRST_DAY) == int(row["minor"])


@table("""
| case                                  | amount | currency | day | minor   |
| the rate in force                     | 10     | USD      | 0   | 500     |
| the last day of a rate                | 10     | USD      | 9   | 500     |
| the first day of the next             | 10     | USD      | 10  | 250     |
| long after the last rate              | 10     | USD      | 999 | 250     |
| before the first rate                 | 10     | USD      | -1  | missing |
| no rate at all                        | 10     | GBP      | 0   | missing |
| rounded once, after the conversion    | 0.01   | USD      | 0   | 0       |
| rounded once, half to even, up        | 0.03   | USD      | 0   | 2       |
| from a currency without cents         | 12345  | JPY      | 0   | 7407    |
| from a currency with a thousandth     | 0.005  | KWD      | 0   | 2       |
""")
def test_conversion(row: Row) -> None:
    """Money is converted at the rate in force on the day, and refused without one."""
    context = Context(policy_of(rates=RATES))
    day = FIRST_DAY + int(row["day"])

    if row["minor"] == "missing":
        with pytest.raises(MissingRateError, match=f"{row['currency']} on {date_of(day)}"):
            context.to_minor(nano_of(Decimal(row["amount"])), row["currency"], day)
    else:
        assert context.to_minor(nano_of(Decimal(row["amount"])), row["currency"], day) == int(row["minor"])


_RICH: Final = {"USD": [{"since": "2026-01-01", "rate": "1000000000"}]}


@table("""
| case                           | step                                      | minor units      |
| the most there can be          | d0 order 10000 currency=USD               | 1000000000000000 |
| above it                       | d0 order 10000.01 currency=USD            | refused          |
| the largest amount             | d0 order 100000000000 currency=USD        | refused          |
| a cost above it                | d0 order 1 cost=10000.01 currency=USD     | refused          |
| a refund above it              | d0 refund 10000.01 currency=USD           | refused          |
""")
def test_a_converted_amount_has_a_bound(row: Row) -> None:
    """An amount that is beyond 10^15 minor units once it is converted is refused, and changes nothing."""
    played = play(row["step"], policy_of(rates=_RICH))

    if row["minor units"] == "refused":
        refusal = played.steps[-1].refusal
        assert refusal is not None
        assert (refusal.reason, played.state) == ("invalid_field", None)
        assert "more than 1000000000000000 minor units once it is converted" in refusal.detail
    else:
        assert played.held.lifetime_revenue_minor == int(row["minor units"])


def test_a_budget_has_the_same_bound() -> None:
    """A profile whose budget is too large once it is converted is refused."""
    fields = {"profile_version": 1, "budget": {"amount": "10000.01", "currency": "USD"}}
    profile = make_event("A", "profile.updated", "e", 1_769_904_000_000, **fields)
    step = apply(None, profile, Context(policy_of(rates=_RICH)))

    assert step.refusal is not None
    assert (step.refusal.reason, step.state) == ("invalid_field", None)


@table("""
| sum                           | below its bound | step                  | outcome       |
| lifetime_revenue_minor        | 100             | d1 order 1            | applied       |
| lifetime_revenue_minor        | 99              | d1 order 1            | invalid_field |
| lifetime_revenue_minor        | 99              | d1 refund 1           | applied       |
| lifetime_revenue_minor        | 99              | d0 order 1 id=e0      | duplicate     |
| lifetime_costed_revenue_minor | 99              | d1 order 1            | applied       |
| lifetime_costed_revenue_minor | 99              | d1 order 1 cost=0     | invalid_field |
| lifetime_cost_minor           | 99              | d1 order 0 cost=1     | invalid_field |
| lifetime_service_cost_minor   | 100             | d1 open T low         | applied       |
| lifetime_service_cost_minor   | 99              | d1 open T low         | invalid_field |
| revenue_minor                 | 99              | d0 order 1            | invalid_field |
| revenue_minor                 | 99              | d1 order 1            | applied       |
| costed_revenue_minor          | 99              | d0 order 1 cost=0     | invalid_field |
| cost_minor                    | 99              | d0 order 0 cost=1     | invalid_field |
""")
def test_a_sum_has_a_bound(row: Row) -> None:
    """An event that would take a sum beyond 10^18 minor units is refused, or it could not be packed for ever."""
    played = play("d0 order 1 id=e0", policy_of(support={"service_cost": {"low": 1}}))
    near = 10**18 - int(row["below its bound"])
    setattr(played.held, row["sum"], near if row["sum"].startswith("lifetime") else [near])
    before = pack(played.held)
    played.play(row["step"])

    assert played.outcomes().split()[-1] == row["outcome"]
    assert (pack(played.held) == before) == (row["outcome"] != "applied")


def test_days_of_either_sign_may_sum_to_more_than_64_bits() -> None:
    """A window beyond 64 bits is published like any other."""
    played = play("; ".join(f"d{day} order 1" for day in range(20)))
    played.held.revenue_minor = [10**18] * 20
    played.play("d20 order 1")

    assert snapshot(played.held, played.context).windows["30"].revenue == "200000000000000001.00"


@table("""
| case                                        | steps                                                           | revenue |
| an order at its day's rate                  | d10 order 100 currency=USD                                      | 25.00   |
| a refund at the rate of its own day         | d10 refund 100 currency=USD                                     | -25.00  |
| a refund at the rate of its order, if named | d10 refund 100 currency=USD ordered=d9                          | -50.00  |
| a cancellation at the rate of its order     | d9 order 100 currency=USD; d10 cancel 100 currency=USD ordered=d9 | 0.00  |
""")
def test_the_day_of_the_rate(row: Row) -> None:
    """The order's day decides the rate, so that an order and its undoing are worth the same."""
    played = play(row["steps"], policy_of(rates=RATES))

    assert played.context.to_decimal_text(played.held.lifetime_revenue_minor) == row["revenue"]


@table("""
| minor | EUR    | JPY  | KWD    |
| 0     | 0.00   | 0    | 0.000  |
| 5     | 0.05   | 5    | 0.005  |
| -5    | -0.05  | -5   | -0.005 |
| 1234  | 12.34  | 1234 | 1.234  |
| -1234 | -12.34 | -1234 | -1.234 |
""")
def test_money_as_text(row: Row) -> None:
    """Money is published as a decimal string with the digits of its currency."""
    for currency in ("EUR", "JPY", "KWD"):
        context = Context(policy_of(reporting_currency=currency))
        assert context.to_decimal_text(int(row["minor"])) == row[currency]


@given(st.decimals(min_value=0, max_value=10**11, places=9), st.sampled_from(["EUR", "JPY", "KWD"]))
def test_undoing_an_amount_leaves_nothing(amount: Decimal, currency: str) -> None:
    """An amount and the same amount taken back are opposite to the last minor unit, and half a unit off at most."""
    context = Context(policy_of(reporting_currency=currency))
    minor = context.to_minor(nano_of(amount), currency, 0)

    assert abs(Decimal(context.to_decimal_text(minor)) - amount) * 2 <= Decimal(10) ** -context.reporting_digits
    assert context.to_decimal_text(-minor).removeprefix("-") == context.to_decimal_text(minor)


@table("""
| moment               | zone             | day        |
| 2026-01-31T23:59:59Z | UTC              | 2026-01-31 |
| 2026-02-01T00:00:00Z | UTC              | 2026-02-01 |
| 2026-01-31T22:59:59Z | Europe/Berlin    | 2026-01-31 |
| 2026-01-31T23:00:00Z | Europe/Berlin    | 2026-02-01 |
| 2026-03-28T22:59:59Z | Europe/Berlin    | 2026-03-28 |
| 2026-03-28T23:00:00Z | Europe/Berlin    | 2026-03-29 |
| 2026-03-29T21:59:59Z | Europe/Berlin    | 2026-03-29 |
| 2026-03-29T22:00:00Z | Europe/Berlin    | 2026-03-30 |
| 2026-10-24T22:00:00Z | Europe/Berlin    | 2026-10-25 |
| 2026-10-25T22:59:59Z | Europe/Berlin    | 2026-10-25 |
| 2026-10-25T23:00:00Z | Europe/Berlin    | 2026-10-26 |
| 2026-02-01T04:59:59Z | America/New_York | 2026-01-31 |
| 2026-02-01T05:00:00Z | America/New_York | 2026-02-01 |
| 2026-01-31T18:29:59Z | Asia/Kolkata     | 2026-01-31 |
| 2026-01-31T18:30:00Z | Asia/Kolkata     | 2026-02-01 |
""")
def test_the_local_day(row: Row) -> None:
    """A moment belongs to its date in the policy's time zone, in summer as in winter."""
    context = Context(policy_of(reporting_timezone=row["zone"]))
    moment_ms = epoch_ms(datetime.fromisoformat(row["moment"]))

    assert date_of(context.day_of(moment_ms)).isoformat() == row["day"]


@table("""
| zone              | year | hours of its shortest day | of its longest |
| UTC               | 2026 | 24                        | 24             |
| Europe/Berlin     | 2026 | 23                        | 25             |
| America/New_York  | 2026 | 23                        | 25             |
| America/Sao_Paulo | 2018 | 23                        | 25             |
| Asia/Beirut       | 2026 | 23                        | 25             |
| Africa/Cairo      | 2026 | 23                        | 25             |
| Australia/Lord_Howe | 2026 | 23.5                    | 24.5           |
""")
def test_days_follow_each_other_without_gap(row: Row) -> None:
    """Each day begins where the one before ends, also where the clock is changed at midnight."""
    context = Context(policy_of(reporting_timezone=row["zone"]))
    first = day_of_date(date(int(row["year"]), 1, 1))
    hours = []
    for day in range(first, first + 365):
        start_ms, next_ms = context.start_of_day_ms(day), context.start_of_day_ms(day + 1)
        assert context.end_of_day_ms(day) == next_ms - 1
        assert [context.day_of(one) for one in (start_ms - 1, start_ms, next_ms - 1)] == [day - 1, day, day]
        hours.append((next_ms - start_ms) / 3_600_000)

    assert (min(hours), max(hours)) == (float(row["hours of its shortest day"]), float(row["of its longest"]))


@given(st.integers(0, 4_102_444_800_000), st.sampled_from(["UTC", "Europe/Berlin", "Pacific/Auckland"]))
def test_any_moment_has_one_day(moment_ms: int, zone: str) -> None:
    """The day of a moment is that of its date, and lies between the day's start and its end."""
    context = Context(policy_of(reporting_timezone=zone))
    day = context.day_of(moment_ms)

    assert day == local_day(from_epoch_ms(moment_ms), zone)
    assert context.start_of_day_ms(day) == epoch_ms(start_of(day, zone)) <= moment_ms <= context.end_of_day_ms(day)


@table("""
| case                          | steps                                               | zone             | window of 1 day |
| the same local day            | d0@23:30 order 1; d1@22:30 order 1                  | Europe/Berlin    | 2               |
| two days in UTC               | d0@23:30 order 1; d1@22:30 order 1                  | UTC              | 1               |
| one day in New York           | d0@05:00 order 1; d1@04:59 order 1                  | America/New_York | 2               |
| two days there                | d0@04:59 order 1; d0@05:00 order 1                  | America/New_York | 1               |
""")
def test_windows_are_of_local_days(row: Row) -> None:
    """Which orders share a day is decided by the policy's time zone."""
    policy = windowed(1, 30, reporting_timezone=row["zone"])
    held = play(row["steps"], policy).held

    assert held.orders[-1] == int(row["window of 1 day"])
