"""Follows IT incidents through their states: tickets opened, resolved, reopened, and deadlines missed.

Not a mapping: an event is a change between two rows of an incident, not a row. The caller stands for the account,
as last known in the file: the service desk corrects callers, and a ticket's events must share an account.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from pathlib import Path
from typing import Any, Final, NamedTuple

from models.events import Severity
from models.fields import EPOCH
from stream.importers.cells import in_utc
from stream.importers.errors import RejectReason, RowError, SourceError
from stream.importers.outbox import Made, Outbox
from stream.importers.source import Dialect, Progress, Table

NAME: Final = "incidents"
"""First part of each event id."""
COLUMNS: Final = (
    "number",
    "incident_state",
    "reopen_count",
    "made_sla",
    "caller_id",
    "opened_at",
    "sys_updated_at",
    "priority",
)
_MISSING: Final = "?"
_TIME_FORMAT: Final = "%d/%m/%Y %H:%M"
_CACHED_TIMES_MAX: Final = 65_536
_SEVERITY_OF_PRIORITY: Final = {
    "1": Severity.CRITICAL,
    "2": Severity.HIGH,
    "3": Severity.MEDIUM,
    "4": Severity.LOW,
}
# An incident may be closed without a row that says it was resolved; left open, it would weigh on its account for ever.
_DONE_STATES: Final = frozenset({"Resolved", "Closed"})
_SLA: Final = {"true": True, "false": False}


class _Row(NamedTuple):
    """One status row, read."""

    number: str
    state: str
    reopen_count: int
    sla_met: bool
    caller: str | None
    opened_at: datetime
    updated_at: datetime
    priority: str


class _Change(NamedTuple):
    """What becomes an event once the incident's caller is known."""

    line: int
    occurred_at: datetime
    type: str
    id_suffix: str
    severity: Severity | None


@dataclass(slots=True)
class _Incident:
    """What the rows of an incident said so far."""

    line: int
    caller: str | None = None
    done: bool = False
    breached: bool = False
    sla_met: bool = True
    priority: str = ""
    reopen_count: int = 0
    resolutions: int = 0
    rows: int = 0
    last_at: datetime = EPOCH
    changes: list[_Change] = field(default_factory=list)
    problem: RowError | None = None

    def see(self, row: _Row, line: int) -> None:
        """Take in the next row."""
        severity = _SEVERITY_OF_PRIORITY[row.priority]
        if self.rows == 0:
            self.reopen_count = row.reopen_count
            self._note(line, row.opened_at, "ticket.opened", "opened", severity)
        if row.reopen_count > self.reopen_count:
            suffix = f"reopened-{row.reopen_count}"
            self._note(line, row.updated_at, "ticket.reopened", suffix, severity)
            self.done = False
        if row.state in _DONE_STATES and not self.done:
            self.resolutions += 1
            suffix = f"resolved-{self.resolutions}"
            self._note(line, row.updated_at, "ticket.resolved", suffix, severity)
            self.done = True
        if not (row.sla_met or self.breached):
            self._note(line, row.updated_at, "sla.breached", "sla-breached", None)
            self.breached = True
        self.sla_met = row.sla_met
        self.reopen_count = max(self.reopen_count, row.reopen_count)
        self.caller = row.caller or self.caller
        self.priority = row.priority
        self.rows += 1

    def _note(self, line: int, at: datetime, type_: str, id_suffix: str, severity: Severity | None) -> None:
        # Some first rows are stamped before the opening: a ticket's events keep the order of its rows.
        self.last_at = max(self.last_at, at) if self.changes else at
        self.changes.append(_Change(line, self.last_at, type_, id_suffix, severity))


def import_incidents(
    path: Path,
    outbox: Outbox,
    *,
    accounts: Mapping[str, str] | None = None,
    shift: timedelta = timedelta(),
    progress: Progress | None = None,
) -> None:
    """Turn the status rows of incidents into support events.

    With `accounts`, callers become those accounts, and an incident whose caller is not among them is rejected; `shift`
    moves every time, so that the incidents fall into the days of another data set.

    Raises:
        SourceError: if the file lacks columns or cannot be read to its end.
    """
    table = Table(path, Dialect())
    importer = _Incidents(table, outbox, accounts, shift)
    importer.run(progress)
    outbox.summary.notes.append(f"times in {path.name} have no offset and were read as UTC")
    if shift:
        outbox.summary.notes.append(f"every time was moved by {shift.days} days")
    if accounts is not None:
        outbox.summary.notes.append("the join of callers to accounts is synthetic: it is no fact about them")


def read_accounts(path: Path) -> dict[str, str]:
    """Read a table of `caller_id` and `account_id`.

    Raises:
        SourceError: if it lacks a column, a cell is empty, or a caller has two accounts.
    """
    table = Table(path, Dialect())
    index = table.index_of(("caller_id", "account_id"))
    found: dict[str, str] = {}
    for line, cells in table.rows():
        try:
            table.check_width(cells)
        except RowError as error:
            raise SourceError(f"{path}: line {line}: {error.detail}") from error
        caller, account = cells[index["caller_id"]].strip(), cells[index["account_id"]].strip()
        if not caller or not account:
            raise SourceError(f"{path}: line {line}: an empty caller_id or account_id")
        if found.setdefault(caller, account) != account:
            raise SourceError(f"{path}: line {line}: caller {caller!r} has two accounts")
    return found


