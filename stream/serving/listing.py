"""Walking the ordered sets: a page of accounts in order, read a slice at a time from every cell at once.

Two ways lead to a page. Where one filter leaves few accounts, those are gathered and put in order here. Otherwise the
orders of the cells that pass the filters are merged, and what the other filters do not let pass is skipped.
"""

import math
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Mapping, Sequence
from itertools import compress
from typing import Any, Final, NamedTuple

from stream.serving.queries import AccountQuery
from stream.view.arrangement import Dimension, Sort
from stream.view.entry import (
    LEAST_VALUE,
    NameMember,
    fold,
    id_of_order_member,
    is_without_value,
    read_name_member,
)
from stream.view.keys import CELL_DIMENSIONS, Keys
from stream.view.totals import Total

SCANNED_MAX: Final = 40_000
"""Members of ordered sets that are looked at for one page, at most; the page then ends with a cursor."""
SLICE_FIRST: Final = 4
"""Members that are read of a cell at first, at least: of many cells, few hold what is next."""
_SLICE_GROWTH: Final = 4
_MORE: Final = 2
"""Than are likely to be looked at, are read at first: what is read in vain costs less than to ask again."""
_SLICE_MAX: Final = 4096
_LOWEST, _HIGHEST = b"-", b"+"

Filters = Mapping[Dimension, frozenset[str]]
Totals = Mapping[str, Mapping[str, Total]]
"""By group and value."""


class Found(NamedTuple):
    """Members of ordered sets, in order, and the one after which the next page begins; None at the end."""

    members: list[bytes]
    after: bytes | None


def passing_cells(cells: Iterable[str], filters: Filters) -> list[str]:
    """Give the cells whose accounts may pass the filters.

    >>> passing_cells(["key:low:A:new", "key:low:-:new", "basic:low:A:new"], {Dimension.TIER: frozenset({"key"})})
    ['key:low:A:new', 'key:low:-:new']
    """
    wanted = [filters.get(dimension) for dimension in CELL_DIMENSIONS]
    return [
        cell
        for cell in cells
        if all(values is None or part in values for part, values in zip(cell.split(":"), wanted, strict=True))
    ]


def likely_share(filters: Filters, totals: Totals) -> float:
    """Estimate which share of the accounts passes: as if what they have in one dimension said nothing of another.

    >>> owners = {"Ann": Total(1), "Bob": Total(2)}
    >>> likely_share({Dimension.OWNER: frozenset({"Ann"})}, {"cell": {"key:low:A:new": Total(4)}, "owner": owners})
    0.25
    """
    everything = sum(one.accounts for one in totals["cell"].values())
    held = (sum(totals[name][one].accounts for one in values & totals[name].keys()) for name, values in filters.items())
    return math.prod(min(1.0, one / max(1, everything)) for one in held)


def id_of(member: bytes, sort: Sort) -> bytes:
    """Give the account of a member of an order."""
    return read_name_member(member).account_id if sort is Sort.NAME else id_of_order_member(member)


def place_of(member: bytes, query: AccountQuery) -> tuple[bool, bytes]:
    """Give what a member is ordered by: one without a value comes last in either direction."""
    return is_without_value(member, query.sort) is not query.descending, member


def is_first_match(member: NameMember, beginnings: Iterable[str], prefix: bytes) -> bool:
    """Tell whether a member is the first of its account's that begins with a prefix: two of its words may.

    >>> acorn = NameMember("acorn", False, b"A-1")
    >>> is_first_match(acorn, ["acme acorn", "acorn"], b"ac"), is_first_match(acorn, ["acme acorn", "acorn"], b"aco")
    (False, True)
    """
    return member.text == min((one for one in beginnings if one.encode().startswith(prefix)), default=None)


def passes(held: frozenset[tuple[Dimension, str]], filters: Filters) -> bool:
    """Tell whether an account that has some values has, in each of the dimensions, one of those asked for."""
    return all(any((dimension, value) in held for value in values) for dimension, values in filters.items())


