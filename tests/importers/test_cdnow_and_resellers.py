"""CDNOW's two files, and AdventureWorks' orders and profiles."""

from pathlib import Path
from typing import Final

import pytest

from stream.importers.errors import SourceError
from stream.importers.presets import Extras, Preset
from tests.importers.running import Imported, run_preset, write

MASTER: Final = (
    " customer_id  date number_of_cds  dollar_value\r\n 00001 19970101  1   11.77\r\n 00001 19970101  1   11.77\r\n"
)
SAMPLE: Final = " 00004 0001 19970101  2   29.33\r\n 00021 0002 19970118  2    0.00\r\n"


def _cdnow(folder: Path, text: str) -> Imported:
    path = folder / "cdnow.txt"
    path.write_bytes(text.encode())
    return run_preset(Preset.CDNOW, path)


def test_a_line_of_the_master_set_is_an_order(tmp_path: Path) -> None:
    """Equal lines are two orders, told apart by their line; ids keep their zeros; a day is its midnight."""
    first, second = _cdnow(tmp_path, MASTER).events

    assert first == {
        "event_id": "cdnow:2",
        "type": "order.completed",
        "account_id": "00001",
        "occurred_at": "1997-01-01T00:00:00Z",
        "order_id": "2",
        "amount": "11.77",
        "currency": "USD",
    }
    assert second == first | {"event_id": "cdnow:3", "order_id": "3"}


def test_a_line_of_the_sample_is_an_order_of_the_master_id(tmp_path: Path) -> None:
    """The sample has no header, and its first column is the customer's id in the master set."""
    events = _cdnow(tmp_path, SAMPLE).events

    assert [(one["event_id"], one["account_id"], one["amount"]) for one in events] == [
        ("cdnow-sample:1", "00004", "29.33"),
        ("cdnow-sample:2", "00021", "0.00"),
    ]


def test_customers_one_after_another_are_put_in_order_of_time(tmp_path: Path) -> None:
    """The set lists customer after customer; the events are in order of time, and in order of lines within a day."""
    text = "1 1 19970301 1 1.00\n1 1 19970101 1 2.00\n2 2 19970101 1 3.00\n"

    assert [one["amount"] for one in _cdnow(tmp_path, text).events] == ["2.00", "3.00", "1.00"]


def test_orders_of_one_time_keep_the_order_of_their_lines(tmp_path: Path) -> None:
    """Lines are ordered as numbers: 10 comes after 9."""
    events = _cdnow(tmp_path, "1 1 19970101 1 1.00\n" * 11).events

    assert [one["order_id"] for one in events] == [str(line) for line in range(1, 12)]


@pytest.mark.parametrize("text", ["", "1 2 3\n", "1 2 3 4 5 6\n"])
def test_other_files_are_not_cdnow(tmp_path: Path, text: str) -> None:
    """A file with neither 4 nor 5 columns is refused with one line."""
    with pytest.raises(SourceError, match="the master set has 4, its sample 5"):
        _cdnow(tmp_path, text)


ORDERS: Final = """
SalesOrderLineKey , ResellerKey , OrderDateKey , Total Product Cost , Sales Amount
43659001          , 676         , 20170702     , 1898.09            , 2024.99
43660001          , 117         , 20170701     , 413.15             , 419.46
43659002          , 676         , 20170702     , 5694.28            , 6074.98
"""
NAMES: Final = """
ResellerKey , Business Type        , Reseller   , Country-Region
117         , Specialty Bike Shop  , Bike World , Canada
676         , Value Added Reseller , Better     , United States
5           , Warehouse            , Sleepy     , [Not Applicable]
-1          , [Not Applicable]     , [Not Applicable] , [Not Applicable]
"""


def _resellers(folder: Path, orders: str, names: str | None = None) -> Imported:
    profiles = write(folder, names, "names.csv") if names else None
    return run_preset(Preset.ADVENTUREWORKS_RESELLERS, write(folder, orders), Extras(profiles=profiles))


def test_lines_of_a_resellers_order_are_summed(tmp_path: Path) -> None:
    """Amount and cost are sums over the lines whose key shares all but the last three digits."""
    _, event = _resellers(tmp_path, ORDERS).events

    assert event == {
        "event_id": "adventureworks-resellers:43659",
        "type": "order.completed",
        "account_id": "676",
        "occurred_at": "2017-07-02T00:00:00Z",
        "order_id": "43659",
        "amount": "8099.97",
        "currency": "USD",
        "cost": "7592.37",
    }


def test_an_order_of_two_resellers_is_rejected(tmp_path: Path) -> None:
    """Both lines go to the rejects, and the totals still count them."""
    imported = _resellers(tmp_path, ORDERS.replace("43660001", "43659003"))

    assert imported.events == []
    assert imported.rejects == [(2, "several_values"), (3, "several_values"), (4, "several_values")]
    assert str(imported.summary.money["USD"].cost.rejected) == "8005.52"


def test_profiles_come_with_the_first_order(tmp_path: Path) -> None:
    """A profile stands before its reseller's first order, and at the first of all if it never ordered."""
    imported = _resellers(tmp_path, ORDERS, NAMES)

    assert [(one["type"], one["account_id"], one["occurred_at"][:10]) for one in imported.events] == [
        ("profile.updated", "117", "2017-07-01"),
        ("profile.updated", "5", "2017-07-01"),
        ("order.completed", "117", "2017-07-01"),
        ("profile.updated", "676", "2017-07-02"),
        ("order.completed", "676", "2017-07-02"),
    ]
    assert imported.events[0] == {
        "event_id": "adventureworks-resellers:profile-117",
        "type": "profile.updated",
        "account_id": "117",
        "occurred_at": "2017-07-01T00:00:00Z",
        "profile_version": 1,
        "name": "Bike World",
        "segment": "Specialty Bike Shop",
        "region": "Canada",
    }
    assert "region" not in imported.events[1]
    assert imported.rejects == [(5, "missing_account")]


def test_a_profile_waits_for_no_later_order(tmp_path: Path) -> None:
    """Of several orders of a reseller the first dates its profile, wherever in the file it stands."""
    orders = f"{ORDERS}43661001,117,20170630,1,2\n43662001,117,20170703,1,2"

    [*_, profile] = [
        one
        for one in _resellers(tmp_path, orders, NAMES).events
        if one["type"] == "profile.updated" and one["account_id"] == "117"
    ]

    assert profile["occurred_at"] == "2017-06-30T00:00:00Z"


def test_selling_at_cost_is_no_loss(tmp_path: Path) -> None:
    """Only a profit below 0 is counted as a loss."""
    header = ORDERS.strip().splitlines()[0]

    summary = _resellers(tmp_path, f"{header}\n1001,7,20170701,5,5\n2001,8,20170701,5,4").summary

    assert summary.facts == [("orders at a loss", 1), ("accounts at a loss over their lifetime", 1)]


def test_profiles_without_any_order_are_rejected(tmp_path: Path) -> None:
    """Nothing could date them."""
    header = ORDERS.strip().splitlines()[0]

    assert {reason for _, reason in _resellers(tmp_path, header, NAMES).rejects} == {
        "missing_value",
        "missing_account",
    }
