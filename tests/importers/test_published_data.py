"""The importers on the published data: control totals, the contract, order, reproducibility."""

from collections.abc import Callable
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Final

import pytest

from stream.cli.importing import summary_lines
from stream.importers.presets import Extras, Preset
from tests.importers.running import Imported, run_preset

FILES: Final = {
    "Online Retail": (Preset.ONLINE_RETAIL, "online_retail.csv.xz", None),
    "CDNOW master": (Preset.CDNOW, "CDNOW_master.txt", None),
    "CDNOW sample": (Preset.CDNOW, "CDNOW_sample.txt", None),
    "AdventureWorks resellers": (
        Preset.ADVENTUREWORKS_RESELLERS,
        "adventureworks_resellers.csv.xz",
        "adventureworks_reseller_names.csv",
    ),
    "Incidents": (Preset.INCIDENTS, "incident_events.csv.xz", None),
}
DOCS: Final = Path(__file__).resolve().parents[2] / "docs" / "importing.md"

Importer = Callable[[str], Imported]


def _import(data_dir: Path, name: str) -> Imported:
    preset, file, profiles = FILES[name]
    extras = Extras(profiles=data_dir / profiles) if profiles else Extras()
    return run_preset(preset, data_dir / file, extras)


@pytest.fixture(scope="module")
def imported(data_dir: Path) -> Importer:
    """Each data set, imported once."""
    return cache(lambda name: _import(data_dir, name))


CONTROL_TOTALS: Final = [
    # set, figure of the summary, as published or as counted without the importer
    ("Online Retail", "rows read", "541,909"),
    ("Online Retail", "orders read", "25,900"),
    ("Online Retail", "accounts", "4,372"),
    ("Online Retail", "amount GBP, all rows", "9,747,747.934"),
    ("Online Retail", "rows rejected: missing_account", "135,080"),
    ("Online Retail", "rows of cancellations", "9,288"),
    ("Online Retail", "invoices that are cancellations", "3,836"),
    ("Online Retail", "rows with a negative quantity", "10,624"),
    ("Online Retail", "rows at price 0", "2,515"),
    ("Online Retail", "rows with a negative price", "2"),
    ("Online Retail", "rows equal to an earlier row", "5,268"),
    ("Online Retail", "clean sales: rows", "397,884"),
    ("Online Retail", "clean sales: invoices", "18,532"),
    ("Online Retail", "clean sales: customers", "4,338"),
    ("Online Retail", "clean sales: amount", "8,911,407.904"),
    ("Online Retail", "events order.completed", "18,536"),
    ("Online Retail", "events order.refunded", "3,654"),
    ("Online Retail", "amount GBP, order.completed", "8,911,407.904"),
    ("Online Retail", "amount GBP, order.refunded", "611,342.09"),
    ("Online Retail", "amount GBP, rejected rows", "1,447,682.12"),
    ("Online Retail", "first event", "2010-12-01 08:26:00 UTC"),
    ("Online Retail", "last event", "2011-12-09 12:50:00 UTC"),
    ("CDNOW master", "events order.completed", "69,659"),
    ("CDNOW master", "accounts", "23,570"),
    ("CDNOW master", "amount USD, order.completed", "2,500,315.63"),
    ("CDNOW master", "orders of 0", "80"),
    ("CDNOW master", "rows equal to an earlier row", "255"),
    ("CDNOW master", "days of customers with an order", "67,591"),
    ("CDNOW master", "rows rejected", "0"),
    ("CDNOW master", "first event", "1997-01-01 00:00:00 UTC"),
    ("CDNOW master", "last event", "1998-06-30 00:00:00 UTC"),
    ("CDNOW sample", "events order.completed", "6,919"),
    ("CDNOW sample", "accounts", "2,357"),
    ("CDNOW sample", "amount USD, order.completed", "244,091.94"),
    ("CDNOW sample", "rows rejected", "0"),
    ("AdventureWorks resellers", "events order.completed", "3,796"),
    ("AdventureWorks resellers", "events profile.updated", "701"),
    ("AdventureWorks resellers", "amount USD, order.completed", "80,450,596.11"),
    ("AdventureWorks resellers", "cost USD, order.completed", "79,980,130.01"),
    ("AdventureWorks resellers", "orders at a loss", "1,639"),
    ("AdventureWorks resellers", "accounts at a loss over their lifetime", "335"),
    ("AdventureWorks resellers", "rows rejected: missing_account", "1"),
    ("AdventureWorks resellers", "first event", "2017-07-02 00:00:00 UTC"),
    ("AdventureWorks resellers", "last event", "2020-06-15 00:00:00 UTC"),
    ("Incidents", "rows read", "141,712"),
    ("Incidents", "incidents read", "24,918"),
    ("Incidents", "incidents rejected", "3"),
    ("Incidents", "callers (one may be ?, unknown)", "5,245"),
    ("Incidents", "incidents whose deadline was met", "15,803"),
    ("Incidents", "incidents whose deadline was missed", "9,115"),
    ("Incidents", "incidents last of priority 1", "270"),
    ("Incidents", "incidents last of priority 2", "408"),
    ("Incidents", "incidents last of priority 3", "23,466"),
    ("Incidents", "incidents last of priority 4", "774"),
    ("Incidents", "events ticket.opened", "24,915"),
    ("Incidents", "events ticket.reopened", "331"),
    ("Incidents", "events ticket.resolved", "25,246"),
    ("Incidents", "events sla.breached", "9,114"),
    ("Incidents", "rows rejected: missing_account", "29"),
    ("Incidents", "first event", "2016-02-29 01:16:00 UTC"),
    ("Incidents", "last event", "2017-02-18 15:00:00 UTC"),
]


