"""Keeps the view as its topics say: opens it where it stands, or begins it anew, and takes in what comes."""

import logging
import time
from collections.abc import Callable, Mapping
from typing import Final, NamedTuple

import redis
import stamina
from confluent_kafka import KafkaException
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError
from redis.exceptions import TimeoutError as RedisTimeoutError

from stream.cluster import Range
from stream.settings import Settings
from stream.topics import CHURN_RISK, SNAPSHOTS
from stream.view import keys as names
from stream.view.source import TOPICS, Source, SourceError
from stream.view.telemetry import Failure, RebuildReason, ViewMetrics
from stream.view.writing import Batch, Position, ViewConflictError, ViewWriter, position_field

_log = logging.getLogger(__name__)

BATCH_RECORDS: Final = 300
"""Written in one transaction, during which Redis answers nobody else."""
_POLL_SECONDS: Final = 0.2
_HEARTBEAT_SECONDS: Final = 2.0
"""How often an idle view is said to be up to date."""
_COUNT_SECONDS: Final = 1.0
"""How often the groups of accounts are handed to the metrics."""
_AWAY_MS_MAX: Final = (SNAPSHOTS.delete_retention_days - 1) * 86_400_000
"""A view that was not written for longer may have missed erasures: the broker keeps them for a day more at least."""
_WAIT_SECONDS_FIRST: Final = 0.1
_WAIT_SECONDS_MAX: Final = 5.0
_QUOTED: Final = " of pipeline caused error: "
_TRANSIENT: Final = (RedisError, ViewConflictError, SourceError, KafkaException)


class Owner(NamedTuple):
    """Who runs a projector."""

    written: Callable[[bool], None]
    """Called whenever the view was written, with whether it is complete."""
    failed: Callable[[], None]
    """Called whenever it could not be written."""
    stopped: Callable[[], bool]
    """Tells whether to end."""


