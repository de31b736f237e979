"""What the tests of the delivery share."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.delivery.destination import Destination
from tests.delivery.stand import Stand
from tests.support.broker import KafkaBroker


@pytest.fixture
def stand(kafka: KafkaBroker, tmp_path: Path) -> Iterator[Stand]:
    """Topics of one test; its processes end with it."""
    one = Stand(kafka, tmp_path)
    try:
        yield one
    finally:
        one.close()


@pytest.fixture
def serve() -> Iterator[Callable[..., Destination]]:
    """Start a destination, which ends with the test."""
    with ExitStack() as stack:

        def make(*arguments: Any) -> Destination:
            return stack.enter_context(Destination(*arguments))

        yield make
