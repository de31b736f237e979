"""A Faust transport whose consumer and producer are librdkafka's.

Faust is shown one assignment that never changes: all partitions of the input topics. Partitions come and go beneath it,
in the engine; so none of Faust's rebalancing, seeking, acking, committing or recovery ever runs. A message that an
agent receives is a batch: the records of one partition, and the task that owns them.
"""

from collections.abc import AsyncIterator, Iterable, Mapping
from typing import Any, ClassVar, Final

from faust import App, Schema
from faust.transport import base
from faust.transport.consumer import Consumer as FaustConsumer
from faust.transport.drivers import aiokafka as driver
from faust.types import TP
from faust.types.tuples import ConsumerMessage

from stream.engine import Engine

_NO_OFFSET: Final = 0


class Consumer(FaustConsumer):
    """Gives the engine's batches to Faust; all that Faust asks of a group is answered by doing nothing."""

    engine: ClassVar[Engine]
    topic_names: ClassVar[tuple[str, ...]]

    async def subscribe(self, topics: Iterable[str]) -> None:
        """Show Faust the assignment, once; the engine holds the group's."""
        self.add_future(self.on_partitions_assigned(self._everything(), self.app.consumer_generation_id))

    async def getmany(self, timeout: float) -> AsyncIterator[tuple[TP, ConsumerMessage]]:
        """Yield the next batch."""
        batch = await self.engine.next_batch(timeout)
        if batch is None:
            return
        name = self.engine.name_of(batch)
        tp = TP(name, batch.task.partition)
        yield (
            tp,
            ConsumerMessage(
                name,
                tp.partition,
                # Not the records' own: Faust drops what is not ahead of what it has seen, and after an abort the same
                # records come again; it would also keep a list of the gaps between batches.
                _NO_OFFSET,
                0.0,
                0,
                None,
                None,
                batch,  # type: ignore[arg-type]  # bytes for Faust's own consumers; the schema leaves it as it is
                None,
                0,
                0,
                tp,
                generation_id=self.app.consumer_generation_id,
            ),
        )

    def assignment(self) -> set[TP]:
        """Answer: everything."""
        return self._everything()

    def _set_active_tps(self, tps: set[TP]) -> set[TP]:
        self._active_partitions = self._everything()
        return self._active_partitions

    def _everything(self) -> set[TP]:
        return {TP(name, number) for name in self.topic_names for number in range(self.engine.partitions)}

    def ack(self, message: Any) -> bool:
        """Forget a message: what was processed is committed by the engine."""
        message.acked = True
        self._unacked_messages.discard(message)
        return True

    async def commit(self, topics: Any = None, start_new_transaction: bool = True) -> bool:  # noqa: FBT001, FBT002  # Faust's
        """Do nothing."""
        return True

    async def _commit(self, offsets: Mapping[TP, int]) -> bool:
        return True

    async def perform_seek(self) -> None:
        """Do nothing."""

    async def seek_to_committed(self) -> Mapping[TP, int]:
        """Do nothing."""
        return {}

    async def _seek(self, partition: TP, offset: int) -> None:
        pass

    async def seek_wait(self, partitions: Mapping[TP, int]) -> None:
        """Do nothing."""

    async def _getmany(self, active_partitions: Any, timeout: float) -> Any:
        return {}

    async def position(self, tp: TP) -> int:
        """Answer anything: nobody acts on it."""
        return _NO_OFFSET

    async def earliest_offsets(self, *partitions: TP) -> Mapping[TP, int]:
        """Answer anything: nobody acts on it."""
        return dict.fromkeys(partitions, _NO_OFFSET)

    async def highwaters(self, *partitions: TP) -> Mapping[TP, int]:
        """Answer anything: nobody acts on it."""
        return dict.fromkeys(partitions, _NO_OFFSET)

    def highwater(self, tp: TP) -> int:
        """Answer anything: nobody acts on it."""
        return _NO_OFFSET

    def topic_partitions(self, topic: str) -> int:
        """Answer how many partitions each input has."""
        return self.engine.partitions

    def key_partition(self, topic: str, key: bytes | None, partition: int | None = None) -> None:
        """Answer nothing: Faust produces nothing here."""

    async def create_topic(self, *_: Any, **__: Any) -> None:
        """Do nothing: topics are made by an administrator."""

    def _to_message(self, tp: TP, record: Any) -> ConsumerMessage:
        raise AssertionError("the engine's batches never pass through here")

    def _new_topicpartition(self, topic: str, partition: int) -> TP:
        return TP(topic, partition)

    def verify_event_path(self, now: float, tp: TP) -> None:
        """Do nothing: the engine watches progress itself."""

    def verify_recovery_event_path(self, now: float, tp: TP) -> None:
        """Do nothing: there is no recovery."""

    def close(self) -> None:
        """Do nothing: the engine leaves the group."""


class Producer(driver.Producer):
    """Produces nothing: the engine's transaction does."""

    async def on_start(self) -> None:
        """Start without a client."""
        await base.Producer.on_start(self)

    async def on_stop(self) -> None:
        """Stop without a client."""
        await base.Producer.on_stop(self)

    async def flush(self) -> None:
        """Do nothing."""

    def key_partition(self, topic: str, key: bytes) -> TP:
        """Answer anything: nobody acts on it."""
        return TP(topic, 0)


class BatchSchema(Schema[Any, Any]):
    """Leaves a batch as it is."""

    def loads_value(self, app: Any, message: Any, *, loads: Any = None, serializer: Any = None) -> Any:
        """Return the batch."""
        return message.value

    def loads_key(self, app: Any, message: Any, *, loads: Any = None, serializer: Any = None) -> None:
        """Return nothing: a batch has no key."""


def install(app: App, engine: Engine, topic_names: tuple[str, ...]) -> None:
    """Let an app consume the engine's batches."""

    class EngineConsumer(Consumer):
        pass

    EngineConsumer.engine, EngineConsumer.topic_names = engine, topic_names

    class EngineTransport(driver.Transport):
        Consumer = EngineConsumer
        Producer = Producer

    app.transport = EngineTransport(app.conf.broker_consumer, app)
    app.producer_transport = EngineTransport(app.conf.broker_producer, app)
