"""Setting the group's offsets: back to the checkpoints, or to nothing where nothing was published yet.

Nothing here changes the state or the outputs. Building the accounts again in place is not offered: sequences, event
ids and revisions would begin again at 1 under subscribers that remember higher ones, and would ignore what is new.
"""

import time
from collections.abc import Callable
from typing import Final

from confluent_kafka import ConsumerGroupTopicPartitions, KafkaError, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient

from stream.cluster import Cluster
from stream.positions import PartitionStanding, look
from stream.settings import Settings, env_name
from stream.topics import CHURN_RISK, DEAD_LETTERS, PORTFOLIO, SNAPSHOTS, STATE, TIER_CHANGES, group_id

_TIMEOUT_SECONDS: Final = 30.0
_RETRY_SECONDS: Final = 0.25
_LEAVING_SECONDS: Final = 3.0
_WRITTEN: Final = (STATE, PORTFOLIO, TIER_CHANGES, CHURN_RISK, SNAPSHOTS, DEAD_LETTERS)


_RECIPE: Final = """\
there is something in {written}. To begin again in the same topics would repeat sequences, event ids and revisions \
from 1 with other contents: subscribers that know the old ones would drop the new ones. Nothing was changed.
Rebuild beside it instead:
  1. set {application_id} and {topic_prefix} to new names, and {input_topic_prefix}={inputs}, so that the inputs are \
read again from their beginning;
  2. account-health topics create
  3. start workers with these settings; they are done when account-health positions show tells of no lag;
  4. let subscribers read the new topics, stop the old workers, delete the old state and outputs."""


class ResetRefusedError(RuntimeError):
    """Offsets that must not be set; the text says why, and what to do instead."""


class Resets:
    """Sets the offsets of the application's group.

    Args:
        settings: of the application.
        cluster: its topics.
    """

    def __init__(self, settings: Settings, cluster: Cluster) -> None:
        self._settings = settings
        self._cluster = cluster
        self._group = group_id(settings.application_id)
        self._admin = AdminClient({"bootstrap.servers": settings.bootstrap_servers, "log_level": 0})

    def wait_for_no_members(self, on_wait: Callable[[list[str]], None]) -> None:
        """Wait until the group has no members; `on_wait` is told their names once.

        A worker that ended remains one until its session does.

        Raises:
            ResetRefusedError: if some are still there when every session would have ended.
        """
        deadline = time.monotonic() + self._settings.session_timeout_ms / 1000 + _LEAVING_SECONDS
        members = self._members()
        if members:
            on_wait(members)
        while members:
            if time.monotonic() > deadline:
                raise ResetRefusedError(
                    f"the group {self._group} has members: {', '.join(members)}. Stop every worker of this "
                    "application first: one that runs does not notice what is set, and overwrites it"
                )
            time.sleep(_RETRY_SECONDS)
            members = self._members()

    def to_checkpoint(self) -> list[TopicPartition]:
        """Return the offsets that the checkpoints hold, once there are no members; nothing is set yet.

        Raises:
            ResetRefusedError: if nobody can read on from one of them.
        """
        offsets: list[TopicPartition] = []
        for partition in range(self._cluster.partitions):
            standing = look(self._cluster, self._settings, partition, at_work=False)
            if (problem := _unusable(standing)) is not None:
                raise ResetRefusedError(problem)
            offsets += [
                TopicPartition(one.name, partition, one.held.next_offset)
                for one in standing.inputs.values()
                if one.held is not None
            ]
        return offsets

    def set(self, offsets: list[TopicPartition]) -> None:
        """Set offsets of the group.

        Raises:
            KafkaException: if the broker refuses, as it does while the group has members.
        """
        asked = ConsumerGroupTopicPartitions(self._group, offsets)
        future = self._admin.alter_consumer_group_offsets([asked], request_timeout=_TIMEOUT_SECONDS)[self._group]
        for one in future.result(_TIMEOUT_SECONDS).topic_partitions:
            if one.error is not None:
                raise KafkaException(one.error)

    def check_nothing_published(self) -> None:
        """Make sure that there is nothing which a new beginning would contradict.

        Raises:
            ResetRefusedError: if state or outputs were ever written, with how to rebuild beside them.
        """
        names = [self._settings.topics.of(topic) for topic in _WRITTEN]
        counts = {
            name: len(self._admin.list_topics(name, timeout=_TIMEOUT_SECONDS).topics[name].partitions) for name in names
        }
        written = [
            name
            for name in names
            if any(self._cluster.range_of(name, partition).end for partition in range(counts[name]))
        ]
        if written:
            raise ResetRefusedError(self._recipe(written))

    def forget(self) -> bool:
        """Delete the group with all its offsets; False if there was none.

        Raises:
            KafkaException: if the broker refuses, as it does while the group has members.
        """
        future = self._admin.delete_consumer_groups([self._group], request_timeout=_TIMEOUT_SECONDS)[self._group]
        try:
            future.result(_TIMEOUT_SECONDS)
        except KafkaException as error:
            if error.args[0].code() != KafkaError.GROUP_ID_NOT_FOUND:
                raise
            return False
        return True

    def _members(self) -> list[str]:
        future = self._admin.describe_consumer_groups([self._group], request_timeout=_TIMEOUT_SECONDS)[self._group]
        try:
            members = future.result(_TIMEOUT_SECONDS).members
        except KafkaException as error:
            if error.args[0].code() != KafkaError.GROUP_ID_NOT_FOUND:
                raise
            return []
        return sorted(one.group_instance_id or one.client_id for one in members)

    def _recipe(self, written: list[str]) -> str:
        return _RECIPE.format(
            written=", ".join(written),
            application_id=env_name("application_id"),
            topic_prefix=env_name("topic_prefix"),
            input_topic_prefix=env_name("input_topic_prefix"),
            inputs=self._settings.topics.input_prefix,
        )


def _unusable(standing: PartitionStanding) -> str | None:
    if standing.recounted is not None:
        return standing.recounted
    for one in standing.inputs.values():
        problem = one.broken() if one.held is not None else one.disagreement()
        if problem is not None:
            return problem
    return None
