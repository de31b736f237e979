"""A loop over librdkafka's consumer and producer and nothing else: how fast the work can be in Python, at least once.

Every order is applied; once a second the state of each customer that was touched since is written, all is flushed and
the offsets are committed. No restore, no rebalance, no refused records, no time.
"""

import time
from typing import Final

from confluent_kafka import Consumer, Producer

from benchmarks.contenders import job
from benchmarks.contenders.measured import Stopwatch, Task, task_from_arguments

CONSUMER: Final = {
    "enable.auto.commit": False,
    "auto.offset.reset": "earliest",
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
_BATCH: Final = 5000
_POLL_SECONDS: Final = 0.2
_COMMIT_SECONDS: Final = 1.0


def main(task: Task) -> None:
    """Work until all orders are counted and written."""
    consumer = Consumer({"bootstrap.servers": task.bootstrap_servers, "group.id": task.run, **CONSUMER})
    producer = Producer({"bootstrap.servers": task.bootstrap_servers, **PRODUCER})
    consumer.subscribe([task.topic])
    states: dict[bytes, job.State] = {}
    decode, apply, encode, encode_change = job.decode_order, job.apply, job.encode_state, job.encode_change
    produce, changes, changelog = producer.produce, task.changes_topic, task.changelog_topic
    watch = Stopwatch(task)
    committed = time.monotonic()
    touched: dict[bytes, tuple[job.State, int]] = {}
    done = False
    while not done:
        messages = consumer.consume(_BATCH, _POLL_SECONDS)
        for message in messages:
            if (error := message.error()) is not None:
                raise RuntimeError(error)
            key, value, partition = message.key(), message.value(), message.partition()
            assert key is not None
            assert value is not None
            assert partition is not None
            state = states.get(key)
            if state is None:
                state = states[key] = job.State()
            change = apply(state, decode(value))
            touched[key] = state, partition
            if change is not None:
                produce(changes, encode_change(change), key, partition)
        producer.poll(0)
        done = watch.count(len(messages))
        if messages and (done or time.monotonic() - committed > _COMMIT_SECONDS):
            for key, (state, partition) in touched.items():
                produce(changelog, encode(state), key, partition)
            touched.clear()
            producer.flush()
            consumer.commit(asynchronous=False)
            committed = time.monotonic()
    watch.report()
    consumer.close()


if __name__ == "__main__":
    main(task_from_arguments())
