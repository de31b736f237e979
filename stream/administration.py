"""Making the topics, and comparing those that are there with those that the contract asks for."""

from collections.abc import Iterator
from enum import StrEnum, unique
from types import TracebackType
from typing import Any, Final, NamedTuple, Self

from kafka import KafkaAdminClient
from kafka.admin import ConfigResource, ConfigResourceType
from kafka.errors import TopicAlreadyExistsError, UnknownTopicOrPartitionError, for_code

from stream.settings import Settings
from stream.topics import TOPICS, Cleanup, Topic

_CONNECT_TIMEOUT_MS: Final = 10_000
_REQUEST_TIMEOUT_MS: Final = 30_000
_FOREVER_MS: Final = -1


class AdministrationError(RuntimeError):
    """The broker refused a request; the text says which and why."""


class Plan(NamedTuple):
    """One topic as it should be."""

    topic: Topic
    name: str
    partitions: int
    replication_factor: int
    config: dict[str, str]


class Difference(NamedTuple):
    """In what one topic is not as it should be."""

    name: str
    what: str
    expected: str
    found: str


@unique
class _Bound(StrEnum):
    EXACTLY = "exactly"
    AT_LEAST = "at least"
    AT_MOST = "at most"

    def holds(self, expected: str, found: str) -> bool:
        """Return whether a value found is allowed by the one expected, -1 being without end."""
        match self:
            case _Bound.EXACTLY:
                return found == expected
            case _Bound.AT_LEAST:
                return _endless(found) >= _endless(expected)
            case _Bound.AT_MOST:
                return _endless(found) <= _endless(expected)


def _endless(value: str) -> float:
    return float("inf") if int(value) == _FOREVER_MS else int(value)


def plans(settings: Settings) -> list[Plan]:
    """Return every topic as it should be made under these settings."""
    return [
        Plan(
            topic,
            settings.topics.of(topic),
            topic.partitions(settings.partitions),
            settings.replication_factor,
            topic.config(settings.retention, settings.replication_factor),
        )
        for topic in TOPICS
    ]


class Administration:
    """A connection that makes and inspects topics; to be closed, or used in a `with` statement.

    Raises:
        kafka.errors.KafkaError: if no broker answers; from every method, too.
    """

    def __init__(self, settings: Settings) -> None:
        self._plans = plans(settings)
        self._client: Any = KafkaAdminClient(
            bootstrap_servers=settings.bootstrap_servers.split(","),
            client_id=f"{settings.application_id}-administration",
            bootstrap_timeout_ms=_CONNECT_TIMEOUT_MS,
            request_timeout_ms=_REQUEST_TIMEOUT_MS,
        )

    def close(self) -> None:
        """Close the connection."""
        self._client.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def create(self) -> list[str]:
        """Make the topics that are missing, wait until they can be used, and return their names.

        Raises:
            AdministrationError: if the broker refuses one; those before it were made.
        """
        present = set(self._client.list_topics())
        missing = {
            plan.name: {
                "num_partitions": plan.partitions,
                "replication_factor": plan.replication_factor,
                "configs": plan.config,
            }
            for plan in self._plans
            if plan.name not in present
        }
        if not missing:
            return []
        answer = self._client.create_topics(missing, raise_errors=False)
        created = []
        refused = []
        for one in answer["topics"]:
            error = for_code(one["error_code"])
            if one["error_code"] == 0:
                created.append(one["name"])
            elif error is not TopicAlreadyExistsError:  # somebody else was quicker
                refused.append(f"{one['name']}: {one.get('error_message') or error.__name__}")
        if refused:
            raise AdministrationError("\n".join(refused))
        self._client.wait_for_topics(list(missing), timeout_ms=_REQUEST_TIMEOUT_MS)
        return sorted(created)

    def differences(self) -> list[Difference]:
        """Return all in which the topics are not as they should be; nothing when they are."""
        names = [plan.name for plan in self._plans]
        described = {one["name"]: one for one in self._client.describe_topics(names)}
        present = [name for name in names if _is_present(described.get(name))]
        configs: dict[str, Any] = {}
        if present:
            resources = [ConfigResource(ConfigResourceType.TOPIC, name) for name in present]
            configs = self._client.describe_configs(resources, config_filter="all")["topic"]
        return [
            difference for plan in self._plans for difference in _differences(plan, described.get(plan.name), configs)
        ]


def _is_present(described: dict[str, Any] | None) -> bool:
    if described is None:
        return False
    error = for_code(described["error_code"])
    if described["error_code"] and error is not UnknownTopicOrPartitionError:
        raise AdministrationError(f"{described['name']}: {error.__name__}")
    return not described["error_code"]


def _differences(plan: Plan, described: dict[str, Any] | None, configs: dict[str, Any]) -> Iterator[Difference]:
    if described is None or plan.name not in configs:
        yield Difference(plan.name, "topic", "present", "missing")
        return
    partitions = len(described["partitions"])
    if plan.topic.partitions_fixed and partitions != plan.partitions:
        yield Difference(plan.name, "partitions", str(plan.partitions), str(partitions))
    for key, bound in _compared(plan.topic):
        expected, found = plan.config[key], str(configs[plan.name][key]["value"])
        if not bound.holds(expected, found):
            demand = expected if bound is _Bound.EXACTLY else f"{bound} {expected}"
            yield Difference(plan.name, key, demand, found)


def _compared(topic: Topic) -> Iterator[tuple[str, _Bound]]:
    """Yield the configuration that the contract rests on; the rest is for the operator to tune."""
    yield "cleanup.policy", _Bound.EXACTLY
    match topic.cleanup:
        case Cleanup.DELETE:
            yield "retention.ms", _Bound.EXACTLY
        case Cleanup.COMPACT:
            # What was erased has to be gone by then.
            yield "max.compaction.lag.ms", _Bound.AT_MOST
            if topic.tells_of_erasures:
                yield "delete.retention.ms", _Bound.AT_LEAST
    # A record of an input, refused, must fit among the dead letters with its headers.
    bound = _Bound.AT_MOST if topic.is_input else _Bound.AT_LEAST
    yield "max.message.bytes", bound