@pytest.mark.parametrize(("name", "label", "figure"), CONTROL_TOTALS)
def test_the_summary_has_the_control_totals(imported: Importer, name: str, label: str, figure: str) -> None:
    """What the summary prints for a data set is what is known about it."""
    assert dict(summary_lines(imported(name).summary))[label] == figure


@pytest.mark.parametrize(("name", "label", "figure"), CONTROL_TOTALS)
def test_the_documentation_has_the_control_totals(name: str, label: str, figure: str) -> None:
    """The table in the documentation says the same."""
    assert f"| {name} | {label} | {figure} |" in DOCS.read_text(encoding="utf-8")


@pytest.mark.parametrize("name", FILES)
def test_no_event_would_be_refused(imported: Importer, name: str) -> None:
    """A worker accepts every event, under its account's key."""
    assert imported(name).refusals() == []


@pytest.mark.parametrize("name", FILES)
def test_events_are_in_order_of_time(imported: Importer, name: str) -> None:
    """`replay` keeps the order inside a file, so the file is in order."""
    times = [event["occurred_at"] for event in imported(name).events]

    assert all(earlier <= later for earlier, later in pairwise(times))


@pytest.mark.parametrize("name", FILES)
def test_event_ids_are_unique(imported: Importer, name: str) -> None:
    """No event of a set would be taken for a duplicate of another."""
    ids = [event["event_id"] for event in imported(name).events]

    assert len(set(ids)) == len(ids)


@pytest.mark.parametrize("name", ["CDNOW sample", "AdventureWorks resellers"])
def test_importing_again_gives_the_same_bytes(data_dir: Path, imported: Importer, name: str) -> None:
    """Events and rejects are a function of the file."""
    again = _import(data_dir, name)

    assert again.lines == imported(name).lines
    assert again.reject_lines == imported(name).reject_lines


@pytest.mark.parametrize("name", FILES)
def test_every_amount_is_accounted_for(imported: Importer, name: str) -> None:
    """Completed less refunded and the rejected rows sum to all rows, for amounts and costs, exactly."""
    for money in imported(name).summary.money.values():
        for totals in (money.amount, money.cost):
            completed = totals.accepted.get("order.completed", 0)
            refunded = totals.accepted.get("order.refunded", 0)
            assert completed - refunded + totals.rejected == totals.read


def test_every_missed_deadline_is_an_event_once(imported: Importer) -> None:
    """Of the 9,115 incidents that missed their deadline, the one without a caller has no event."""
    events = imported("Incidents").events
    breached = [event["ticket_id"] for event in events if event["type"] == "sla.breached"]

    assert len(breached) == len(set(breached)) == 9_114


def test_tickets_open_resolve_and_reopen_in_turn(imported: Importer) -> None:
    """In every incident, resolved and reopened alternate after opened, and the last of them is resolved."""
    stories: dict[str, list[str]] = {}
    for event in imported("Incidents").events:
        if event["type"] != "sla.breached":
            stories.setdefault(event["ticket_id"], []).append(event["type"].removeprefix("ticket."))

    for story in stories.values():
        reopened = (len(story) - 2) // 2
        assert story == ["opened", "resolved", *["reopened", "resolved"] * reopened]
