"""What the tests of the operator's commands share: applications on the broker, and the commands themselves."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.support.broker import KafkaBroker
from tests.support.deployment import Deploy, Deployment


@pytest.fixture
def deploy(kafka: KafkaBroker, tmp_path: Path) -> Iterator[Deploy]:
    """Make an application with its topics, with some settings changed; its workers end with the test."""
    with ExitStack() as stack:

        def make(**changed: str) -> Deployment:
            deployment = Deployment(kafka.bootstrap_servers, tmp_path, **changed)
            return stack.enter_context(deployment.create_topics())

        yield make
