"""The stream of changes as it happens."""

import asyncio
import itertools
import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
import redis.asyncio

from stream.serving.live import Item, LiveChanges
from stream.serving.reader import ViewReader
from stream.serving.results import Change, ChangePage
from stream.view import keys as names
from stream.view.keys import Keys
from stream.view.writing import Batch, ViewWriter
from tests.serving.conftest import Api, Serve
from tests.support.polling import eventually
from tests.support.portfolio import accounts, fill
from tests.support.redis import RedisServer
from tests.support.snapshots import tier_change

_numbers = itertools.count()
Event = dict[str, Any]


@pytest.fixture
def feed(shared_redis: RedisServer, serve: Serve) -> tuple[ViewWriter, Api]:
    """A view of ten accounts with five changes, and the API over it."""
    application_id = f"live-{next(_numbers)}"
    writer = fill(shared_redis, application_id, accounts(10), changes=5)
    return writer, serve(application_id=application_id, api_live_clients="2")


def change(writer: ViewWriter, *sequences: int) -> None:
    """Let changes happen."""
    for sequence in sequences:
        writer.write(Batch(changes={"ACC-00001": [tier_change("ACC-00001", sequence)]}), {})


def events_of(response: httpx.Response) -> Iterator[Event]:
    """Read server-sent events."""
    event: Event = {}
    for line in response.iter_lines():
        if not line:
            if "event" in event:
                yield event
            event = {}
        elif not line.startswith(":"):
            name, _, value = line.partition(": ")
            event[name] = value


def taken(events: Iterator[Event], count: int) -> list[Event]:
    """Read some of them."""
    return list(itertools.islice(events, count))


def sequences(events: list[Event]) -> list[int]:
    """Give the sequences of changes."""
    assert {one["event"] for one in events} <= {"change"}
    found = [json.loads(one["data"]) for one in events]
    assert [one["cursor"] for one in found] == [one["id"] for one in events]
    return [one["event"]["sequence"] for one in found]


def test_changes_are_told_as_they_happen(feed: tuple[ViewWriter, Api]) -> None:
    """From now on, in order, each with its cursor as id."""
    writer, api = feed
    with api.client() as client, client.stream("GET", "/changes/live") as response:
        assert response.headers["content-type"].startswith("text/event-stream")
        events = events_of(response)
        eventually(lambda: live_clients(api) == 1, "it is followed")
        change(writer, 101, 102, 103)

        assert sequences(taken(events, 3)) == [101, 102, 103]


@pytest.mark.parametrize("by", ["header", "query"])
def test_who_comes_back_misses_nothing_and_sees_nothing_twice(feed: tuple[ViewWriter, Api], by: str) -> None:
    """What happened meanwhile comes first, then what happens."""
    writer, api = feed
    with api.client() as client:
        page = client.get("/changes", params={"limit": 2}).json()
        last = page["items"][-1]["cursor"]
        asked: Any = {"headers": {"Last-Event-ID": last}} if by == "header" else {"params": {"after": last}}
        with client.stream("GET", "/changes/live", **asked) as response:
            events = events_of(response)
            first = sequences(taken(events, 3))
            change(writer, 101, 102)

            assert first + sequences(taken(events, 2)) == [3, 4, 5, 101, 102]


def test_a_view_that_is_built_anew_is_told(feed: tuple[ViewWriter, Api]) -> None:
    """A reset, with the cursor to go on from, and then what happens in the new build."""
    writer, api = feed
    with api.client() as client, client.stream("GET", "/changes/live") as response:
        events = events_of(response)
        eventually(lambda: live_clients(api) == 1, "it is followed")
        change(writer, 101)
        assert sequences(taken(events, 1)) == [101]
        writer.begin({})
        writer.write(Batch({name: [value] for name, value in accounts(10).items()}), {names.BUILT_AT: b"1"})
        (reset,) = taken(events, 1)
        change(writer, 102)

        assert reset["event"] == "reset"
        assert json.loads(reset["data"]) == {"cursor": reset["id"]}
        assert sequences(taken(events, 1)) == [102]
        with client.stream("GET", "/changes/live", headers={"Last-Event-ID": "1-1"}) as other:
            assert taken(events_of(other), 1)[0]["event"] == "reset"


def test_only_so_many_may_follow(feed: tuple[ViewWriter, Api]) -> None:
    """One too many is told to come again; when another has gone there is room."""
    _, api = feed
    with api.client() as client:
        with client.stream("GET", "/changes/live"), client.stream("GET", "/changes/live"):
            eventually(lambda: live_clients(api) == 2, "two follow")
            response = client.get("/changes/live")
            assert response.status_code == 503
            assert response.json()["type"] == "urn:account-health:problem:too-many-clients"
        eventually(lambda: live_clients(api) == 0, "both have gone")
        with client.stream("GET", "/changes/live") as response:
            assert response.status_code == 200


