"""The run: applications one after the other, on each some faults, and then both oracles."""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from itertools import islice
from pathlib import Path
from random import Random
from typing import Any, Final, NamedTuple

from models.events import InputTopic
from tests.chaos import oracle
from tests.chaos.application import Application
from tests.chaos.entry import Plant
from tests.chaos.feeding import Feeder
from tests.chaos.kinds import FAULTS, Kind
from tests.chaos.oracle import Verdict
from tests.chaos.scene import Scene, Struck
from tests.chaos.worker_faults import AT_LEAST, WORKERS
from tests.support.broker import KafkaBroker
from tests.support.topics import StateView

ATTEMPTS_MAX: Final = 5
"""So often a fault is tried that finds nothing left to do."""
CAMPAIGN_FAULTS: Final = 10
"""Faults of one company, at most; then all that came of it is judged."""
_FIRST_RECORDS: Final = 500
_REST_S: Final = 10.0
"""When all input is processed, and nothing more has been written for so long, nothing more will be."""

Say = Callable[[str], None]


@dataclass
class Run:
    """What has happened so far."""

    faults: int
    """How many were asked for."""
    attempts: list[dict[str, Any]] = field(default_factory=list)
    """Every fault, those that found nothing left to do among them."""
    judged: list[dict[str, Any]] = field(default_factory=list)
    """What the oracles found, application by application."""
    verdict: Verdict = field(default_factory=Verdict)
    seconds: float = 0.0
    failure: str | None = None
    """What ended the run before its time."""

    @property
    def valid(self) -> int:
        """How many faults found work to disturb."""
        return sum(one["valid"] for one in self.attempts)

    @property
    def ok(self) -> bool:
        """Whether all faults were valid and did no harm."""
        return self.failure is None and self.valid == self.faults and self.verdict.ok


class Mode(NamedTuple):
    """What an application reads, how its time passes, whom accounts are compared with: what can be judged follows."""

    name: str
    topics: tuple[InputTopic, ...]
    clock: str
    is_recomputed: bool
    """Whether the order of the input decides everything."""
    settings: Mapping[str, str]


_COUNTED: Final = {"cut_points_file": "", "census_interval_seconds": "1"}
ONE_INPUT: Final = Mode("one input, event clock, fixed cut points", (InputTopic.ORDERS,), "event", True, {})
MODES: Final = (
    ONE_INPUT,
    Mode("all inputs, live clock, live cut points", tuple(InputTopic), "live", False, _COUNTED),
    ONE_INPUT,
    Mode("all inputs, event clock, live cut points", tuple(InputTopic), "event", False, _COUNTED),
)
"""Taken in turn."""


