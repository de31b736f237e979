"""Every kind of fault by its name, and in which order a seed lets them happen."""

from collections.abc import Callable, Iterator
from enum import StrEnum, unique
from random import Random
from typing import Final

from tests.chaos import broker_faults, input_faults, worker_faults
from tests.chaos.scene import Scene, Struck


@unique
class Kind(StrEnum):
    """What can happen."""

    KILL = "kill"
    KILL_IN_RESTORE = "kill-in-restore"
    KILL_IN_COMMIT = "kill-in-commit"
    ZOMBIE = "zombie"
    ZOMBIE_IN_COMMIT = "zombie-in-commit"
    FENCE = "fence"
    JOIN = "join"
    LEAVE = "leave"
    KILL_BROKER = "kill-broker"
    RESTART_BROKER = "restart-broker"
    REFUSE_RECORDS = "refuse-records"
    ABORT_OF_ANOTHER = "abort-of-another"
    HANG = "hang"
    HANG_LONG = "hang-long"
    MOVE_OFFSETS = "move-offsets"
    TRIM = "trim"
    MAKE_ANEW = "make-anew"
    RUBBISH = "rubbish"
    SIZES = "sizes"


FAULTS: Final[dict[Kind, Callable[[Scene], Struck]]] = {
    Kind.KILL: worker_faults.kill,
    Kind.KILL_IN_RESTORE: worker_faults.kill_in_restore,
    Kind.KILL_IN_COMMIT: worker_faults.kill_in_commit,
    Kind.ZOMBIE: worker_faults.zombie,
    Kind.ZOMBIE_IN_COMMIT: worker_faults.zombie_in_commit,
    Kind.FENCE: worker_faults.fence,
    Kind.JOIN: worker_faults.join,
    Kind.LEAVE: worker_faults.leave,
    Kind.KILL_BROKER: broker_faults.kill_broker,
    Kind.RESTART_BROKER: broker_faults.restart_broker,
    Kind.REFUSE_RECORDS: broker_faults.refuse_records,
    Kind.ABORT_OF_ANOTHER: broker_faults.abort_of_another,
    Kind.HANG: broker_faults.hang,
    Kind.HANG_LONG: broker_faults.hang_long,
    Kind.MOVE_OFFSETS: input_faults.move_offsets,
    Kind.TRIM: input_faults.trim,
    Kind.MAKE_ANEW: input_faults.make_anew,
    Kind.RUBBISH: input_faults.send_rubbish,
    Kind.SIZES: input_faults.send_sizes,
}


DEAR: Final = frozenset(
    {
        Kind.HANG_LONG,
        Kind.RESTART_BROKER,
        Kind.MAKE_ANEW,
        Kind.MOVE_OFFSETS,
        Kind.JOIN,
        Kind.LEAVE,
        Kind.KILL,
    }
)
"""Kinds that differ little from another one, or from what tests/integration does, for the time that they take."""


def schedule(chance: Random, kinds: tuple[Kind, ...] = tuple(Kind)) -> Iterator[Kind]:
    """Yield kinds for ever, in random order, each as often as any other."""
    while True:
        yield from chance.sample(kinds, len(kinds))
