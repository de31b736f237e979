"""Partitions that no member of the group holds, and will not get without being asked for.

A member that is told to give partitions up, and ends before it has done so, should join again so that they can be dealt
out. A static member that comes back within its session is given what it was to keep instead, without a rebalance: the
group is stable, and nobody holds the others until somebody joins, leaves or asks.
"""

import logging
import threading
import time
from concurrent.futures import Future
from contextlib import closing
from typing import Any, Final

from kafka import KafkaAdminClient

from stream.settings import Settings
from stream.topics import group_id

_log = logging.getLogger(__name__)
_LOOKS_A_SESSION: Final = 3
"""So that what a dead member leaves behind waits as long for its owner, at most, whichever way it died."""
_PATIENCE_MAX: Final = 64
"""Times as long as at first: between two looks once asking has not helped again and again."""
_MS: Final = 1000
_STABLE: Final = "Stable"

Group = dict[str, Any]
"""What the coordinator says of a group, as kafka-python gives it."""


class Orphans:
    """Looks at the group now and then, without ever waiting for the answer.

    Args:
        settings: of the worker.
        partitions: how many the anchor topic has.
    """

    def __init__(self, settings: Settings, partitions: int) -> None:
        self._servers = settings.bootstrap_servers.split(",")
        self._group = group_id(settings.application_id)
        self._topic = settings.topics.orders
        self._instance_id = settings.instance_id
        self._partitions = partitions
        self._every_seconds = settings.session_timeout_ms / _MS / _LOOKS_A_SESSION
        self._look_at_seconds = time.monotonic() + self._every_seconds
        self._answer: Future[Group] | None = None
        self._seen: list[int] = []
        self._patience = 1

    def found(self) -> list[int]:
        """Give the partitions that this member is to ask for, if there are any.

        Two looks in a row must agree: a group that has just become stable may be about to go on. One member asks for
        all, by giving up what it has: the one that has least. What asking does not mend is asked for ever less often.
        """
        if self._answer is None:
            if time.monotonic() >= self._look_at_seconds:
                self._answer = Future()
                threading.Thread(target=self._look, args=(self._answer,), name="group", daemon=True).start()
            return []
        if not self._answer.done():
            return []
        answer, self._answer = self._answer, None
        try:
            seen = self._without_owner(answer.result())
        except Exception as error:  # noqa: BLE001  # what the brokers cannot say now, they are asked again
            _log.debug("the group cannot be looked at: %s", error)
            seen = []
        asks = bool(seen) and seen == self._seen
        # Whoever has asked looks twice again.
        self._seen = [] if asks else seen
        self._patience = min(_PATIENCE_MAX, 2 * self._patience) if asks else self._patience if seen else 1
        self._look_at_seconds = time.monotonic() + self._patience * self._every_seconds
        return seen if asks else []

    def _look(self, answer: Future[Group]) -> None:
        # Not with librdkafka: a request of this kind that is under way when its broker goes has ended the process
        # (`rd_kafka_enq_once_del_source_return`: assertion `eonce->refcnt > 0`).
        timeout_ms = int(self._every_seconds * _MS)
        try:
            with closing(
                KafkaAdminClient(
                    bootstrap_servers=self._servers,
                    bootstrap_timeout_ms=timeout_ms,
                    request_timeout_ms=timeout_ms,
                )
            ) as admin:
                answer.set_result(admin.describe_groups([self._group])[self._group])
        except Exception as error:  # noqa: BLE001  # told where it is waited for
            answer.set_exception(error)

    def _without_owner(self, group: Group) -> list[int]:
        if group["group_state"] != _STABLE:
            return []
        held = {
            member["member_id"]: [
                partition
                for one in (member["member_assignment"] or {}).get("assigned_partitions", ())
                if one["topic"] == self._topic
                for partition in one["partitions"]
            ]
            for member in group["members"]
        }
        # Strangers, who may be members too, ask for nothing: workers call themselves by one name twice.
        workers = [one for one in group["members"] if one["client_id"] and one["client_id"] == one["group_instance_id"]]
        least = min(workers, key=lambda one: (len(held[one["member_id"]]), one["client_id"]), default=None)
        if least is None or least["group_instance_id"] != self._instance_id:
            return []
        return sorted(set(range(self._partitions)) - {one for found in held.values() for one in found})
