"""Walking the ordered sets: a page of accounts in order, read a slice at a time from every cell at once.

Two ways lead to a page. Where one filter leaves few accounts, those are gathered and put in order here. Otherwise the
orders of the cells that pass the filters are merged, and what the other filters do not let pass is skipped.
"""

from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from typing import Any, Final, NamedTuple

from stream.serving.queries import AccountQuery
from stream.view.arrangement import Dimension, Sort
from stream.view.entry import (
    LEAST_VALUE,
    NameMember,
    SnapshotBody,
    fold,
    id_of_order_member,
    is_without_value,
    name_members,
    read_name_member,
    values_of,
)
from stream.view.keys import CELL_DIMENSIONS, Keys

SCANNED_MAX: Final = 40_000
"""Members of ordered sets that are looked at for one page, at most; the page then ends with a cursor."""
SLICE_FIRST: Final = 16
_SLICE_MAX: Final = 1024
_LOWEST, _HIGHEST = b"-", b"+"

Filters = Mapping[Dimension, frozenset[str]]


class Found(NamedTuple):
    """Members of ordered sets, in order, and the one after which the next page begins; None at the end."""

    members: list[bytes]
    after: bytes | None


def passing_cells(cells: Iterable[str], filters: Filters) -> list[str]:
    """Give the cells whose accounts may pass the filters.

    >>> passing_cells(["key:low:A", "key:low:-", "basic:low:A"], {Dimension.TIER: frozenset({"key"})})
    ['key:low:A', 'key:low:-']
    """
    wanted = [filters.get(dimension) for dimension in CELL_DIMENSIONS]
    return [
        cell
        for cell in cells
        if all(values is None or part in values for part, values in zip(cell.split(":"), wanted, strict=True))
    ]


def id_of(member: bytes, sort: Sort) -> bytes:
    """Give the account of a member of an order."""
    return read_name_member(member).account_id if sort is Sort.NAME else id_of_order_member(member)


def place_of(member: bytes, query: AccountQuery) -> tuple[bool, bytes]:
    """Give what a member is ordered by: one without a value comes last in either direction."""
    return is_without_value(member, query.sort) is not query.descending, member


def is_first_match(member: NameMember, name: str | None, prefix: bytes) -> bool:
    """Tell whether a member is the first of its account's that begins with a prefix: two of its words may.

    >>> acorn = NameMember("acorn", False, b"A-1")
    >>> is_first_match(acorn, "Acme Acorn", b"ac"), is_first_match(acorn, "Acme Acorn", b"aco")
    (False, True)
    """
    texts = [read_name_member(one).text for one in name_members(name, member.account_id)]
    return member.text == min((one for one in texts if one.encode().startswith(prefix)), default=None)


def passes(body: SnapshotBody, filters: Filters) -> bool:
    """Tell whether an account has, in each of the dimensions, one of the values."""
    held = set(values_of(body))
    return all(any((dimension, value) in held for value in values) for dimension, values in filters.items())


async def having_all(client: Any, keys: Keys, filters: Filters, ids: Sequence[bytes]) -> set[bytes]:
    """Tell which accounts have, in each of the dimensions, one of the values."""
    if not filters or not ids:
        return set(ids)
    asked = [(dimension, value) for dimension, values in filters.items() for value in sorted(values)]
    pipe = client.pipeline(transaction=False)
    for dimension, value in asked:
        pipe.smismember(keys.members(dimension, value), list(ids))
    found: dict[Dimension, set[bytes]] = {dimension: set() for dimension in filters}
    for (dimension, _), flags in zip(asked, await pipe.execute(), strict=True):
        found[dimension].update(one for one, flag in zip(ids, flags, strict=True) if flag)
    return set.intersection(*found.values())


class _Source:
    """The rest of one ordered set, read ahead by growing slices."""

    __slots__ = ("done", "key", "last", "members", "size")

    def __init__(self, key: str, after: bytes | None) -> None:
        self.key = key
        self.last = after
        """The last member that was read."""
        self.members: list[bytes] = []
        """Read and not yet taken."""
        self.size = SLICE_FIRST
        self.done = False


