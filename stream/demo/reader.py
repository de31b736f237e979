"""Reading the output topics of the demo as any subscriber would."""

from typing import Final

from confluent_kafka import Consumer, KafkaError, TopicPartition

from models.events import InputTopic
from stream.demo.options import DemoError
from stream.demo.story import OUTPUTS, Story
from stream.settings import Settings

_BATCH_RECORDS: Final = 2000
_METADATA_TIMEOUT_S: Final = 10.0


class OutputReader:
    """Reads the outputs, and the profiles for the names, from their beginnings.

    Args:
        settings: of the worker.
        story: what to tell.
    """

    def __init__(self, settings: Settings, story: Story) -> None:
        self._story = story
        names = settings.topics
        self._outputs = {names.of(topic): topic for topic in OUTPUTS}
        self._profiles = names.of_input(InputTopic.PROFILES)
        self._consumer = Consumer(
            {
                "bootstrap.servers": settings.bootstrap_servers,
                # The client wants one; nothing is committed under it.
                "group.id": f"{settings.application_id}-screen",
                "enable.auto.commit": False,
                "auto.offset.reset": "error",
                "isolation.level": "read_committed",
                "fetch.wait.max.ms": 50,
                "allow.auto.create.topics": True,
                "log_level": 0,
            }
        )
        assigned: list[TopicPartition] = []
        for name in (*self._outputs, self._profiles):
            # Naming a topic has the embedded broker make it.
            found = self._consumer.list_topics(name, timeout=_METADATA_TIMEOUT_S).topics[name]
            assigned += [TopicPartition(name, number, 0) for number in found.partitions]
        self._consumer.assign(assigned)

    def poll(self, timeout_s: float, now_s: float) -> None:
        """Tell the story what has come, at most for so long.

        Raises:
            DemoError: if a topic cannot be read on.
        """
        for message in self._consumer.consume(_BATCH_RECORDS, timeout_s):
            error = message.error()
            if error is not None:
                if error.code() == KafkaError._AUTO_OFFSET_RESET:  # noqa: SLF001  # the client has no other name for it
                    raise DemoError("the embedded broker dropped output records before they were shown")
                if error.fatal() or not error.retriable():
                    raise DemoError(f"{message.topic()} cannot be read: {error}")
                continue
            name = message.topic()
            if name == self._profiles:
                self._story.take_profile(message.value())
            elif name is not None:
                self._story.take(self._outputs[name], message.value(), now_s)

    def close(self) -> None:
        """End the client."""
        self._consumer.close()
