"""What the end-to-end tests share: deployments on the broker, and a real history with its replay."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.support.broker import KafkaBroker
from tests.support.deployment import Deploy, Deployment, History, replayed
from tests.support.worker import run_command


@pytest.fixture
def deploy(kafka: KafkaBroker, tmp_path: Path) -> Iterator[Deploy]:
    """Make an application with its topics, with some settings changed; its workers end with the test."""
    with ExitStack() as stack:

        def make(**changed: str) -> Deployment:
            deployment = Deployment(kafka.bootstrap_servers, tmp_path, **changed)
            return stack.enter_context(deployment.create_topics())

        yield make


@pytest.fixture(scope="session")
def online_retail(data_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> History:
    """The whole of Online Retail as events, and its replay."""
    folder = tmp_path_factory.mktemp("online-retail")
    path = folder / "events.jsonl"
    run_command({}, "import", "online-retail", str(data_dir / "online_retail.csv.xz"), "--out", str(path))
    return History(path, replayed([path], folder / "replay"))