def test_who_goes_before_the_first_change_leaves_room(shared_redis: RedisServer) -> None:
    """A connection that ends before anything was sent counts no longer, however often that happens."""
    application_id = f"live-{next(_numbers)}"
    fill(shared_redis, application_id, accounts(1))
    told: list[int] = []

    async def run() -> None:
        async with redis.asyncio.Redis(port=shared_redis.port) as client:
            live = LiveChanges(ViewReader(client, application_id), 1, told.append)
            for _ in range(3):
                async with live.follow(None):
                    pass
            await live.close()

    asyncio.run(run())

    assert told == [1, 0] * 3


def test_a_change_between_what_was_missed_and_the_first_look_is_told(shared_redis: RedisServer) -> None:
    """The first who follows is told of what comes just after it has read what it missed."""
    application_id = f"live-{next(_numbers)}"
    writer = fill(shared_redis, application_id, accounts(1), changes=1)

    class Reader(ViewReader):
        """Lets a change happen after what was missed is read, and before a first look that is only then asked for."""

        def __init__(self, client: "redis.asyncio.Redis") -> None:
            super().__init__(client, application_id)
            self.is_asked = False
            self.happened = asyncio.Event()

        async def changes(self, after: str | None = None, limit: int = 100) -> ChangePage:
            if after is None or self.is_asked:
                return await super().changes(after, limit)
            self.is_asked = True
            page = await super().changes(after, limit)
            writer.write(Batch(changes={"ACC-00000": [tier_change("ACC-00000", 200)]}), {})
            self.happened.set()
            return page

        async def last_place(self) -> str:
            if self.is_asked:
                await self.happened.wait()
            return await super().last_place()

    async def run() -> str:
        async with redis.asyncio.Redis(port=shared_redis.port) as client:
            reader = Reader(client)
            live = LiveChanges(reader, 1, lambda _: None)
            after = await reader.last_place()
            async with live.follow(after) as items, asyncio.timeout(10):
                item = await anext(items)
            await live.close()
            assert isinstance(item, Change)
            return item.cursor

    assert asyncio.run(run()).endswith("-2")


def test_who_is_too_slow_has_all_up_to_its_end(shared_redis: RedisServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is let go behind what waits for it, none of which is left out: it comes back with the cursor of the last."""
    monkeypatch.setattr("stream.serving.live.QUEUED_MAX", 3)
    application_id = f"live-{next(_numbers)}"
    writer = fill(shared_redis, application_id, accounts(2))

    async def run() -> list[str]:
        counts: list[int] = []
        async with redis.asyncio.Redis(port=shared_redis.port) as client:
            live = LiveChanges(ViewReader(client, application_id), 1, counts.append)
            async with live.follow(None) as items, asyncio.timeout(10):
                change(writer, *range(101, 106))
                while live._followers:  # noqa: ASYNC110  # only looking tells
                    await asyncio.sleep(0.01)
                return [item.cursor async for item in items]

    assert [cursor.rpartition("-")[2] for cursor in asyncio.run(run())] == ["1", "2", "3"]


def test_changes_that_cannot_be_read_end_those_who_follow(shared_redis: RedisServer) -> None:
    """Instead of leaving them waiting for what nobody looks for any more."""
    application_id = f"live-{next(_numbers)}"
    writer = fill(shared_redis, application_id, accounts(2), changes=1)

    async def run() -> list[Item]:
        async with redis.asyncio.Redis(port=shared_redis.port) as client:
            live = LiveChanges(ViewReader(client, application_id), 1, lambda _: None)
            build = writer.meta[names.BUILD]
            async with live.follow(None) as items, asyncio.timeout(10):
                await client.xadd(Keys(application_id, build).changes, {"x": b"no change"}, id=f"{build.decode()}-100")
                return [item async for item in items]

    assert asyncio.run(run()) == []


@pytest.mark.parametrize("cursor", ["x", "1-", "\x00"])
def test_a_cursor_that_is_none_is_refused_before_anything_is_sent(feed: tuple[ViewWriter, Api], cursor: str) -> None:
    """As a problem, not as an event."""
    _, api = feed
    with api.client() as client:
        assert client.get("/changes/live", params={"after": cursor}).status_code == 422


def test_a_process_that_is_stopped_lets_go_of_its_followers(feed: tuple[ViewWriter, Api]) -> None:
    """It ends in time although somebody follows."""
    _, api = feed
    with api.client() as client, client.stream("GET", "/changes/live"):
        eventually(lambda: live_clients(api) == 1, "it is followed")

        assert api.process.terminate(20.0) == 0


def live_clients(api: Api) -> float:
    """Ask how many follow."""
    return next(
        value for (name, _), value in api.process.metrics().items() if name == "account_health_api_live_clients"
    )
