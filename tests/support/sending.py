"""Sending single events, as a producer does."""

import json
from typing import Any

from confluent_kafka import Producer

from models.events import InputTopic
from stream.settings import Settings

_TIMEOUT_S = 30


def send(settings: Settings, topic: InputTopic, *events: dict[str, Any], partition: int = -1) -> None:
    """Send events to the partitions of their accounts, or to one, and wait until they are there."""
    producer = Producer({"bootstrap.servers": settings.bootstrap_servers, "partitioner": "murmur2_random"})
    for event in events:
        account_id: str | None = event.get("account_id")
        key = None if account_id is None else account_id.encode()
        producer.produce(settings.topics.of_input(topic), json.dumps(event).encode(), key, partition)
    assert producer.flush(_TIMEOUT_S) == 0
