"""The stand on which everything is measured: one broker, the orders in its topics, our topics beside them."""

import logging
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final, NamedTuple

from benchmarks import orders
from benchmarks.broker import Topics, bench_broker
from benchmarks.catalogue import FOLDER
from benchmarks.orders import Dataset
from stream.administration import Administration
from stream.settings import Settings, load_settings
from stream.topics import TOPICS
from tests.support.broker import KafkaBroker

_TOPIC_CONFIG: Final = {"retention.ms": "-1"}


class Stand(NamedTuple):
    """A running broker."""

    broker: KafkaBroker
    topics: Topics
    folder: Path

    @property
    def bootstrap_servers(self) -> str:
        """Address of the broker."""
        return self.broker.bootstrap_servers

    def settings(self, prefix: str, application_id: str, **more: str) -> Settings:
        """Give settings of our worker, with more of them by their environment variables' last part."""
        return load_settings(
            {
                "ACCOUNT_HEALTH_BOOTSTRAP_SERVERS": self.bootstrap_servers,
                "ACCOUNT_HEALTH_REPORTING_CURRENCY": "EUR",
                "ACCOUNT_HEALTH_TOPIC_PREFIX": prefix,
                "ACCOUNT_HEALTH_APPLICATION_ID": application_id,
                **{f"ACCOUNT_HEALTH_{name.upper()}": value for name, value in more.items()},
            }
        )

    def make_our_topics(self, prefix: str, partitions: int, config: Mapping[str, str] | None = None) -> None:
        """Make our topics anew, the orders excepted; `config` is for the `state` topic and wins over the contract."""
        kept = f"{prefix}orders"
        self.topics.remove({prefix + topic.suffix for topic in TOPICS} - {kept})
        if config is not None:
            self.topics.create(f"{prefix}state", partitions=partitions, config={"cleanup.policy": "compact", **config})
        with Administration(self.settings(prefix, "stand", partitions=str(partitions))) as administration:
            administration.create()

    def fill(self, prefix: str, dataset: Dataset, partitions: int) -> None:
        """Write the orders of a dataset to a topic of their own."""
        topic = f"{prefix}orders"
        self.topics.create(topic, partitions=partitions, config=_TOPIC_CONFIG)
        orders.produce(self.bootstrap_servers, topic, orders.generate(dataset))


@contextmanager
def stand() -> Iterator[Stand]:
    """Start a broker, and remove all that it kept when done."""
    logging.getLogger("kafka").setLevel(logging.WARNING)
    FOLDER.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix=f"run-{os.getpid()}-", dir=FOLDER))
    try:
        with bench_broker(folder / "kafka") as broker:
            yield Stand(broker, Topics(broker.bootstrap_servers), folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
