"""Searches through many accounts: where they end, how they go on, and what of them is remembered."""

import asyncio

import pytest
import redis.asyncio

from stream.serving import listing, reader, searches
from stream.serving.errors import ViewUnavailableError
from stream.serving.listing import Found
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
        patch.setattr(searches, "SCANNED_MIN", 0)
        patch.setattr(searches, "REMEMBERED_SECONDS", remembered)

        first, then = asyncio.run(twice())

    assert first == ["B", "C", "D"]
    assert sorted(one for one, _ in then) == expected
    assert dict(then)["B"] == 60.0


async def searching(*waiting: str, fails: bool = False) -> tuple[int, list[object]]:
    """Ask for the same several times while it is searched; who is impatient gives up. Returns how often and what."""
    made, begun, go = 0, asyncio.Event(), asyncio.Event()
    kept = searches.Searches()

    async def search() -> tuple[Found, int]:
        nonlocal made
        made += 1
        begun.set()
        await go.wait()
        if fails:
            raise ViewUnavailableError("gone")
        return Found([b"1"], None), 0

    tasks = [asyncio.create_task(kept.find("asked", search)) for _ in waiting]
    await begun.wait()
    for task, mood in zip(tasks, waiting, strict=True):
        if mood == "impatient":
            task.cancel()
    go.set()
    told: list[object] = [*await asyncio.gather(*tasks, return_exceptions=True)]
    told.append(await asyncio.gather(kept.find("asked", search), return_exceptions=True))
    return made, told


def test_the_same_search_is_made_once_at_a_time() -> None:
    """Whoever asks while it goes on is told what it finds, also when the first one gave up; later it is made again."""
    made, (first, second, third, later) = asyncio.run(searching("impatient", "patient", "patient"))

    assert made == 2
    assert isinstance(first, asyncio.CancelledError)
    assert second == third == Found([b"1"], None)
    assert later == [Found([b"1"], None)]


def test_a_search_that_fails_fails_for_all_who_wait_and_is_made_again() -> None:
    """It is not remembered."""
    made, (*told, later) = asyncio.run(searching("patient", "patient", fails=True))

    assert made == 2
    assert [type(one) for one in told] == [ViewUnavailableError] * 2
    assert isinstance(later, list)
    assert isinstance(later[0], ViewUnavailableError)
