"""What the short form of the suite runs on."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.broker import KafkaBroker, missing_tools


@pytest.fixture
def mortal_kafka(tmp_path: Path) -> Iterator[KafkaBroker]:
    """A broker of the test's own, to be killed."""
    if missing := missing_tools():
        message = f"no Kafka broker without {' and '.join(missing)}: apt-get install openjdk-17-jre-headless maven"
        if os.environ.get("CI") == "true":
            pytest.fail(message, pytrace=False)
        pytest.skip(message)
    with KafkaBroker(tmp_path / "kafka") as broker:
        yield broker
