"""The one transaction of a worker: outputs, changelog, checkpoints and offsets become visible together."""

import asyncio
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from confluent_kafka import KafkaError, KafkaException, Producer, TopicPartition

from stream.logs import librdkafka_logger
from stream.records import OutRecord
from stream.settings import Settings
from stream.topics import OUTPUT_RECORD_BYTES_MAX, transactional_id

_QUEUE_RECORDS_MAX: Final = 400_000
_QUEUE_KILOBYTES_MAX: Final = 1_048_576
_CALL_TIMEOUT_SECONDS: Final = 30.0
_RETRIES_MAX: Final = 5
_REBALANCE_ERRORS: Final = (KafkaError.ILLEGAL_GENERATION, KafkaError.REBALANCE_IN_PROGRESS)
_MARGIN_SECONDS: Final = 5.0
"""Beyond the time after which the broker has aborted a transaction: a commit has failed by then, whatever it says."""


class UnansweredError(RuntimeError):
    """The client has not come back from a call: only the end of the process ends it."""


class TransactionAbortedError(RuntimeError):
    """The transaction can only be aborted, and its work must be done again.

    Args:
        reason: in words.
        by_rebalance: the group went on to another generation between the work and its commit; nothing is wrong.
    """

    def __init__(self, reason: str, *, by_rebalance: bool = False) -> None:
        super().__init__(reason)
        self.by_rebalance = by_rebalance


class Transactions:
    """A transactional producer (Kafka's exactly-once v2: one for each worker).

    Nothing may be produced while `commit` or `abort` runs.
    """

    def __init__(self, settings: Settings) -> None:
        self.open = False
        self._broken = False
        # A thread of its own: whatever else blocks, a commit goes on.
        self._thread = ThreadPoolExecutor(1, "commit")
        self._patience_seconds = settings.transaction_timeout_ms / 1000 + _MARGIN_SECONDS
        self._producer = Producer(
            {
                "bootstrap.servers": settings.bootstrap_servers,
                "transactional.id": transactional_id(settings.application_id, settings.instance_id),
                "client.id": settings.instance_id,
                "transaction.timeout.ms": settings.transaction_timeout_ms,
                # A record that cannot be sent ends the transaction before the broker does, which would fence us.
                "message.timeout.ms": settings.transaction_timeout_ms // 2,
                "partitioner": "murmur2_random",
                # Nobody can read a record before the commit, which sends what still waits at once. One request for each
                # partition goes out this often, so a short time would cost this process and the brokers more than all
                # that is in them.
                "linger.ms": 50,
                "batch.size": 1_000_000,
                "compression.type": "lz4",
                "message.max.bytes": OUTPUT_RECORD_BYTES_MAX,
                "queue.buffering.max.messages": _QUEUE_RECORDS_MAX,
                "queue.buffering.max.kbytes": _QUEUE_KILOBYTES_MAX,
            },
            logger=librdkafka_logger(),
        )

    async def start(self) -> None:
        """Fence whoever held this worker's transactional id before, and end what it left open."""
        await self._on_thread(_CALL_TIMEOUT_SECONDS, self._producer.init_transactions, _CALL_TIMEOUT_SECONDS)

    def is_half_full(self) -> bool:
        """Tell whether the queue could fill up in the middle of a further batch."""
        return len(self._producer) > _QUEUE_RECORDS_MAX // 2

    def produce(self, record: OutRecord) -> None:
        """Produce within the transaction, which begins with its first record."""
        self.begin()
        try:
            self._producer.produce(record.topic, record.value, record.key, headers=list(record.headers))
        except KafkaException as error:
            self._take_as_broken(error)

    def produce_all(self, topic: str, partition: int, records: Iterable[tuple[bytes, bytes | None]]) -> None:
        """Produce keys with their values to a partition within the transaction."""
        self.begin()
        produce = self._producer.produce
        try:
            for key, value in records:
                produce(topic, value, key, partition)
        except KafkaException as error:
            self._take_as_broken(error)

    def begin(self) -> None:
        """Begin a transaction unless one is open."""
        if not self.open:
            self._producer.begin_transaction()
            self.open = True

    def serve(self) -> None:
        """Let the client handle acknowledgements."""
        self._producer.poll(0)

    async def commit(self, offsets: Iterable[TopicPartition], metadata: object) -> None:
        """Commit, with the offsets as of this member's generation of the group.

        Raises:
            TransactionAbortedError: if it can only be aborted.
            UnansweredError: if the client does not come back.
            KafkaException: if the producer can do no more: fenced, or an error without remedy.
        """
        if self._broken:
            raise TransactionAbortedError("a record was not delivered")
        try:
            await self._on_thread(self._patience_seconds, self._commit, list(offsets), metadata)
        except KafkaException as error:
            if not error.args[0].txn_requires_abort():
                raise
            by_rebalance = error.args[0].code() in _REBALANCE_ERRORS
            raise TransactionAbortedError(str(error.args[0]), by_rebalance=by_rebalance) from error
        self.open = False

    async def abort(self) -> None:
        """Abort the open transaction, if any."""
        if self.open:
            await self._on_thread(self._patience_seconds, self._abort)
            self.open = self._broken = False

    def _take_as_broken(self, error: KafkaException) -> None:
        code = error.args[0].code()
        if code == KafkaError._FATAL:  # noqa: SLF001  # its only name
            # Why, the client says to whoever asks for a transaction.
            self._producer.begin_transaction()
        # A record before this one was not delivered, and the client takes no more. What is being done may end: it will
        # be undone as a whole.
        if code != KafkaError._STATE:  # noqa: SLF001  # its only name
            raise error
        self._broken = True

    async def _on_thread(self, seconds: float, call: Callable[..., None], *arguments: object) -> None:
        # The client's own timeouts are not enough: after an outage it may wait for the group's coordinator for ever
        # (https://github.com/confluentinc/librdkafka/issues/5456).
        seconds += _MARGIN_SECONDS
        called = asyncio.get_running_loop().run_in_executor(self._thread, call, *arguments)
        await asyncio.wait({called}, timeout=seconds)
        if not called.done():
            raise UnansweredError(f"Kafka's client has not come back for {seconds:g} s")
        called.result()

    def _commit(self, offsets: list[TopicPartition], metadata: object) -> None:
        deadline = time.monotonic() + self._patience_seconds
        self._retried(lambda timeout: self._producer.send_offsets_to_transaction(offsets, metadata, timeout), deadline)
        self._retried(self._producer.commit_transaction, deadline)

    def _abort(self) -> None:
        self._retried(self._producer.abort_transaction, time.monotonic() + self._patience_seconds)

    def _retried(self, call: Callable[[float], None], deadline: float) -> None:
        # librdkafka waits and backs off within each call; what it calls retriable may be called again as it is.
        for attempt in range(1, _RETRIES_MAX + 1):
            try:
                call(max(0.0, deadline - time.monotonic()))
            except KafkaException as error:
                late = attempt == _RETRIES_MAX or time.monotonic() >= deadline
                if late or not error.args[0].retriable():
                    raise
            else:
                return
