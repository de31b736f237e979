"""The delivery's process: a lane for each destination, from start to an orderly stop, or to an end that is seen.

Whatever goes wrong ends the process non-zero, the cause on its last line: its supervisor starts it again, and each lane
goes on where its offsets are.
"""

import asyncio
import logging
import signal
import time
from collections.abc import Mapping
from contextlib import AsyncExitStack
from typing import Any, Final, NoReturn

from confluent_kafka import KafkaException

from stream import logs
from stream.cluster import Brokers, ClusterError
from stream.delivery.client import DestinationClient
from stream.delivery.courier import Courier
from stream.delivery.destinations import Destination
from stream.delivery.dispatcher import Partition
from stream.delivery.erasures import Erasures
from stream.delivery.events import delivery_of
from stream.delivery.failures import FailureProducer, Waiting
from stream.delivery.follower import Follower
from stream.delivery.lane import Common, Lane
from stream.delivery.telemetry import DeliveryMetrics
from stream.ending import EXIT_FAILED, end, end_after
from stream.health import Health
from stream.probes import ProbeServer
from stream.settings import Settings, effective

_log: Final = logging.getLogger(__name__)
_TICK_SECONDS: Final = 1.0
_ENDS_SECONDS: Final = 5.0
"""How often the ends of the topics are asked for."""
_NS_PER_MS: Final = 1_000_000


def run_delivery(settings: Settings, destinations: Mapping[str, Destination]) -> NoReturn:
    """Deliver until SIGTERM or SIGINT; ends the process."""
    logs.configure(settings.log_level, settings.log_format)
    asyncio.run(_run(settings, destinations))
    raise AssertionError("a delivery ends its process")


async def _run(settings: Settings, destinations: Mapping[str, Destination]) -> NoReturn:
    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    metrics, health = DeliveryMetrics(list(destinations)), Health(settings.stuck_deadline_seconds)
    probes = ProbeServer(settings.http_host, settings.http_port, health, metrics.registry)
    try:
        probes.start()
    except OSError as error:
        _log.critical("probes and metrics on %s:%s: %s", settings.http_host, settings.http_port, error.strerror)
        end(EXIT_FAILED)
    _log.info("probes and metrics on port %s", probes.port)
    for name, value in effective(settings):
        _log.debug("%s=%s", name, value)
    try:
        async with AsyncExitStack() as stack:
            delivery = _Delivery(settings, metrics, health)
            for name, destination in destinations.items():
                client = await stack.enter_async_context(DestinationClient(destination))
                delivery.add(name, client)
            await delivery.run(stopped)
    except ClusterError as error:
        _log.critical("%s", error)
        end(EXIT_FAILED)
    except Exception as error:  # noqa: BLE001  # whatever it is, the supervisor has to see it
        _log.exception("the delivery ends")
        _log.critical("the delivery ends: %r", error)
        end(EXIT_FAILED)
    _log.info("stopped")
    end(0)


class _Delivery:
    """All lanes of a process, and what they share."""

    def __init__(self, settings: Settings, metrics: DeliveryMetrics, health: Health) -> None:
        self._settings = settings
        self._metrics = metrics
        self._health = health
        names = settings.topics
        self._events = (names.tier_changes, names.churn_risk)
        self._brokers = Brokers(settings)
        self._counts = self._brokers.partition_counts(self._events)
        self._erasures, self._waiting = Erasures(), Waiting()
        self._failures = Follower(
            settings,
            self._brokers,
            names.delivery_failures,
            lambda message: self._waiting.learn(delivery_of(message)),
        )
        self._snapshots = Follower(settings, self._brokers, names.snapshots, self._erasures.handle)
        self._producer = FailureProducer(settings, f"{settings.application_id}-deliver")
        self._common = Common(settings, self._waiting, (self._failures, self._snapshots), self._producer)
        self._lanes: list[Lane] = []

    def add(self, name: str, client: DestinationClient) -> None:
        """Add a destination."""
        self._lanes.append(Lane(Courier(name, client, self._erasures, self._metrics), self._common))

    async def run(self, stopped: asyncio.Event) -> None:
        """Deliver until it is stopped, or until a lane cannot go on, whose error is raised."""
        for follower in (self._failures, self._snapshots):
            follower.start()
        watch = asyncio.create_task(self._watch())
        lanes = [asyncio.create_task(lane.run(), name=lane.name) for lane in self._lanes]
        stopping = asyncio.create_task(stopped.wait())
        waited: set[asyncio.Task[Any]] = {stopping, watch, *lanes}
        done, _ = await asyncio.wait(waited, return_when=asyncio.FIRST_COMPLETED)
        for task in done - {stopping}:
            task.result()
        _log.info("stopping")
        self._health.set_draining()
        end_after(self._settings.grace_period_seconds, "not stopped within the grace period")
        for lane in self._lanes:
            lane.request_stop()
        await asyncio.gather(*lanes)
        # A little is left for the offsets to be committed.
        await asyncio.gather(*(lane.close(self._settings.grace_period_seconds / 2) for lane in self._lanes))
        watch.cancel()

    async def _watch(self) -> None:
        """Report how far the lanes are, and end when a follower has ended."""
        asked, ends = -_ENDS_SECONDS, dict[Partition, int]()
        names = [lane.name for lane in self._lanes]
        while True:
            for follower in (self._failures, self._snapshots):
                if follower.failure is not None:
                    raise ClusterError(follower.failure)
            if time.monotonic() - asked >= _ENDS_SECONDS:
                asked = time.monotonic()
                ends = await asyncio.to_thread(self._ends, ends)
            now_ms = time.time_ns() // _NS_PER_MS
            for lane in self._lanes:
                lag_seconds = lane.lag_seconds(now_ms)
                self._metrics.set_lag(lane.name, lane.lag_records(ends), lag_seconds, lane.open_records())
            self._metrics.set_waiting(self._waiting.counts(), names)
            self._health.set_assigned([] if all(lane.assigned for lane in self._lanes) else None)
            if all(time.monotonic() - lane.polled < self._settings.stuck_deadline_seconds for lane in self._lanes):
                # That a destination takes nothing is no reason to restart this process: there are metrics for it.
                self._health.report({})
            await asyncio.sleep(_TICK_SECONDS)

    def _ends(self, known: dict[Partition, int]) -> dict[Partition, int]:
        try:
            return {
                (topic, one): self._brokers.range_of(topic, one, read_committed=True).end
                for topic in self._events
                for one in range(self._counts[topic])
            }
        except KafkaException as error:
            _log.warning("the ends of the topics are not known: %s", error)
            return known
