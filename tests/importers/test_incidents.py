"""Incidents followed through their states."""

from datetime import timedelta
from pathlib import Path
from typing import Any, Final

import pytest

from stream.importers.errors import SourceError
from stream.importers.incidents import read_accounts
from stream.importers.presets import Extras, Preset
from tests.importers.running import NO_EXTRAS, Imported, run_preset, write

HEADER: Final = "number,incident_state,reopen_count,made_sla,caller_id,opened_at,sys_updated_at,priority"


def _import(folder: Path, rows: str, extras: Extras = NO_EXTRAS) -> Imported:
    """Import rows of number, state, reopenings, SLA met (t, f), caller, minute of the change and priority."""
    lines = [HEADER]
    for row in rows.split(";"):
        number, state, reopened, met, caller, minute, priority = row.split()
        met = {"t": "true", "f": "false"}.get(met, met)
        state = state.replace("_", " ")
        lines.append(f"{number},{state},{reopened},{met},{caller},29/2/2016 01:00,29/2/2016 {minute},{priority}")
    return run_preset(Preset.INCIDENTS, write(folder, "\n".join(lines)), extras)


def _brief(event: dict[str, Any]) -> str:
    short = event["event_id"].removeprefix("incidents:")
    return " ".join(filter(None, (short, event["occurred_at"][11:16], event.get("severity"))))


CASES: Final = [
    # why, rows, events, rejects
    (
        "opened, then resolved once",
        "1 New 0 t 7 01:05 3; 1 Resolved 0 t 7 02:00 3; 1 Resolved 0 t 7 02:30 3; 1 Closed 0 t 7 03:00 3",
        ["1:opened 01:00 medium", "1:resolved-1 02:00 medium"],
        [],
    ),
    (
        "closed without being resolved",
        "1 New 0 t 7 01:05 4; 1 Closed 0 t 7 03:00 4",
        ["1:opened 01:00 low", "1:resolved-1 03:00 low"],
        [],
    ),
    (
        "resolved when first seen",
        "1 Resolved 0 t 7 01:05 3",
        ["1:opened 01:00 medium", "1:resolved-1 01:05 medium"],
        [],
    ),
    (
        "reopened, and resolved again",
        "1 Resolved 0 t 7 02:00 2; 1 Active 1 t 7 03:00 2; 1 Resolved 1 t 7 04:00 2",
        ["1:opened 01:00 high", "1:resolved-1 02:00 high", "1:reopened-1 03:00 high", "1:resolved-2 04:00 high"],
        [],
    ),
    (
        "back at work without a reopening",
        "1 Resolved 0 t 7 02:00 3; 1 Active 0 t 7 03:00 3; 1 Resolved 0 t 7 04:00 3",
        ["1:opened 01:00 medium", "1:resolved-1 02:00 medium"],
        [],
    ),
    (
        "a missed deadline, once",
        "1 New 0 t 7 01:05 3; 1 New 0 f 7 02:00 3; 1 New 0 t 7 03:00 3; 1 New 0 f 7 04:00 3",
        ["1:opened 01:00 medium", "1:sla-breached 02:00"],
        [],
    ),
    ("missed when first seen", "1 New 0 f 7 01:05 3", ["1:opened 01:00 medium", "1:sla-breached 01:05"], []),
    (
        "resolved before it is breached, in one row",
        "1 New 0 t 7 01:05 3; 1 Closed 0 f 7 02:00 3",
        ["1:opened 01:00 medium", "1:resolved-1 02:00 medium", "1:sla-breached 02:00"],
        [],
    ),
    (
        "severity as of each row",
        "1 New 0 t 7 01:05 3; 1 New 0 t 7 01:06 1; 1 Resolved 0 t 7 02:00 1",
        ["1:opened 01:00 medium", "1:resolved-1 02:00 critical"],
        [],
    ),
    (
        "reopened before it was first seen",
        "1 Active 2 t 7 01:05 3; 1 Resolved 2 t 7 02:00 3",
        ["1:opened 01:00 medium", "1:resolved-1 02:00 medium"],
        [],
    ),
    (
        "other states say nothing",
        "1 -100 0 t 7 01:05 3; 1 Awaiting_Vendor 0 t 7 02:00 3",
        ["1:opened 01:00 medium"],
        [],
    ),
    (
        "never before its opening",
        "1 Resolved 0 t 7 00:30 3; 1 Active 1 t 7 00:45 3",
        ["1:opened 01:00 medium", "1:resolved-1 01:00 medium", "1:reopened-1 01:00 medium"],
        [],
    ),
    (
        "two incidents, in order of time",
        "1 Resolved 0 t 7 03:00 3; 2 Resolved 0 t 8 02:00 3",
        ["1:opened 01:00 medium", "2:opened 01:00 medium", "2:resolved-1 02:00 medium", "1:resolved-1 03:00 medium"],
        [],
    ),
    (
        "no caller in any row",
        "1 New 0 t ? 01:05 3; 1 Closed 0 t ? 02:00 3",
        [],
        [(2, "missing_account"), (3, "missing_account")],
    ),
    (
        "a row that cannot be read",
        "1 New 0 t 7 01:05 3; 1 Closed 0 t 7 25:00 3; 2 New 0 t 7 01:05 3",
        ["2:opened 01:00 medium"],
        [(2, "order_incomplete"), (3, "invalid_time")],
    ),
    ("a priority of its own", "1 New 0 t 7 01:05 9", [], [(2, "unknown_value")]),
    ("a truth of its own", "1 New 0 maybe 7 01:05 3", [], [(2, "unknown_value")]),
    ("a count that is none", "1 New -1 t 7 01:05 3", [], [(2, "invalid_number")]),
    ("no number", "? New 0 t 7 01:05 3", [], [(2, "missing_value")]),
]


