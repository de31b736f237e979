"""Asking Redis, and at the same moment whether what it holds is a complete view of this version."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final, NamedTuple

import redis.asyncio
from redis.exceptions import RedisError

from stream.serving.errors import ViewUnavailableError
from stream.serving.places import Place
from stream.view import keys as names
from stream.view.keys import Keys, meta_key
from stream.view.packing import SCHEMA

_BUILDING: Final = "the view is being built; try again later"
_SILENT: Final = "the view does not answer; try again later"

Command = tuple[Any, ...]


class Answer(NamedTuple):
    """What Redis answered, and of which build of the view that is."""

    keys: Keys
    last: Place
    """Of the last change."""
    changes_kept: int
    """How many changes before it may be there still."""
    replies: list[Any]


class Asking:
    """Asks the view of one application.

    Args:
        client: asynchronous, of Redis, answers in bytes.
        application_id: whose view.
        timeout_seconds: for all that one question asks of Redis together.
    """

    def __init__(self, client: "redis.asyncio.Redis", application_id: str, timeout_seconds: float) -> None:
        self._timeout_seconds = timeout_seconds
        self.client: Final[Any] = client  # its annotations answer for the synchronous client as well
        self._application_id = application_id
        self._meta_key = meta_key(application_id)
        self._keys = Keys(application_id, b"")

    @asynccontextmanager
    async def available(self, more_seconds: float = 0) -> AsyncGenerator[None]:
        """Say of a Redis that does not answer in time, or answers what it cannot hold, that there is no view now.

        A question that reads many accounts has some more time.

        One timer for a question, as the client's own would be one for each of hundreds of replies.
        """
        try:
            async with asyncio.timeout(self._timeout_seconds + more_seconds):
                yield
        except (RedisError, TimeoutError) as error:
            raise ViewUnavailableError(_SILENT) from error

    async def meta(self) -> dict[bytes, bytes]:
        """Read what is said of the view; empty if there is none of this version."""
        meta: dict[bytes, bytes] = await self.client.hgetall(self._meta_key)
        return meta if meta.get(names.SCHEMA) == SCHEMA.encode() else {}

    def keys_of(self, build: bytes) -> Keys:
        """Give the keys of a build."""
        return Keys(self._application_id, build)

    def claim_key(self, name: str) -> str:
        """Give the key of a name that one process at a time may hold."""
        return f"{{{self._application_id}}}:claim:{name}"

    async def ask(self, commands: Callable[[Keys], Sequence[Command]]) -> Answer:
        """Carry out commands on the build that is in force.

        Raises:
            ViewUnavailableError: if it is not complete, or there is none of this version.
        """
        while True:
            keys = self._keys
            pipe = self.client.pipeline(transaction=True)
            pipe.hmget(self._meta_key, names.SCHEMA, names.BUILT_AT, names.BUILD, names.CHANGES, names.KEPT)
            for command in commands(keys):
                pipe.execute_command(*command)
            (schema, built_at, build, number, kept), *replies = await pipe.execute()
            if schema != SCHEMA.encode() or built_at is None:
                raise ViewUnavailableError(_BUILDING)
            if build == keys.build:
                return Answer(keys, Place(int(build), int(number)), int(kept), replies)
            # Another build took over since the last question: once more, with its keys.
            self._keys = self.keys_of(build)

    async def still(self, keys: Keys) -> None:
        """Make sure that what was read in several steps was of one build.

        Raises:
            ViewUnavailableError: if it was not.
        """
        if await self.client.hget(self._meta_key, names.BUILD) != keys.build:
            raise ViewUnavailableError(_BUILDING)
