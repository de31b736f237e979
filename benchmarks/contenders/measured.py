"""What every contender in Python is told, and how it tells its result. Standard library only."""

import argparse
import json
import time
from typing import NamedTuple


class Task(NamedTuple):
    """One run of one contender."""

    bootstrap_servers: str
    topic: str
    """The orders."""
    run: str
    """Part of the name of everything that the contender makes, so that it starts from nothing."""
    events: int
    warm_up: int
    """Of the events; the clock starts behind them."""
    folder: str
    """For what it keeps on disk."""

    @property
    def changes_topic(self) -> str:
        """Where tier changes go."""
        return f"{self.run}-tier-changes"

    @property
    def changelog_topic(self) -> str:
        """Where states go, for a contender that may choose."""
        return f"{self.run}-state"


def task_from_arguments() -> Task:
    """Read the task from the command line."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--bootstrap-servers", required=True)
    parser.add_argument("--topic", required=True)
    parser.add_argument("--run", required=True)
    parser.add_argument("--events", type=int, required=True)
    parser.add_argument("--warm-up", type=int, required=True)
    parser.add_argument("--folder", required=True)
    return Task(**vars(parser.parse_args()))


class Stopwatch:
    """Times what comes behind the warm-up.

    A contender may pass the warm-up in the middle of a batch: what is timed is then a little less than planned.
    """

    def __init__(self, task: Task) -> None:
        self.events = 0
        self._task = task
        self._started: float | None = None
        self._timed_from = 0

    def count(self, events: int) -> bool:
        """Count processed events; True once all are."""
        self.events += events
        if self._started is None and self.events >= self._task.warm_up:
            self._started = time.monotonic()
            self._timed_from = self.events
        return self.events >= self._task.events

    def report(self) -> None:
        """Print the result, as one line of JSON; the clock stops now."""
        ended = time.monotonic()
        assert self._started is not None, "the warm-up is part of the events"
        result = {"events": self.events - self._timed_from, "seconds": ended - self._started}
        print(json.dumps(result), flush=True)
