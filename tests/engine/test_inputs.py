"""How the inputs of one partition are merged by record timestamp."""

from collections.abc import Sequence
from typing import Final

import pytest
from confluent_kafka import Message

from models.events import InputTopic
from stream.inputs import Inputs

ORDERS: Final = InputTopic.ORDERS
SUPPORT: Final = InputTopic.SUPPORT
PROFILES: Final = InputTopic.PROFILES
IDLE_SECONDS: Final = 1.0
NAMES: Final = {"o": ORDERS, "s": SUPPORT, "p": PROFILES}


def _messages(topic: InputTopic, timestamps_ms: Sequence[int]) -> list[Message]:
    return [
        Message(topic=topic.value, partition=0, offset=index, key=b"A", value=b"12345", timestamp=(1, at))
        for index, at in enumerate(timestamps_ms)
    ]


def _inputs(ended: str = "osp", **timestamps_ms: Sequence[int]) -> Inputs:
    inputs = Inputs(IDLE_SECONDS)
    for name, topic in NAMES.items():
        if times := timestamps_ms.get(name):
            inputs.received(topic, _messages(topic, times))
        if name in ended:
            inputs.reached_end(topic)
    return inputs


def _drained(inputs: Inputs, limit: int = 100, now_seconds: float = 0.0) -> str:
    """Write what comes out, as `o1 o2 | s3`: a bar between the runs."""
    runs = []
    while (run := inputs.next_run(limit, now_seconds)) is not None:
        runs.append(" ".join(f"{run.topic.value[0]}{one.timestamp()[1]}" for one in run.messages))
    return " | ".join(runs)


TABLE: Final = [
    # orders, support, profiles -> what comes out
    ([1, 2, 3], [], [], "o1 o2 o3"),
    ([1, 4], [2, 3], [], "o1 | s2 s3 | o4"),
    ([5], [5], [5], "p5 | o5 | s5"),
    ([1, 9, 2], [3], [], "o1 | s3 | o9 o2"),
    ([7], [1], [4], "s1 | p4 | o7"),
    ([], [], [], ""),
]


@pytest.mark.parametrize(("orders", "support", "profiles", "expected"), TABLE)
def test_inputs_are_merged_by_timestamp(
    orders: list[int], support: list[int], profiles: list[int], expected: str
) -> None:
    """The oldest head comes first, equal ones in the order of the inputs; disorder inside an input stays."""
    assert _drained(_inputs(o=orders, s=support, p=profiles)) == expected


def test_a_run_is_no_longer_than_asked() -> None:
    """A busy input is handed out in pieces."""
    assert _drained(_inputs(o=[1, 2, 3]), limit=2) == "o1 o2 | o3"


def test_an_input_behind_its_end_is_waited_for() -> None:
    """A record waits while an older one may still arrive from another input, for a bounded time."""
    inputs = _inputs("op", o=[5])

    assert inputs.next_run(10, now_seconds=0.0) is None
    assert inputs.next_run(10, now_seconds=0.9) is None
    assert _drained(inputs, now_seconds=1.0) == "o5"


def test_waiting_ends_when_the_input_turns_out_to_be_at_its_end() -> None:
    """An end that is reached leaves nothing to wait for."""
    inputs = _inputs("op", o=[5])
    assert inputs.next_run(10, now_seconds=0.0) is None

    inputs.reached_end(SUPPORT)

    assert _drained(inputs) == "o5"


def test_waiting_begins_anew_for_each_wait() -> None:
    """An earlier wait that ended well does not shorten the next one."""
    inputs = _inputs("op", o=[5])
    assert inputs.next_run(10, now_seconds=0.0) is None
    inputs.received(SUPPORT, _messages(SUPPORT, [6]))
    inputs.reached_end(SUPPORT)
    assert _drained(inputs, now_seconds=0.5) == "o5 | s6"
    inputs.received(ORDERS, _messages(ORDERS, [8]))

    assert _drained(inputs, now_seconds=1.2) == "o8"
    inputs.received(PROFILES, _messages(PROFILES, [9]))
    assert inputs.next_run(10, now_seconds=1.3) is None, "orders are behind their end since 1.2"
    assert inputs.next_run(10, now_seconds=2.2) is None
    assert _drained(inputs, now_seconds=2.4) == "p9"


def test_a_record_after_the_end_is_news() -> None:
    """An input that was at its end is behind it again once a record arrives."""
    inputs = _inputs(o=[1])
    assert not inputs.all_at_end(), "a record waits"
    assert _drained(inputs) == "o1"
    assert inputs.all_at_end()

    inputs.received(ORDERS, _messages(ORDERS, [2]))
    assert _drained(inputs) == "o2"

    assert not inputs.all_at_end(), "more may follow"
    inputs.reached_end(ORDERS)
    assert inputs.all_at_end()


def test_buffered_bytes_are_those_that_wait() -> None:
    """Bytes count keys and values and what a record takes itself, from arrival until it is handed out."""
    inputs = _inputs(o=[1, 2, 3])
    assert inputs.buffered_bytes(ORDERS) == 3 * 206

    inputs.next_run(2, now_seconds=0.0)

    assert inputs.buffered_bytes(ORDERS) == 206
    assert inputs.buffered_bytes(SUPPORT) == 0


def test_runs_of_alternating_inputs_are_taken_together() -> None:
    """One batch holds the records that come next, whichever inputs they are of, up to its limit."""
    inputs = _inputs(o=[1, 3, 5], s=[2, 4, 6])

    runs = inputs.next_runs(4, now_seconds=0.0)

    assert [(run.topic, len(run.messages)) for run in runs] == [(ORDERS, 1), (SUPPORT, 1), (ORDERS, 1), (SUPPORT, 1)]
    assert _drained(inputs) == "o5 | s6"


def test_an_input_that_was_silent_once_is_waited_for_when_it_falls_silent_again() -> None:
    """Each input's own silence counts: one that is never heard of does not take the wait from the others."""
    inputs = _inputs(ended="p", o=[1])
    assert _drained(inputs, now_seconds=0.0) == ""
    assert _drained(inputs, now_seconds=IDLE_SECONDS) == "o1"

    inputs.received(SUPPORT, _messages(SUPPORT, [2]))
    assert _drained(inputs, now_seconds=10.0) == ""
    assert _drained(inputs, now_seconds=10.0 + IDLE_SECONDS) == "s2"
