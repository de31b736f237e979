"""Opening a partition when its changelog is not at rest."""

from types import SimpleNamespace
from typing import Final

import pytest

from processors.context import Context
from stream import restore as restore_module
from stream.cluster import Range
from stream.restore import RestoreError, restore
from stream.settings import load_settings
from tests.engine.test_engine import POLICY

DEADLINE_SECONDS: Final = 600


class OpenTransaction:
    """Topics on whose state somebody has left a transaction open, at offset 5 of 8."""

    def range_of(self, topic: str, partition: int, *, read_committed: bool = False) -> Range:
        """Give what a reader sees."""
        del topic, partition
        return Range(0, 5 if read_committed else 8)


def test_a_transaction_that_hangs_is_waited_for_and_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Past the deadline the worker says where it hangs, and the command that ends it."""
    now_seconds = 0.0

    def sleep(seconds: float) -> None:
        nonlocal now_seconds
        now_seconds += seconds

    monkeypatch.setattr(restore_module, "time", SimpleNamespace(monotonic=lambda: now_seconds, sleep=sleep))
    settings = load_settings(
        {
            "ACCOUNT_HEALTH_BOOTSTRAP_SERVERS": "broker:9092",
            "ACCOUNT_HEALTH_RESTORE_DEADLINE_SECONDS": str(DEADLINE_SECONDS),
        }
    )

    with pytest.raises(RestoreError) as refused:
        restore(2, {}, OpenTransaction(), Context(POLICY), settings)  # type: ignore[arg-type]  # asked for no more

    assert DEADLINE_SECONDS < now_seconds < DEADLINE_SECONDS + 1
    state = settings.topics.state
    assert str(refused.value) == (
        f"{state} [2] has a transaction that hangs at offset 5: abort it with kafka-transactions.sh "
        f"--bootstrap-server broker:9092 abort --topic {state} --partition 2 --start-offset 5"
    )
