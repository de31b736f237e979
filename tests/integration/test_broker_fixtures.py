"""The brokers that tests run on."""

import signal
import subprocess
import sys
import uuid

import pytest
from confluent_kafka import Consumer, Message, Producer, TopicPartition

from stream.embedded import EmbeddedBroker
from tests.support.broker import KafkaBroker
from tests.support.polling import eventually


def _written_and_read(bootstrap_servers: str, topic: str) -> Message:
    producer = Producer({"bootstrap.servers": bootstrap_servers})
    producer.produce(topic, b"value", b"key", partition=0)
    assert producer.flush(10) == 0

    consumer = Consumer({"bootstrap.servers": bootstrap_servers, "group.id": topic})
    consumer.assign([TopicPartition(topic, 0, 0)])
    try:
        return eventually(lambda: consumer.poll(0.1), "the record is read", timeout_s=10)
    finally:
        # before the broker goes, or librdkafka complains of it on standard error
        consumer.close()
        producer.close()


@pytest.mark.parametrize("fixture", ["kafka", "embedded_broker"])
def test_a_broker_gives_back_the_record_it_took(fixture: str, request: pytest.FixtureRequest) -> None:
    """A record written to either broker is read from it with its key, value and offset."""
    broker: KafkaBroker | EmbeddedBroker = request.getfixturevalue(fixture)
    topic = f"fixtures-{uuid.uuid4()}"
    if isinstance(broker, KafkaBroker):
        broker.create_topics(topic)

    record = _written_and_read(broker.bootstrap_servers, topic)

    assert record.error() is None
    assert (record.key(), record.value(), record.offset()) == (b"key", b"value", 0)


def test_a_broker_ends_with_the_test_process() -> None:
    """A guarded process is killed when its owner is killed, which cannot clean up after itself."""
    owner = """if True:
        import os, signal, subprocess
        from tests.support.broker import guard
        guard(subprocess.Popen(["sleep", "600"]).pid)
        os.kill(os.getpid(), signal.SIGKILL)
    """

    # the sleeper holds the output open, so run() returns only once it is gone
    done = subprocess.run([sys.executable, "-c", owner], check=False, stdout=subprocess.PIPE, timeout=20)

    assert done.returncode == -signal.SIGKILL
