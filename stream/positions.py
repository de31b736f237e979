"""Where each input is read to, said three times: by the topic, by the checkpoint and by the group's offsets."""

import time
from typing import Final, NamedTuple

from models.events import InputTopic
from stream.checkpoint import CHECKPOINT_KEY, Checkpoint, InputPosition, decode
from stream.cluster import Cluster, Range
from stream.reading import PartitionReader
from stream.settings import Settings

REBUILD: Final = "account-health positions reset --to beginning says how to rebuild"
_TAIL_RECORDS: Final = 5000
_TAIL_GROWTH: Final = 20
_SETTLE_SECONDS: Final = 5.0
_RETRY_SECONDS: Final = 0.1


class Standing(NamedTuple):
    """One input of one partition."""

    name: str
    """Full name of the topic."""
    partition: int
    available: Range
    """The offsets that exist."""
    topic_id: str
    """The broker's id of the topic as it is."""
    held: InputPosition | None
    """What the checkpoint says; None without a checkpoint."""
    committed: int | None
    """The group's offset; None if it has none."""

    @property
    def lag(self) -> int:
        """How many offsets are still to be read; those of control records, which end a transaction, among them."""
        return self.available.end - (self.available.start if self.held is None else self.held.next_offset)

    def broken(self) -> str | None:
        """Tell why nobody can read on from the checkpoint; None if one can."""
        if self.held is None:
            return None
        where, position = f"{self.name} [{self.partition}]", self.held.next_offset
        if self.held.topic_id != self.topic_id:
            return (
                f"the topic of {where} was made anew (its id is {self.topic_id}, the state's {self.held.topic_id}): "
                f"offsets mean other records; {REBUILD}"
            )
        if position < self.available.start:
            return (
                f"{where} was trimmed: offsets {position} to {self.available.start - 1} are gone unread; "
                f"restore them, or rebuild: {REBUILD}"
            )
        if position > self.available.end:
            return f"{where} ends at {self.available.end}, before the position {position}: it lost records; {REBUILD}"
        return None

    def disagreement(self) -> str | None:
        """Tell in what the three do not agree, and which command mends it; None if they do.

        Offsets of a group that was away for a week are gone, which is no disagreement: the checkpoint stands for both.
        """
        where = f"{self.name} [{self.partition}]"
        if self.held is None:
            if self.committed is None:
                return None
            return (
                f"the group has read {where} up to {self.committed}, but the state topic is empty: the state was lost; "
                "begin again with: account-health positions reset --to beginning"
            )
        if (broken := self.broken()) is not None:
            return broken
        if self.committed is not None and self.committed != self.held.next_offset:
            return (
                f"the group's offset of {where} is {self.committed}, the state's is {self.held.next_offset}: offsets "
                "were reset by hand; set them back with: account-health positions reset --to checkpoint"
            )
        return None


class PartitionStanding(NamedTuple):
    """All inputs of one partition."""

    partition: int
    checkpoint: Checkpoint | None
    inputs: dict[InputTopic, Standing]
    recounted: str | None
    """Whether the number of partitions is another one than the checkpoint's: why nobody can read on."""

    def disagrees(self) -> bool:
        """Tell whether something is to be mended."""
        return self.recounted is not None or any(one.disagreement() for one in self.inputs.values())


def recount(checkpoint: Checkpoint, partitions: int) -> str | None:
    """Tell that the number of partitions is not the checkpoint's; None if it is."""
    if checkpoint.partitions == partitions:
        return None
    return (
        f"the inputs had {checkpoint.partitions} partitions and have {partitions}: accounts would be split; {REBUILD}"
    )


def last_checkpoint(cluster: Cluster, settings: Settings, partition: int) -> Checkpoint | None:
    """Read the last committed checkpoint of a partition; None if there is none.

    Raises:
        CheckpointError: if this release cannot read it.
        ReadingError: if the topic cannot be read.
    """
    topic = settings.topics.state
    start, end = cluster.range_of(topic, partition, read_committed=True)
    records = _TAIL_RECORDS
    while True:
        # It is the last record of a transaction: nearly always close to the end.
        first = max(start, end - records)
        found: bytes | None = None
        with PartitionReader(settings, topic, partition, first) as reader:
            for message in reader.until(end):
                if message.key() == CHECKPOINT_KEY:
                    found = message.value()
        if found is not None:
            return decode(found)
        if first == start:
            return None
        records *= _TAIL_GROWTH


def look(cluster: Cluster, settings: Settings, partition: int, *, at_work: bool = True) -> PartitionStanding:
    """See where a partition stands.

    Args:
        cluster: the topics.
        settings: of the application.
        partition: its number.
        at_work: whether a worker may be at work on it; what does not agree is then looked at again for a while.

    Raises:
        CheckpointError: if this release cannot read the checkpoint.
        ReadingError: if the topic cannot be read.
    """
    deadline = time.monotonic() + _SETTLE_SECONDS
    while True:
        before = cluster.committed(partition)
        checkpoint = last_checkpoint(cluster, settings, partition)
        after = cluster.committed(partition)
        # A worker that commits meanwhile moves both: they agree if the checkpoint lies between two looks at the group.
        committed = {topic: _between(topic, checkpoint, before, after) for topic in InputTopic}
        standing = _standing(cluster, settings, partition, checkpoint, committed)
        if not at_work or not standing.disagrees() or time.monotonic() > deadline:
            return standing
        time.sleep(_RETRY_SECONDS)


def _between(
    topic: InputTopic,
    checkpoint: Checkpoint | None,
    before: dict[InputTopic, int | None],
    after: dict[InputTopic, int | None],
) -> int | None:
    first, last = before[topic], after[topic]
    if checkpoint is None or first is None or last is None:
        return last
    position = checkpoint.inputs[topic].next_offset
    return position if first < last and first <= position <= last else last


def _standing(
    cluster: Cluster,
    settings: Settings,
    partition: int,
    checkpoint: Checkpoint | None,
    committed: dict[InputTopic, int | None],
) -> PartitionStanding:
    inputs = {}
    for topic in InputTopic:
        name = settings.topics.of_input(topic)
        held = None if checkpoint is None else checkpoint.inputs[topic]
        available = cluster.range_of(name, partition)
        inputs[topic] = Standing(name, partition, available, cluster.topic_ids[name], held, committed[topic])
    recounted = None if checkpoint is None else recount(checkpoint, cluster.partitions)
    return PartitionStanding(partition, checkpoint, inputs, recounted)