@pytest.mark.parametrize(("why", "rows", "events", "rejects"), CASES, ids=[case[0] for case in CASES])
def test_what_becomes_of_incidents(
    tmp_path: Path, why: str, rows: str, events: list[str], rejects: list[tuple[int, str]]
) -> None:
    """The changes of an incident become events, or all of its rows are rejected."""
    imported = _import(tmp_path, rows)

    assert ([_brief(event) for event in imported.events], imported.rejects) == (events, rejects), why
    assert imported.refusals() == []


def test_the_caller_as_last_known_is_the_account(tmp_path: Path) -> None:
    """A corrected caller holds for the whole ticket, and a caller that is unknown later does not undo it."""
    rows = "1 New 0 t 7 01:05 3; 1 New 0 t 8 01:06 3; 1 Closed 0 t ? 02:00 3"

    assert {event["account_id"] for event in _import(tmp_path, rows).events} == {"8"}


def test_callers_become_customers(tmp_path: Path) -> None:
    """With a map the mapped account stands for the caller, times move, and other callers are rejected."""
    extras = Extras(accounts={"7": "K-7"}, shift=timedelta(days=366))

    imported = _import(tmp_path, "1 New 0 t 7 01:05 3; 2 New 0 t 8 01:06 3", extras)

    assert [(event["account_id"], event["occurred_at"]) for event in imported.events] == [
        ("K-7", "2017-03-01T01:00:00Z")
    ]
    assert imported.rejects == [(3, "account_not_mapped")]
    assert imported.summary.notes == [
        "times in source.csv have no offset and were read as UTC",
        "every time was moved by 366 days",
        "the join of callers to accounts is synthetic: it is no fact about them",
    ]


@pytest.mark.parametrize(("days", "reason"), [(-20_000, "refused_by_contract"), (-800_000, "invalid_time")])
def test_incidents_moved_out_of_time_are_rejected(tmp_path: Path, days: int, reason: str) -> None:
    """No event is dated before 1970, however far the times are moved."""
    imported = _import(tmp_path, "1 Closed 0 t 7 02:00 3", Extras(shift=timedelta(days=days)))

    assert (imported.events, imported.rejects) == ([], [(2, reason)])


def test_an_incident_is_accepted_as_a_whole(tmp_path: Path) -> None:
    """When only a later event would be refused (its id is too long), the earlier ones are not written either."""
    number = "9" * 180

    imported = _import(tmp_path, f"{number} New 0 f 7 02:00 3")

    assert (imported.events, imported.rejects) == ([], [(2, "refused_by_contract")])


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("caller,account_id\n7,K", "no column 'caller_id'"),
        ("caller_id,account_id\n7,K\n7,L", "line 3: caller '7' has two accounts"),
        ("caller_id,account_id\n7,", "line 2: an empty caller_id or account_id"),
        ("caller_id,account_id\n7", "line 2: 1 cells, but 2 columns"),
    ],
)
def test_a_wrong_map_of_callers_is_refused(tmp_path: Path, text: str, error: str) -> None:
    """One line says what is wrong with the map and where."""
    with pytest.raises(SourceError, match=error):
        read_accounts(write(tmp_path, text))
