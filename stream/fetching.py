"""Taking many records at a time from Kafka's client."""

from confluent_kafka import Consumer, Message


def fetch(consumer: Consumer, records: int, seconds: float) -> list[Message]:
    """Take what has been fetched, at most `records` and one, or wait for the first of it.

    The client's own call for many would wait until it has as many.
    """
    first = consumer.poll(seconds)
    return [] if first is None else [first, *consumer.consume(records, 0)]
