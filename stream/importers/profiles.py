"""Profiles of the AdventureWorks resellers, from the file of their names."""

from datetime import datetime
from pathlib import Path
from typing import Any, Final

from stream.importers.cells import in_utc
from stream.importers.errors import RejectReason, RowError
from stream.importers.outbox import Made, Outbox
from stream.importers.source import Dialect, Table

_ID_PREFIX: Final = "adventureworks-resellers:profile"
_KEY: Final = "ResellerKey"
_COLUMN_OF_FIELD: Final = {
    "name": "Reseller",
    "segment": "Business Type",
    "region": "Country-Region",
}
_MISSING: Final = frozenset({"", "[Not Applicable]"})


def import_profiles(path: Path, outbox: Outbox, first_orders: dict[str, datetime]) -> None:
    """Write a `profile.updated` for each reseller, at the time of its first order.

    A reseller that never ordered gets its profile at the first order of all: it is a prospect from the start.

    Raises:
        SourceError: if the file lacks columns or cannot be read to its end.
    """
    table = Table(path, Dialect())
    index = table.index_of((_KEY, *_COLUMN_OF_FIELD.values()))
    start = min(first_orders.values(), default=None)
    for line, cells in table.rows():
        outbox.summary.rows += 1
        try:
            values = _values(table, index, cells)
            occurred_at = first_orders.get(values["account_id"], start)
            outbox.accept(Made(_event(values, occurred_at), line))
        except RowError as error:
            outbox.reject(table, line, cells, error)


def _values(table: Table, index: dict[str, int], cells: list[str]) -> dict[str, str]:
    table.check_width(cells)
    columns = {"account_id": _KEY, **_COLUMN_OF_FIELD}
    texts = {name: cells[index[column]].strip() for name, column in columns.items()}
    values = {name: text for name, text in texts.items() if text not in _MISSING}
    if "account_id" not in values or "name" not in values:
        raise RowError(RejectReason.MISSING_ACCOUNT, "the row names no reseller")
    return values


def _event(values: dict[str, str], occurred_at: datetime | None) -> dict[str, Any]:
    if occurred_at is None:
        raise RowError(RejectReason.MISSING_VALUE, "there is no order that could date the profile")
    account_id = values["account_id"]
    return {
        "event_id": f"{_ID_PREFIX}-{account_id}",
        "type": "profile.updated",
        "account_id": account_id,
        "occurred_at": in_utc(occurred_at),
        "profile_version": 1,
    } | {name: values[name] for name in _COLUMN_OF_FIELD if name in values}