class _Incidents:
    def __init__(self, table: Table, outbox: Outbox, accounts: Mapping[str, str] | None, shift: timedelta) -> None:
        self._table = table
        self._outbox = outbox
        self._accounts = accounts
        self._shift = shift
        self._index = table.index_of(COLUMNS)
        self._incidents: dict[str, _Incident] = {}
        self._callers: set[str] = set()

    def run(self, progress: Progress | None) -> None:
        summary = self._outbox.summary
        for line, cells in self._table.rows(progress):
            summary.rows += 1
            try:
                row = self._read(cells)
            except RowError as error:
                self._spoil(line, cells, error)
                continue
            self._callers.add(cells[self._index["caller_id"]])
            incident = self._incidents.get(row.number)
            if incident is None:
                incident = self._incidents[row.number] = _Incident(line)
            incident.see(row, line)
        self._report()
        self._emit_all()

    def _read(self, cells: list[str]) -> _Row:
        self._table.check_width(cells)
        number, state, reopened, sla, caller, opened_at, updated_at, priority = (
            cells[self._index[name]].strip() for name in COLUMNS
        )
        if number in ("", _MISSING):
            raise RowError(RejectReason.MISSING_VALUE, "number is empty")
        if not (reopened.isascii() and reopened.isdigit()):
            raise RowError(RejectReason.INVALID_NUMBER, "reopen_count is not a whole number")
        if sla not in _SLA or priority not in _SEVERITY_OF_PRIORITY:
            raise RowError(RejectReason.UNKNOWN_VALUE, "made_sla is not true or false, or priority not 1 to 4")
        return _Row(
            number,
            state,
            int(reopened),
            _SLA[sla],
            None if caller in ("", _MISSING) else caller,
            _time(opened_at),
            _time(updated_at),
            priority,
        )

    def _spoil(self, line: int, cells: list[str], error: RowError) -> None:
        """Reject a row and the incident it belongs to, as far as it says which."""
        self._outbox.reject(self._table, line, cells, error)
        index = self._index["number"]
        if index >= len(cells) or cells[index].strip() in ("", _MISSING):
            return
        incident = self._incidents.setdefault(cells[index].strip(), _Incident(line))
        incident.problem = incident.problem or RowError(
            RejectReason.ORDER_INCOMPLETE, f"line {line} of the same incident was rejected"
        )

    def _report(self) -> None:
        """Count the incidents by their last state, whether they become events or not."""
        seen = [one for one in self._incidents.values() if one.rows]
        priorities = Counter(one.priority for one in seen)
        met = sum(one.sla_met for one in seen)
        self._outbox.summary.facts += [
            ("callers (one may be ?, unknown)", len(self._callers)),
            ("incidents whose deadline was met", met),
            ("incidents whose deadline was missed", len(seen) - met),
            *((f"incidents last of priority {one}", priorities[one]) for one in _SEVERITY_OF_PRIORITY),
        ]

    def _emit_all(self) -> None:
        summary = self._outbox.summary
        failed: dict[str, RowError] = {}
        for number, incident in self._incidents.items():
            try:
                self._emit(number, incident)
            except RowError as error:
                failed[number] = error
        summary.groups_name = "incidents"
        summary.groups = len(self._incidents)
        summary.groups_rejected = len(failed)
        if failed:
            self._reject_rows_of(failed)

    def _emit(self, number: str, incident: _Incident) -> None:
        if incident.problem is not None:
            raise incident.problem
        account_id = self._account_of(incident.caller)
        self._outbox.accept(
            *(
                Made(self._event(number, account_id, change), change.line, order)
                for order, change in enumerate(incident.changes)
            )
        )

    def _account_of(self, caller: str | None) -> str:
        if caller is None:
            raise RowError(RejectReason.MISSING_ACCOUNT, "no row of the incident names its caller")
        if self._accounts is None:
            return caller
        account_id = self._accounts.get(caller)
        if account_id is None:
            raise RowError(RejectReason.ACCOUNT_NOT_MAPPED, "the caller has no account in the file given")
        return account_id

    def _event(self, number: str, account_id: str, change: _Change) -> dict[str, Any]:
        event: dict[str, Any] = {
            "event_id": f"{NAME}:{number}:{change.id_suffix}",
            "type": change.type,
            "account_id": account_id,
            "occurred_at": in_utc(_moved(change.occurred_at, self._shift)),
            "ticket_id": number,
        }
        if change.severity is not None:
            event["severity"] = change.severity
        return event

    def _reject_rows_of(self, failed: Mapping[str, RowError]) -> None:
        """Read the table again for the rows of incidents that failed as a whole."""
        for line, cells in self._table.rows():
            try:
                number = self._read(cells).number
            except RowError:
                continue  # rejected for itself when it was first read
            if number in failed:
                self._outbox.reject(self._table, line, cells, failed[number])


@lru_cache(_CACHED_TIMES_MAX)
def _time(text: str) -> datetime:
    try:
        return datetime.strptime(text, _TIME_FORMAT).replace(tzinfo=UTC)
    except ValueError as error:
        raise RowError(RejectReason.INVALID_TIME, "not a time as D/M/YYYY H:MM") from error


def _moved(moment: datetime, shift: timedelta) -> datetime:
    try:
        return moment + shift
    except OverflowError as error:
        raise RowError(RejectReason.INVALID_TIME, "moved before year 1 or after 9999") from error
