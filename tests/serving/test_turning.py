"""Months of losses and returns, from what the view counts."""

from datetime import UTC, datetime
from typing import Final

from stream.serving.turning import VALUES_MAX, months_of
from stream.view.months import OTHER, PARTS, WHOLE
from stream.view.totals import Total

NOW: Final = datetime(2026, 4, 1, tzinfo=UTC)


def counted(accounts: int, stake: int = 0) -> Total:
    """Make a total of turns."""
    return Total(accounts, stake=stake)


def test_months_are_in_order_and_say_both_ways() -> None:
    """A month in which nobody came back says so, and money has the currency's decimals."""
    whole = {"2026-03:lost": counted(3, 1250), "2026-01:recovered": counted(1, 5)}
    parts = {
        "2026-03:lost:reason:overdue": counted(3, 1250),
        "2026-03:lost:owner:-": counted(2, 1000),
        "2026-03:lost:owner:Ann: north": counted(1, 250),
    }

    found = months_of({"currency": {"EUR:2": Total(9)}, WHOLE: whole, PARTS: parts}, None, NOW)

    assert [one.month for one in found.months] == ["2026-01", "2026-03"]
    lost = found.months[1].lost
    assert (lost.accounts, lost.value_at_stake, found.months[1].recovered.accounts) == (3, "12.50", 0)
    assert [(one.value, one.accounts, one.value_at_stake) for one in lost.by_owner] == [
        (None, 2, "10.00"),
        ("Ann: north", 1, "2.50"),
    ]
    assert lost.by_segment == ()


def test_the_values_that_a_month_lists_are_bounded() -> None:
    """Those with the most accounts are listed; the rest, with what the view itself put together, is one at the end."""
    owners = {f"2026-03:lost:owner:O{number:03}": counted(number + 1) for number in range(VALUES_MAX + 10)}
    owners[f"2026-03:lost:owner:{OTHER}"] = counted(7)
    everything = sum(one.accounts for one in owners.values())

    found = months_of({WHOLE: {"2026-03:lost": counted(everything)}, PARTS: owners}, NOW, NOW)

    listed = found.months[0].lost.by_owner
    assert len(listed) == VALUES_MAX + 1
    assert listed[-1].value == OTHER
    assert sum(one.accounts for one in listed) == everything
    assert listed[0].accounts == VALUES_MAX + 10
    assert (found.currency, found.complete_since) == (None, NOW)
