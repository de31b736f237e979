"""Whether a worker makes progress, and whether it is ready: facts from its threads, for its probes."""

import time
from collections.abc import Callable, Collection, Mapping
from enum import StrEnum, unique
from threading import Lock
from typing import Final, NamedTuple

TopicPartition = tuple[str, int]
"""Name of an input topic, and a partition."""


@unique
class Unready(StrEnum):
    """Why a worker is not ready."""

    NOT_ASSIGNED = "not_assigned"
    """It has not joined the group yet, or was expelled."""
    RESTORING = "restoring"
    """It holds partitions whose state is not restored yet."""
    DRAINING = "draining"
    """It is about to stop."""


class Progress(NamedTuple):
    """How far one partition of an input is read."""

    position: int
    """Offset of the next record to commit. At the end it equals `end`: control records count."""
    end: int
    """Offset after the last record that a read-committed reader may read."""


class Watch(NamedTuple):
    """What was last seen of a partition."""

    progress: Progress
    waiting_since_seconds: float | None
    """Since when records wait and the position stands still; None when it does not."""


class Problem(NamedTuple):
    """Why a worker should be restarted."""

    reason: str
    """`stuck`: records wait and the position stands still. `silent`: nothing was heard of it."""
    seconds: float
    """For how long."""
    topic: str | None = None
    partition: int | None = None
    position: int | None = None
    end: int | None = None


class Readiness(NamedTuple):
    """Why a worker is not ready (empty when it is), and what it holds."""

    reasons: list[Unready]
    assigned: list[int]
    restoring: list[int]


def watch(before: Watch | None, progress: Progress, now_seconds: float) -> Watch:
    """Return what is known of a partition after one more look at it.

    A partition waits from the first look that finds records after a position which then stands still.

    >>> first = watch(None, Progress(5, 5), 0.0)
    >>> second = watch(first, Progress(5, 9), 10.0)
    >>> watch(second, Progress(5, 12), 60.0).waiting_since_seconds
    10.0
    >>> watch(second, Progress(6, 12), 60.0).waiting_since_seconds
    60.0
    """
    if progress.end <= progress.position:
        return Watch(progress, None)
    if before is None or before.waiting_since_seconds is None:
        return Watch(progress, now_seconds)
    if before.progress.position != progress.position:
        return Watch(progress, now_seconds)
    return Watch(progress, before.waiting_since_seconds)


def problems(
    watches: Mapping[TopicPartition, Watch],
    heard_seconds: float | None,
    now_seconds: float,
    deadline_seconds: float,
) -> list[Problem]:
    """Return why a worker should be restarted: nothing heard of it, or a partition that is stuck.

    `heard_seconds` is when it last reported, None before the first time.
    """
    found = []
    if heard_seconds is not None and now_seconds - heard_seconds > deadline_seconds:
        found.append(Problem("silent", now_seconds - heard_seconds))
    for (topic, partition), (progress, since) in watches.items():
        if since is not None and now_seconds - since > deadline_seconds:
            found.append(Problem("stuck", now_seconds - since, topic, partition, *progress))
    return found


class Health:
    """What the probes tell, kept up to date by the worker. Thread-safe.

    >>> health = Health(stuck_deadline_seconds=60)
    >>> health.readiness().reasons
    [<Unready.NOT_ASSIGNED: 'not_assigned'>]
    >>> health.set_assigned([0, 1])
    >>> health.readiness().reasons
    []
    """

    def __init__(self, stuck_deadline_seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._deadline_seconds: Final = stuck_deadline_seconds
        self._clock: Final = clock
        self._lock = Lock()
        self._watches: dict[TopicPartition, Watch] = {}
        self._heard_seconds: float | None = None
        self._assigned: frozenset[int] | None = None
        self._restoring: frozenset[int] = frozenset()
        self._draining = False

    def report(self, progress: Mapping[TopicPartition, Progress]) -> None:
        """Say how far every open partition of every input is read; those not named are forgotten.

        From the first report on, a worker that reports nothing is unhealthy: report about once a
        second, an empty mapping while no partition is open.
        """
        now = self._clock()
        with self._lock:
            self._heard_seconds = now
            self._watches = {key: watch(self._watches.get(key), one, now) for key, one in progress.items()}

    def set_assigned(self, partitions: Collection[int] | None) -> None:
        """Say which partitions are held: none is an answer too, None is outside of the group."""
        with self._lock:
            self._assigned = None if partitions is None else frozenset(partitions)

    def set_restoring(self, partitions: Collection[int]) -> None:
        """Say which partitions are held and not open yet."""
        with self._lock:
            self._restoring = frozenset(partitions)

    def set_draining(self) -> None:
        """Say that the worker is about to stop."""
        with self._lock:
            self._draining = True

    def problems(self) -> list[Problem]:
        """Return why the worker should be restarted; nothing when it is well."""
        with self._lock:
            return problems(self._watches, self._heard_seconds, self._clock(), self._deadline_seconds)

    def waiting(self) -> dict[TopicPartition, float]:
        """Return for how many seconds records of each open partition have waited at a position that stands still."""
        with self._lock:
            now = self._clock()
            return {
                key: 0.0 if one.waiting_since_seconds is None else now - one.waiting_since_seconds
                for key, one in self._watches.items()
            }

    def readiness(self) -> Readiness:
        """Return why the worker is not ready; no reason when it is."""
        with self._lock:
            reasons = {
                Unready.NOT_ASSIGNED: self._assigned is None,
                Unready.RESTORING: bool(self._restoring),
                Unready.DRAINING: self._draining,
            }
            return Readiness(
                [reason for reason, holds in reasons.items() if holds],
                sorted(self._assigned or ()),
                sorted(self._restoring),
            )
