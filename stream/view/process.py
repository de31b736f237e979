"""The process that writes the view: from start to an orderly stop, or to an end that its supervisor sees."""

import logging
import signal
import threading
import time
from collections.abc import Callable
from typing import Any, Final, NoReturn

import redis
from confluent_kafka import KafkaException
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

from stream import logs
from stream.cluster import ClusterError
from stream.condition import Condition
from stream.ending import EXIT_FAILED, end, end_after
from stream.probes import ProbeServer
from stream.settings import Settings, effective, env_name
from stream.view.projector import Owner, Projector
from stream.view.source import SourceError
from stream.view.telemetry import ViewMetrics
from stream.view.writing import ViewConflictError

_log = logging.getLogger(__name__)
BUILDING: Final = "building"
FAILING: Final = "failing"
_BATCH_TIMEOUTS: Final = 5
"""A batch may take as many times as long as a request of the API."""
_TELL_SECONDS: Final = 1.0


def redis_client(settings: Settings) -> "redis.Redis":
    """Make a client for the process that writes: every wait has an end, and retries are the caller's."""
    timeout = settings.redis_timeout_ms / 1000
    password = settings.redis_password
    return redis.Redis.from_url(
        settings.redis_url,
        username=settings.redis_username,
        password=None if password is None else password.get_secret_value(),
        socket_connect_timeout=timeout,
        socket_timeout=timeout * _BATCH_TIMEOUTS,
        retry=Retry(NoBackoff(), 0),
        client_name=f"{settings.application_id}-view",
    )


def warn_of_stand_in(settings: Settings) -> None:
    """Say in the log that nothing that has to be right may rely on this Redis."""
    if settings.embedded_redis:
        _log.warning("%s: the Redis is a stand-in, which keeps nothing", env_name("embedded_redis"))


def run_view(settings: Settings, *, rebuild: bool) -> NoReturn:
    """Keep the view until SIGTERM or SIGINT; ends the process."""
    logs.configure(settings.log_level, settings.log_format)
    for name, value in effective(settings):
        _log.debug("%s=%s", name, value)
    warn_of_stand_in(settings)
    metrics, condition = ViewMetrics(), Condition(settings.stuck_deadline_seconds)
    stopped = threading.Event()
    probes = ProbeServer(settings.http_host, settings.http_port, condition, metrics.registry)
    try:
        probes.start()
    except OSError as error:
        _log.critical("probes and metrics on %s:%s: %s", settings.http_host, settings.http_port, error.strerror)
        end(EXIT_FAILED)
    _log.info("probes and metrics on port %s", probes.port)

    def stop(*_: Any) -> None:
        _log.info("stopping")
        condition.drain()
        stopped.set()
        end_after(settings.grace_period_seconds, "not stopped within the grace period")

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    try:
        projector = Projector(
            settings,
            redis_client(settings),
            metrics,
            Owner(
                written=lambda built: condition.hear(() if built else (BUILDING,)),
                failed=lambda: condition.doubt(FAILING),
                stopped=stopped.is_set,
            ),
        )
        if rebuild:
            projector.rebuild()
        projector.run(until=lambda: False)
        projector.close()
    except (ClusterError, KafkaException, RedisError, SourceError, ViewConflictError) as error:
        _log.critical("%s", error)
        end(EXIT_FAILED)
    except Exception as error:  # noqa: BLE001  # whatever it is, the supervisor has to see it
        _log.exception("the view cannot be kept")
        _log.critical("the view cannot be kept: %r", error)
        end(EXIT_FAILED)
    _log.info("stopped")
    end(0)


def build_once(settings: Settings, tell: Callable[[float, int], None], *, rebuild: bool) -> int:
    """Bring the view to where it holds every account; returns how many. `tell` hears of the progress.

    A process that keeps the view notices and lends a hand.

    Raises:
        RedisError, KafkaException, SourceError, ViewConflictError, ClusterError: if it cannot be built.
    """
    told_seconds = 0.0

    def heard(built: bool) -> None:  # noqa: FBT001  # the projector's
        nonlocal told_seconds
        if not built and time.monotonic() - told_seconds >= _TELL_SECONDS:
            told_seconds = time.monotonic()
            tell(projector.progress, projector.accounts)

    projector = Projector(settings, redis_client(settings), ViewMetrics(), Owner(heard, lambda: None, lambda: False))
    if rebuild:
        projector.rebuild()
    try:
        projector.run(until=lambda: projector.built)
    finally:
        projector.close()
    return projector.accounts
