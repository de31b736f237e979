"""The broker of the benchmarks: the real Kafka of the tests, with the settings of a server instead of a short test."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from tests.support.broker import KafkaBroker
from tests.support.polling import eventually

PARTITIONS: Final = 4
JVM: Final = ("-Xms1g", "-Xmx1g", "-XX:+UseParallelGC")
"""Both of the just-in-time compilers, unlike in tests; a heap that such a broker never fills."""
SETTINGS: Final[Mapping[str, str | int]] = {
    # Kafka's defaults, which the tests make smaller
    "num.network.threads": 3,
    "num.io.threads": 8,
    "log.cleaner.dedupe.buffer.size": 128 * 1024 * 1024,
    "log.index.size.max.bytes": 10 * 1024 * 1024,
    "group.initial.rebalance.delay.ms": 0,
    # a contender that makes its own topics gets these
    "num.partitions": PARTITIONS,
    # What a run leaves behind goes at once, or the disk would fill.
    "log.segment.delete.delay.ms": 1000,
    # Orders carry times of a year ago; some contenders write outputs with the time of their input.
    "log.message.timestamp.before.max.ms": 9_223_372_036_854_775_807,
}
_TIMEOUT_SECONDS: Final = 60.0


def bench_broker(folder: Path) -> KafkaBroker:
    """Give a broker with its data in a folder, not started yet."""
    return KafkaBroker(folder, SETTINGS, jvm=JVM)


class Topics:
    """Makes topics and removes them."""

    def __init__(self, bootstrap_servers: str) -> None:
        self._admin = AdminClient({"bootstrap.servers": bootstrap_servers, "log_level": 0})

    def create(self, *names: str, partitions: int = PARTITIONS, config: Mapping[str, str] | None = None) -> None:
        """Make topics and wait until each of their partitions has a leader."""
        new = [NewTopic(name, partitions, 1, config=dict(config or {})) for name in names]
        for created in self._admin.create_topics(new).values():
            created.result(_TIMEOUT_SECONDS)
        eventually(lambda: set(names) <= self.ready(), f"topics {', '.join(names)}", timeout_s=_TIMEOUT_SECONDS)

    def names(self) -> set[str]:
        """Give the names of all topics."""
        return set(self._admin.list_topics(timeout=_TIMEOUT_SECONDS).topics)

    def ready(self) -> set[str]:
        """Give the names of the topics that can be used."""
        try:
            found = self._admin.list_topics(timeout=_TIMEOUT_SECONDS).topics
        except KafkaException:
            return set()
        return {
            name
            for name, topic in found.items()
            if topic.partitions and all(one.leader >= 0 for one in topic.partitions.values())
        }

    def remove(self, names: Iterable[str]) -> None:
        """Remove topics and wait until they are gone."""
        doomed = set(names) & self.names()
        if not doomed:
            return
        for removed in self._admin.delete_topics(list(doomed)).values():
            removed.result(_TIMEOUT_SECONDS)
        eventually(lambda: not doomed & self.names(), "topics are gone", timeout_s=_TIMEOUT_SECONDS)
