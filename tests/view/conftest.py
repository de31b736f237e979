"""What the tests of the view share: a Redis that is real, the demo's stand-in, and either of them in turn."""

from collections.abc import Iterator
from typing import Any

import pytest
import redis

from tests.support.redis import RedisServer, require_redis_server, stand_in


@pytest.fixture(scope="session")
def shared_redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """A real Redis, shared by the run: use an application id of your own."""
    require_redis_server()
    with RedisServer(tmp_path_factory.mktemp("redis")) as server:
        yield server


@pytest.fixture(params=["redis-server", "stand-in"])
def client(request: pytest.FixtureRequest) -> Iterator[Any]:
    """A client of an empty Redis: the real one, then the stand-in."""
    if request.param == "redis-server":
        server: RedisServer = request.getfixturevalue("shared_redis")
        made: Any = server.client()
        made.flushall()
        yield made
        made.close()
        return
    with stand_in() as port:
        made = redis.Redis(port=port)
        yield made
        made.close()
