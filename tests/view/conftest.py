"""What the tests of the view share: the real Redis and the demo's stand-in, in turn."""

from collections.abc import Iterator
from typing import Any

import pytest
import redis

from tests.support.redis import RedisServer, stand_in


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
