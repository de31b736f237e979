"""Faults of workers: killed, paused, fenced, coming and going."""

import signal
from typing import Final

from stream.topics import transactional_id
from tests.chaos.application import TRANSACTION_TIMEOUT_MS, ChaosError, Positions
from tests.chaos.entry import IN_COMMIT, Breakpoint
from tests.chaos.scene import Scene, Struck
from tests.chaos.strangers import Stranger
from tests.support.deployment import PARTITIONS
from tests.support.topics import ends

WORKERS: Final = ("worker-0", "worker-1", "worker-2")
AT_LEAST: Final = 2
"""So many workers run between two faults; one more may."""
_COMMITTED_IN: Final = Breakpoint.BEFORE_OFFSETS, Breakpoint.BEFORE_COMMIT
_READ_PART: Final = 4
"""A worker is killed in the first quarter of its changelog: how many records the rest holds is not certain."""


def kill(scene: Scene) -> Struck:
    """Kill a worker at a random point of its work."""
    app = scene.app
    victim, partitions = scene.busy_victim()
    before = app.positions()
    app.worker(victim).kill()
    return Struck(f"killed {victim}", before, app.positions(), partitions)


def kill_in_restore(scene: Scene) -> Struck:
    """Kill a worker, and its successor in the middle of reading the changelog."""
    app = scene.app
    victim, partitions = scene.busy_victim()
    written = ends(app.admin, app.topics.state, PARTITIONS)
    records = scene.chance.randrange(1, 2 + sum(written[one] for one in partitions) // _READ_PART)
    app.stop_at(victim, Breakpoint.RESTORE, records)
    before = app.positions()
    app.worker(victim).kill()
    return Struck(f"killed {victim} after {records} records of its changelog", before, app.positions(), partitions)


def kill_in_commit(scene: Scene) -> Struck:
    """Kill a worker before, in the middle of, or just after a commit."""
    app = scene.app
    point = scene.chance.choice(IN_COMMIT)
    victim, partitions = scene.busy_victim()
    app.stop_at(victim, point)
    before = app.positions()
    app.worker(victim).kill()
    return Struck(f"killed {victim} {point}", before, app.positions(), partitions)


def zombie(scene: Scene) -> Struck:
    """Pause a worker at a random point until its partitions are another's, and let it go on."""
    victim, partitions = scene.busy_victim()
    before = scene.app.positions()
    scene.app.worker(victim).send(signal.SIGSTOP)
    return _come_back(scene, victim, partitions, before, f"paused {victim}")


def zombie_in_commit(scene: Scene) -> Struck:
    """Pause a worker in the middle of a commit until its partitions are another's, and let it commit."""
    point = scene.chance.choice(_COMMITTED_IN)
    victim, partitions = scene.busy_victim()
    scene.app.stop_at(victim, point)
    return _come_back(scene, victim, partitions, scene.app.positions(), f"paused {victim} {point}")


def _come_back(scene: Scene, victim: str, partitions: frozenset[int], before: Positions, what: str) -> Struck:
    app = scene.app
    after = app.positions()

    def moved_on() -> bool:
        owners = app.owners()
        if len(owners) < PARTITIONS or victim in owners.values():
            return False
        now = app.positions().committed
        return any(now[place] > offset for place, offset in after.committed.items() if place.partition in partitions)

    app.until(moved_on, f"the partitions of {victim} go on without it")
    app.worker(victim).send(signal.SIGCONT)
    app.until(lambda: app.ended_by_itself(victim), f"{victim} sees that it has lost its partitions")
    return Struck(f"{what} until its partitions had moved", before, after, partitions)


def fence(scene: Scene) -> Struck:
    """Fence a worker by another producer with its transactional id, which leaves a transaction open."""
    app = scene.app
    victim = app.busiest(scene.chance)
    partitions = frozenset(app.held_by(victim))
    stranger = Stranger(app.settings, transactional_id(app.settings.application_id, victim), TRANSACTION_TIMEOUT_MS)
    scene.get_busy()
    before = app.positions()
    stranger.start()
    after = app.positions()
    stranger.write(min(partitions), scene.feeder.recent_keys(), scene.chance)
    app.until(lambda: app.ended_by_itself(victim), f"{victim} sees that it is fenced")
    app.until(lambda: "assigned: " in app.worker(victim).log, f"{victim} is back")
    if stranger.may_commit():
        raise ChaosError(f"a producer that {victim} has fenced could commit")
    return Struck(f"fenced {victim}", before, after, partitions)


def join(scene: Scene) -> Struck:
    """Let a further worker join; one that is there makes room for it first, if need be."""
    app = scene.app
    absent = [name for name in WORKERS if name not in app.wanted]
    if not absent:
        absent = [app.busiest(scene.chance)]
        app.stop(*absent)
        app.remove_members(*absent)
    (name, *_) = absent
    app.wanted.add(name)
    app.tend()
    app.until(lambda: "probes and metrics" in app.worker(name).log, f"{name} has started")
    scene.feeder.burst(scene.burst_records())
    before = app.positions()

    def given() -> frozenset[int]:
        nonlocal before
        now = app.positions()
        if not (held := app.held_by(name)):
            before = now
        return frozenset(held)

    partitions = app.until(given, f"{name} is given partitions")
    return Struck(f"{name} joined", before, app.positions(), partitions)


def leave(scene: Scene) -> Struck:
    """Stop a worker; if too few are left it comes back when its partitions are another's."""
    app = scene.app
    patient = scene.chance.random() < 1 / 2
    victim, partitions = scene.busy_victim()
    before = app.positions()
    app.stop(victim)
    after = app.positions()
    if not patient:
        app.remove_members(victim)

    def moved() -> bool:
        owners = app.owners()
        return len(owners) == PARTITIONS and victim not in owners.values()

    app.until(moved, f"the partitions of {victim} are another's")
    stays = len(app.wanted) < AT_LEAST
    if stays:
        app.wanted.add(victim)
    how = "its session ended" if patient else "it was taken out of the group"
    return Struck(f"stopped {victim}, {how}{', it came back' if stays else ''}", before, after, partitions)
