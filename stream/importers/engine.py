"""Reads a table by a mapping: one event for each row, or for each order of several rows.

An order is an event with all of its rows, or all of its rows are rejected: an order with a line missing would
have a wrong amount. Rows of an order may lie anywhere in the file, so the orders (not the rows) are held in
memory until its end; where an order fails as a whole, the file is read once more for its rows.
"""

from decimal import Context, Decimal, localcontext
from typing import Any, Final, NamedTuple

from models.fields import MINOR_DIGITS
from stream.importers.cells import Cells, Value
from stream.importers.contract import fields_of
from stream.importers.errors import RejectReason, RowError
from stream.importers.mapping import Mapping
from stream.importers.outbox import Made, Outbox
from stream.importers.source import Progress, Table
from stream.importers.summary import Facts

# Products of two numbers of at most 40 digits, and their sums over 10^20 rows, are exact.
_EXACT: Final = Context(prec=100)
_ZERO: Final = Decimal(0)
_UNKNOWN_CURRENCY: Final = "?"
_MINOR_DIGITS_DEFAULT: Final = 2


class _Amounts(NamedTuple):
    """What a row adds to an order, and to the control totals even when it is rejected."""

    amount: Decimal | None
    cost: Decimal | None
    currency: str


class _Row(NamedTuple):
    """A row that can be read, apart from its amounts."""

    key: str
    occurred_at: Value
    product_lines: tuple[str, ...]
    fixed: tuple[Value, ...]
    """The values of the other fields, which all rows of an order must share."""


class _Order:
    """What the rows of one event add up to."""

    __slots__ = ("amount", "cost", "currency", "first", "line", "lines", "problem", "rows")

    def __init__(self, line: int) -> None:
        self.line = line
        self.first: _Row | None = None
        self.rows = 0
        self.amount = _ZERO
        self.cost: Decimal | None = _ZERO
        self.currency = _UNKNOWN_CURRENCY
        self.lines: dict[str, None] | None = None
        self.problem: RowError | None = None

    def add(self, row: _Row, amounts: _Amounts, names: tuple[str, ...]) -> None:
        """Take in one row; the first says when the order was and what it is."""
        if self.first is None:
            self.first = row
            self.currency = amounts.currency
        elif row.fixed != self.first.fixed and self.problem is None:
            pairs = zip(names, row.fixed, self.first.fixed, strict=True)
            differing = ", ".join(name for name, one, other in pairs if one != other)
            self.problem = RowError(RejectReason.SEVERAL_VALUES, f"the rows of this order differ in {differing}")
        self.rows += 1
        if amounts.amount is not None:
            self.amount += amounts.amount
        # A cost that is unknown for one line is unknown for the order.
        self.cost = None if self.cost is None or amounts.cost is None else self.cost + amounts.cost
        if row.product_lines:
            self.lines = self.lines or {}
            self.lines.update(dict.fromkeys(row.product_lines))


def import_mapped(
    table: Table,
    mapping: Mapping,
    outbox: Outbox,
    *,
    facts: Facts | None = None,
    progress: Progress | None = None,
) -> None:
    """Turn every row of a table into (a part of) an event, or a reject.

    Raises:
        SourceError: if the table lacks columns or cannot be read to its end.
    """
    with localcontext(_EXACT):
        _Import(table, mapping, outbox, facts).run(progress)


def amount_text(amount: Decimal, currency: str) -> str:
    """Write an amount exactly, with at least the currency's minor digits and no zeros beyond them.

    >>> amount_text(Decimal("22.0"), "GBP"), amount_text(Decimal("0.0010"), "GBP")
    ('22.00', '0.001')
    """
    digits = MINOR_DIGITS.get(currency, _MINOR_DIGITS_DEFAULT)
    if not amount:
        amount = amount.copy_abs()  # a refund of nothing would be written -0.00
    whole, _, fraction = format(amount, "f").partition(".")
    fraction = fraction.rstrip("0").ljust(digits, "0")
    return f"{whole}.{fraction}" if fraction else whole


