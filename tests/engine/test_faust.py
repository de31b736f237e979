"""What we rely on in Faust beyond its documented interface: an upgrade that changes it fails here."""

import inspect
from importlib.metadata import version
from typing import Final

import faust
import pytest
from faust.tables import TableManager
from faust.transport import base
from faust.transport.consumer import Consumer as FaustConsumer
from faust.transport.drivers import aiokafka as driver

from stream.accounts import Tables
from stream.transport import Consumer, Producer

RELIED_ON: Final = "0.15."

CONSUMER_METHODS: Final = sorted(
    name for name, value in vars(Consumer).items() if inspect.isfunction(value) and name != "_everything"
)
PRODUCER_METHODS: Final = sorted(name for name, value in vars(Producer).items() if inspect.isfunction(value))


def test_faust_is_of_the_release_that_was_read() -> None:
    """The transport was written against the source of one minor release; another one must be read again."""
    assert version("faust-streaming").startswith(RELIED_ON)


@pytest.mark.parametrize("name", CONSUMER_METHODS)
def test_each_method_that_the_consumer_answers_is_one_that_faust_asks(name: str) -> None:
    """A method that Faust no longer has would be dead here, and its successor would run unanswered."""
    assert hasattr(FaustConsumer, name) or hasattr(driver.Consumer, name), name


@pytest.mark.parametrize("name", PRODUCER_METHODS)
def test_each_method_that_the_producer_answers_is_one_that_faust_asks(name: str) -> None:
    """As for the consumer."""
    assert hasattr(base.Producer, name), name


def test_no_abstract_method_of_faust_is_left() -> None:
    """What Faust demands of a consumer is answered in full."""
    assert getattr(Consumer, "__abstractmethods__", frozenset()) == frozenset()


@pytest.mark.parametrize("name", ["_active_partitions", "_unacked_messages", "on_partitions_assigned", "add_future"])
def test_the_consumer_has_what_ours_touches(name: str) -> None:
    """Our consumer sets or calls these on itself."""
    source = inspect.getsource(FaustConsumer)

    assert name in source or hasattr(FaustConsumer, name)


@pytest.mark.parametrize("name", ["transport", "producer_transport"])
def test_an_app_takes_another_transport(name: str) -> None:
    """The transports of an app can be set: that is how ours get there."""
    assert isinstance(inspect.getattr_static(faust.App, name), property)
    assert inspect.getattr_static(faust.App, name).fset is not None


def test_an_app_can_do_without_what_we_turn_off() -> None:
    """The settings that keep Faust from declaring topics, electing leaders and serving HTTP are still there."""
    app = faust.App(
        "pinned",
        web_enabled=False,
        stream_wait_empty=False,
        topic_allow_declare=False,
        topic_disable_leader=True,
        stream_buffer_maxsize=2,
    )

    assert app.conf.topic_allow_declare is False
    assert app.conf.topic_disable_leader is True
    assert app.conf.stream_wait_empty is False
    assert app.conf.web_enabled is False
    assert app.conf.stream_buffer_maxsize == 2


def test_a_table_manager_starts_in_the_steps_that_ours_takes() -> None:
    """All that ours leaves out is the second in which Faust's own waits for further tables."""
    steps = [line.strip() for line in inspect.getsource(TableManager.on_start).splitlines()]

    assert issubclass(Tables, TableManager)
    assert steps[2:] == [
        "await self.sleep(1.0)",
        "if not self.should_stop:",
        "await self._update_channels()",
        "await self.recovery.start()",
    ]
