"""What can be wrong with an import: a whole file, a mapping, or one row."""

from enum import StrEnum, unique
from typing import final


@unique
class RejectReason(StrEnum):
    """Why rows of a source became no event. Members are written to rejects files: append, never rename."""

    MISSING_ACCOUNT = "missing_account"
    """The row names no account."""
    MISSING_VALUE = "missing_value"
    """A field that the event needs is empty."""
    INVALID_NUMBER = "invalid_number"
    """A number is not written as the mapping says."""
    INVALID_TIME = "invalid_time"
    """A time or date is not written as the mapping says."""
    UNKNOWN_VALUE = "unknown_value"
    """A value is not among those that the mapping translates."""
    WRONG_CELL_COUNT = "wrong_cell_count"
    """The row has more or fewer cells than the header."""
    NOT_AN_ORDER = "not_an_order"
    """The order's number says that it is neither an order nor a refund (a bad-debt adjustment)."""
    REFUND_NOT_NEGATIVE = "refund_not_negative"
    """The order's number says that it is a refund, but its lines do not sum below 0."""
    SEVERAL_VALUES = "several_values"
    """The rows of one order differ in a field that an order has once (its account, its currency)."""
    ORDER_INCOMPLETE = "order_incomplete"
    """Another row of the same order or incident was rejected, so that its sum or story would be wrong."""
    ACCOUNT_NOT_MAPPED = "account_not_mapped"
    """The caller is not in the file given with --accounts."""
    REFUSED_BY_CONTRACT = "refused_by_contract"
    """The event would be a dead letter: an id too long, an amount out of range, a time before 1970."""


@final
class RowError(Exception):
    """One row, or one order, cannot become an event."""

    def __init__(self, reason: RejectReason, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail

    def about(self, field: str) -> "RowError":
        """Return the same error, saying which field it is about."""
        return RowError(self.reason, f"{field}: {self.detail}")


class ImportFailedError(Exception):
    """The import cannot go on; each argument is one line for a person."""

    @property
    def lines(self) -> tuple[str, ...]:
        """The sentences to print."""
        return tuple(str(arg) for arg in self.args)


@final
class SourceError(ImportFailedError):
    """A source file is missing, damaged, or not the table that was expected."""


@final
class MappingError(ImportFailedError):
    """A mapping file is wrong; every error is one argument."""
