"""What there is to see at one moment, for whichever display."""

from collections import deque
from dataclasses import dataclass, field
from enum import Enum, unique
from typing import Final

from stream.demo.figures import Figures
from stream.demo.story import Story

_SPAN_S: Final = 4.0
_HOURS_A_DAY: Final = 24


@unique
class Phase(Enum):
    """How far the demo has come."""

    STARTING = "starting"
    HISTORY = "history"
    LIVE = "live"


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """One moment of the demo."""

    phase: Phase
    elapsed_s: float
    history_share: float
    """How much of the history's time is processed, from 0 to 1."""
    events_per_second: float
    latency_seconds: float | None
    """From sending to visible effect, the mean of the last seconds; None while nothing happens."""
    figures: Figures
    story: Story
    accounts: int
    days: int
    hours_per_second: float
    currency: str
    url: str
    """Of the worker, without a path."""
    served: str | None = None
    """The same of console and API; None before they answer."""

    @property
    def seconds_per_day(self) -> float:
        """Seconds that a simulated day takes in the live part."""
        return _HOURS_A_DAY / self.hours_per_second


@dataclass(slots=True)
class Meter:
    """Rates over the last few seconds, from successive looks.

    >>> meter = Meter()
    >>> meter.add(0.0, Figures(events=0))
    >>> meter.add(2.0, Figures(events=500, latency_seconds=100))
    >>> meter.events_per_second, meter.latency_seconds
    (250.0, 0.2)
    """

    _looks: deque[tuple[float, Figures]] = field(default_factory=deque)

    def add(self, now_s: float, figures: Figures) -> None:
        """Take a look's figures."""
        self._looks.append((now_s, figures))
        # One look from before the span stays, so that there are always two to compare.
        while len(self._looks) > 2 and self._looks[1][0] <= now_s - _SPAN_S:  # noqa: PLR2004  # the two
            self._looks.popleft()

    @property
    def events_per_second(self) -> float:
        """Events processed in a second."""
        if not self._looks:
            return 0.0
        (first_s, first), (last_s, last) = self._looks[0], self._looks[-1]
        return (last.events - first.events) / (last_s - first_s) if last_s > first_s else 0.0

    @property
    def latency_seconds(self) -> float | None:
        """Mean time from sending to commit; None while nothing happens."""
        if not self._looks:
            return None
        first, last = self._looks[0][1], self._looks[-1][1]
        events = last.events - first.events
        return (last.latency_seconds - first.latency_seconds) / events if events > 0 else None
