"""Logging: one line an event, for people or for programs, ours and everybody else's."""

import io
import json
import logging
import warnings
from collections.abc import Iterator

import pytest

from stream.logs import LIBRARIES, configure


@pytest.fixture(autouse=True)
def _as_it_was() -> Iterator[None]:
    """Put the process's logging back as the test found it."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    levels = {name: logging.getLogger(name).level for name in LIBRARIES}
    # Leaving the block puts back how warnings are shown, which logging also replaces.
    with warnings.catch_warnings():
        yield
        logging.captureWarnings(capture=False)
    root.handlers[:] = handlers
    root.setLevel(level)
    for name, one in levels.items():
        logging.getLogger(name).setLevel(one)


def test_text_is_one_line_with_its_fields() -> None:
    """Time in UTC, level, logger, message and fields stand on one line, however they try not to."""
    out = io.StringIO()
    configure("info", "text", out)
    logging.getLogger("stream.task").info("opened\n%s", "p\x1b[2J", extra={"partition": 3})

    (line,) = out.getvalue().splitlines()
    assert line.endswith("Z INFO    stream.task: opened\\x0ap\\x1b[2J partition=3")


def test_json_is_one_object_a_line() -> None:
    """Each line is an object with the fields as members; an exception keeps its traceback."""
    out = io.StringIO()
    configure("info", "json", out)
    try:
        int("no")
    except ValueError:
        logging.getLogger("stream").exception("failed", extra={"partition": 3, "level": "x"})

    (line,) = out.getvalue().splitlines()
    entry = json.loads(line)
    assert (entry["level"], entry["message"], entry["partition"]) == ("error", "failed", 3)
    assert entry["time"].endswith("Z")
    assert "ValueError: invalid literal" in entry["traceback"]


@pytest.mark.parametrize("library", [*LIBRARIES, "faust.transport.consumer", "kafka.conn"])
def test_libraries_go_through_the_same_log(library: str) -> None:
    """A library's own handlers are replaced; it warns here, and does not chat."""
    logger = logging.getLogger(library)
    logger.addHandler(logging.StreamHandler(io.StringIO()))
    logger.propagate = False
    out = io.StringIO()
    configure("info", "json", out)
    logger.info("chat")
    logger.warning("careful")

    assert [json.loads(line)["message"] for line in out.getvalue().splitlines()] == ["careful"]
    assert logger.handlers == []


def test_no_level_lets_libraries_print_what_they_receive() -> None:
    """Debugging ourselves does not turn on the debug level of Kafka's clients."""
    out = io.StringIO()
    configure("debug", "text", out)
    logging.getLogger("stream").debug("ours")
    logging.getLogger("kafka.conn").debug("bytes of a record")

    assert "ours" in out.getvalue()
    assert "bytes of a record" not in out.getvalue()


def test_configuring_twice_logs_once() -> None:
    """It can be called again after something else configured logging."""
    out = io.StringIO()
    configure("info", "text", out)
    configure("info", "text", out)
    logging.getLogger("stream").info("once")

    assert out.getvalue().count("once") == 1
