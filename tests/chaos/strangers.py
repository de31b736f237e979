"""Producers that are not the worker's: whatever they write in a transaction that does not commit nobody may see."""

import logging
from random import Random
from typing import Final

from confluent_kafka import KafkaException, Producer

from stream.checkpoint import CHECKPOINT_KEY
from stream.settings import Settings

_CALL_TIMEOUT_S: Final = 30.0
_JUNK_BYTES: Final = 200
# That they are fenced is what they are there for.
_SILENT: Final = logging.getLogger(__name__)
_SILENT.propagate = False
_SILENT.addHandler(logging.NullHandler())


class Stranger:
    """A producer with a transaction.

    Args:
        settings: of the application that it disturbs.
        transactional_id: its own, or that of a worker, who is fenced by it.
        timeout_ms: after so long the broker aborts what it left open.
    """

    def __init__(self, settings: Settings, transactional_id: str, timeout_ms: int) -> None:
        self._names = settings.topics
        self._producer = Producer(
            {
                "bootstrap.servers": settings.bootstrap_servers,
                "transactional.id": transactional_id,
                "transaction.timeout.ms": timeout_ms,
                "message.timeout.ms": timeout_ms,
                "partitioner": "murmur2_random",
            },
            logger=_SILENT,
        )
        # Whoever has connected before is quick when it matters.
        self._producer.list_topics(timeout=_CALL_TIMEOUT_S)

    def start(self) -> None:
        """Take its transactional id, from whoever has it."""
        self._producer.init_transactions(_CALL_TIMEOUT_S)

    def write(self, partition: int, accounts: list[bytes], chance: Random) -> None:
        """Write junk in the name of accounts, and a checkpoint, to the state and to every output; nothing is ended."""
        names = self._names
        self._producer.begin_transaction()
        for key in accounts:
            self._producer.produce(names.state, chance.randbytes(_JUNK_BYTES), key, partition)
            for topic in (names.tier_changes, names.churn_risk, names.snapshots, names.dead_letters):
                self._producer.produce(topic, chance.randbytes(_JUNK_BYTES), key)
        self._producer.produce(names.state, b"{}", CHECKPOINT_KEY, partition)
        left = self._producer.flush(_CALL_TIMEOUT_S)
        assert left == 0, f"{left} records of a stranger were not taken"

    def abort(self) -> None:
        """Abort it."""
        self._producer.abort_transaction(_CALL_TIMEOUT_S)

    def may_commit(self) -> bool:
        """Try to commit; tell whether the broker let it."""
        try:
            self._producer.commit_transaction(_CALL_TIMEOUT_S)
        except KafkaException:
            return False
        return True
