"""Bringing one event to one destination: attempt after attempt, until it is taken or given up."""

import asyncio
import logging
import time
from typing import Final, NamedTuple

import stamina

from stream.delivery.client import Answer, DestinationClient
from stream.delivery.erasures import Erasures
from stream.delivery.events import Delivery, Event, UnreadableEventError
from stream.delivery.failures import Failure
from stream.delivery.reasons import PASSING, AttemptOutcome, Disposal, FailureReason
from stream.delivery.requests import Request, prepare
from stream.delivery.telemetry import DeliveryMetrics

_log: Final = logging.getLogger("stream.delivery.log")
"""The delivery log: a line for each event that is done with, which quotes nothing of it."""
_BACKOFF_SECONDS: Final = 0.5
_JITTER_SECONDS: Final = 1.0
_NS_PER_MS: Final = 1_000_000


class Result(NamedTuple):
    """What became of an event."""

    disposal: Disposal
    failure: Failure | None = None
    """Why it was given up, if it was."""


class _RefusedError(Exception):
    def __init__(self, answer: Answer, attempts: int, begun: float) -> None:
        super().__init__(answer.outcome)
        self.answer: Final = answer
        self.attempts: Final = attempts
        self.begun: Final = begun


class Courier:
    """Delivers to one destination, and knows whether that is well.

    An event that is refused while the destination answers to others is given up after so many attempts: the event is
    to blame. While the destination accepts nothing, events wait, and are given up only when that has gone on for too
    long.

    Args:
        name: of the destination.
        client: makes the attempts.
        erasures: events of these accounts are dropped.
        metrics: for Prometheus.
    """

    def __init__(self, name: str, client: DestinationClient, erasures: Erasures, metrics: DeliveryMetrics) -> None:
        self.name: Final = name
        self._destination = destination = client.destination
        self._client = client
        self._erasures = erasures
        self._metrics = metrics
        self._slots = asyncio.Semaphore(destination.parallel_accounts)
        self._closed_until = 0.0
        # When it last answered to an event in particular, and since when it did not.
        self._answered = -1.0
        self._silent_since: float | None = None
        self.stopping = False
        """Whether no event is tried again."""
        self.attempting: Final[set[asyncio.Task[object]]] = set()
        """Tasks with a request under way."""

    @property
    def is_silent(self) -> bool:
        """Whether the destination has answered to no event for so long that events are given up."""
        if self._silent_since is None:
            return False
        return time.monotonic() - self._silent_since >= self._destination.give_up_seconds

    async def deliver(self, delivery: Delivery, held_back: Failure | None = None) -> Result:
        """Deliver an event, or fail it untried if it is held back; returns when it is done with."""
        result = await self._deliver(delivery, held_back)
        self._metrics.count_delivery(self.name, result.disposal)
        if result.failure is not None:
            self._metrics.count_failure(self.name, result.failure.reason)
            _log.warning(
                "failed: %s after %s attempts: %s",
                result.failure.reason,
                result.failure.attempts,
                result.failure.detail,
                extra=self._where(delivery),
            )
        return result

    async def _deliver(self, delivery: Delivery, held_back: Failure | None) -> Result:
        try:
            event = delivery.event()
            if event.type not in self._destination.events:
                return Result(Disposal.UNWANTED)
            if held_back is not None:
                erased = self._erasures.holds(event.account_id, event.incarnation)
                return Result(Disposal.ERASED) if erased else Result(Disposal.FAILED, held_back)
            request = prepare(self._destination, event)
        except UnreadableEventError as error:
            return Result(Disposal.FAILED, Failure(FailureReason.NOT_EXPRESSIBLE, str(error), 0))
        return await self._until_done(delivery, event, request)

    async def _until_done(self, delivery: Delivery, event: Event, request: Request) -> Result:
        begun = time.monotonic()
        try:
            async for attempt in stamina.retry_context(
                on=self._pause,
                attempts=None,
                timeout=None,
                wait_initial=min(_BACKOFF_SECONDS, self._destination.backoff_seconds_max),
                wait_max=self._destination.backoff_seconds_max,
                wait_jitter=min(_JITTER_SECONDS, self._destination.backoff_seconds_max),
            ):
                with attempt:
                    async with self._slots:
                        await self._admission()
                        if self._erasures.holds(event.account_id, event.incarnation):
                            _log.info("dropped: the account was erased", extra=self._where(delivery))
                            return Result(Disposal.ERASED)
                        answer = await self._attempt(request)
                    if answer.outcome is AttemptOutcome.ACCEPTED:
                        self._accepted(delivery, answer, attempt.num)
                        return Result(Disposal.DELIVERED)
                    raise _RefusedError(answer, attempt.num, begun)  # noqa: TRY301  # it is what is tried again
        except _RefusedError as error:
            return Result(Disposal.FAILED, _failure(error))
        raise AssertionError("an attempt ends in an answer or an error")

    async def _admission(self) -> None:
        """Wait for as long as the destination asked for."""
        while (left := self._closed_until - time.monotonic()) > 0:  # noqa: ASYNC110  # only time ends it, or prolongs it
            await asyncio.sleep(left)

    async def _attempt(self, request: Request) -> Answer:
        task = asyncio.current_task()
        assert task is not None
        self.attempting.add(task)
        try:
            answer = await self._client.attempt(request)
        finally:
            self.attempting.discard(task)
        self._metrics.count_attempt(self.name, answer)
        now = time.monotonic()
        if answer.retry_after_seconds is not None and answer.outcome in PASSING:
            self._closed_until = max(self._closed_until, now + answer.retry_after_seconds)
        if answer.outcome in PASSING:
            self._silent_since = now if self._silent_since is None else self._silent_since
        else:
            self._answered, self._silent_since = now, None
        if self.stopping and answer.outcome is not AttemptOutcome.ACCEPTED:
            # It comes again at the next start.
            raise asyncio.CancelledError
        return answer

    def _pause(self, error: Exception) -> bool | float:
        """Return whether to try again, or after how many seconds: the question that stamina asks."""
        if not isinstance(error, _RefusedError) or error.answer.outcome not in PASSING:
            return False
        if self.is_silent:
            return False
        if error.attempts >= self._destination.attempts_max and self._answered > error.begun:
            return False
        return True if error.answer.retry_after_seconds is None else error.answer.retry_after_seconds

    def _accepted(self, delivery: Delivery, answer: Answer, attempts: int) -> None:
        now_ms = time.time_ns() // _NS_PER_MS
        self._metrics.observe_end_to_end(self.name, delivery.written_ms, now_ms)
        _log.info(
            "delivered",
            extra={
                **self._where(delivery),
                "status": answer.status,
                "attempts": attempts,
                "seconds": round(answer.seconds, 3),
            },
        )

    def _where(self, delivery: Delivery) -> dict[str, object]:
        return {"destination": self.name, **delivery.place._asdict()}


def _failure(error: _RefusedError) -> Failure:
    # Every outcome but acceptance is a reason of the same name.
    return Failure(FailureReason(error.answer.outcome.value), error.answer.detail, error.attempts, error.answer.status)
