"""What can be asked of the accounts, and the cursors by which a list goes on."""

import base64
import binascii
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

import msgspec

from models.outputs import ChurnLevel
from stream.view.arrangement import Dimension, Sort

LIMIT_MAX: Final = 500
"""Accounts on one page, at most."""
VALUES_MAX: Final = 50
"""Values of one dimension in a filter, at most."""
SEARCH_CHARACTERS_MAX: Final = 100
_CURSOR_CHARACTERS_MAX: Final = 1200


class QueryError(ValueError):
    """A question that cannot be answered; the text says what is wrong with which part of it."""

    def __init__(self, part: str, message: str) -> None:
        super().__init__(message)
        self.part: Final = part


@dataclass(frozen=True, slots=True)
class AccountQuery:
    """Which accounts, in which order, from where on.

    Raises:
        QueryError: for a combination that is not offered.
    """

    filters: Mapping[Dimension, frozenset[str]] = field(default_factory=dict)
    """An account passes if it has one of the values in each of the dimensions; several types may be one account's."""
    search: str | None = None
    """Beginning of one of the first words of the name, without regard to case and accents; or a whole account id.
    Accounts that are found so are in the order of what was found."""
    sort: Sort = Sort.REVENUE
    descending: bool = True
    limit: int = 50
    cursor: str | None = None
    """Of the page before; None for the first."""

    def __post_init__(self) -> None:
        if not 1 <= self.limit <= LIMIT_MAX:
            raise QueryError("limit", f"Input should be from 1 to {LIMIT_MAX}")
        for dimension, values in self.filters.items():
            if not 1 <= len(values) <= VALUES_MAX:
                raise QueryError(dimension.value, f"Input should be 1 to {VALUES_MAX} values")
        if self.search is not None:
            if not 1 <= len(self.search.strip()) <= SEARCH_CHARACTERS_MAX:
                raise QueryError("search", f"Input should be 1 to {SEARCH_CHARACTERS_MAX} characters")
            if self.sort is not Sort.NAME or self.descending:
                raise QueryError("sort", "Input should be name, ascending, beside a search")

        lost = frozenset({ChurnLevel.LOST.value})
        if self.sort is Sort.VALUE_LOST and self.filters.get(Dimension.CHURN_LEVEL) != lost:
            raise QueryError("sort", "Input should be value_lost beside churn_level=lost only")

    @property
    def fingerprint(self) -> str:
        """A hash of all that a cursor depends on."""
        said = (
            sorted((one.value, sorted(values)) for one, values in self.filters.items()),
            self.search,
            self.sort.value,
            self.descending,
        )
        return hashlib.blake2b(msgspec.json.encode(said), digest_size=6).hexdigest()


def encode_cursor(query: AccountQuery, member: bytes) -> str:
    """Give the cursor of the page that begins after a member of a sorted set."""
    packed = msgspec.msgpack.encode((query.fingerprint, member))
    return base64.urlsafe_b64encode(packed).rstrip(b"=").decode()


def decode_cursor(query: AccountQuery) -> bytes | None:
    """Give the member after which a query's page begins; None for the first page.

    Raises:
        QueryError: if the cursor is none, or is that of another query.
    """
    if query.cursor is None:
        return None
    padded = query.cursor + "=" * (-len(query.cursor) % 4)
    try:
        if len(padded) > _CURSOR_CHARACTERS_MAX:
            raise ValueError("too long")  # noqa: TRY301  # said once, below
        packed = base64.b64decode(padded, altchars=b"-_", validate=True)
        fingerprint, member = msgspec.msgpack.decode(packed, type=tuple[str, bytes])
    except (ValueError, binascii.Error, msgspec.DecodeError):
        raise QueryError("cursor", "Input should be the `next` of a page before") from None
    if fingerprint != query.fingerprint:
        raise QueryError("cursor", "Input should be the `next` of a page of the same filters, search and order")
    return member
