"""The worker's transaction when the broker does not answer."""

import asyncio
import threading
from types import SimpleNamespace
from typing import Any, Final

import pytest
from confluent_kafka import KafkaError, KafkaException

from stream import transactions
from stream.settings import Settings
from stream.transactions import TransactionAbortedError, Transactions, UnansweredError

TRANSACTION_TIMEOUT_MS: Final = 10_000
PATIENCE_SECONDS: Final = 20.0
DEADLINE_SECONDS: Final = 30.0


class _Clock:
    """A clock that passes when somebody waits."""

    def __init__(self) -> None:
        self.now_seconds = 0.0

    def monotonic(self) -> float:
        """Tell the time."""
        return self.now_seconds


class _Silent:
    """A producer that waits in vain for an answer to whatever it asks."""

    def __init__(self, clock: _Clock) -> None:
        self._clock = clock

    def begin_transaction(self) -> None:
        """Begin."""

    def send_offsets_to_transaction(self, offsets: Any, metadata: Any, timeout: float) -> None:
        """Wait."""
        del offsets, metadata
        self._wait(timeout)

    def abort_transaction(self, timeout: float) -> None:
        """Wait."""
        self._wait(timeout)

    def init_transactions(self, timeout: float) -> None:
        """Wait."""
        self._wait(timeout)

    def _wait(self, timeout: float) -> None:
        self._clock.now_seconds += timeout
        raise KafkaException(KafkaError(KafkaError._TIMED_OUT, "no answer", False, True, False))  # retriable


@pytest.mark.parametrize("what", ["commit", "abort"])
def test_a_transaction_that_is_not_answered_is_given_up_soon_after_the_broker_has_aborted_it(
    what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The worker ends, and the next one goes on: it does not wait for minutes for what cannot be committed any more."""
    clock = _Clock()
    monkeypatch.setattr(transactions, "Producer", lambda *_, **__: _Silent(clock))
    monkeypatch.setattr(transactions, "time", SimpleNamespace(monotonic=clock.monotonic))
    tried = Transactions(Settings(transaction_timeout_ms=TRANSACTION_TIMEOUT_MS))
    tried.begin()

    with pytest.raises(KafkaException):
        asyncio.run(tried.commit([], None) if what == "commit" else tried.abort())

    assert TRANSACTION_TIMEOUT_MS / 1000 < clock.now_seconds < PATIENCE_SECONDS


class _Hanging(_Silent):
    """A producer that does not come back, whatever it was given as a timeout."""

    def __init__(self, released: threading.Event) -> None:
        super().__init__(_Clock())
        self._released = released

    def _wait(self, timeout: float) -> None:
        del timeout
        self._released.wait(DEADLINE_SECONDS)


@pytest.mark.parametrize("what", ["start", "commit", "abort"])
def test_a_client_that_does_not_come_back_is_not_waited_for(what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """It may wait for a coordinator for ever: then the worker ends, which is all that helps."""
    released = threading.Event()
    monkeypatch.setattr(transactions, "Producer", lambda *_, **__: _Hanging(released))
    for seconds in ("_CALL_TIMEOUT_SECONDS", "_MARGIN_SECONDS"):
        monkeypatch.setattr(transactions, seconds, 0.0)
    tried = Transactions(Settings())
    tried._patience_seconds = 0.0
    tried.begin()
    calls = {"start": tried.start, "commit": lambda: tried.commit([], None), "abort": tried.abort}

    try:
        with pytest.raises(UnansweredError, match="has not come back"):
            asyncio.run(calls[what]())
    finally:
        released.set()


@pytest.mark.parametrize(
    ("code", "by_rebalance"),
    [
        (KafkaError.ILLEGAL_GENERATION, True),
        (KafkaError.REBALANCE_IN_PROGRESS, True),
        (KafkaError.OUT_OF_ORDER_SEQUENCE_NUMBER, False),
    ],
)
def test_a_rebalance_that_overtakes_a_commit_is_told_from_a_fault(
    code: int, monkeypatch: pytest.MonkeyPatch, *, by_rebalance: bool
) -> None:
    """A group that goes on to another generation aborts transactions, however healthy everything is."""

    class _Refused(_Silent):
        def send_offsets_to_transaction(self, offsets: Any, metadata: Any, timeout: float) -> None:
            """Be refused."""
            del offsets, metadata, timeout
            raise KafkaException(KafkaError(code, "refused", False, False, True))  # requires an abort

    monkeypatch.setattr(transactions, "Producer", lambda *_, **__: _Refused(_Clock()))
    tried = Transactions(Settings())
    tried.begin()

    with pytest.raises(TransactionAbortedError) as caught:
        asyncio.run(tried.commit([], None))

    assert caught.value.by_rebalance == by_rebalance
