"""The pulse of the console, on a real view."""

import asyncio
import itertools
from collections.abc import Callable

import pytest
import redis.asyncio

from stream.console.pulse import Condition, Pulse
from stream.serving.live import LiveChanges
from stream.serving.reader import ViewReader
from stream.serving.results import Portfolio
from stream.view import keys as names
from stream.view.keys import meta_key
from tests.support.portfolio import accounts, fill
from tests.support.redis import RedisServer

_numbers = itertools.count()


class CountingReader(ViewReader):
    """Notes how often the portfolio is read."""

    portfolios = 0

    async def portfolio(self) -> Portfolio:
        """Count, and read."""
        self.portfolios += 1
        return await super().portfolio()


async def _nothing() -> None:
    pass


def _pulse(reader: ViewReader) -> Pulse:
    return Pulse(reader, LiveChanges(reader, 1, lambda _: None), lambda: True, _nothing)


async def _until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110  # only looking tells
            await asyncio.sleep(0.01)


def test_pages_are_told_that_the_view_cannot_be_read_and_when_it_can_again(
    shared_redis: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also when what is wrong is nothing that was thought of: looking never ends while a page is open."""
    monkeypatch.setattr("stream.console.pulse._AGAIN_SECONDS", 0.01)
    application_id = f"pulse-{next(_numbers)}"
    fill(shared_redis, application_id, accounts(3))

    async def run() -> None:
        async with redis.asyncio.Redis(port=shared_redis.port) as client:
            written = await client.hget(meta_key(application_id), names.UPDATED_AT)
            assert written is not None
            pulse = _pulse(ViewReader(client, application_id))
            pulse.start()
            await _until(lambda: pulse.status is not None)
            await client.hset(meta_key(application_id), names.UPDATED_AT.decode(), "no time")
            await _until(lambda: pulse.condition is Condition.UNAVAILABLE)
            await client.hset(meta_key(application_id), names.UPDATED_AT.decode(), written)
            await _until(lambda: pulse.status is not None)
            await pulse.stop()

    asyncio.run(run())


def test_all_pages_of_a_beat_add_up_the_portfolio_once(shared_redis: RedisServer) -> None:
    """Those that ask while it is being read wait for that."""
    application_id = f"pulse-{next(_numbers)}"
    fill(shared_redis, application_id, accounts(3))

    async def run() -> tuple[int, int]:
        async with redis.asyncio.Redis(port=shared_redis.port) as client:
            reader = CountingReader(client, application_id)
            pulse = _pulse(reader)
            found = await asyncio.gather(*(pulse.portfolio() for _ in range(5)))
            return reader.portfolios, len(found)

    assert asyncio.run(run()) == (1, 5)
