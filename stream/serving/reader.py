"""The read side: every question that the API and the console ask, answered from the Redis view.

One reader serves a whole process. It is used from one event loop, and holds connections, and for a moment what long
searches found.
"""

from collections.abc import Collection, Mapping, Sequence
from functools import lru_cache
from types import MappingProxyType
from typing import Final

import redis.asyncio

from models.fields import from_epoch_ms
from models.outputs import ChurnLevel
from models.snapshots import Snapshot
from stream.serving import turning
from stream.serving.asking import Answer, Asking
from stream.serving.errors import AccountNotFoundError, CursorExpiredError
from stream.serving.listing import Found, Totals, Walk, id_of, is_first_match, passes, passing_cells, place_of
from stream.serving.places import Place, read_place
from stream.serving.portfolio import GROUPS, VALUES_MAX, money_of, portfolio_of
from stream.serving.queries import AccountQuery, decode_cursor, encode_cursor
from stream.serving.results import AccountDetail, AccountPage, Change, ChangePage, ChurnMonths, Portfolio, ViewStatus
from stream.serving.rows import CHANGE_ADAPTER, Stored, detail_of, stored_of
from stream.serving.sample import SECONDS_MAX, Sampled, Sampler
from stream.serving.searches import Searches
from stream.view import keys as names
from stream.view.arrangement import Dimension, Sort
from stream.view.entry import fold, order_of, read_name_member
from stream.view.keys import CELL_DIMENSIONS, RANKED_DIMENSIONS, SET_DIMENSIONS, Keys
from stream.view.packing import unpack
from stream.view.record import packed_snapshot, read_snapshot, value_of
from stream.view.totals import Total, read_total

TIMEOUT_SECONDS: Final = 2.0
GATHERED_MAX: Final = 1000
"""Accounts that are read to put them in order here, at most."""
CHANGES_MAX: Final = 500
"""Changes on one page, at most."""
_CHANGES_CACHED: Final = 2 * CHANGES_MAX
"""Changes that are read once for many answers: the last ones are what all followers ask for."""