async def having_all(client: Any, keys: Keys, filters: Filters, ids: Sequence[bytes]) -> list[bool]:
    """Tell of each account whether it has, in each of the dimensions, one of the values."""
    asked = [(dimension, value) for dimension, values in filters.items() for value in sorted(values)]
    pipe = client.pipeline(transaction=False)
    for dimension, value in asked:
        pipe.execute_command("SMISMEMBER", keys.members(dimension, value), *ids)
    found: dict[Dimension, list[int]] = {}
    for (dimension, _), flags in zip(asked, await pipe.execute(), strict=True):
        held = found.get(dimension)
        found[dimension] = flags if held is None else list(map(max, held, flags))
    return [all(flags) for flags in zip(*found.values(), strict=True)]


class _Source:
    """The rest of one ordered set, read ahead by growing slices."""

    __slots__ = ("done", "key", "last", "members", "size")

    def __init__(self, key: str, after: bytes | None, size: int) -> None:
        self.key = key
        self.last = after
        """The last member that was read."""
        self.members: list[bytes] = []
        """Read and not yet taken, in ascending order."""
        self.size = size
        self.done = False


class Walk:
    """Merges the orders of several cells.

    Args:
        client: asynchronous, of Redis; answers in bytes.
        keys: of the view.
        query: what is asked for.
        totals: of all cells, and of what is filtered by.
        after: the member behind which to begin; None for the first page.
    """

    def __init__(self, client: Any, keys: Keys, query: AccountQuery, totals: Totals, after: bytes | None) -> None:
        self._client = client
        self._keys = keys
        self._query = query
        self._scanned = 0
        self._prefix = None if query.search is None else fold(query.search).encode()
        self._filters: Filters = {name: one for name, one in query.filters.items() if name not in CELL_DIMENSIONS}
        self._cells = passing_cells(totals["cell"], query.filters)
        expected = _MORE * query.limit / max(likely_share(self._filters, totals), 1 / SCANNED_MAX)
        self._size = min(max(round(expected / max(1, len(self._cells))), SLICE_FIRST), _SLICE_MAX)
        # Ascending, those without a value stand before all others in their sets, and come after them on the pages.
        self._later = not query.descending and query.sort is not Sort.NAME
        self._without_value = False
        self._begin(after)
        if self._later and after is not None and is_without_value(after, query.sort):
            self._turn(after)

    @property
    def scanned(self) -> int:
        """How many members were looked at."""
        return self._scanned

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
            room = self._query.limit - len(taken)
            taken += passing[:room]
            if len(passing) >= room and (room == 0 or passing[room - 1] != merged[-1]):
                return Found(taken, passing[room - 1] if room else after)
            after = merged[-1]
            if self._scanned >= SCANNED_MAX:
                return Found(taken, after)

    def _begin(self, after: bytes | None) -> None:
        keys = (self._keys.order(self._query.sort, cell) for cell in self._cells)
        self._sources = [_Source(key, after, self._size) for key in keys]

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
            bounds = (high, low, "BYLEX", "REV") if descending else (low, high, "BYLEX")
            pipe.execute_command("ZRANGE", source.key, *bounds, "LIMIT", 0, source.size)
        for source, members in zip(empty, await pipe.execute(), strict=True):
            self._scanned += len(members)
            source.done = len(members) < source.size
            source.size = min(_SLICE_MAX, source.size * _SLICE_GROWTH)
            source.last = members[-1] if members else source.last
            if descending:
                members.reverse()
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
        ends = [one.members[0 if descending else -1] for one in self._sources if not one.done]
        limit = (max(ends) if descending else min(ends)) if ends else None
        taken: list[bytes] = []
        for source in self._sources:
            members = source.members
            if limit is None:
                first, last = 0, len(members)
            elif descending:
                first, last = bisect_left(members, limit), len(members)
            else:
                first, last = 0, bisect_right(members, limit)
            taken += members[first:last]
            source.members = members[:first] + members[last:]
        # Sorting what is in order in parts is merging it, and much faster than a merge in Python.
        taken.sort(reverse=descending)
        return taken

    async def _passing(self, members: list[bytes]) -> list[bytes]:
        """Keep the members that pass the filters that are not decided by their cell."""
        sort = self._query.sort
        if sort is Sort.NAME and self._prefix is None:
            members = [one for one in members if read_name_member(one).first]
        if not self._filters or not members:
            return members
        ids = [id_of(one, sort) for one in members]
        return list(compress(members, await having_all(self._client, self._keys, self._filters, ids)))
