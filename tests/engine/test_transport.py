"""What reaches an agent through Faust: every batch that the engine deals, whatever its records' offsets."""

import asyncio
from typing import Any, NamedTuple, cast

import faust
import pytest

from stream.engine import Batch, Engine
from stream.transport import BatchSchema, install

TOPIC = "orders"


class FakeMessage(NamedTuple):
    """A record of which only the offset is asked."""

    at: int

    def offset(self) -> int:
        """Answer its offset."""
        return self.at


class FakeTask(NamedTuple):
    """A task of which only the partition is asked."""

    partition: int


class FakeRun(NamedTuple):
    """Records of one topic."""

    topic: str
    messages: list[FakeMessage]


class FakeEngine:
    """Deals batches, each of one record with a given offset."""

    partitions = 1

    def __init__(self, offsets: list[int]) -> None:
        self._offsets = list(offsets)

    def name_of(self, batch: Batch) -> str:
        """Answer the name of the one topic."""
        return batch.runs[0].topic

    async def next_batch(self, timeout_seconds: float) -> Batch | None:
        """Deal the next batch."""
        if not self._offsets:
            await asyncio.sleep(min(timeout_seconds, 0.01))
            return None
        run = FakeRun(TOPIC, [FakeMessage(self._offsets.pop(0))])
        return Batch(cast("Any", FakeTask(0)), 0, cast("Any", [run]))


async def _received(offsets: list[int]) -> list[int]:
    """Let an agent take the batches, and return the offsets that it saw."""
    app = faust.App(
        "transport-test",
        broker="kafka://127.0.0.1:1",
        topic_partitions=1,
        web_enabled=False,
        stream_wait_empty=False,
        topic_allow_declare=False,
        topic_disable_leader=True,
        stream_buffer_maxsize=2,
        autodiscover=False,
    )
    install(app, cast("Engine", FakeEngine(offsets)), (TOPIC,))
    seen: list[int] = []
    everything = asyncio.Event()

    async def take(batches: Any) -> None:
        async for batch in batches:
            seen.append(batch.runs[0].messages[-1].offset())
            if len(seen) == len(offsets):
                everything.set()

    app.agent(app.topic(TOPIC, schema=BatchSchema(), value_type=bytes), name="take")(take)
    await app.start()
    try:
        await asyncio.wait_for(everything.wait(), 10)
    except TimeoutError:
        return seen
    finally:
        await app.stop()
    return seen


@pytest.mark.parametrize(
    "offsets",
    [
        pytest.param([1999, 3999, 5999], id="in order"),
        pytest.param([1999, 3999, 1999, 3999, 5999], id="the same again, as after an abort"),
        pytest.param([5999, 0], id="a partition that came back from far behind"),
    ],
)
def test_every_batch_reaches_the_agent(offsets: list[int]) -> None:
    """Faust drops a message whose offset is not ahead; of a batch, it must not."""
    assert asyncio.run(_received(offsets)) == offsets
