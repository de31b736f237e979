"""A worker that stops where a test asks it to, and that may have a bug planted: a program of its own.

Nothing of it is in the product. A breakpoint is a file of its name in the worker's folder: when the worker comes by, it
removes the file and stops as if by SIGSTOP, to be killed or resumed. Whoever kills a worker at a random moment rarely
finds it in the few milliseconds that matter.
"""

import argparse
import os
import signal
import sys
from collections.abc import Callable, Iterable
from contextlib import suppress
from enum import StrEnum, unique
from itertools import count
from pathlib import Path
from typing import Any, Final
from unittest.mock import patch

import msgspec
from confluent_kafka import Consumer, Message, Producer

from models.events import InputTopic
from stream import poller, restore, transactions
from stream.checkpoint import CHECKPOINT_KEY, Checkpoint
from stream.cli.worker import worker
from stream.records import OutRecord
from stream.settings import load_settings
from stream.task import PartitionTask
from stream.transactions import Transactions

_PROGRAM: Final = Path(__file__)
_BACK_SOON: Final = {"reconnect.backoff.max.ms": 500}
_QUICK: Final = {"session.timeout.ms": 3000, "heartbeat.interval.ms": 500, **_BACK_SOON}
_LOST: Final = frozenset(range(50, 150, 10))
"""Which state records of a worker are lost by `Plant.STATE_LOST`."""


@unique
class Breakpoint(StrEnum):
    """Where a worker stops."""

    RESTORE = "in-restore"
    """In the middle of reading its changelog: the file holds after how many records."""
    BEFORE_OFFSETS = "before-offsets"
    """All is produced, and the group's offsets are not in the transaction yet."""
    BEFORE_COMMIT = "before-commit"
    """All is in the transaction, and nobody has asked to commit it."""
    AFTER_COMMIT = "after-commit"
    """The broker has committed, and the worker has not noted it."""


IN_COMMIT: Final = (Breakpoint.BEFORE_OFFSETS, Breakpoint.BEFORE_COMMIT, Breakpoint.AFTER_COMMIT)


@unique
class Plant(StrEnum):
    """A bug that the suite has to find."""

    CHECKPOINT_AHEAD = "checkpoint-ahead"
    """Checkpoint and offsets are a record ahead of what was done: after a restart that record is skipped."""
    OUTPUT_OUTSIDE = "output-outside"
    """Tier changes are sent by a producer without transactions: what is done again is published again."""
    STATE_LOST = "state-lost"
    """Some state records are not written: after a restart the account is older than its checkpoint."""


def program(plant: Plant | None = None) -> tuple[str, ...]:
    """Return what takes the place of `account-health` to start such a worker."""
    return (sys.executable, "-P", str(_PROGRAM), *(() if plant is None else ("--plant", plant)))


def _come_by(point: Breakpoint) -> None:
    path = Path(point)
    if not path.exists():
        return
    with suppress(FileNotFoundError):
        path.unlink()
        os.kill(os.getpid(), signal.SIGSTOP)


class _StoppingProducer(Producer):
    """Stops before and after each part of a commit."""

    def __init__(self, config: dict[str, Any], **more: Any) -> None:
        super().__init__({**config, **_BACK_SOON}, **more)

    def send_offsets_to_transaction(self, *arguments: Any, **more: Any) -> None:
        _come_by(Breakpoint.BEFORE_OFFSETS)
        super().send_offsets_to_transaction(*arguments, **more)

    def commit_transaction(self, *arguments: Any, **more: Any) -> None:
        _come_by(Breakpoint.BEFORE_COMMIT)
        super().commit_transaction(*arguments, **more)
        _come_by(Breakpoint.AFTER_COMMIT)


class _QuickConsumer(Consumer):
    """Notices sooner than the settings allow that somebody is gone, so that a fault takes seconds."""

    def __init__(self, config: dict[str, Any], **more: Any) -> None:
        super().__init__({**config, **_QUICK}, **more)


def _stop_in_restore() -> None:
    take = restore._Changelog.take
    path = Path(Breakpoint.RESTORE)
    left = int(path.read_text()) if path.exists() else 0

    def stopping(changelog: restore._Changelog, messages: list[Message]) -> None:
        nonlocal left
        first, left = left, left - len(messages)
        if first <= 0 or left > 0:
            take(changelog, messages)
            return
        take(changelog, messages[:first])
        _come_by(Breakpoint.RESTORE)
        take(changelog, messages[first:])

    patch.object(restore._Changelog, "take", stopping).start()


def _plant_checkpoint_ahead() -> None:
    written, committed = PartitionTask.checkpoint, Transactions.commit

    def checkpoint(task: PartitionTask) -> Checkpoint:
        told = written(task)
        orders = told.inputs[InputTopic.ORDERS]
        ahead = msgspec.structs.replace(orders, next_offset=orders.next_offset + 1)
        return msgspec.structs.replace(told, inputs={**told.inputs, InputTopic.ORDERS: ahead})

    async def commit(self: Transactions, offsets: Any, metadata: object) -> None:
        ahead = list(offsets)
        for one in ahead:
            one.offset += one.topic.endswith(InputTopic.ORDERS)
        await committed(self, ahead, metadata)

    patch.object(PartitionTask, "checkpoint", checkpoint).start()
    patch.object(Transactions, "commit", commit).start()


def _plant_output_outside() -> None:
    produce = Transactions.produce
    settings = load_settings(os.environ)
    outside = Producer({"bootstrap.servers": settings.bootstrap_servers, "partitioner": "murmur2_random"})

    def produced(self: Transactions, record: OutRecord) -> None:
        if record.topic != settings.topics.tier_changes:
            produce(self, record)
            return
        self.begin()
        outside.produce(record.topic, record.value, record.key, headers=list(record.headers))
        outside.poll(0)

    patch.object(Transactions, "produce", produced).start()


def _plant_state_lost() -> None:
    produce_all = Transactions.produce_all
    numbers = count()

    def kept(key: bytes) -> bool:
        return key == CHECKPOINT_KEY or next(numbers) not in _LOST

    def produced(self: Transactions, topic: str, partition: int, records: Iterable[tuple[bytes, bytes | None]]) -> None:
        produce_all(self, topic, partition, ((key, value) for key, value in records if kept(key)))

    patch.object(Transactions, "produce_all", produced).start()


_PLANTS: Final[dict[Plant, Callable[[], None]]] = {
    Plant.CHECKPOINT_AHEAD: _plant_checkpoint_ahead,
    Plant.OUTPUT_OUTSIDE: _plant_output_outside,
    Plant.STATE_LOST: _plant_state_lost,
}


def _main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--plant", type=Plant, help="the bug to plant")
    parser.add_argument("command", choices=["worker"])
    plant: Plant | None = parser.parse_args().plant
    patch.object(transactions, "Producer", _StoppingProducer).start()
    patch.object(poller, "Consumer", _QuickConsumer).start()
    _stop_in_restore()
    if plant is not None:
        _PLANTS[plant]()
    worker()


if __name__ == "__main__":
    _main()
