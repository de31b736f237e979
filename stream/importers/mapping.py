"""A mapping: the TOML file that says how the rows of a table become events.

Checked as a whole: what is wrong in it is listed in one go, with the place of each error.
"""

import codecs
import tomllib
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Final, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StrictInt,
    StrictStr,
    ValidationError,
    model_validator,
)

from stream.importers.contract import TYPES, FieldKind, checker_of, fields_of, kind_of
from stream.importers.errors import MappingError
from stream.importers.source import WHITESPACE, Dialect

ISO_FORMAT: Final = "iso"
"""The time format of ISO 8601 text: 2010-12-01 08:26:00, 2010-12-01T08:26:00+01:00, 2010-12-01."""
# A day, month, hour and minute that no format can confuse with one another.
_PROBE: Final = datetime(2001, 11, 25, 21, 43, tzinfo=UTC)
_SOURCE_KEYS: Final = frozenset({"column", "constant", "line"})


def _is_encoding(value: str) -> str:
    try:
        codecs.lookup(value)
    except LookupError as error:
        raise ValueError(f"{value!r} is not a text encoding") from error
    return value


def _is_delimiter(value: str) -> str:
    if value != WHITESPACE and (len(value) != 1 or value in '"\r\n'):
        raise ValueError(f"should be one character, or {WHITESPACE!r}")
    return value


def _is_zone(value: str) -> str:
    try:
        ZoneInfo(value)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ValueError(f"{value!r} is not a time zone such as 'Europe/Berlin'") from error
    return value


def _is_format(value: str) -> str:
    if value != ISO_FORMAT:
        try:
            datetime.strptime(_PROBE.strftime(value), value)  # noqa: DTZ007  # a test of the format
        except ValueError as error:
            raise ValueError(f"{value!r} is neither {ISO_FORMAT!r} nor a format such as '%d.%m.%Y %H:%M'") from error
        if "%" not in value:
            raise ValueError(f"{value!r} names no part of a time")
    return value


def _is_not_empty(value: tuple[str, ...]) -> tuple[str, ...]:
    if not value:
        raise ValueError("give at least one")
    return value


def _is_nested(value: Any) -> bool:
    return (
        isinstance(value, dict)
        and bool(value)
        and all(isinstance(one, dict) for one in value.values())
        and not _SOURCE_KEYS & value.keys()
    )


def flat_fields(raw: Any) -> Any:
    """Write nested tables as dotted names: TOML reads `budget.amount = …` as a table within a table."""
    if not isinstance(raw, dict):
        return raw
    flat: dict[str, Any] = {}
    for name, value in raw.items():
        if _is_nested(value):
            flat |= {f"{name}.{part}": one for part, one in value.items()}
        else:
            flat[name] = value
    return flat


# Not by `min_length`, which would count only the formats that are right, and complain again.
TimeFormats = Annotated[tuple[Annotated[str, AfterValidator(_is_format)], ...], AfterValidator(_is_not_empty)]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class FileFormat(_Part):
    """How the file is written."""

    delimiter: Annotated[str, AfterValidator(_is_delimiter)] = ","
    encoding: Annotated[str, AfterValidator(_is_encoding)] = "utf-8-sig"
    columns: tuple[str, ...] = ()
    """Names for the columns of a file without a header."""
    missing: tuple[str, ...] = ("",)
    """Cells that mean that there is no value."""
    decimal_separator: Literal[".", ","] = "."
    thousands_separator: Literal["", ".", ",", " ", "'"] = ""

    @model_validator(mode="after")
    def _separators_differ(self) -> "FileFormat":
        if self.decimal_separator == self.thousands_separator:
            raise ValueError("decimal_separator and thousands_separator should differ")
        return self

    @property
    def dialect(self) -> Dialect:
        """What a table needs to know."""
        return Dialect(self.delimiter, self.encoding, self.columns)


class TimeReading(_Part):
    """How times and dates are written, and where the clocks stood that wrote them."""

    formats: TimeFormats = (ISO_FORMAT,)
    """Tried in this order."""
    date_formats: TimeFormats = (ISO_FORMAT,)
    zone: Annotated[str, AfterValidator(_is_zone)] = "UTC"
    """Of times that carry no offset."""


class FieldSource(_Part):
    """Where the value of one field comes from."""

    column: str | None = None
    constant: StrictStr | StrictInt | None = None
    """The same for every row, written as the event has it."""
    line: Literal[True] | None = None
    """The number of the row's line in the file."""
    times: str | None = None
    """A second column that the number is multiplied by: quantity and unit price."""
    whole_number: bool = False
    """17850.0 is written 17850."""
    floor_divide_by: Annotated[int, Field(gt=1)] | None = None
    """The whole number in the cell is divided by this and rounded down: 43659001 by 1000 is 43659."""
    values: dict[str, StrictStr] | None = None
    """Translates cells; any other cell is rejected."""

    @model_validator(mode="after")
    def _has_one_source(self) -> "FieldSource":
        if sum(one is not None for one in (self.column, self.constant, self.line)) != 1:
            raise ValueError("give exactly one of column, constant and line")
        modified = self.times or self.whole_number or self.floor_divide_by or self.values is not None
        if self.column is None and modified:
            raise ValueError("times, whole_number, floor_divide_by and values need a column")
        return self