class Walk:
    """Merges the orders of several cells.

    Args:
        client: asynchronous, of Redis; answers in bytes.
        keys: of the view.
        query: what is asked for.
        cells: those that hold accounts.
        after: the member behind which to begin; None for the first page.
    """

    def __init__(self, client: Any, keys: Keys, query: AccountQuery, cells: Iterable[str], after: bytes | None) -> None:
        self._client = client
        self._keys = keys
        self._query = query
        self._scanned = 0
        self._prefix = None if query.search is None else fold(query.search).encode()
        self._filters: Filters = {name: one for name, one in query.filters.items() if name not in CELL_DIMENSIONS}
        self._cells = passing_cells(cells, query.filters)
        # Ascending, those without a value stand before all others in their sets, and come after them on the pages.
        self._later = not query.descending and query.sort is not Sort.NAME
        self._without_value = False
        self._begin(after)
        if self._later and after is not None and is_without_value(after, query.sort):
            self._turn(after)

    async def page(self) -> Found:
        """Find one page."""
        taken: list[bytes] = []
        after: bytes | None = None
        while True:
            await self._refill()
            merged = self._merged()
            if not merged:
                if not self._later:
                    return Found(taken, None)
                self._turn(None)
                continue
            passing = await self._passing(merged)
            for member in merged:
                if len(taken) == self._query.limit:
                    return Found(taken, after)
                after = member
                if member in passing:
                    taken.append(member)
            if self._scanned >= SCANNED_MAX:
                return Found(taken, after)

    def _begin(self, after: bytes | None) -> None:
        self._sources = [_Source(self._keys.order(self._query.sort, cell), after) for cell in self._cells]

    def _turn(self, after: bytes | None) -> None:
        """Go on to those without a value."""
        self._later, self._without_value = False, True
        self._begin(after)

    async def _refill(self) -> None:
        """Read on where nothing is left in hand."""
        empty = [one for one in self._sources if not one.members and not one.done]
        if not empty:
            return
        pipe = self._client.pipeline(transaction=False)
        descending = self._query.descending
        for source in empty:
            low, high = self._bounds(source.last)
            first, last = (high, low) if descending else (low, high)
            pipe.zrange(source.key, first, last, desc=descending, bylex=True, offset=0, num=source.size)
        for source, members in zip(empty, await pipe.execute(), strict=True):
            self._scanned += len(members)
            source.done = len(members) < source.size
            source.size = min(_SLICE_MAX, source.size * 4)
            source.last = members[-1] if members else source.last
            source.members = members

    def _bounds(self, after: bytes | None) -> tuple[bytes, bytes]:
        low, high = _LOWEST, _HIGHEST
        if self._prefix is not None:
            # 0xff is in no UTF-8 text.
            low, high = b"[" + self._prefix, b"(" + self._prefix + b"\xff"
        if self._later:
            low = b"[" + LEAST_VALUE
        elif self._without_value:
            high = b"(" + LEAST_VALUE
        if after is None:
            return low, high
        return (low, b"(" + after) if self._query.descending else (b"(" + after, high)

    def _merged(self) -> list[bytes]:
        """Take what is certainly next: up to the last member in hand of a source that goes on behind it."""
        descending = self._query.descending
        # Sorting what is in order in parts is merging it, and much faster than a merge in Python.
        merged = sorted(chain.from_iterable(one.members for one in self._sources), reverse=descending)
        ends = [one.members[-1] for one in self._sources if not one.done]
        if ends:
            limit = max(ends) if descending else min(ends)
            merged = [one for one in merged if (one >= limit if descending else one <= limit)]
        taken = set(merged)
        for source in self._sources:
            source.members = [one for one in source.members if one not in taken]
        return merged

    async def _passing(self, members: list[bytes]) -> set[bytes]:
        """Tell which members pass the filters that are not decided by their cell."""
        sort = self._query.sort
        if sort is Sort.NAME and self._prefix is None:
            members = [one for one in members if read_name_member(one).first]
        ids = {member: id_of(member, sort) for member in members}
        passing = await having_all(self._client, self._keys, self._filters, list(ids.values()))
        return {member for member, account_id in ids.items() if account_id in passing}
