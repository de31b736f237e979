"""How much at a time: batches that hold nothing up for long, and fewer commits behind a backlog."""

from typing import Final

from stream.settings import Settings

_BATCH_SECONDS: Final = 0.02
"""How long a batch should take: a commit, time and what the poll thread tells wait for its end."""
_BATCH_RECORDS_MIN: Final = 20
_FIRST_GUESS_SECONDS: Final = 0.0001
"""What a record may take before one has been timed."""
_NEWS: Final = 0.3
"""Weight of the latest batch in what a record is taken to take."""
_MS: Final = 1000


class Pace:
    """Measures what a record takes, and decides how much is done between two turns of others.

    Args:
        settings: of the worker.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._record_seconds = _FIRST_GUESS_SECONDS
        self._committed_seconds = 0.0

    def batch_records(self) -> int:
        """Give how many records a batch may have."""
        return min(self._settings.batch_records, max(_BATCH_RECORDS_MIN, int(_BATCH_SECONDS / self._record_seconds)))

    def processed(self, seconds: float, records: int) -> None:
        """Note what some records took."""
        if records:
            self._record_seconds += _NEWS * (seconds / records - self._record_seconds)

    def committed(self, now_seconds: float) -> None:
        """Note that a commit has ended."""
        self._committed_seconds = now_seconds

    def may_wait(self, now_seconds: float, *, catching_up: bool) -> bool:
        """Tell whether a commit may still wait at one of its regular times.

        Behind a backlog nobody reads what is fresh, and an account that has several events between two commits is
        written once.
        """
        next_seconds = now_seconds + self._settings.commit_interval_ms / _MS
        return catching_up and next_seconds - self._committed_seconds < self._settings.catch_up_commit_interval_ms / _MS
