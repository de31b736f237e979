"""Partitions that no member of the group holds, and will not get without being asked for.

A member that is told to give partitions up, and ends before it has done so, should join again so that they can be dealt
out. A static member that comes back within its session is given what it was to keep instead, without a rebalance: the
group is stable, and nobody holds the others until somebody joins, leaves or asks.
"""

import logging
import time
from concurrent.futures import Future
from typing import Final

from confluent_kafka import ConsumerGroupState, KafkaException
from confluent_kafka.admin import AdminClient
from confluent_kafka.admin._group import ConsumerGroupDescription

from stream.settings import Settings
from stream.topics import group_id

_log = logging.getLogger(__name__)
_LOOKS_A_SESSION: Final = 3
"""So that what a dead member leaves behind waits as long for its owner, at most, whichever way it died."""
_PATIENCE_MAX: Final = 64
"""Times as long as at first: between two looks once asking has not helped again and again."""
_MS: Final = 1000


class Orphans:
    """Looks at the group now and then, without ever waiting for the answer.

    Args:
        settings: of the worker.
        partitions: how many the anchor topic has.
    """

    def __init__(self, settings: Settings, partitions: int) -> None:
        self._admin = AdminClient({"bootstrap.servers": settings.bootstrap_servers, "log_level": 0})
        self._group = group_id(settings.application_id)
        self._topic = settings.topics.orders
        self._instance_id = settings.instance_id
        self._partitions = partitions
        self._every_seconds = settings.session_timeout_ms / _MS / _LOOKS_A_SESSION
        self._look_at_seconds = time.monotonic() + self._every_seconds
        self._answer: Future[ConsumerGroupDescription] | None = None
        self._seen: list[int] = []
        self._patience = 1

    def found(self) -> list[int]:
        """Give the partitions that this member is to ask for, if there are any.

        Two looks in a row must agree: a group that has just become stable may be about to go on. One member asks for
        all, by giving up what it has: the one that has least. What asking does not mend is asked for ever less often.
        """
        if self._answer is None:
            if time.monotonic() >= self._look_at_seconds:
                timeout = self._every_seconds
                self._answer = self._admin.describe_consumer_groups([self._group], request_timeout=timeout)[self._group]
            return []
        if not self._answer.done():
            return []
        answer, self._answer = self._answer, None
        try:
            seen = self._without_owner(answer.result())
        except KafkaException as error:
            # What the brokers cannot say now, they are asked again.
            _log.debug("the group cannot be looked at: %s", error)
            seen = []
        asks = bool(seen) and seen == self._seen
        # Whoever has asked looks twice again.
        self._seen = [] if asks else seen
        self._patience = min(_PATIENCE_MAX, 2 * self._patience) if asks else self._patience if seen else 1
        self._look_at_seconds = time.monotonic() + self._patience * self._every_seconds
        return seen if asks else []

    def _without_owner(self, group: ConsumerGroupDescription) -> list[int]:
        if group.state != ConsumerGroupState.STABLE:
            return []
        held = {
            member.member_id: [one.partition for one in member.assignment.topic_partitions if one.topic == self._topic]
            for member in group.members
        }
        # Strangers, who may be members too, ask for nothing: workers call themselves by one name twice.
        workers = [one for one in group.members if one.client_id and one.client_id == one.group_instance_id]
        least = min(workers, key=lambda one: (len(held[one.member_id]), one.client_id), default=None)
        if least is None or least.group_instance_id != self._instance_id:
            return []
        return sorted(set(range(self._partitions)) - {one for found in held.values() for one in found})
