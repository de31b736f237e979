"""A bare consumer of librdkafka that only counts: the most that any client in Python can take from the broker.

It reads the orders again and again, as one pass is over too soon.
"""

import gc
from typing import Final

from confluent_kafka import Consumer, KafkaError, TopicPartition

from benchmarks.contenders.measured import Stopwatch, Task, task_from_arguments

CONSUMER: Final = {
    "enable.auto.commit": False,
    "auto.offset.reset": "error",
    "enable.partition.eof": True,
    "isolation.level": "read_committed",
    "fetch.wait.max.ms": 20,
    "fetch.message.max.bytes": 2 * 1024 * 1024,
    "queued.max.messages.kbytes": 65_536,
    # By default the client waits for a second when so much is fetched ahead, which is processed sooner.
    "queued.min.messages": 1_000_000,
    "fetch.queue.backoff.ms": 5,
}
_BATCH: Final = 5000
_POLL_SECONDS: Final = 0.1


def main(task: Task) -> None:
    """Count until enough is counted."""
    # As our worker does: by default the collector takes as long as the consumer.
    gc.freeze()
    gc.set_threshold(100_000, 20, 20)
    consumer = Consumer({"bootstrap.servers": task.bootstrap_servers, "group.id": task.run, **CONSUMER})
    found = consumer.list_topics(task.topic, timeout=30).topics[task.topic]
    beginning = [TopicPartition(task.topic, partition, 0) for partition in found.partitions]
    consumer.assign(beginning)
    left = len(beginning)
    watch = Stopwatch(task)
    while True:
        records = 0
        for message in consumer.consume(_BATCH, _POLL_SECONDS):
            error = message.error()
            if error is None:
                records += 1
            elif error.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001  # its only name
                left -= 1
            else:
                raise RuntimeError(error)
        if watch.count(records):
            break
        if left == 0:
            consumer.assign(beginning)
            left = len(beginning)
    watch.report()
    consumer.close()


if __name__ == "__main__":
    main(task_from_arguments())
