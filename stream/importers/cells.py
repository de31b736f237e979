"""From cells to values: numbers, times and translated text, as a mapping says."""

import re
from collections.abc import Callable
from collections.abc import Mapping as Columns
from datetime import UTC, datetime
from decimal import Decimal
from functools import lru_cache
from typing import Final, TypeVar
from zoneinfo import ZoneInfo

from stream.importers.contract import FieldKind, kind_of
from stream.importers.errors import RejectReason, RowError
from stream.importers.mapping import ISO_FORMAT, FieldSource, FileFormat, Mapping, TimeReading

Value = str | int | Decimal | tuple[str, ...] | None
Reader = Callable[[list[str], int], Value]
"""Reads the value of one field from a row's cells and line number; None where the cell is empty."""
TextReader = Callable[[list[str], int], str | None]
DecimalReader = Callable[[list[str], int], Decimal | None]
_T = TypeVar("_T")

# Far more than money needs; bounds the digits of a product, so that the engine's sums stay exact.
_DIGITS_MAX: Final = 20
_CACHED_CELLS_MAX: Final = 65_536
_WHOLE: Final = re.compile(r"([+-]?\d+)\.0+", re.ASCII)
_INTEGER: Final = re.compile(r"[+-]?\d{1,18}", re.ASCII)


class Numbers:
    """Reads decimal numbers as a file writes them."""

    def __init__(self, file: FileFormat) -> None:
        point, thousands = re.escape(file.decimal_separator), re.escape(file.thousands_separator)
        # Groups of exactly three, or none: "1.234" must not become 1234 where the point is a decimal one.
        grouped = rf"\d{{1,3}}(?:{thousands}\d{{3}})+|" if thousands else ""
        self._pattern = re.compile(
            rf"[+-]?(?:{grouped}\d{{1,{_DIGITS_MAX}}})?(?:{point}\d{{1,{_DIGITS_MAX}}})?", re.ASCII
        )
        self._separators = file.decimal_separator, file.thousands_separator
        self.parse: Callable[[str], Decimal] = lru_cache(_CACHED_CELLS_MAX)(self._parse)

    def _parse(self, cell: str) -> Decimal:
        point, thousands = self._separators
        if not self._pattern.fullmatch(cell) or not cell.strip("+-"):
            raise RowError(RejectReason.INVALID_NUMBER, "not a number as the mapping describes it")
        if thousands:
            cell = cell.replace(thousands, "")
        number = Decimal(cell.replace(point, "."))
        if len(number.as_tuple().digits) > 2 * _DIGITS_MAX:
            raise RowError(RejectReason.INVALID_NUMBER, "a number with too many digits")
        return number


class Times:
    """Reads times and dates; those without an offset stand in the mapping's zone."""

    def __init__(self, reading: TimeReading) -> None:
        self._reading = reading
        self._zone = UTC if reading.zone == "UTC" else ZoneInfo(reading.zone)
        self.naive_seen = False
        """Whether a time without an offset was read."""
        self.parse: Callable[[str], str] = lru_cache(_CACHED_CELLS_MAX)(self._parse)
        self.parse_date: Callable[[str], str] = lru_cache(_CACHED_CELLS_MAX)(self._parse_date)

    def _parse(self, cell: str) -> str:
        moment = _first_match(cell, self._reading.formats)
        if moment.tzinfo is None:
            self.naive_seen = True
            moment = moment.replace(tzinfo=self._zone)
        return in_utc(moment)

    def _parse_date(self, cell: str) -> str:
        return _first_match(cell, self._reading.date_formats).date().isoformat()


def in_utc(moment: datetime) -> str:
    """Write an aware time as events have it.

    >>> in_utc(datetime(2010, 12, 1, 8, 26, tzinfo=UTC))
    '2010-12-01T08:26:00Z'
    """
    try:
        return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")
    except OverflowError as error:
        raise RowError(RejectReason.INVALID_TIME, "a time before year 1 or after 9999") from error


