"""What an import counted."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Protocol

from stream.importers.errors import RejectReason


class Facts(Protocol):
    """Counts about a known data set, which make its published control totals checkable."""

    def row(self, cells: Sequence[str], /) -> None:
        """Take in a row whose numbers could be read."""

    def order(self, account_id: str, amount: Decimal, cost: Decimal | None, /) -> None:
        """Take in an accepted event with an amount; a refund's amount and cost are negative."""

    def report(self) -> list[tuple[str, int | Decimal]]:
        """Return what was counted, with a label for each."""


@dataclass(slots=True)
class Totals:
    """Sums of one kind of money in one currency, in major units, exact."""

    read: Decimal = Decimal(0)
    """Over all rows whose numbers could be read, as signed in the source."""
    accepted: dict[str, Decimal] = field(default_factory=dict)
    """Over the events, by type; a refund's amount counts as positive, as in the event."""
    rejected: Decimal = Decimal(0)
    """Over the rejected rows whose numbers could be read, as signed in the source."""

    def accept(self, type_: str, value: Decimal) -> None:
        """Add the amount of an event."""
        self.accepted[type_] = self.accepted.get(type_, Decimal(0)) + value


@dataclass(slots=True)
class Money:
    """The amounts and costs of one currency."""

    amount: Totals = field(default_factory=Totals)
    cost: Totals = field(default_factory=Totals)


@dataclass(slots=True)
class Summary:
    """Counts and control totals of one import."""

    rows: int = 0
    """Rows read, without the header."""
    rows_skipped: int = 0
    """Rows that the mapping's `only` leaves out."""
    groups: int = 0
    """Orders or incidents that the rows belong to; 0 where each row is one event."""
    groups_name: str = "orders"
    groups_rejected: int = 0
    rejected: Counter[RejectReason] = field(default_factory=Counter)
    """Rows rejected, by reason."""
    events: Counter[str] = field(default_factory=Counter)
    """Events written, by type."""
    first_ms_by_account: dict[str, int] = field(default_factory=dict)
    """Accounts that have an event, and the time of their first."""
    money: dict[str, Money] = field(default_factory=dict)
    """By currency; `?` where a rejected row named none."""
    first_ms: int | None = None
    last_ms: int | None = None
    facts: list[tuple[str, int | Decimal]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def money_of(self, currency: str) -> Money:
        """Return the sums of a currency, to be added to."""
        return self.money.setdefault(currency, Money())

    def saw(self, type_: str, account_id: str, occurred_ms: int) -> None:
        """Count an event."""
        self.events[type_] += 1
        known_ms = self.first_ms_by_account.get(account_id, occurred_ms)
        self.first_ms_by_account[account_id] = min(known_ms, occurred_ms)
        if self.first_ms is None or occurred_ms < self.first_ms:
            self.first_ms = occurred_ms
        if self.last_ms is None or occurred_ms > self.last_ms:
            self.last_ms = occurred_ms
