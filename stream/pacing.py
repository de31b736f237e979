"""How much at a time: batches and slices that hold nothing up for long, and fewer commits behind a backlog."""

from typing import Final

from stream.settings import Settings

BATCH_SECONDS: Final = 0.02
"""How long a batch of records should take: a commit, time and what the poll thread tells wait for its end."""
SLICE_SECONDS: Final = 0.005
"""How long a slice of accounts should take that time reaches, or that snapshots are made of."""
_LEAST: Final = 10
_FIRST_GUESS_SECONDS: Final = 0.0001
"""What one may take before any has been timed."""
_NEWS: Final = 0.3
"""Weight of the latest portion in what one is taken to take."""
_SNAPSHOTS_REST: Final = 4
"""While an event waits, snapshots rest so many times as long as they worked: a later one says what several would."""
_MS: Final = 1000


class Portion:
    """How many of a kind are done before others have their turn, by what the last ones took.

    Args:
        seconds: how long a portion should take.
        most: how many it may have.

    >>> portion = Portion(0.02, most=2000)
    >>> portion.took(10.0, 1000)
    >>> portion.size()
    10
    """

    def __init__(self, seconds: float, most: int) -> None:
        self._seconds = seconds
        self._most = most
        self._each_seconds = _FIRST_GUESS_SECONDS

    def size(self, part: int = 1) -> int:
        """Give how many the next portion may have, or a part of it: a half, a third, and at least one."""
        return max(1, min(self._most, max(_LEAST, int(self._seconds / self._each_seconds))) // part)

    def took(self, seconds: float, count: int) -> None:
        """Note what some took."""
        if count:
            self._each_seconds += _NEWS * (seconds / count - self._each_seconds)


def rest_seconds(due_seconds: float, snapshot_seconds: float, *, awaited: bool) -> float:
    """Give how long time and snapshots rest behind a slice of work.

    While an event waits for its commit, time takes half of the event loop at most, and snapshots a fifth: the other
    threads of this process, a broker on the same machine and the commit itself have the rest, and what the commit has
    to write stays small.

    Args:
        due_seconds: what the slice took for due accounts.
        snapshot_seconds: what it took for snapshots.
        awaited: whether the open transaction holds events.
    """
    return min(due_seconds + _SNAPSHOTS_REST * snapshot_seconds, BATCH_SECONDS) if awaited else 0.0


class CommitPace:
    """When a commit may wait for a later one of its regular times.

    Args:
        settings: of the worker.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._committed_seconds = 0.0
        self._regular_seconds = 0.0

    def pause_seconds(self, now_seconds: float) -> float:
        """Give how long it is to the next regular commit.

        They come an interval apart, however long each takes: an event that waited for the end of one waits so much
        less for the next. But for half of the interval at least there is none.
        """
        interval_seconds = self._settings.commit_interval_ms / _MS
        self._regular_seconds = max(self._regular_seconds + interval_seconds, now_seconds + interval_seconds / 2)
        return self._regular_seconds - now_seconds

    def committed(self, now_seconds: float) -> None:
        """Note that a commit has ended."""
        self._committed_seconds = now_seconds

    def may_wait(self, now_seconds: float, behind_ms: int) -> bool:
        """Tell whether a commit may still wait: as long as the next record has waited already, within bounds.

        A worker that cannot keep up has to gain time, and this is where it can: nothing is processed during a commit,
        and an account that has several events between two of them is written once. What it costs is no more than a
        record waits anyway.

        Args:
            now_seconds: the time of `committed`.
            behind_ms: how old the next record is, where it is youngest.
        """
        next_seconds = now_seconds + self._settings.commit_interval_ms / _MS
        longest_ms = min(behind_ms, self._settings.catch_up_commit_interval_ms)
        return next_seconds - self._committed_seconds < longest_ms / _MS
