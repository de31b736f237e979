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
    """What waits in one input, in the portions in which it came: handled as wholes, they cost little for a record."""

    __slots__ = ("_at", "_portions", "at_end", "buffered_bytes")

    def __init__(self) -> None:
        self.at_end = False
        self.buffered_bytes = 0
        self._portions: deque[tuple[list[Message], int]] = deque()
        # Of the first portion, how many are taken.
        self._at = 0

    def __bool__(self) -> bool:
        return bool(self._portions)

    def put(self, messages: list[Message]) -> None:
        size = size_bytes(messages)
        self._portions.append((messages, size))
        self.buffered_bytes += size

    def head_timestamp_ms(self) -> int:
        return timestamp_ms(self._portions[0][0][self._at])

    def take(self, limit: int, bound: tuple[int, int] | None, order: int) -> list[Message]:
        """Take what comes next, at most `limit`; with a bound those whose timestamp and order are not beyond it."""
        taken: list[Message] = []
        while self._portions and len(taken) < limit:
            messages, size = self._portions[0]
            end = min(len(messages), self._at + limit - len(taken))
            stop = end
            if bound is not None:
                stop = next((at for at in range(self._at, end) if (timestamp_ms(messages[at]), order) > bound), end)
            taken += messages[self._at : stop]
            # The parts of a portion add up to it, whatever is lost by rounding on the way.
            self.buffered_bytes -= size * stop // len(messages) - size * self._at // len(messages)
            self._at = stop
            if stop == len(messages):
                self._portions.popleft()
                self._at = 0
            elif stop < end:
                break
        return taken


class Inputs:
    """Buffers of the three inputs of one partition.

    Args:
        max_idle_seconds: how long a record waits for an input that is behind its end.
    """

    def __init__(self, max_idle_seconds: float) -> None:
        self._max_idle_seconds = max_idle_seconds
        self._inputs = {topic: _Input() for topic in InputTopic}
        # When each input that keeps the others waiting fell silent.
        self._idle_since_seconds: dict[InputTopic, float] = {}

    def __bool__(self) -> bool:
        """Tell whether anything waits."""
        return any(self._inputs.values())

    def received(self, topic: InputTopic, messages: list[Message]) -> None:
        """Buffer fetched records."""
        one = self._inputs[topic]
        one.at_end = False
        one.put(messages)

    def reached_end(self, topic: InputTopic) -> None:
        """Note that nothing is behind what was received so far."""
        self._inputs[topic].at_end = True

    def buffered_bytes(self, topic: InputTopic) -> int:
        """Give the size of what waits in one input."""
        return self._inputs[topic].buffered_bytes

    def is_at_end(self, topic: InputTopic) -> bool:
        """Tell whether one input is read to its end and nothing of it waits."""
        one = self._inputs[topic]
        return one.at_end and not one

    def all_at_end(self) -> bool:
        """Tell whether every input is read to its end and nothing waits."""
        return all(map(self.is_at_end, InputTopic))

    def oldest_timestamp_ms(self) -> int | None:
        """Give the timestamp of the oldest record that waits; None if none does."""
        return min((one.head_timestamp_ms() for one in self._inputs.values() if one), default=None)

    def head_timestamp_ms(self, topic: InputTopic) -> int | None:
        """Give the timestamp of the record that waits first in one input; None if none does."""
        one = self._inputs[topic]
        return one.head_timestamp_ms() if one else None

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
        heads = [(one.head_timestamp_ms(), _ORDER[topic], topic) for topic, one in self._inputs.items() if one]
        if not heads or not self._may_go_on(now_seconds):
            return None
        heads.sort()
        _, order, topic = heads[0]
        # Equal timestamps are taken in the order of the inputs.
        bound = (heads[1][0], heads[1][1]) if len(heads) > 1 else None
        return Run(topic, self._inputs[topic].take(limit, bound, order))

    def _may_go_on(self, now_seconds: float) -> bool:
        since = self._idle_since_seconds
        self._idle_since_seconds = {
            topic: since.get(topic, now_seconds) for topic, one in self._inputs.items() if not (one or one.at_end)
        }
        return all(now_seconds - at >= self._max_idle_seconds for at in self._idle_since_seconds.values())


def timestamp_ms(message: Message) -> int:
    """Give a record's timestamp in epoch milliseconds; 0 if it has none."""
    return max(0, message.timestamp()[1])


def size_bytes(messages: list[Message]) -> int:
    """Give about the memory that records take: their keys, their values, and what every record takes."""
    keys = filter(None, map(Message.key, messages))
    return _RECORD_BYTES * len(messages) + sum(map(len, messages)) + sum(map(len, keys))