class Projector:
    """Writes the view of one application.

    Args:
        settings: of the process.
        client: of Redis; answers in bytes.
        metrics: to be kept up to date.
        owner: is told how it goes, and asked whether to go on.
    """

    def __init__(
        self,
        settings: Settings,
        client: "redis.Redis",
        metrics: ViewMetrics,
        owner: Owner,
    ) -> None:
        self._patience_seconds = settings.stuck_deadline_seconds
        self._writer = ViewWriter(client, settings.application_id, settings.view_changes_kept)
        self._source = Source(settings)
        self._metrics = metrics
        self._owner = owner
        self._asked = False
        self._goals: dict[Position, Range] = {}
        self._positions: dict[Position, int] = {}
        self._written_seconds = 0.0
        self._counted_seconds = 0.0

    @property
    def built(self) -> bool:
        """Whether the view holds every account."""
        return names.BUILT_AT in self._writer.meta

    @property
    def progress(self) -> float:
        """Share of the snapshots that are read, from 0 to 1, while the view is being built."""
        return self._progress(self._positions)

    @property
    def accounts(self) -> int:
        """How many accounts the view holds."""
        return self._writer.accounts

    def rebuild(self) -> None:
        """Begin the view anew when it is opened next."""
        self._asked = True

    def run(self, until: Callable[[], bool]) -> None:
        """Keep the view until something is the case, or the process is to stop.

        Raises:
            RedisError, ViewConflictError, KafkaException, SourceError: if it cannot be written for too long.
        """
        while not (self._owner.stopped() or until()):
            for attempt in stamina.retry_context(
                on=_TRANSIENT,
                attempts=None,
                timeout=self._patience_seconds,
                wait_initial=_WAIT_SECONDS_FIRST,
                wait_max=_WAIT_SECONDS_MAX,
            ):
                with attempt:
                    if attempt.num > 1:
                        _log.warning("the view is opened again: attempt %s", attempt.num)
                    self._noting_failure(self._open)
                    # What only records bring to light is waited for as well, and no longer.
                    self._noting_failure(self._step)
            try:
                while not (self._owner.stopped() or until()):
                    self._noting_failure(self._step)
            except _TRANSIENT as error:
                _log.warning("the view is opened again: %s", error)

    def close(self) -> None:
        """End the clients."""
        self._source.close()

    def _noting_failure(self, act: Callable[[], None]) -> None:
        try:
            act()
        except _TRANSIENT as error:
            if isinstance(error, RedisError):
                # Its client quotes the command, and with it accounts by name.
                error.args = (str(error).rpartition(_QUOTED)[2],)
            self._metrics.count_failure(_failure_of(error))
            self._owner.failed()
            # What waits goes on growing.
            self._tell_lag()
            if isinstance(error, SourceError):
                self._asked = True
            raise

    def _open(self) -> None:
        """Read where the view stands, begin it anew if it has to be, and write once."""
        self._writer.load()
        ids = {names.TOPIC_ID + topic.encode(): one.encode() for topic, one in self._source.topic_ids().items()}
        ranges = self._source.ranges(TOPICS)
        reason = self._reason_to_rebuild(ids, ranges)
        if reason is not None:
            _log.info("the view is built anew", extra={"reason": reason.value})
            trimmed = any(found.start for one, found in ranges.items() if one[0] == CHURN_RISK.suffix)
            self._writer.begin(ids | ({names.MONTHS_SINCE: _now()} if trimmed else {}))
            self._metrics.count_rebuild(reason)
            self._asked = False
        self._writer.sweep(lambda: not self._owner.stopped())
        meta = self._writer.meta
        self._positions = {one: int(meta.get(position_field(*one), found.start)) for one, found in ranges.items()}
        self._goals = {one: found for one, found in ranges.items() if one[0] == SNAPSHOTS.suffix}
        self._assign()
        self._write(Batch())

    def _reason_to_rebuild(self, ids: Mapping[bytes, bytes], ranges: Mapping[Position, Range]) -> RebuildReason | None:
        meta = self._writer.meta
        if self._asked:
            return RebuildReason.ASKED
        if not meta:
            return RebuildReason.SCHEMA if self._writer.is_foreign else RebuildReason.ABSENT
        if any(meta.get(field) != one for field, one in ids.items()):
            return RebuildReason.TOPIC
        if time.time() * 1000 - int(meta[names.UPDATED_AT]) > _AWAY_MS_MAX:
            return RebuildReason.AWAY
        for one, found in ranges.items():
            held = meta.get(position_field(*one))
            if held is not None and not found.start <= int(held) <= found.end:
                return RebuildReason.POSITION
        return None

    def _assign(self) -> None:
        """Read the snapshots until all are there, then the changes too: those find their accounts."""
        topics = TOPICS if self.built else (SNAPSHOTS,)
        wanted = {topic.suffix for topic in topics}
        self._source.assign({one: at for one, at in self._positions.items() if one[0] in wanted})

    def _step(self) -> None:
        batch = self._source.poll(BATCH_RECORDS, _POLL_SECONDS)
        idle = not batch.records and all(self._positions.get(one) == at for one, at in batch.positions.items())
        if idle and time.monotonic() - self._written_seconds < _HEARTBEAT_SECONDS:
            return
        self._write(batch)

    def _write(self, batch: Batch) -> None:
        positions = self._positions | batch.positions
        marks = {names.PROGRESS: str(self._progress(positions)).encode()}
        complete = all(positions[one] >= goal.end for one, goal in self._goals.items())
        became_complete = complete and not self.built
        if became_complete:
            marks[names.BUILT_AT] = _now()
        started = time.monotonic()
        written = self._writer.write(batch, marks)
        self._written_seconds = time.monotonic()
        self._positions = positions
        self._metrics.count_written(written, self._written_seconds - started)
        self._tell()
        if became_complete:
            _log.info("the view is complete", extra={"accounts": self._writer.accounts})
            self._assign()

    def _progress(self, positions: Mapping[Position, int]) -> float:
        whole = sum(goal.end - goal.start for goal in self._goals.values())
        left = sum(max(0, goal.end - positions.get(one, 0)) for one, goal in self._goals.items())
        return 1.0 if whole == 0 else round(1 - left / whole, 4)

    def _tell(self) -> None:
        self._owner.written(self.built)
        self._metrics.set_view(self._writer.accounts, int(self._writer.meta[names.UPDATED_AT]), built=self.built)
        self._tell_lag()
        if self._written_seconds - self._counted_seconds >= _COUNT_SECONDS:
            self._counted_seconds = self._written_seconds
            self._metrics.set_groups(self._writer.totals)

    def _tell_lag(self) -> None:
        records = self._source.lag(self._positions)
        now_ms = time.time() * 1000
        last_ms = self._source.timestamps_ms
        ages = {
            one: (now_ms - last_ms[one]) / 1000 if count and one in last_ms else 0 for one, count in records.items()
        }
        self._metrics.set_lag(records, {one: max(0.0, age) for one, age in ages.items()})


def _now() -> bytes:
    return b"%d" % (time.time_ns() // 1_000_000)


def _failure_of(error: BaseException) -> Failure:
    if isinstance(error, ViewConflictError):
        return Failure.CONFLICT
    if isinstance(error, SourceError | KafkaException):
        return Failure.SOURCE
    unanswered = isinstance(error, RedisConnectionError | RedisTimeoutError)
    return Failure.UNAVAILABLE if unanswered else Failure.REFUSED
