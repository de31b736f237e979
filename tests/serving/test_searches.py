"""Searches through many accounts: where they end, how they go on, and what of them is remembered."""

import asyncio

import pytest
import redis.asyncio

from stream.serving import listing, reader, searches
from stream.serving.queries import AccountQuery
from stream.serving.reader import ViewReader
from stream.view.arrangement import Dimension, Sort
from stream.view.writing import Batch
from tests.serving.test_reader import all_pages, ask, by_hand
from tests.support.portfolio import fill
from tests.support.redis import RedisServer
from tests.support.snapshots import snapshot


def test_a_search_through_many_accounts_ends_where_it_may_and_goes_on(
    shared_redis: RedisServer, application_id: str
) -> None:
    """A page may hold fewer accounts than asked for, or none, and its cursor leads on."""
    query = AccountQuery({Dimension.OWNER: frozenset({"Owner 3"})}, limit=20)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reader, "GATHERED_MAX", 0)
        patch.setattr(listing, "SCANNED_MAX", 10)
        patch.setattr(listing, "SLICE_FIRST", 1)

        first = ask(shared_redis, application_id, lambda view: view.accounts(query))
        found = ask(shared_redis, application_id, lambda view: all_pages(view, query))

    assert first.next is not None
    assert len(first.items) < query.limit
    assert found == by_hand(query)


@pytest.mark.parametrize(("remembered", "expected"), [(1e9, ["B", "C"]), (-1.0, ["A", "B", "C"])], ids=["yes", "no"])
def test_a_long_search_is_remembered_and_what_it_tells_is_as_of_now(
    shared_redis: RedisServer, application_id: str, remembered: float, expected: list[str]
) -> None:
    """An account that came meanwhile is not listed yet; one that no longer passes is listed no longer."""
    application = f"{application_id}-remembered-{expected[0]}"
    writer = fill(shared_redis, application, {one: snapshot(one, owner="Ann", score=50.0) for one in "BCD"})
    query = AccountQuery({Dimension.OWNER: frozenset({"Ann"})}, sort=Sort.SCORE, descending=False)

    async def twice() -> tuple[list[str], list[tuple[str, float | None]]]:
        async with redis.asyncio.Redis(port=shared_redis.port) as client:
            view = ViewReader(client, application)
            first = await view.accounts(query)
            writer.write(
                Batch(
                    {
                        "A": [snapshot("A", owner="Ann", score=10.0)],
                        "B": [snapshot("B", 2, owner="Ann", score=60.0)],
                        "D": [snapshot("D", 2, owner="Bob", score=50.0)],
                    }
                ),
                {},
            )
            then = await view.accounts(query)
            return [one.account_id for one in first.items], [(one.account_id, one.score) for one in then.items]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reader, "GATHERED_MAX", 0)
        patch.setattr(reader, "SCANNED_MIN", 0)
        patch.setattr(searches, "REMEMBERED_SECONDS", remembered)

        first, then = asyncio.run(twice())

    assert first == ["B", "C", "D"]
    assert sorted(one for one, _ in then) == expected
    assert dict(then)["B"] == 60.0
