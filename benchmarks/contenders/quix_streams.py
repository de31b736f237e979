"""Quix Streams on the same work, at least once (its default), with its own store on RocksDB and its changelog.

Tuned with what its documentation offers: values are taken as bytes and decoded to a typed object, the state is packed
to MessagePack by the store's own `dumps` and `loads`, and the producer batches as everybody's here.
"""

from pathlib import Path
from typing import Any, Final

from quixstreams import Application, State  # type: ignore[import-not-found]  # in an environment of its own
from quixstreams.state.rocksdb import RocksDBOptions  # type: ignore[import-not-found]  # see above

from benchmarks.contenders import job
from benchmarks.contenders.measured import Stopwatch, Task, task_from_arguments

APPLICATION: Final = {
    "auto_offset_reset": "earliest",
    "commit_interval": 1.0,
    "processing_guarantee": "at-least-once",
    "use_changelog_topics": True,
    "loglevel": "WARNING",
}
CONSUMER: Final = {
    "fetch.wait.max.ms": 50,
    "fetch.message.max.bytes": 2 * 1024 * 1024,
    "queued.max.messages.kbytes": 65_536,
    # By default the client waits for a second when so much is fetched ahead, which is processed sooner.
    "queued.min.messages": 1_000_000,
    "fetch.queue.backoff.ms": 5,
}
PRODUCER: Final = {
    "acks": "all",
    "enable.idempotence": True,
    "linger.ms": 5,
    "batch.size": 1_000_000,
    "compression.type": "lz4",
    "queue.buffering.max.messages": 2_000_000,
}
_KEY: Final = "state"


def dumps(value: Any) -> bytes:
    """Pack what the store is given: keys are text, values are states."""
    return job.encode_state(value)


def main(task: Task) -> None:
    """Work until all orders are counted."""
    application = Application(
        broker_address=task.bootstrap_servers,
        consumer_group=task.run,
        state_dir=Path(task.folder) / task.run,
        rocksdb_options=RocksDBOptions(dumps=dumps, loads=job.decode_state),
        consumer_extra_config=CONSUMER,
        producer_extra_config=PRODUCER,
        **APPLICATION,
    )
    orders = application.topic(task.topic, value_deserializer="bytes", key_deserializer="bytes")
    changes = application.topic(task.changes_topic, value_serializer="bytes", key_serializer="bytes")
    watch = Stopwatch(task)
    reported = False

    def handle(value: bytes, state: State) -> bytes | None:
        nonlocal reported
        held = state.get(_KEY)
        if held is None:
            held = job.State()
        change = job.apply(held, job.decode_order(value))
        state.set(_KEY, held)
        if watch.count(1) and not reported:
            reported = True
            watch.report()
            application.stop()
        return None if change is None else job.encode_change(change)

    orders_frame = application.dataframe(orders)
    orders_frame.apply(handle, stateful=True).filter(lambda change: change is not None).to_topic(changes)
    application.run()


if __name__ == "__main__":
    main(task_from_arguments())
