"""Which accounts a trial looks at: all of them, or those with the most revenue and others drawn at random."""

import asyncio
from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import datetime
from time import monotonic
from typing import Any, Final, NamedTuple

import msgspec

from models.outputs import ChurnLevel, Lifecycle, Tier
from models.portfolio import PARTS_COUNT
from processors.context import day_of_date
from processors.regrading import Known
from processors.scorecard import PARTS, Year
from stream.serving.listing import Totals, Walk, id_of
from stream.serving.queries import AccountQuery
from stream.view.arrangement import Sort
from stream.view.entry import ClassesBody, cell_of, minor
from stream.view.keys import Keys
from stream.view.record import packed_snapshot, read_snapshot

WHOLE_MAX: Final = 20_000
"""Accounts that are all looked at; of more, a part is."""
LARGEST: Final = 5_000
"""With the most revenue, each of which is looked at."""
DRAWN: Final = 5_000
"""Others, drawn at random, in proportion from every cell."""
DRAWN_OF_A_CELL_MIN: Final = 5
SECONDS_MAX: Final = 5.0
_AT_ONCE: Final = 500
_PLACES: Final = {name: place for place, name in enumerate(PARTS)}


class _Window(msgspec.Struct, gc=False):
    revenue: str
    profit: str | None
    service_cost: str
    orders: int
    profit_coverage: float | None


class _Lifetime(msgspec.Struct, gc=False):
    profit: str | None


class _Component(msgspec.Struct, gc=False):
    parts: dict[str, float | None]


class _Rating(msgspec.Struct, gc=False):
    value: float
    rated_at: str


class _Profile(msgspec.Struct, gc=False):
    segment: str | None = None
    industry: str | None = None
    region: str | None = None
    owner: str | None = None
    ratings: dict[str, _Rating] = {}


class _Churn(msgspec.Struct, gc=False):
    level: ChurnLevel


class _Support(msgspec.Struct, gc=False):
    severe: int


class _Portfolio(msgspec.Struct, gc=False):
    version: int | None = None


class _Body(msgspec.Struct, gc=False):
    account_id: str
    name: str | None
    profile: _Profile | None
    as_of: str
    tier: Tier
    components: list[_Component]
    windows: dict[str, _Window]
    lifetime: _Lifetime
    classes: ClassesBody
    lifecycle: Lifecycle
    override_until: str | None
    veto: str | None
    churn: _Churn
    portfolio: _Portfolio
    support: _Support
    policy_version: str


_DECODER: Final = msgspec.json.Decoder(_Body)


class Sampled(NamedTuple):
    """An account that a trial looks at."""

    account_id: str
    name: str | None
    owner: str | None
    as_of: datetime
    policy_version: str
    is_compared: bool
    """Whether it was compared with a portfolio."""
    cell: str
    known: Known
    weight: float
    """How many accounts it stands for."""


def sampled_of(snapshot: bytes, rating_days: int) -> Sampled:
    """Read an account that is looked at.

    Args:
        snapshot: as it was published.
        rating_days: after as many a rating is out of date.
    """
    body = _DECODER.decode(snapshot)
    as_of = datetime.fromisoformat(body.as_of)
    profile = body.profile
    parts: list[float | None] = [None] * PARTS_COUNT
    for component in body.components:
        for name, part in component.parts.items():
            parts[_PLACES[name]] = part
    rating = None if profile is None else profile.ratings.get("competitive_pressure")
    if rating is not None and day_of_date(as_of.date()) >= _day(rating.rated_at) + rating_days:
        rating = None
    return Sampled(
        body.account_id,
        body.name,
        None if profile is None else profile.owner,
        as_of,
        body.policy_version,
        body.portfolio.version is not None,
        cell_of(body.tier, body.churn.level, body.classes, body.lifecycle),
        Known(
            parts=parts,
            described=profile,
            tier=body.tier,
            overridden=body.override_until is not None,
            vetoed=body.veto is not None,
            year=_year(body.windows[max(body.windows, key=int)]),
            knew_costs=body.lifetime.profit is not None,
            open_severe_tickets=body.support.severe,
            competitive_pressure=None if rating is None else rating.value,
        ),
        1.0,
    )


def _day(text: str) -> int:
    return day_of_date(datetime.fromisoformat(text).date())


