"""Logging to standard output: readable text, or one JSON object a line.

Nothing logs what a record holds: topic, partition and offset say which one it is. Fields given as
`extra={...}` follow the message as `name=value`, or are members of the object.
"""

import json
import logging
import sys
from datetime import UTC, datetime
from typing import Any, Final, Literal, TextIO

Format = Literal["text", "json"]
Level = Literal["debug", "info", "warning", "error"]

LIBRARIES: Final = ("faust", "mode", "aiokafka", "kafka", "librdkafka", "asyncio", "py.warnings")
"""Loggers of others, which say less here than they would."""
_HTTP_LIBRARIES: Final = ("httpx", "httpcore")
"""Below warnings they print addresses, which may hold an account's id."""

_STANDARD: Final = frozenset(logging.makeLogRecord({}).__dict__) | {"message", "asctime", "taskName"}
# One event is one line: a name or an error's text must not be able to write a second one.
_ESCAPES: Final = {code: f"\\x{code:02x}" for code in (*range(0x20), 0x7F, *range(0x80, 0xA0))}


def librdkafka_logger() -> logging.Logger:
    """Return the logger to hand to a confluent_kafka client, as `logger=`."""
    return logging.getLogger("librdkafka")


def configure(level: Level, format_: Format, stream: TextIO | None = None) -> None:
    """Send all logging of the process to `stream`, standard output by default.

    Replaces what was configured before, also the handlers that Faust gives its loggers: call it
    again after anything that configures logging.
    """
    handler = logging.StreamHandler(sys.stdout if stream is None else stream)
    handler.setFormatter(TextFormatter() if format_ == "text" else JsonFormatter())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    # At their debug level, Kafka's clients print the bytes that they send and receive.
    least = logging.INFO if level == "debug" else max(root.level, logging.WARNING)
    known = logging.Logger.manager.loggerDict
    for name in {*LIBRARIES, *(one for one in known if one.partition(".")[0] in LIBRARIES)}:
        logger = logging.getLogger(name)
        logger.handlers.clear()
        logger.propagate = True
        logger.setLevel(least if name in LIBRARIES else logging.NOTSET)
    for name in _HTTP_LIBRARIES:
        logging.getLogger(name).setLevel(max(root.level, logging.WARNING))
    logging.captureWarnings(capture=True)


class TextFormatter(logging.Formatter):
    """One line for a person: time in UTC, level, logger, message, fields; then a traceback."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        fields = "".join(f" {name}={value}" for name, value in _fields(record).items())
        message = f"{record.getMessage()}{fields}".translate(_ESCAPES)
        line = f"{_time(record)} {record.levelname:<7} {record.name}: {message}"
        trace = _trace(self, record)
        return f"{line}\n{trace}" if trace else line


class JsonFormatter(logging.Formatter):
    """One JSON object a line: `time`, `level`, `logger`, `message`, the fields, `traceback`."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        line: dict[str, Any] = {
            "time": _time(record),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        for name, value in _fields(record).items():
            line.setdefault(name, value)
        if trace := _trace(self, record):
            line["traceback"] = trace
        return json.dumps(line, default=str)


def _time(record: logging.LogRecord) -> str:
    moment = datetime.fromtimestamp(record.created, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _fields(record: logging.LogRecord) -> dict[str, Any]:
    return {name: value for name, value in vars(record).items() if name not in _STANDARD}


def _trace(formatter: logging.Formatter, record: logging.LogRecord) -> str:
    parts = []
    if record.exc_info:
        parts.append(formatter.formatException(record.exc_info))
    if record.stack_info:
        parts.append(formatter.formatStack(record.stack_info))
    return "\n".join(parts)