class _Import:
    def __init__(self, table: Table, mapping: Mapping, outbox: Outbox, facts: Facts | None) -> None:
        self._table = table
        self._mapping = mapping
        self._outbox = outbox
        self._summary = outbox.summary
        self._facts = facts
        index = table.index_of(mapping.columns)
        cells = Cells(mapping, index)
        self._times = cells.times
        self._filter = (index[mapping.only.column], frozenset(mapping.only.values)) if mapping.only else None
        self._amount, self._cost = cells.decimal("amount"), cells.decimal("cost")
        self._currency = cells.reader("currency")
        self._occurred_at = cells.reader("occurred_at")
        self._product_lines = cells.reader("product_lines")
        self._key = cells.text(mapping.group_by) if mapping.group_by else None
        apart = ("amount", "cost", "occurred_at", "product_lines")
        self._required = fields_of(mapping.type)
        readers = ((name, cells.reader(name)) for name in self._required if name not in apart)
        self._fixed = [(name, reader) for name, reader in readers if reader is not None]
        self._names = tuple(name for name, _ in self._fixed)
        self._orders: dict[str, _Order] = {}

    def run(self, progress: Progress | None) -> None:
        for line, cells in self._table.rows(progress):
            if not self._is_wanted(cells):
                self._summary.rows_skipped += 1
                continue
            self._summary.rows += 1
            try:
                amounts = self._read_amounts(line, cells)
            except RowError as error:
                self._reject_row(line, cells, error, None)
                continue
            self._count_read(cells, amounts)
            try:
                self._take(line, self._read(line, cells, amounts), amounts)
            except RowError as error:
                self._reject_row(line, cells, error, amounts)
        self._finish_orders()
        if self._facts is not None:
            self._summary.facts += self._facts.report()
        if self._times.naive_seen:
            self._summary.notes.append(
                f"times in {self._table.path.name} without an offset were read as {self._mapping.time.zone}"
            )

    def _is_wanted(self, cells: list[str]) -> bool:
        if self._filter is None:
            return True
        index, wanted = self._filter
        # A row too short to say is not skipped but rejected, where one sees it.
        return index >= len(cells) or cells[index].strip() in wanted

    def _read_amounts(self, line: int, cells: list[str]) -> _Amounts:
        self._table.check_width(cells)
        amount = self._amount(cells, line) if self._amount else None
        cost = self._cost(cells, line) if self._cost else None
        currency = self._currency(cells, line) if self._currency else None
        return _Amounts(amount, cost, str(currency) if currency else _UNKNOWN_CURRENCY)

    def _count_read(self, cells: list[str], amounts: _Amounts) -> None:
        if self._facts is not None:
            self._facts.row(cells)
        if self._amount is not None:
            money = self._summary.money_of(amounts.currency)
            money.amount.read += amounts.amount or _ZERO
            money.cost.read += amounts.cost or _ZERO

    def _read(self, line: int, cells: list[str], amounts: _Amounts) -> _Row:
        key = self._key_of(line, cells)
        fixed = tuple([reader(cells, line) for _, reader in self._fixed])
        if None in fixed:
            self._require(dict(zip(self._names, fixed, strict=True)))
        occurred_at = self._occurred_at(cells, line) if self._occurred_at else None
        if occurred_at is None:
            raise RowError(RejectReason.MISSING_VALUE, "occurred_at is empty")
        if self._amount is not None and amounts.amount is None:
            raise RowError(RejectReason.MISSING_VALUE, "amount is empty")
        lines = self._product_lines(cells, line) if self._product_lines else None
        return _Row(key, occurred_at, lines if isinstance(lines, tuple) else (), fixed)

    def _require(self, values: dict[str, Value]) -> None:
        for name, value in values.items():
            if value is None and self._required[name]:
                reason = RejectReason.MISSING_ACCOUNT if name == "account_id" else RejectReason.MISSING_VALUE
                raise RowError(reason, f"{name} is empty")

    def _key_of(self, line: int, cells: list[str]) -> str:
        if self._key is None:
            return str(line)
        key = self._key(cells, line)
        if key is None:
            raise RowError(RejectReason.MISSING_VALUE, f"{self._mapping.group_by} is empty")
        return key

    def _take(self, line: int, row: _Row, amounts: _Amounts) -> None:
        if self._key is None:
            order = _Order(line)
            order.add(row, amounts, self._names)
            self._emit(row.key, order)
            return
        found = self._orders.get(row.key)
        if found is None:
            found = self._orders[row.key] = _Order(line)
        found.add(row, amounts, self._names)

    def _reject_row(self, line: int, cells: list[str], error: RowError, amounts: _Amounts | None) -> None:
        """Reject a row, and with it the order it belongs to, as far as it says which."""
        self._outbox.reject(self._table, line, cells, error)
        if amounts is not None:
            self._count_rejected(amounts)
        if self._key is None:
            return
        try:
            key = self._key_of(line, cells)
        except (RowError, IndexError):
            return
        order = self._orders.setdefault(key, _Order(line))
        if order.problem is None:
            order.problem = RowError(RejectReason.ORDER_INCOMPLETE, f"line {line} of the same order was rejected")

    def _count_rejected(self, amounts: _Amounts) -> None:
        if self._amount is not None:
            money = self._summary.money_of(amounts.currency)
            money.amount.rejected += amounts.amount or _ZERO
            money.cost.rejected += amounts.cost or _ZERO

    def _finish_orders(self) -> None:
        failed: dict[str, RowError] = {}
        for key, order in self._orders.items():
            try:
                if order.problem is not None:
                    raise order.problem
                self._emit(key, order)
            except RowError as error:
                self._summary.groups_rejected += 1
                if order.rows:
                    failed[key] = error
        self._summary.groups = len(self._orders)
        self._orders = {}
        if failed:
            self._reject_rows_of(failed)

    def _reject_rows_of(self, failed: dict[str, RowError]) -> None:
        """Read the table again for the rows of orders that failed as a whole."""
        for line, cells in self._table.rows():
            if not self._is_wanted(cells):
                continue
            try:
                amounts = self._read_amounts(line, cells)
                key = self._read(line, cells, amounts).key
            except RowError:
                continue  # rejected for itself when it was first read
            if key in failed:
                self._outbox.reject(self._table, line, cells, failed[key])
                self._count_rejected(amounts)

    def _emit(self, key: str, order: _Order) -> None:
        """Write the event of an order, or of a row."""
        assert order.first is not None
        type_ = self._mapping.type
        sign = 1
        if self._is_refund(key, order):
            type_, sign = "order.refunded", -1
        event = self._event(key, order, type_, sign)
        self._outbox.accept(Made(event, order.line))
        if self._amount is None:
            return
        money = self._summary.money_of(order.currency)
        money.amount.accept(type_, order.amount * sign)
        if order.cost is not None:
            money.cost.accept(type_, order.cost * sign)
        if self._facts is not None:
            self._facts.order(event["account_id"], order.amount, order.cost)

    def _is_refund(self, key: str, order: _Order) -> bool:
        assert order.first is not None
        values = dict(zip(self._names, order.first.fixed, strict=True))
        number = str(values.get("order_id", key))
        refuse, refund = self._mapping.refuse, self._mapping.refund
        if refuse is not None and number.startswith(refuse.order_id_prefix):
            raise RowError(RejectReason.NOT_AN_ORDER, f"its number begins with {refuse.order_id_prefix}")
        if refund.order_id_prefix is not None and number.startswith(refund.order_id_prefix):
            if order.amount >= 0:
                raise RowError(
                    RejectReason.REFUND_NOT_NEGATIVE,
                    f"its number begins with {refund.order_id_prefix}, but its lines sum to {order.amount}",
                )
            return True
        return refund.negative_amount and order.amount < 0

    def _event(self, key: str, order: _Order, type_: str, sign: int) -> dict[str, Any]:
        assert order.first is not None
        values: dict[str, Value] = dict(zip(self._names, order.first.fixed, strict=True))
        values["event_id"] = values.get("event_id") or f"{self._mapping.name}:{key}"
        values["occurred_at"] = order.first.occurred_at
        if self._amount is not None:
            values["amount"] = amount_text(order.amount * sign, order.currency)
        if self._cost is not None and order.cost is not None:
            values["cost"] = amount_text(order.cost * sign, order.currency)
        if order.lines:
            values["product_lines"] = tuple(order.lines)
        if sign < 0:
            # The refund has a number of its own; it does not say which order the money came from.
            values = {name: one for name, one in values.items() if name not in ("order_id", "product_lines")}
        event: dict[str, Any] = {"event_id": values.pop("event_id"), "type": type_}
        for name in self._required:
            if (value := values.get(name)) is None:
                continue
            outer, _, inner = name.partition(".")
            if isinstance(value, Decimal):
                value = format(value, "f")
            if inner:
                event.setdefault(outer, {})[inner] = value
            else:
                event[outer] = value
        return event
