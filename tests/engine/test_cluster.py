"""What the worker says of brokers that do not answer."""

from types import SimpleNamespace
from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException

from models.events import InputTopic
from stream import cluster
from stream.cluster import Cluster
from stream.settings import Settings


class _Pending:
    """What becomes of a request without an answer: the client gives it up a moment after its time."""

    def __init__(self, request_timeout: float) -> None:
        self._failed_after = request_timeout + 1.0

    def result(self, timeout: float) -> Any:
        """Wait for the answer."""
        if timeout < self._failed_after:
            raise TimeoutError
        raise KafkaException(KafkaError(KafkaError._TIMED_OUT))  # its only name


class _Silent:
    """An admin client whose brokers tell which topics there are, and then nothing."""

    def __init__(self, config: dict[str, Any]) -> None:
        del config

    def list_topics(self, name: str, timeout: float) -> Any:
        """Tell of one partition."""
        del timeout
        return SimpleNamespace(topics={name: SimpleNamespace(partitions={0: None}, error=None)})

    def describe_topics(self, topics: Any, request_timeout: float) -> dict[str, Any]:
        """Tell no ids."""
        del topics, request_timeout
        return {}

    def list_offsets(self, asked: dict[Any, Any], isolation_level: Any, request_timeout: float) -> dict[Any, _Pending]:
        """Tell nothing."""
        del isolation_level
        return dict.fromkeys(asked, _Pending(request_timeout))

    def list_consumer_group_offsets(
        self, asked: list[Any], *, require_stable: bool, request_timeout: float
    ) -> dict[str, _Pending]:
        """Tell nothing."""
        del require_stable
        return {asked[0].group_id: _Pending(request_timeout)}


class _Moved(_Silent):
    """An admin client that has looked for the leaders before they moved, and asks those until it looks again."""

    def __init__(self, config: dict[str, Any], code: int) -> None:
        super().__init__(config)
        self.has_moved = False
        self._code = code

    def list_topics(self, name: str, timeout: float) -> Any:
        """Tell of one partition, and learn of its leader."""
        self.has_moved = False
        return super().list_topics(name, timeout)

    def list_offsets(self, asked: dict[Any, Any], isolation_level: Any, request_timeout: float) -> dict[Any, Any]:
        """Tell of ten records, once the leader is known."""
        del isolation_level, request_timeout

        def result(_: float) -> Any:
            if self.has_moved:
                raise KafkaException(KafkaError(self._code))
            return SimpleNamespace(offset=10)

        return dict.fromkeys(asked, SimpleNamespace(result=result))


@pytest.mark.parametrize("code", [KafkaError.FENCED_LEADER_EPOCH, KafkaError._NOENT])
def test_a_leader_that_has_moved_is_looked_for_again(code: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The client would go on asking as it knows it, for minutes: a partition could not be opened after a restart."""
    monkeypatch.setattr(cluster, "AdminClient", lambda config: _Moved(config, code))
    settings = Settings(reporting_currency="EUR")
    asked = Cluster(settings)
    admin: Any = asked._admin
    admin.has_moved = True

    assert asked.range_of(settings.topics.orders, 0) == (10, 10)


def test_a_request_without_an_answer_ends_with_the_clients_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    """The client is waited for until it says itself that the brokers did not answer."""
    monkeypatch.setattr(cluster, "AdminClient", _Silent)
    settings = Settings(reporting_currency="EUR")
    asked = Cluster(settings)

    with pytest.raises(KafkaException):
        asked.range_of(settings.topics.of_input(InputTopic.ORDERS), 0)
    with pytest.raises(KafkaException):
        asked.committed(0)