class ViewReader:
    """Reads one application's view.

    Args:
        client: asynchronous, of Redis; answers in bytes.
        application_id: whose view.
        timeout_seconds: Redis has as long for all that one question asks of it.

    Every method raises ViewUnavailableError when Redis does not answer or the view is not complete.
    """

    def __init__(
        self, client: "redis.asyncio.Redis", application_id: str, timeout_seconds: float = TIMEOUT_SECONDS
    ) -> None:
        self._asking = Asking(client, application_id, timeout_seconds)
        self._client = self._asking.client
        self._searches = Searches()

    async def status(self) -> ViewStatus:
        """Tell how far the view is; answers while it is being built, too."""
        async with self._asking.available():
            meta = await self._asking.meta()
            cells: list[bytes] = []
            if meta:
                cells = await self._client.hvals(self._asking.keys_of(meta[names.BUILD]).totals("cell"))
        built_at, updated_at = meta.get(names.BUILT_AT), meta.get(names.UPDATED_AT)
        return ViewStatus(
            built=built_at is not None,
            accounts=sum(read_total(one).accounts for one in cells),
            updated_at=None if updated_at is None else from_epoch_ms(int(updated_at)),
            built_at=None if built_at is None else from_epoch_ms(int(built_at)),
            progress=1.0 if built_at is not None else float(meta.get(names.PROGRESS, 0)),
        )

    async def accounts(self, query: AccountQuery) -> AccountPage:
        """List accounts.

        Raises:
            QueryError: if the cursor is not one of this query's.
        """
        after = decode_cursor(query)
        async with self._asking.available():
            keys, totals = await self._counts(query)
            if query.search is not None and after is None and (exact := await self._by_id(keys, query)) is not None:
                page = AccountPage(items=(exact.row,), next=None, total=1)
            elif (narrow := _narrow(query, totals)) is not None:
                page = await self._gathered(keys, query, narrow, after)
            else:
                found = await self._found(keys, query, totals, after)
                page = AccountPage(
                    items=tuple(one.row for one in await self._rows_of(keys, query, found)),
                    next=None if found.after is None else encode_cursor(query, found.after),
                    total=_total(query, totals),
                )
            await self._asking.still(keys)
        return page

    async def win_back(self, limit: int = 50, cursor: str | None = None) -> AccountPage:
        """List the lost accounts, those first that were worth the most.

        Raises:
            QueryError: if the cursor is not one of this list's.
        """
        lost = {Dimension.CHURN_LEVEL: frozenset({ChurnLevel.LOST.value})}
        return await self.accounts(AccountQuery(lost, sort=Sort.VALUE_LOST, limit=limit, cursor=cursor))

    async def account(self, account_id: str) -> AccountDetail:
        """Give all that is known of one account.

        Raises:
            AccountNotFoundError: if there is none.
        """
        async with self._asking.available():
            answer = await self._asking.ask(lambda keys: [("GET", keys.account(account_id))])
        (record,) = answer.replies
        found = detail_of(record)
        if found is None:
            raise AccountNotFoundError(account_id)
        return found

    async def snapshots(self, account_ids: Collection[str]) -> dict[str, Snapshot]:
        """Give the snapshots of some accounts, by id; a thousand at most, and none of those that are not there."""
        ids = list(dict.fromkeys(account_ids))[:GATHERED_MAX]
        if not ids:
            return {}
        async with self._asking.available():
            answer = await self._asking.ask(lambda keys: [("MGET", *(keys.account(one) for one in ids))])
        (records,) = answer.replies
        packed = (packed_snapshot(record) for record in records if record is not None)
        found = (Snapshot.model_validate_json(read_snapshot(one)) for one in packed if one is not None)
        return {one.account_id: one for one in found}

    async def portfolio(self) -> Portfolio:
        """Give all accounts together."""
        async with self._asking.available():
            shown = await self._asking.ask(
                lambda keys: [("ZRANGE", keys.ranked(one), 0, VALUES_MAX - 1) for one in RANKED_DIMENSIONS]
            )
            values = dict(zip(RANKED_DIMENSIONS, shown.replies, strict=True))
            # All figures are of one moment; which values are the largest, of one just before.
            _, totals = await self._totals(GROUPS, {one: found for one, found in values.items() if found})
        return portfolio_of(totals)

    async def churn_months(self) -> ChurnMonths:
        """Tell who was lost and who came back, month by month."""
        async with self._asking.available():
            meta = await self._asking.meta()
            _, totals = await self._totals(turning.GROUPS)
        since, updated = (meta.get(one) for one in (names.MONTHS_SINCE, names.UPDATED_AT))
        return turning.months_of(
            totals,
            None if since is None else from_epoch_ms(int(since)),
            from_epoch_ms(int(updated or 0)),
        )

    async def currency(self) -> tuple[str | None, int]:
        """Give the currency of all money, None while there is none, and how many decimals it has."""
        async with self._asking.available():
            _, totals = await self._totals(("currency",))
        return money_of(totals)

    async def sample(self, rating_days: int) -> tuple[list[Sampled], int]:
        """Give the accounts that a trial looks at, and how many there are.

        Args:
            rating_days: after as many a rating is out of date.
        """
        async with self._asking.available(SECONDS_MAX):
            keys, totals = await self._totals(("cell",))
            found = await Sampler(self._client, keys, totals, rating_days).read()
            await self._asking.still(keys)
        return found, sum(one.accounts for one in totals["cell"].values())

    async def changes(self, after: str | None = None, limit: int = 100) -> ChangePage:
        """List the changes after a cursor, oldest first; without one, from the oldest that is kept.

        Whoever goes on with the cursor of the last page misses none.

        Raises:
            QueryError: if the cursor is none.
            CursorExpiredError: if changes after it are gone.
        """
        place = None if after is None else read_place(after)
        limit = min(limit, CHANGES_MAX)
        low = "-" if place is None else f"({place}"
        async with self._asking.available():
            answer = await self._asking.ask(lambda keys: [("XRANGE", keys.changes, low, "+", "COUNT", limit + 1)])
        (entries,) = answer.replies
        if place is not None:
            _check_kept(place, answer)
        items = tuple(change_of(*entry) for entry in entries[:limit])
        more = len(entries) > limit
        return ChangePage(items=items, next=items[-1].cursor if more else str(answer.last), more=more)

    async def latest_changes(self, limit: int = 20) -> tuple[Change, ...]:
        """Give the last changes, newest first."""
        count = min(limit, CHANGES_MAX)
        async with self._asking.available():
            answer = await self._asking.ask(lambda keys: [("XREVRANGE", keys.changes, "+", "-", "COUNT", count)])
        (entries,) = answer.replies
        return tuple(change_of(*entry) for entry in entries)

    async def last_place(self) -> str:
        """Give the cursor after which only changes come that are yet to happen."""
        async with self._asking.available():
            return str((await self._asking.ask(lambda _: ())).last)

    async def claim(self, name: str, seconds: int) -> bool:
        """Take a name for a while, in all processes; False if it is taken. Raises ViewUnavailableError."""
        async with self._asking.available():
            return bool(await self._client.set(self._asking.claim_key(name), b"1", nx=True, ex=seconds))

    async def claimed(self, claims: Sequence[str]) -> list[str]:
        """Give those of some names that are taken. Raises ViewUnavailableError."""
        if not claims:
            return []
        async with self._asking.available():
            taken = await self._client.mget([self._asking.claim_key(one) for one in claims])
        return [name for name, value in zip(claims, taken, strict=True) if value is not None]

    async def release(self, name: str) -> None:
        """Give a name back. Raises ViewUnavailableError."""
        async with self._asking.available():
            await self._client.delete(self._asking.claim_key(name))

    async def _totals(
        self, whole: Sequence[str], parts: Mapping[str, Sequence[bytes | str]] = MappingProxyType({})
    ) -> tuple[Keys, Totals]:
        """Give the totals of whole groups, and of some values of others."""
        answer = await self._asking.ask(
            lambda keys: [
                *(("HGETALL", keys.totals(group)) for group in whole),
                *(("HMGET", keys.totals(group), *values) for group, values in parts.items()),
            ]
        )
        found = iter(answer.replies)
        totals: dict[str, Mapping[str, Total]] = {}
        for group in whole:
            totals[group] = {value.decode(): read_total(packed) for value, packed in next(found).items()}
        for group, values in parts.items():
            texts = [one.decode() if isinstance(one, bytes) else one for one in values]
            pairs = zip(texts, next(found), strict=True)
            totals[group] = {text: read_total(packed) for text, packed in pairs if packed is not None}
        return answer.keys, totals

    async def _counts(self, query: AccountQuery) -> tuple[Keys, Totals]:
        """Give the totals of all cells, and of what is filtered by; a view has thousands of owners."""
        return await self._totals(("cell",), {one.value: sorted(values) for one, values in query.filters.items()})

    async def _by_id(self, keys: Keys, query: AccountQuery) -> Stored | None:
        """Find the account whose id was searched for, if it passes the filters."""
        assert query.search is not None
        found = stored_of(await self._client.get(keys.account(query.search.strip())))
        return found if found is not None and passes(found.values, query.filters) else None

    async def _found(self, keys: Keys, query: AccountQuery, totals: Totals, after: bytes | None) -> Found:
        """Find the accounts of a page, or remember them."""

        async def search() -> tuple[Found, int]:
            async with self._asking.available():
                walk = Walk(self._client, keys, query, totals, after)
                return await walk.page(), walk.scanned

        return await self._searches.find((keys.build, query.fingerprint, query.limit, after), search)

    async def _gathered(
        self, keys: Keys, query: AccountQuery, dimension: Dimension, after: bytes | None
    ) -> AccountPage:
        """Read the accounts that one filter leaves, and put in order those that pass the others too."""
        sets = [keys.members(dimension, value) for value in sorted(query.filters[dimension])]
        ids = list(await self._client.sunion(sets))
        records = zip(ids, await self._records(keys, ids), strict=True)
        passing = [(one, record) for one, record in records if record is not None and _passes(query, record)]
        found = ((_member_of(query, *one), one[1]) for one in passing)
        ordered = sorted(found, key=lambda one: place_of(one[0], query), reverse=query.descending)
        last = None if after is None else place_of(after, query)
        places = ((place_of(one[0], query), one) for one in ordered)
        rest = [one for at, one in places if last is None or (at < last if query.descending else at > last)]
        shown = rest[: query.limit]
        return AccountPage(
            items=tuple(one.row for one in map(stored_of, (record for _, record in shown)) if one is not None),
            next=encode_cursor(query, shown[-1][0]) if len(rest) > len(shown) else None,
            total=len(ordered),
        )

    async def _records(self, keys: Keys, ids: Sequence[bytes]) -> list[bytes | None]:
        """Read what is stored of accounts; None of one that was erased a moment ago."""
        if not ids:
            return []
        records: list[bytes | None] = await self._client.mget([keys.account(one.decode()) for one in ids])
        return records

    async def _rows_of(self, keys: Keys, query: AccountQuery, found: Found) -> list[Stored]:
        ids = [id_of(member, query.sort) for member in found.members]
        accounts = dict(zip(ids, map(stored_of, await self._records(keys, ids)), strict=True))
        prefix = fold(query.search or "").encode()
        rows = []
        for member, account_id in zip(found.members, ids, strict=True):
            one = accounts[account_id]
            # One that has changed since it was found may be another page's.
            if one is None or not passes(one.values, query.filters):
                continue
            if query.search is None or is_first_match(read_name_member(member), one.beginnings, prefix):
                rows.append(one)
        return rows


