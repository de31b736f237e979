"""The read side: every question that the API and the console ask, answered from the Redis view.

One reader serves a whole process. It is used from one event loop, and holds nothing but connections.
"""

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final

import redis.asyncio
from redis.exceptions import RedisError

from models.fields import from_epoch_ms
from models.outputs import ChurnLevel
from stream.serving.errors import AccountNotFoundError, CursorExpiredError, ViewUnavailableError
from stream.serving.listing import Found, Walk, having_all, id_of, is_first_match, passing_cells
from stream.serving.places import Place, read_place
from stream.serving.portfolio import GROUPS, Totals, portfolio_of
from stream.serving.queries import AccountQuery, decode_cursor, encode_cursor
from stream.serving.results import (
    AccountDetail,
    AccountPage,
    Change,
    ChangePage,
    Portfolio,
    ViewStatus,
)
from stream.serving.rows import CHANGE_ADAPTER, body_of, detail_of, row_of
from stream.view import keys as names
from stream.view.arrangement import Dimension, Sort
from stream.view.entry import SnapshotBody, fold, order_of, read_name_member
from stream.view.keys import CELL_DIMENSIONS, CELL_SORTS, Keys
from stream.view.packing import SCHEMA, unpack
from stream.view.writing import Total, read_total

GATHERED_MAX: Final = 1000
"""Accounts that are read to put them in order here, at most."""
CHANGES_MAX: Final = 500
"""Changes on one page, at most."""
_NOT_BUILT: Final = "the view is being built; try again later"