class RefundRule(_Part):
    """Which orders are written as `order.refunded`, with the amount turned positive."""

    order_id_prefix: Annotated[str, Field(min_length=1)] | None = None
    """Orders whose number begins so; they must sum below 0."""
    negative_amount: bool = False
    """Orders that sum below 0."""


class RefuseRule(_Part):
    """Which orders are rejected for what their number says."""

    order_id_prefix: Annotated[str, Field(min_length=1)]


class RowFilter(_Part):
    """Which rows are read at all; the others are counted as skipped."""

    column: str
    values: Annotated[tuple[str, ...], AfterValidator(_is_not_empty)]


class Mapping(_Part):
    """How the rows of a table become events of one type."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,59}$")]
    """First part of each event id; two files with line numbers for ids need two names."""
    type: Literal[TYPES]  # type: ignore[valid-type]  # the types of the contract, listed once
    group_by: str | None = None
    """The field whose equal values make one order of several rows; amounts and costs are summed."""
    file: FileFormat = FileFormat()
    time: TimeReading = TimeReading()
    refund: RefundRule = RefundRule()
    refuse: RefuseRule | None = None
    only: RowFilter | None = None
    fields: Annotated[dict[str, FieldSource], BeforeValidator(flat_fields)]

    @property
    def columns(self) -> list[str]:
        """The columns that a file must have."""
        sources = self.fields.values()
        found = [name for one in sources for name in (one.column, one.times) if name is not None]
        return found + ([self.only.column] if self.only else [])


def read_mapping(text: str, name: str) -> Mapping:
    """Read a mapping; `name` stands before each error.

    Raises:
        MappingError: with every error found.
    """
    try:
        raw = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise MappingError(f"{name}: not TOML: {error}") from error
    problems: list[str] = []
    mapping: Mapping | None = None
    try:
        mapping = Mapping.model_validate(raw)
    except ValidationError as error:
        for one in error.errors(include_url=False):
            place = ".".join(str(part) for part in one["loc"])
            problems.append(f"{place}: {one['msg'].removeprefix('Value error, ')}")
    problems += _problems_between_fields(raw)
    if problems or mapping is None:
        raise MappingError(*(f"{name}: {problem}" for problem in problems))
    return mapping


def load_mapping(path: Path) -> Mapping:
    """Read a mapping file.

    Raises:
        MappingError: with every error found.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8 text"
        raise MappingError(f"{path}: {reason}") from error
    return read_mapping(text, str(path))


def _problems_between_fields(raw: dict[str, Any]) -> Iterator[str]:
    """Check what no field shows alone, on the raw data, so that errors of the parts do not hide these."""
    type_, fields = raw.get("type"), flat_fields(raw.get("fields"))
    if type_ not in TYPES or not isinstance(fields, dict):
        return
    known = fields_of(type_)
    for name in (name for name in fields if name not in known):
        yield f"fields.{name}: {type_} has no such field; it has {', '.join(known)}"
    for name in (name for name, required in known.items() if required and name not in fields):
        yield f"fields.{name}: {type_} needs it"
    for name in (name for name in fields if name in known):
        if isinstance(fields[name], dict):
            yield from _problems_of_field(type_, name, fields[name])
    yield from _problems_of_rules(raw, type_, fields)


def _problems_of_field(type_: str, name: str, source: dict[str, Any]) -> Iterator[str]:
    if name == "event_id" and "constant" in source:
        yield "fields.event_id.constant: every event needs an id of its own"
    elif "constant" in source:
        try:
            checker_of(type_, name).validate_python(source["constant"])
        except ValidationError as error:
            yield f"fields.{name}.constant: {error.errors()[0]['msg']}"
    if "column" not in source:
        if "line" in source and kind_of(name) is not FieldKind.TEXT:
            yield f"fields.{name}.line: a line number can only be text"
        return
    kind = kind_of(name)
    if "times" in source and kind is not FieldKind.DECIMAL:
        yield f"fields.{name}.times: only amounts and costs can be multiplied"
    for key in ("whole_number", "floor_divide_by", "values"):
        if key in source and kind in (FieldKind.DECIMAL, FieldKind.TIME, FieldKind.DATE):
            yield f"fields.{name}.{key}: not for {kind}s"


def _problems_of_rules(raw: dict[str, Any], type_: str, fields: dict[str, Any]) -> Iterator[str]:
    group_by = raw.get("group_by")
    if group_by is not None:
        if type_ != "order.completed":
            yield "group_by: only rows of order.completed can be grouped"
        if group_by not in fields:
            yield f"group_by: {group_by!r} is not among the fields"
        elif kind_of(group_by) is not FieldKind.TEXT:
            yield f"group_by: {group_by!r} is not text"
        elif isinstance(fields[group_by], dict) and "column" not in fields[group_by]:
            yield f"group_by: {group_by!r} is not read from a column"
    for rule in ("refund", "refuse"):
        if rule in raw and type_ != "order.completed":
            yield f"{rule}: only for order.completed"
