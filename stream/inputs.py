"""The inputs of one partition: what is fetched and not yet processed, merged by record timestamp.

As in Kafka Streams: an input that is behind its end is waited for, for a bounded time (`max.task.idle.ms`); one that
is read to its end is not. No I/O and no clock: time arrives as an argument.
"""

from collections import deque
from typing import Final, NamedTuple

from confluent_kafka import Message

from models.events import InputTopic

_RECORD_BYTES: Final = 200
_ORDER: Final = {topic: index for index, topic in enumerate(InputTopic)}


class Run(NamedTuple):
    """Records of one input that are next in time, in order."""

    topic: InputTopic
    messages: list[Message]


class _Input:
    __slots__ = ("at_end", "buffered_bytes", "messages")

    def __init__(self) -> None:
        self.messages: deque[Message] = deque()
        self.at_end = False
        self.buffered_bytes = 0

    def head_timestamp_ms(self) -> int:
        return timestamp_ms(self.messages[0])


class Inputs:
    """Buffers of the three inputs of one partition.

    Args:
        max_idle_seconds: how long a record waits for an input that is behind its end.
    """

    def __init__(self, max_idle_seconds: float) -> None:
        self._max_idle_seconds = max_idle_seconds
        self._inputs = {topic: _Input() for topic in InputTopic}
        self._idle_since_seconds: float | None = None

    def received(self, topic: InputTopic, messages: list[Message]) -> None:
        """Buffer fetched records."""
        one = self._inputs[topic]
        one.at_end = False
        one.messages.extend(messages)
        one.buffered_bytes += sum(map(size_bytes, messages))

    def reached_end(self, topic: InputTopic) -> None:
        """Note that nothing is behind what was received so far."""
        self._inputs[topic].at_end = True

    def buffered_bytes(self, topic: InputTopic) -> int:
        """Give the size of what waits in one input."""
        return self._inputs[topic].buffered_bytes

    def is_at_end(self, topic: InputTopic) -> bool:
        """Tell whether one input is read to its end and nothing of it waits."""
        one = self._inputs[topic]
        return one.at_end and not one.messages

    def all_at_end(self) -> bool:
        """Tell whether every input is read to its end and nothing waits."""
        return all(map(self.is_at_end, InputTopic))

    def oldest_timestamp_ms(self) -> int | None:
        """Give the timestamp of the oldest record that waits; None if none does."""
        return min((one.head_timestamp_ms() for one in self._inputs.values() if one.messages), default=None)

    def head_timestamp_ms(self, topic: InputTopic) -> int | None:
        """Give the timestamp of the record that waits first in one input; None if none does."""
        one = self._inputs[topic]
        return one.head_timestamp_ms() if one.messages else None

    def next_runs(self, limit: int, now_seconds: float) -> list[Run]:
        """Take the records that come next, of whatever inputs, at most `limit` together.

        Inputs that alternate make short runs: dealt one by one, each would cost as much as a long one.
        """
        runs: list[Run] = []
        while limit > 0 and (run := self.next_run(limit, now_seconds)) is not None:
            runs.append(run)
            limit -= len(run.messages)
        return runs

    def next_run(self, limit: int, now_seconds: float) -> Run | None:
        """Take the records that come next, all of one input, at most `limit`.

        None if nothing waits, or if what waits must wait for another input (ask again later).
        """
        heads = [(one.head_timestamp_ms(), _ORDER[topic], topic) for topic, one in self._inputs.items() if one.messages]
        if not heads or not self._may_go_on(now_seconds):
            return None
        heads.sort()
        _, order, topic = heads[0]
        # Equal timestamps are taken in the order of the inputs.
        bound = (heads[1][0], heads[1][1]) if len(heads) > 1 else None
        messages = self._inputs[topic].messages
        taken: list[Message] = []
        while messages and len(taken) < limit:
            if bound is not None and (timestamp_ms(messages[0]), order) > bound:
                break
            taken.append(messages.popleft())
        self._inputs[topic].buffered_bytes -= sum(map(size_bytes, taken))
        return Run(topic, taken)

    def _may_go_on(self, now_seconds: float) -> bool:
        if all(one.messages or one.at_end for one in self._inputs.values()):
            self._idle_since_seconds = None
            return True
        if self._idle_since_seconds is None:
            self._idle_since_seconds = now_seconds
        return now_seconds - self._idle_since_seconds >= self._max_idle_seconds


def timestamp_ms(message: Message) -> int:
    """Give a record's timestamp in epoch milliseconds; 0 if it has none."""
    return max(0, message.timestamp()[1])


def size_bytes(message: Message) -> int:
    """Give about the memory that a record takes: its key, its value, and what every record takes."""
    return _RECORD_BYTES + len(message) + len(message.key() or b"")