def _year(window: _Window) -> Year:
    """Take the sums of a window back from what is shown of it."""
    revenue, service = minor(window.revenue) or 0, minor(window.service_cost) or 0
    profit = minor(window.profit)
    if profit is None:
        return Year(revenue, window.orders, 0, 0, service)
    costed = revenue if window.profit_coverage is None else round(revenue * window.profit_coverage)
    return Year(revenue, window.orders, costed, costed - profit - service, service)


class Sampler:
    """Reads the accounts that a trial looks at.

    Args:
        client: asynchronous, of Redis; answers in bytes.
        keys: of the view.
        totals: of all cells.
        rating_days: see `sampled_of`.
    """

    def __init__(self, client: Any, keys: Keys, totals: Totals, rating_days: int) -> None:
        self._client = client
        self._keys = keys
        self._totals = totals
        self._cells = {cell: one.accounts for cell, one in totals["cell"].items() if one.accounts > 0}
        self._rating_days = rating_days
        self._until = monotonic() + SECONDS_MAX
        self._found: dict[bytes, Sampled] = {}

    async def read(self) -> list[Sampled]:
        """Read them, as far as the time allows; each with its weight."""
        if sum(self._cells.values()) <= WHOLE_MAX:
            await self._read(await self._drawn(WHOLE_MAX))
            return self._weighted(())
        largest = await self._largest()
        await self._read(largest)
        certain = tuple(self._found)
        await self._read(await self._drawn(DRAWN))
        return self._weighted(certain)

    async def _largest(self) -> list[bytes]:
        ids: list[bytes] = []
        after: bytes | None = None
        query = AccountQuery(sort=Sort.REVENUE, limit=_AT_ONCE)
        while len(ids) < LARGEST:
            found = await Walk(self._client, self._keys, query, self._totals, after).page()
            ids += [id_of(member, Sort.REVENUE) for member in found.members]
            after = found.after
            if after is None or monotonic() > self._until:
                break
        return ids[:LARGEST]

    async def _drawn(self, wanted: int) -> list[bytes]:
        """Draw from every cell in proportion; all, where as many are wanted as there are."""
        everything = sum(self._cells.values())
        pipe = self._client.pipeline(transaction=False)
        for cell, count in self._cells.items():
            share = max(DRAWN_OF_A_CELL_MIN, -(-wanted * count // everything))
            pipe.zrandmember(self._keys.order(Sort.REVENUE, cell), min(count, share))
        ids = [id_of(member, Sort.REVENUE) for members in await pipe.execute() for member in members]
        # Cell after cell would leave the last ones out where the time ends: take turns.
        step = max(1, len(ids) // _AT_ONCE)
        return [one for first in range(step) for one in ids[first::step]]

    async def _read(self, ids: Sequence[bytes]) -> None:
        new = [one for one in ids if one not in self._found]
        for first in range(0, len(new), _AT_ONCE):
            if monotonic() > self._until:
                return
            some = new[first : first + _AT_ONCE]
            records = await self._client.mget([self._keys.account(one.decode()) for one in some])
            # Beside the loop, which answers others meanwhile.
            read = await asyncio.to_thread(self._decoded, records)
            self._found |= {account_id: one for account_id, one in zip(some, read, strict=True) if one is not None}

    def _decoded(self, records: Iterable[bytes | None]) -> list[Sampled | None]:
        packed = (None if one is None else packed_snapshot(one) for one in records)
        return [None if one is None else sampled_of(read_snapshot(one), self._rating_days) for one in packed]

    def _weighted(self, certain: Iterable[bytes]) -> list[Sampled]:
        """Let each account that was drawn stand for the others of its cell that were not looked at."""
        sure = set(certain)
        here = Counter(one.cell for account_id, one in self._found.items() if account_id in sure)
        drawn = Counter(one.cell for account_id, one in self._found.items() if account_id not in sure)
        weights = {cell: max(1.0, (self._cells.get(cell, 0) - here[cell]) / count) for cell, count in drawn.items()}
        others = sum(self._cells.values()) - len(sure)
        # A cell of which none was drawn is made up for by the others.
        scale = others / (sum(weights[cell] * count for cell, count in drawn.items()) or 1.0)
        return [
            one if account_id in sure else one._replace(weight=weights[one.cell] * scale)
            for account_id, one in self._found.items()
        ]
