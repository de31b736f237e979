"""What the tests of the operator's commands share: applications on the broker, and the commands themselves."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from stream.cluster import Cluster
from stream.settings import Settings
from tests.support.broker import KafkaBroker
from tests.support.deployment import Deploy, Deployment


@pytest.fixture
def deploy(kafka: KafkaBroker, tmp_path: Path) -> Iterator[Deploy]:
    """Make an application with its topics, with some settings changed; its workers end with the test."""
    with ExitStack() as stack:

        def make(**changed: str) -> Deployment:
            deployment = Deployment(kafka.bootstrap_servers, tmp_path, **changed)
            stack.enter_context(deployment.create_topics())
            wait_for_leaders(deployment.settings)
            return deployment

        yield make


def wait_for_leaders(settings: Settings) -> None:
    """Wait until every partition of the topics can be asked for its offsets; a new one cannot for a moment."""
    cluster = Cluster(settings)
    for name, count in cluster.counts.items():
        for partition in range(count):
            cluster.range_of(name, partition)