class Driver:
    """Lets faults happen.

    Args:
        broker: runs, and is the run's own if faults of the broker are among the kinds.
        folder: for logs.
        seed: of all that is random.
        say: told of every fault.
        plant: a bug for the workers to have.
    """

    def __init__(self, broker: KafkaBroker, folder: Path, seed: int, say: Say, plant: Plant | None = None) -> None:
        self._broker = broker
        self._folder = folder
        self._seed = seed
        self._say = say
        self._plant = plant
        self._chance = Random(f"{seed}/faults")

    def run(self, kinds: Iterator[Kind], faults: int, run: Run) -> None:
        """Let so many faults happen, and note them in `run` as they do."""
        started = time.monotonic()
        try:
            self._campaigns(kinds, faults, run)
        finally:
            run.seconds = time.monotonic() - started

    def _campaigns(self, kinds: Iterator[Kind], faults: int, run: Run) -> None:
        campaigns = -(-faults // CAMPAIGN_FAULTS)
        for number in range(campaigns):
            share = list(islice(kinds, faults * (number + 1) // campaigns - faults * number // campaigns))
            self._campaign(number, MODES[number % len(MODES)], share, run)

    def _campaign(self, number: int, mode: Mode, kinds: list[Kind], run: Run) -> None:
        apps: list[Application] = []
        with ExitStack() as stack:
            first = Application(
                self._broker.bootstrap_servers, self._folder, self._plant, clock=mode.clock, **mode.settings
            )
            first.create_topics()
            live = mode.clock == "live"
            feeder = stack.enter_context(Feeder(first.settings, self._seed + number, mode.topics, live=live))
            retire = partial(self._judge, mode=None, run=run)
            scene = stack.enter_context(closing(Scene(self._broker, feeder, first, self._chance, 1, retire)))
            first.wanted.update(WORKERS[:AT_LEAST])
            feeder.burst(_FIRST_RECORDS)
            first.wait_processed(first.positions().ends, "the first records are processed")
            self._say(f"-- {mode.name}: {', '.join(kinds)}")
            for kind in kinds:
                apps.append(scene.app)
                try:
                    self._fault(kind, mode, scene, run)
                except TimeoutError:
                    self._say(f"{kind}: {scene.describe()}")
                    raise
            feeder.finish()
            self._settle(scene.app, run)
            scene.app.stop(*sorted(scene.app.wanted))
            self._judge(scene.app, mode, run)
            for app in {id(one): one for one in [*apps, scene.app]}.values():
                app.delete_topics()

    def _fault(self, kind: Kind, mode: Mode, scene: Scene, run: Run) -> None:
        for attempt in range(1, ATTEMPTS_MAX + 1):
            scene.attempt = attempt
            scene.app.ended.clear()
            at, started = datetime.now(UTC), time.monotonic()
            struck = FAULTS[kind](scene)
            struck_seconds = time.monotonic() - started
            scene.app.wait_processed(
                struck.goal or struck.before.ends, f"all is processed that was there: {struck.what}"
            )
            seconds = time.monotonic() - started
            valid = struck.outstanding > 0
            run.attempts.append(
                {
                    "kind": kind,
                    "mode": mode.name,
                    "attempt": attempt,
                    "valid": valid,
                    "time": at.isoformat(timespec="milliseconds"),
                    "did": struck.what,
                    "partitions": sorted(struck.partitions),
                    "records_outstanding": struck.outstanding,
                    "positions_before": struck.before.as_json(),
                    "positions_after": struck.after.as_json(),
                    "ended_workers": list(scene.app.ended),
                    "strike_seconds": round(struck_seconds, 2),
                    "recovery_seconds": round(seconds - struck_seconds, 2),
                }
            )
            self._say(_line(len(run.attempts), kind, struck, seconds, valid=valid))
            if valid:
                return

    def _settle(self, app: Application, run: Run) -> None:
        """Wait until all input is processed, all due days have passed and all snapshots are published."""
        app.wait_processed(app.positions().ends, "all input is processed")
        view = StateView(app.settings)
        try:
            app.until(view.is_settled, "all is settled", interval_s=0.1, progress=lambda: view.records, still_s=_REST_S)
        except TimeoutError as error:
            run.verdict.lack(f"a day that has come, or a snapshot: {error}")
        finally:
            view.close()

    def _judge(self, app: Application, mode: Mode | None, run: Run) -> None:
        """Let the oracles judge an application that is finished, or that will not go on."""
        started = time.monotonic()
        found = Verdict()
        found.add(oracle.in_sequence(app.settings))
        found.add(oracle.audited(app.settings))
        if mode is not None and mode.is_recomputed:
            found.add(oracle.recomputed(app.settings))
        run.verdict.add(found)
        run.judged.append(
            {
                "application": app.settings.application_id,
                "finished": mode is not None,
                "recomputed": mode is not None and mode.is_recomputed,
                "missing": found.missing,
                "twice": found.twice,
                "named": found.named,
                "compared": dict(sorted(found.compared.items())),
            }
        )
        seconds = time.monotonic() - started
        self._say(f"-- judged in {seconds:.1f} s: missing {found.missing} twice {found.twice} {dict(found.compared)}")
        for line in found.named:
            self._say(f"   {line}")


def _line(number: int, kind: Kind, struck: Struck, seconds: float, *, valid: bool) -> str:
    told = f"{struck.outstanding} records outstanding" if valid else "NOT VALID, nothing was left to do"
    return f"{number:4} {kind:16} {seconds:5.1f} s  {told}: {struck.what}"