class ViewReader:
    """Reads one application's view.

    Args:
        client: asynchronous, of Redis, with time-outs; answers in bytes.
        application_id: whose view.
        changes_kept: how many changes the view keeps, as its writer was told.

    Every method raises ViewUnavailableError when Redis does not answer or the view is not complete.
    """

    def __init__(self, client: "redis.asyncio.Redis", application_id: str, changes_kept: int) -> None:
        self._client: Any = client  # its annotations answer for the synchronous client as well
        self._keys = Keys(application_id)
        self._changes_kept = changes_kept

    async def status(self) -> ViewStatus:
        """Tell how far the view is; answers while it is being built, too."""
        async with _available():
            pipe = self._client.pipeline(transaction=False)
            pipe.hgetall(self._keys.meta)
            pipe.hvals(self._keys.totals("cell"))
            meta, cells = await pipe.execute()
        ours = meta.get(names.SCHEMA) == SCHEMA.encode()
        built_at, updated_at = meta.get(names.BUILT_AT), meta.get(names.UPDATED_AT)
        built = ours and built_at is not None
        return ViewStatus(
            built=built,
            accounts=sum(read_total(one).accounts for one in cells) if ours else 0,
            updated_at=from_epoch_ms(int(updated_at)) if ours and updated_at is not None else None,
            built_at=from_epoch_ms(int(built_at)) if ours and built_at is not None else None,
            progress=1.0 if built else float(meta.get(names.PROGRESS, 0)) if ours else 0.0,
        )

    async def accounts(self, query: AccountQuery) -> AccountPage:
        """List accounts.

        Raises:
            QueryError: if the cursor is not one of this query's.
        """
        after = decode_cursor(query)
        async with _available():
            totals = await self._totals(("cell", *(one.value for one in query.filters)))
            exact = await self._by_id(query) if query.search is not None and after is None else None
            if exact is not None:
                return AccountPage(items=(row_of(exact),), next=None, total=1)
            if self._is_gathered(query, totals):
                return await self._gathered(query, after)
            found = await Walk(self._client, self._keys, query, totals["cell"], after).page()
            rows = await self._rows_of(query, found)
        return AccountPage(
            items=tuple(row_of(one) for one in rows),
            next=None if found.after is None else encode_cursor(query, found.after),
            total=_total(query, totals),
        )

    async def win_back(self, limit: int = 50, cursor: str | None = None) -> AccountPage:
        """List the lost accounts, those first that were worth the most.

        Raises:
            QueryError: if the cursor is not one of this list's.
        """
        lost = {Dimension.CHURN_LEVEL: frozenset({ChurnLevel.LOST.value})}
        return await self.accounts(AccountQuery(lost, sort=Sort.VALUE_AT_STAKE, limit=limit, cursor=cursor))

    async def account(self, account_id: str) -> AccountDetail:
        """Give all that is known of one account.

        Raises:
            AccountNotFoundError: if there is none.
        """
        async with _available():
            key = self._keys.account(account_id)
            _, (body, history, points) = await self._guarded(("HMGET", key, names.BODY, names.HISTORY, names.POINTS))
            if body is None:
                raise AccountNotFoundError(account_id)
            return detail_of(body, history, points)

    async def portfolio(self) -> Portfolio:
        """Give all accounts together."""
        async with _available():
            return portfolio_of(await self._totals(GROUPS))

    async def changes(self, after: str | None = None, limit: int = 100) -> ChangePage:
        """List the changes after a cursor, oldest first; without one, from the oldest that is kept.

        Whoever goes on with the cursor of the last page misses none.

        Raises:
            QueryError: if the cursor is none.
            CursorExpiredError: if changes after it are gone.
        """
        place = None if after is None else read_place(after)
        limit = min(limit, CHANGES_MAX)
        async with _available():
            low = b"-" if place is None else f"({place}"
            meta, entries = await self._guarded(("XRANGE", self._keys.changes, low, b"+", b"COUNT", limit + 1))
            last = self._last_place(meta)
            if place is not None:
                self._check_kept(place, last)
            items = tuple(_change_of(*entry) for entry in entries[:limit])
        more = len(entries) > limit
        return ChangePage(items=items, next=items[-1].cursor if more else str(last), more=more)

    async def latest_changes(self, limit: int = 20) -> tuple[Change, ...]:
        """Give the last changes, newest first."""
        async with _available():
            _, entries = await self._guarded(
                ("XREVRANGE", self._keys.changes, b"+", b"-", b"COUNT", min(limit, CHANGES_MAX))
            )
            return tuple(_change_of(*entry) for entry in entries)

    async def _guarded(self, *commands: Sequence[Any]) -> Any:
        """Ask for something, and at the same moment whether the view is complete and of this version."""
        pipe = self._client.pipeline(transaction=True)
        pipe.hmget(self._keys.meta, names.SCHEMA, names.BUILT_AT, names.BUILD, names.CHANGES)
        for command in commands:
            pipe.execute_command(*command)
        meta, *answers = await pipe.execute()
        schema, built_at, *_ = meta
        if schema != SCHEMA.encode() or built_at is None:
            raise ViewUnavailableError(_NOT_BUILT)
        return meta, *answers

    async def _totals(self, groups: Sequence[str]) -> Totals:
        _, *found = await self._guarded(*(("HGETALL", self._keys.totals(group)) for group in groups))
        return {
            group: {value.decode(): read_total(packed) for value, packed in values.items()}
            for group, values in zip(groups, found, strict=True)
        }

    async def _by_id(self, query: AccountQuery) -> SnapshotBody | None:
        """Find the account whose id was searched for, if it passes the filters."""
        assert query.search is not None
        account_id = query.search.strip()
        packed = await self._client.hget(self._keys.account(account_id), names.BODY)
        if packed is None:
            return None
        passing = await having_all(self._client, self._keys, query.filters, [account_id.encode()])
        return body_of(packed) if passing else None

    @staticmethod
    def _is_gathered(query: AccountQuery, totals: Totals) -> bool:
        """Tell whether one filter alone leaves few enough accounts to put them in order here."""
        if query.sort not in CELL_SORTS:
            return False
        for dimension, values in query.filters.items():
            held = totals[dimension.value]
            if sum(held.get(value, Total()).accounts for value in values) <= GATHERED_MAX:
                return True
        return False

    async def _gathered(self, query: AccountQuery, after: bytes | None) -> AccountPage:
        pipe = self._client.pipeline(transaction=False)
        for dimension, values in query.filters.items():
            pipe.sunion([self._keys.members(dimension, value) for value in values])
        ids: set[bytes] = set.intersection(*(set(one) for one in await pipe.execute()))
        ordered = sorted(
            ((order_of(body, query.sort), body) for body in await self._bodies(list(ids))),
            key=lambda one: one[0],
            reverse=query.descending,
        )
        rest = [one for one in ordered if after is None or (one[0] < after if query.descending else one[0] > after)]
        shown = rest[: query.limit]
        return AccountPage(
            items=tuple(row_of(body) for _, body in shown),
            next=encode_cursor(query, shown[-1][0]) if len(rest) > len(shown) else None,
            total=len(ordered),
        )

    async def _bodies(self, ids: Sequence[bytes]) -> list[SnapshotBody]:
        """Read accounts; one that was erased a moment ago is left out."""
        pipe = self._client.pipeline(transaction=False)
        for account_id in ids:
            pipe.hget(self._keys.account(account_id.decode()), names.BODY)
        return [body_of(packed) for packed in await pipe.execute() if packed is not None]

    async def _rows_of(self, query: AccountQuery, found: Found) -> list[SnapshotBody]:
        bodies = {one.account_id: one for one in await self._bodies([id_of(one, query.sort) for one in found.members])}
        rows = []
        for member in found.members:
            body = bodies.get(id_of(member, query.sort).decode())
            if body is None:
                continue
            if query.search is not None:
                prefix = fold(query.search).encode()
                if not is_first_match(read_name_member(member), body.name, prefix):
                    continue
            rows.append(body)
        return rows

    def _last_place(self, meta: Sequence[bytes]) -> Place:
        _, _, build, number = meta
        return Place(int(build), int(number))

    def _check_kept(self, place: Place, last: Place) -> None:
        """Make sure that all changes after a place are still there."""
        if place.build != last.build:
            raise CursorExpiredError("the view was built anew since; begin without a cursor")
        if place.number < last.number - self._changes_kept:
            raise CursorExpiredError(f"only the last {self._changes_kept} changes are kept; begin without a cursor")


@asynccontextmanager
async def _available() -> AsyncGenerator[None]:
    """Say of a Redis that does not answer, and of what it answers that cannot be, that there is no view now."""
    try:
        yield
    except RedisError as error:
        raise ViewUnavailableError("the view does not answer; try again later") from error


def _change_of(place: bytes, fields: Mapping[bytes, bytes]) -> Change:
    return Change(cursor=place.decode(), event=CHANGE_ADAPTER.validate_json(unpack(fields[names.EVENT])))


def _total(query: AccountQuery, totals: Totals) -> int | None:
    """Count the accounts that pass, where their cells or one filter tell it."""
    if query.search is not None:
        return None
    others = [one for one in query.filters if one not in CELL_DIMENSIONS]
    if not others:
        cells = passing_cells(totals["cell"], query.filters)
        return sum(totals["cell"][cell].accounts for cell in cells)
    if len(query.filters) == 1 and others[0] is not Dimension.ACCOUNT_TYPE:
        ((dimension, values),) = query.filters.items()
        return sum(totals[dimension.value].get(value, Total()).accounts for value in values)
    return None
