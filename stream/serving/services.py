"""All that a process that serves has, made once: for the API, and for whatever else is served beside it."""

from dataclasses import dataclass
from typing import Final, Self
from zoneinfo import ZoneInfo

import redis.asyncio
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from models.policy import Policy, load_policy
from stream.serving.editing import ProfileEditor
from stream.serving.live import LiveChanges
from stream.serving.reader import ViewReader
from stream.serving.security import KeyRing
from stream.serving.telemetry import ServeMetrics
from stream.serving.trying import Trials
from stream.settings import Settings

_CONNECTIONS_MAX: Final = 32


@dataclass(frozen=True, slots=True)
class Services:
    """What answers, what changes and what watches; to be closed by the event loop that uses them."""

    settings: Settings
    reader: ViewReader
    editor: ProfileEditor
    live: LiveChanges
    trials: Trials
    keys: KeyRing
    time_zone: ZoneInfo
    """In which days begin and end, as the policy says."""
    metrics: ServeMetrics
    client: "redis.asyncio.Redis"

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """Make them; nothing is connected yet.

        Raises:
            PolicyError: if the policy file cannot be used.
        """
        policy = None if settings.policy_file is None else load_policy(settings.policy_file)
        zone: str = Policy.model_fields["reporting_timezone"].default
        time_zone = ZoneInfo(zone if policy is None else policy.reporting_timezone)
        metrics, client = ServeMetrics(), redis_client(settings)
        reader = ViewReader(client, settings.application_id, settings.redis_timeout_ms / 1000)
        return cls(
            settings=settings,
            reader=reader,
            editor=ProfileEditor(settings, reader, time_zone),
            live=LiveChanges(reader, settings.api_live_clients, metrics.set_live_clients),
            trials=Trials(reader, policy),
            keys=KeyRing(settings),
            time_zone=time_zone,
            metrics=metrics,
            client=client,
        )

    async def close(self) -> None:
        """End what is open."""
        await self.live.close()
        await self.editor.close()
        await self.client.aclose()


def redis_client(settings: Settings) -> "redis.asyncio.Redis":
    """Make a client for questions: one that is not answered in time fails, and is not repeated here."""
    timeout = settings.redis_timeout_ms / 1000
    password = settings.redis_password
    pool = redis.asyncio.BlockingConnectionPool.from_url(
        settings.redis_url,
        username=settings.redis_username,
        password=None if password is None else password.get_secret_value(),
        max_connections=_CONNECTIONS_MAX,
        timeout=timeout,
        socket_connect_timeout=timeout,
        # The reader's own is one for each question.
        socket_timeout=None,
        retry=Retry(NoBackoff(), 0),
        client_name=f"{settings.application_id}-serve",
    )
    return redis.asyncio.Redis.from_pool(pool)
