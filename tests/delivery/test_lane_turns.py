"""Turns that a lane takes seldom, and that no broker can be made to bring about at will."""

import asyncio
from collections.abc import Callable
from functools import partial
from types import SimpleNamespace
from typing import Any

from confluent_kafka import Message, TopicPartition

from stream.delivery.courier import Courier
from stream.delivery.erasures import Erasures
from stream.delivery.events import delivery_of
from stream.delivery.failures import Waiting
from stream.delivery.lane import Common, Lane
from stream.delivery.telemetry import DeliveryMetrics
from stream.settings import load_settings

GONE = TopicPartition("tier-changes", 1)


class Interrupted:
    """A consumer whose group deals anew after the first record was taken."""

    def __init__(self, rebalance: Callable[[Any], None]) -> None:
        self._rebalance = rebalance

    def poll(self, _: float) -> Message:
        """Give a record of the partition that is about to go."""
        return Message("tier-changes", 1, 7, key=b"A", value=b"{}")

    def consume(self, _: int, __: float) -> list[Message]:
        """Let the partition go, and give a record of the other one."""
        self._rebalance(self)
        return [Message("tier-changes", 0, 3, key=b"B", value=b"{}")]

    def commit(self, **_: Any) -> None:
        """Take offsets."""


def test_what_was_taken_before_a_rebalance_is_left_to_the_new_owner() -> None:
    """Delivered here it would overtake what the other one has before it, and its offset would pass that by."""

    async def run() -> tuple[list[Message], dict[tuple[str, int], int]]:
        settings = load_settings({"ACCOUNT_HEALTH_BOOTSTRAP_SERVERS": "127.0.0.1:1"})
        destination = SimpleNamespace(parallel_accounts=1)
        client: Any = SimpleNamespace(destination=destination)
        common: Any = Common(settings, Waiting(), (None, None), None)  # type: ignore[arg-type]  # nothing is appended
        lane = Lane(Courier("crm", client, Erasures(), DeliveryMetrics(["crm"])), common)
        lane._starts = {("tier-changes", 0): 0, ("tier-changes", 1): 0}
        lane._consumer = Interrupted(lambda consumer: lane._revoke(consumer, [GONE]))  # type: ignore[assignment]  # see there
        taken = await lane._in_thread(partial(lane._poll, 10))
        for message in taken:
            lane._dispatcher.take(delivery_of(message))
        return taken, lane._dispatcher.read_to()

    taken, read_to = asyncio.run(run())

    assert [(one.partition(), one.offset()) for one in taken] == [(0, 3)]
    assert read_to == {("tier-changes", 0): 4}