def _first_match(cell: str, formats: tuple[str, ...]) -> datetime:
    for one in formats:
        try:
            if one == ISO_FORMAT:
                return datetime.fromisoformat(cell)
            return datetime.strptime(cell, one)  # noqa: DTZ007  # the caller gives it a zone
        except ValueError:
            continue
    raise RowError(RejectReason.INVALID_TIME, f"not a time in the format {' or '.join(formats)}")


class Cells:
    """Makes the readers of a mapping's fields for a table with the given columns."""

    def __init__(self, mapping: Mapping, columns: Columns[str, int]) -> None:
        self._mapping = mapping
        self._columns = columns
        self._missing = frozenset(mapping.file.missing) | {""}
        self._numbers = Numbers(mapping.file)
        self.times = Times(mapping.time)

    def reader(self, name: str) -> Reader | None:
        """Return the reader of a field; None if the mapping does not fill it."""
        source = self._mapping.fields.get(name)
        if source is None:
            return None
        if source.constant is not None:
            return _constant(name, source.constant)
        kind = kind_of(name)
        if kind is FieldKind.DECIMAL:
            return self.decimal(name)
        text = self.text(name)
        match kind:
            case FieldKind.TEXT:
                return text
            case FieldKind.LIST:
                return lambda cells, line: None if (one := text(cells, line)) is None else (one,)
            case FieldKind.INTEGER:
                return _parsed(name, text, _integer)
            case FieldKind.TIME:
                return _parsed(name, text, self.times.parse)
            case FieldKind.DATE:
                return _parsed(name, text, self.times.parse_date)

    def decimal(self, name: str) -> DecimalReader | None:
        """Return the reader of an amount or cost; None if the mapping does not fill it."""
        source = self._mapping.fields.get(name)
        if source is None:
            return None
        if source.constant is not None:
            fixed = Decimal(str(source.constant))
            return lambda _cells, _line: fixed
        first = _parsed(name, self._cell(str(source.column)), self._numbers.parse)
        if source.times is None:
            return first
        second = _parsed(name, self._cell(source.times), self._numbers.parse)

        def product(cells: list[str], line: int) -> Decimal | None:
            one, other = first(cells, line), second(cells, line)
            return None if one is None or other is None else one * other

        return product

    def text(self, name: str) -> TextReader:
        """Return the reader of a field's text, with what the mapping does to it."""
        source = self._mapping.fields[name]
        if source.line:
            return lambda _cells, line: str(line)
        cell = self._cell(str(source.column))
        if not (source.whole_number or source.floor_divide_by or source.values is not None):
            return cell
        change: Callable[[str], str] = lru_cache(_CACHED_CELLS_MAX)(lambda one: _changed(one, source))
        return _parsed(name, cell, change)

    def _cell(self, column: str) -> TextReader:
        index, missing = self._columns[column], self._missing

        def read(cells: list[str], _line: int) -> str | None:
            text = cells[index].strip()
            return None if text in missing else text

        return read


def _changed(text: str, source: FieldSource) -> str:
    if source.whole_number and (match := _WHOLE.fullmatch(text)):
        text = match[1]
    if source.floor_divide_by:
        text = str(_integer(text) // source.floor_divide_by)
    if source.values is not None:
        if text not in source.values:
            raise RowError(RejectReason.UNKNOWN_VALUE, "the mapping has no translation of this value")
        text = source.values[text]
    return text


def _integer(text: str) -> int:
    if not _INTEGER.fullmatch(text):
        raise RowError(RejectReason.INVALID_NUMBER, "not a whole number")
    return int(text)


def _constant(name: str, constant: str | int) -> Reader:
    match kind_of(name):
        case FieldKind.DECIMAL:
            value: Value = Decimal(str(constant))
        case FieldKind.LIST:
            value = (str(constant),)
        case _:
            value = constant
    return lambda _cells, _line: value


def _parsed(name: str, text: TextReader, parse: Callable[[str], _T]) -> Callable[[list[str], int], _T | None]:
    def read(cells: list[str], line: int) -> _T | None:
        cell = text(cells, line)
        if cell is None:
            return None
        try:
            return parse(cell)
        except RowError as error:
            raise error.about(name) from error

    return read
