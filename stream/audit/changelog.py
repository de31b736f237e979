"""The state topic of one partition as transactions: what each wrote, and the checkpoint that ends it."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from confluent_kafka import Message

from models.events import InputTopic
from stream.audit.report import Fault, PartitionReport
from stream.checkpoint import (
    CHECKPOINT_KEY,
    CUT_POINTS_KEY,
    Checkpoint,
    CheckpointError,
    InputPosition,
    ReadStep,
    decode,
    mark_key_of,
)
from stream.inputs import timestamp_ms


class Written(NamedTuple):
    """One record of the state topic."""

    value: bytes | None
    offset: int


@dataclass
class Writes:
    """Records of one transaction."""

    states: dict[str, Written] = field(default_factory=dict)
    """Packed states by account; without a value when it was erased."""
    erased: dict[str, Written] = field(default_factory=dict)
    """Erasure marks by key."""
    cuts: bytes | None = None
    """Cut points that were adopted."""
    doubled: list[tuple[str, int]] = field(default_factory=list)
    """Keys that were there before, and where."""

    def take(self, message: Message) -> None:
        """Take a record that is no checkpoint.

        Raises:
            ValueError: if no worker wrote it.
        """
        key, offset = message.key(), message.offset() or 0
        if key is None:
            raise ValueError("it has no key")
        if key == CUT_POINTS_KEY:
            self.cuts = message.value()
            return
        written = Written(message.value(), offset)
        mark_key = mark_key_of(key)
        name = key.decode() if mark_key is None else mark_key
        kept = self.states if mark_key is None else self.erased
        if name in kept:
            self.doubled.append((name, kept[name].offset))
        kept[name] = written


class Transaction(NamedTuple):
    """What one transaction wrote."""

    writes: Writes
    checkpoint: Checkpoint
    offset: int
    """Of the checkpoint."""
    written_ms: int


def transactions(messages: Iterable[Message], report: PartitionReport) -> Iterator[Transaction]:
    """Divide the records at the checkpoints, each of which is the last of its transaction."""
    writes = Writes()
    for message in messages:
        offset, value = message.offset() or 0, message.value()
        try:
            if message.key() != CHECKPOINT_KEY:
                writes.take(message)
                continue
            checkpoint = decode(value or b"")
        except (CheckpointError, ValueError) as error:
            report.fault(Fault.CHECKPOINT, f"no worker wrote the record of the state topic at offset {offset}: {error}")
            continue
        yield Transaction(writes, checkpoint, offset, timestamp_ms(message))
        writes = Writes()
    for name, written in writes.states.items():
        report.fault(
            Fault.STATE, f"{name}: the record at offset {written.offset} follows the last checkpoint: no step led to it"
        )


def check_tiles(transaction: Transaction, before: Checkpoint | None, report: PartitionReport) -> None:
    """Make sure that the steps begin where those of the checkpoint before ended, and leave nothing out."""
    checkpoint = transaction.checkpoint
    at = f"checkpoint at offset {transaction.offset}"
    positions: dict[InputTopic, int] = {}
    if before is not None:
        positions = {topic: held.next_offset for topic, held in before.inputs.items()}
    for step in checkpoint.steps:
        if not isinstance(step, ReadStep):
            continue
        expected = positions.get(step.topic, step.from_offset)
        if step.from_offset > expected:
            report.fault(
                Fault.GAP, f"{step.topic}: offsets {expected} to {step.from_offset - 1} were never read ({at})"
            )
        elif step.from_offset < expected:
            again = f"{step.from_offset} to {expected - 1}"
            report.fault(Fault.OVERLAP, f"{step.topic}: offsets {again} were read twice ({at})")
        positions[step.topic] = step.to_offset
    for topic, held in checkpoint.inputs.items():
        reached = positions.get(topic, held.next_offset)
        if held.next_offset != reached:
            report.fault(
                Fault.CHECKPOINT,
                f"{topic}: the {at} says that offset {held.next_offset} comes next; its steps lead to {reached}",
            )
        _check_id(topic, held, before, at, report)


def _check_id(
    topic: InputTopic, held: InputPosition, before: Checkpoint | None, at: str, report: PartitionReport
) -> None:
    if before is not None and before.inputs[topic].topic_id != held.topic_id:
        report.fault(Fault.CHECKPOINT, f"{topic}: the {at} is of another topic than the one before it")
