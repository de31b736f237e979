"""Where faults happen: a broker, a feeder, an application; and what a fault tells of itself."""

from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Final, NamedTuple

from tests.chaos.application import Application, Place, Positions
from tests.chaos.feeding import Feeder
from tests.support.broker import KafkaBroker

_BURST: Final = range(800, 1600)
"""Records that are sent just before a fault."""
_LEAD_PART_MAX: Final = 3
"""At most one of so many of them is processed when it strikes."""


class Struck(NamedTuple):
    """What a fault did, and to whom."""

    what: str
    before: Positions
    """As it struck."""
    after: Positions
    """As what it struck had come to a stop."""
    partitions: frozenset[int]
    """Which it concerned."""
    goal: dict[Place, int] | None = None
    """What has to be processed for the application to have recovered, unless it is all that was there before."""

    @property
    def outstanding(self) -> int:
        """Count the records that were there before it struck, and were not processed when it had struck."""
        return self.before.outstanding(self.after, self.partitions)


@dataclass
class Scene:
    """What a fault can touch."""

    broker: KafkaBroker
    feeder: Feeder
    app: Application
    chance: Random
    attempt: int
    """Which try of this fault it is, from 1: each finds more work."""
    retire: Callable[[Application], None]
    """Judges an application that will not go on; its workers are stopped."""

    def burst_records(self) -> int:
        """Draw how many records to send at once."""
        return self.chance.choice(_BURST) * self.attempt

    def get_busy(self) -> None:
        """Send a burst, and wait until a random part of it is processed."""
        burst = self.burst_records()
        lead = self.chance.randrange(1, burst // _LEAD_PART_MAX)
        goal = self.app.processed() + lead
        self.feeder.burst(burst)
        self.app.until(lambda: self.app.processed() >= goal, f"{lead} records are processed", interval_s=0.005)

    def busy_victim(self) -> tuple[str, frozenset[int]]:
        """Choose a worker, and let it have much to do; returns its partitions, too."""
        victim = self.app.busiest(self.chance)
        partitions = frozenset(self.app.held_by(victim))
        self.get_busy()
        return victim, partitions

    def describe(self) -> str:
        """Tell how things stand, for whoever has to find out why nothing goes on."""
        app, feeder = self.app, self.feeder
        return (
            f"positions {app.positions().as_json()}, {feeder.waiting()} records wait to be sent, "
            f"running {app.running()}, owners {app.owners()}, ended {app.ended}\n"
        ) + "\n".join(f"-- the log of {name} ends:\n{app.worker(name).log_tail}" for name in sorted(app.wanted))

    def close(self) -> None:
        """End the workers."""
        self.app.close()
