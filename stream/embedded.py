"""A Kafka broker inside this process, for the demo: nothing to install, nothing kept."""

from types import TracebackType
from typing import Final, Self

from confluent_kafka import Producer

PARTITIONS: Final = 4
"""How many partitions every topic of the embedded broker has; it cannot be changed."""

_START_TIMEOUT_S: Final = 10.0


class EmbeddedBroker:
    """librdkafka's mock cluster: one broker that listens on a free port of 127.0.0.1.

    It is good for showing the system at work, and for nothing that has to be right:

    - It forgets everything when it stops.
    - It keeps about 5 MiB a partition and drops the oldest records, of compacted topics too; a
      single larger record is accepted and gone at once. A reader finds out from the partition's
      low watermark.
    - Offsets sent to a transaction are accepted and not kept; only a plain commit is.
    - Records of open and of aborted transactions are shown to read-committed readers as well.
    - A producer fenced by a newer one with its transactional id still commits.
    - A topic comes to exist, with `PARTITIONS` partitions, when a producer or a metadata request
      names it (`list_topics(name)` does; a consumer that does not allow auto-creation does not).
      What an administrator asks of a controller (creating and deleting topics, describing topics
      with their ids, describing the cluster or its settings) times out, as there is no controller;
      listing topics, groups and offsets works.
    - The first member of a group waits about 3 s for its assignment.
    - kafka-python has to be told `api_version=(2, 0)`: the broker's answer to its probe for a
      version cannot be decoded.

    >>> with EmbeddedBroker() as broker:
    ...     host, port = broker.bootstrap_servers.split(":")
    >>> host
    '127.0.0.1'
    """

    def __init__(self) -> None:
        self._cluster: Producer | None = None
        self._bootstrap_servers = ""

    @property
    def bootstrap_servers(self) -> str:
        """Address for clients, as host:port. Raises RuntimeError unless the broker is started."""
        if self._cluster is None:
            raise RuntimeError("the embedded broker is not started")
        return self._bootstrap_servers

    def start(self) -> None:
        """Start listening. Raises RuntimeError when it is started already."""
        if self._cluster is not None:
            raise RuntimeError("the embedded broker is started already")
        # The cluster belongs to a client and lives as long as it does. All that this client would
        # log is that it is a mock, hence its silence.
        cluster = Producer({"test.mock.num.brokers": 1, "log_level": 0})
        (broker,) = cluster.list_topics(timeout=_START_TIMEOUT_S).brokers.values()
        self._bootstrap_servers = f"{broker.host}:{broker.port}"
        self._cluster = cluster

    def stop(self) -> None:
        """Stop listening and forget all records; harmless when it is stopped already.

        Close the clients first: those that are left write to standard error that they lost it.
        """
        if self._cluster is not None:
            self._cluster.close()
            self._cluster = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()
