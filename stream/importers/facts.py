"""Counts about the public data sets, as their descriptions publish them."""

from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Final, final

from stream.importers.summary import Facts

FactsMaker = Callable[[Sequence[str]], Facts]
"""Makes the counters for a table with these columns."""
_ZERO: Final = Decimal(0)


class _Duplicates:
    """Counts rows equal to an earlier one, by hash: 8 bytes a row instead of the row."""

    def __init__(self) -> None:
        self._seen: set[int] = set()
        self.count = 0

    def see(self, cells: Sequence[str]) -> None:
        before = len(self._seen)
        self._seen.add(hash(tuple(cells)))
        self.count += len(self._seen) == before


@final
class OnlineRetailFacts:
    """What is known about the rows of the Online Retail set."""

    def __init__(self, columns: Sequence[str]) -> None:
        self._invoice = columns.index("InvoiceNo")
        self._quantity = columns.index("Quantity")
        self._price = columns.index("UnitPrice")
        self._customer = columns.index("CustomerID")
        self._duplicates = _Duplicates()
        self._cancellations: set[str] = set()
        self._cancellation_rows = 0
        self._negative_quantity = 0
        self._free = 0
        self._negative_price = 0
        self._clean_rows = 0
        self._clean_customers: set[str] = set()
        self._clean_invoices: set[str] = set()
        self._clean_sum = _ZERO

    def row(self, cells: Sequence[str], /) -> None:
        """Take in a row."""
        self._duplicates.see(cells)
        invoice, customer = cells[self._invoice], cells[self._customer]
        quantity, price = cells[self._quantity], cells[self._price]
        cancelled = invoice.startswith("C")
        if cancelled:
            self._cancellation_rows += 1
            self._cancellations.add(invoice)
        returned, charged_back = quantity.startswith("-"), price.startswith("-")
        self._negative_quantity += returned
        self._negative_price += charged_back
        free = not price.strip("0.-")
        self._free += free
        if customer and not (cancelled or returned or charged_back or free) and quantity.strip("0."):
            self._clean_rows += 1
            self._clean_customers.add(customer)
            self._clean_invoices.add(invoice)
            self._clean_sum += Decimal(quantity) * Decimal(price)

    def order(self, account_id: str, amount: Decimal, cost: Decimal | None, /) -> None:
        """Nothing is published about whole orders."""

    def report(self) -> list[tuple[str, int | Decimal]]:
        """Return the counts."""
        return [
            ("rows of cancellations", self._cancellation_rows),
            ("invoices that are cancellations", len(self._cancellations)),
            ("rows with a negative quantity", self._negative_quantity),
            ("rows at price 0", self._free),
            ("rows with a negative price", self._negative_price),
            ("rows equal to an earlier row", self._duplicates.count),
            ("clean sales: rows", self._clean_rows),
            ("clean sales: invoices", len(self._clean_invoices)),
            ("clean sales: customers", len(self._clean_customers)),
            ("clean sales: amount", self._clean_sum),
        ]


@final
class CdnowFacts:
    """What is known about the CDNOW orders."""

    def __init__(self, columns: Sequence[str]) -> None:
        self._customer, self._date = columns.index("customer_id"), columns.index("date")
        self._duplicates = _Duplicates()
        self._customer_days: set[tuple[str, str]] = set()
        self._free = 0

    def row(self, cells: Sequence[str], /) -> None:
        """Take in a row."""
        self._duplicates.see(cells)
        self._customer_days.add((cells[self._customer], cells[self._date]))

    def order(self, _account_id: str, amount: Decimal, _cost: Decimal | None, /) -> None:
        """Take in an order."""
        self._free += not amount

    def report(self) -> list[tuple[str, int | Decimal]]:
        """Return the counts."""
        return [
            ("orders of 0", self._free),
            ("rows equal to an earlier row", self._duplicates.count),
            ("days of customers with an order", len(self._customer_days)),
        ]


@final
class ResellerFacts:
    """What is known about the profit of the AdventureWorks resellers."""

    def __init__(self, columns: Sequence[str]) -> None:
        del columns
        self._orders_at_a_loss = 0
        self._profits: dict[str, Decimal] = {}

    def row(self, cells: Sequence[str], /) -> None:
        """Nothing is published about rows."""

    def order(self, account_id: str, amount: Decimal, cost: Decimal | None, /) -> None:
        """Take in an order."""
        profit = amount - (cost or _ZERO)
        self._orders_at_a_loss += profit < 0
        self._profits[account_id] = self._profits.get(account_id, _ZERO) + profit

    def report(self) -> list[tuple[str, int | Decimal]]:
        """Return the counts."""
        accounts_at_a_loss = sum(profit < 0 for profit in self._profits.values())
        return [
            ("orders at a loss", self._orders_at_a_loss),
            ("accounts at a loss over their lifetime", accounts_at_a_loss),
        ]