def _passes(query: AccountQuery, record: bytes) -> bool:
    """Tell whether an account that one filter leaves passes the others."""
    if len(query.filters) == 1:
        return True
    found = stored_of(record)
    return found is not None and passes(found.values, query.filters)


def _member_of(query: AccountQuery, account_id: bytes, record: bytes) -> bytes:
    """Give an account's place in the order that is asked for."""
    if query.sort is not Sort.NAME:
        return value_of(record, query.sort) + account_id
    found = stored_of(record)
    return b"" if found is None else order_of(found.body, Sort.NAME)


def change_of(place: bytes, fields: Mapping[bytes, bytes]) -> Change:
    """Read an entry of the stream of changes."""
    return _change_of(place, fields[names.EVENT])


@lru_cache(maxsize=_CHANGES_CACHED)
def _change_of(place: bytes, packed: bytes) -> Change:
    return Change(cursor=place.decode(), event=CHANGE_ADAPTER.validate_json(unpack(packed)))


def _check_kept(place: Place, answer: Answer) -> None:
    """Make sure that all changes after a place are still there."""
    last, kept = answer.last, answer.changes_kept
    if place.build != last.build or place.number > last.number:
        raise CursorExpiredError("the view was built anew since; begin without a cursor")
    if place.number < last.number - kept:
        raise CursorExpiredError(f"only the last {kept} changes are kept; begin without a cursor")


def _narrow(query: AccountQuery, totals: Totals) -> Dimension | None:
    """Give a filter that alone leaves few enough accounts to put them in order here; None if there is none."""
    if query.search is not None:
        return None
    for dimension in SET_DIMENSIONS:
        values, held = query.filters.get(dimension), totals.get(dimension.value, {})
        if values and sum(held.get(value, Total()).accounts for value in values) <= GATHERED_MAX:
            return dimension
    return None


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
