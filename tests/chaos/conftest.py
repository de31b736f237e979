"""What the short form of the suite runs on."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.broker import KafkaBroker


@pytest.fixture
def mortal_kafka(kafka_tools: None, tmp_path: Path) -> Iterator[KafkaBroker]:
    """A broker of the test's own, to be killed."""
    del kafka_tools
    with KafkaBroker(tmp_path / "kafka") as broker:
        yield broker
