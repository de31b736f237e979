"""Reading whole topics as a subscriber would, and telling from what is committed how far the workers have come."""

from collections.abc import Iterable
from typing import Any, Final, Self

from confluent_kafka import Consumer, IsolationLevel, KafkaException, Message, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.admin._listoffsets import OffsetSpec

from models.codec import header
from models.events import InputTopic
from processors.context import DAY_MS
from stream.checkpoint import CHECKPOINT_KEY, CUT_POINTS_KEY, Checkpoint, decode, mark_key_of
from stream.settings import Settings
from tests.support.polling import eventually

_BATCH_RECORDS: Final = 10_000
_READ_TIMEOUT_S: Final = 60.0
_ASK_TIMEOUT_S: Final = 30.0
_TRY_TIMEOUT_S: Final = 2.0
"""The client waits for nothing when it asked while there was no leader: it has to ask again."""
_END: Final = OffsetSpec.latest()  # type: ignore[no-untyped-call]  # the client's


def text_of(message: Message) -> str:
    """Return a record's value, which is there, as text."""
    value = message.value()
    assert value is not None
    return value.decode()


def headers_of(message: Message) -> dict[str, str]:
    """Return a record's headers as text."""
    headers: list[tuple[str, Any]] = list(message.headers() or [])  # type: ignore[arg-type]  # always a list here
    found = {name: value.decode() for name, value in headers if isinstance(value, bytes)}
    assert len(found) == len(headers), "a header is there twice, or has no value"
    return found


def quiet_admin(settings: Settings) -> AdminClient:
    """Make an administrator who does not log that a broker was killed on purpose."""
    return AdminClient({"bootstrap.servers": settings.bootstrap_servers, "log_level": 0})


def ends(admin: AdminClient, topic: str, partitions: int, *, committed: bool = False) -> dict[int, int]:
    """Return the end offset of each partition; `committed`: as a read-committed reader sees it."""
    level = IsolationLevel.READ_COMMITTED if committed else IsolationLevel.READ_UNCOMMITTED
    asked = {TopicPartition(topic, number): _END for number in range(partitions)}

    def found() -> dict[int, int] | None:
        futures = admin.list_offsets(asked, isolation_level=level, request_timeout=_TRY_TIMEOUT_S)
        try:
            return {one.partition: future.result(_ASK_TIMEOUT_S).offset for one, future in futures.items()}
        except KafkaException:
            # a broker that was restarted leads its partitions a little later than it answers, and the client keeps what
            # it knows of them for minutes
            admin.list_topics(topic, timeout=_ASK_TIMEOUT_S)
            return None

    return eventually(found, f"the ends of {topic}", timeout_s=_ASK_TIMEOUT_S)


def delete_topic(admin: AdminClient, name: str) -> None:
    """Delete a topic, and wait until it can be made anew."""
    admin.delete_topics([name])[name].result(_ASK_TIMEOUT_S)
    eventually(lambda: name not in admin.list_topics(timeout=_ASK_TIMEOUT_S).topics, f"{name} is gone")


class CommittedReader:
    """Reads a topic from its beginning, read-committed; each `read` goes on to the end as it is by then."""

    def __init__(self, settings: Settings, topic: str, partitions: int | None = None) -> None:
        self._admin = quiet_admin(settings)
        self._topic = topic
        self._partitions = settings.partitions if partitions is None else partitions
        self._consumer = Consumer(
            {
                "bootstrap.servers": settings.bootstrap_servers,
                "group.id": "unused",
                "enable.auto.commit": False,
                "auto.offset.reset": "error",
                "isolation.level": "read_committed",
                "fetch.wait.max.ms": 10,
                "log_level": 0,
            }
        )
        self._assigned = [TopicPartition(topic, number, 0) for number in range(self._partitions)]
        self._consumer.assign(self._assigned)
        self.messages: Final[list[Message]] = []
        """All that was read so far, in the order of each partition."""

    def read(self) -> list[Message]:
        """Read up to the end; return what is new."""
        goal = ends(self._admin, self._topic, self._partitions, committed=True)
        first = len(self.messages)

        def arrived() -> bool:
            for message in self._consumer.consume(_BATCH_RECORDS, 0.05):
                assert message.error() is None, f"{self._topic} cannot be read: {message.error()}"
                self.messages.append(message)
            # a position is past the control records that end a transaction, and unknown before the first record
            return all(one.offset >= goal[one.partition] or goal[one.partition] == 0 for one in self._positions())

        eventually(arrived, f"{self._topic} is read to its end", timeout_s=_READ_TIMEOUT_S, interval_s=0)
        return self.messages[first:]

    def close(self) -> None:
        """End the client."""
        self._consumer.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _positions(self) -> list[TopicPartition]:
        return self._consumer.position(self._assigned)


def read_topic(settings: Settings, topic: str, partitions: int | None = None) -> list[Message]:
    """Return all that a read-committed subscriber finds in a topic."""
    with CommittedReader(settings, topic, partitions) as reader:
        return reader.read()


def latest(messages: Iterable[Message]) -> dict[str, Message]:
    """Return the last record of each key; one without a value is among them."""
    found: dict[str, Message] = {}
    for message in messages:
        key = message.key()
        assert key is not None
        found[key.decode()] = message
    return found


class StateView:
    """How far the workers of one application have come, from the state topic alone.

    Nothing there is visible before the transaction that it belongs to, and with it all that it caused.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._admin = quiet_admin(settings)
        self._reader = CommittedReader(settings, settings.topics.state)
        self.checkpoints: Final[dict[int, Checkpoint]] = {}
        """The last of each partition."""
        self.states: Final[dict[str, bytes | None]] = {}
        """The last packed state of each account; None when it was erased."""
        self._partition_of: dict[str, int] = {}

    def update(self) -> None:
        """Read on to the end of the topic."""
        for message in self._reader.read():
            key, value, partition = message.key(), message.value(), message.partition()
            assert key is not None
            assert partition is not None
            if key == CHECKPOINT_KEY:
                assert value is not None
                self.checkpoints[partition] = decode(value)
            elif key != CUT_POINTS_KEY and mark_key_of(key) is None:
                self.states[key.decode()] = value
                self._partition_of[key.decode()] = partition

    @property
    def records(self) -> int:
        """How many records were read."""
        return len(self._reader.messages)

    def processed(self) -> int:
        """Count the offsets of all inputs that are processed."""
        return sum(one.next_offset for found in self.checkpoints.values() for one in found.inputs.values())

    def sent(self) -> int:
        """Count the offsets of all inputs that there are."""
        return sum(sum(found.values()) for found in self._input_ends().values())

    def is_settled(self) -> bool:
        """Tell whether all input is processed, all due days have passed and all snapshots are published."""
        self.update()
        for topic, found in self._input_ends().items():
            for partition, end in found.items():
                held = self.checkpoints.get(partition)
                if (0 if held is None else held.inputs[topic].next_offset) < end:
                    return False
        return not any(self._is_pending(name, packed) for name, packed in self.states.items() if packed is not None)

    def close(self) -> None:
        """End the client."""
        self._reader.close()

    def _is_pending(self, account_id: str, packed: bytes) -> bool:
        """Tell whether an account waits for its snapshot, or for a day that its clock has reached."""
        head = header(packed)
        today = self.checkpoints[self._partition_of[account_id]].clock_ms // DAY_MS
        return head.snapshot_pending or (head.due_day is not None and head.due_day <= today)

    def _input_ends(self) -> dict[InputTopic, dict[int, int]]:
        names = self._settings.topics
        return {one: ends(self._admin, names.of_input(one), self._settings.partitions) for one in InputTopic}
