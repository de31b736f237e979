"""Files of events: one JSON object a line, plain or compressed, merged by time."""

import gzip
import heapq
import lzma
import zlib
from collections.abc import Iterator, Sequence
from io import BufferedReader
from pathlib import Path
from typing import Any, Final, NamedTuple

import msgspec
from pydantic import TypeAdapter, ValidationError
from pydantic_core import from_json

from models.events import TOPIC_OF_TYPE, InputTopic
from models.fields import Timestamp, epoch_ms

LINE_BYTES_MAX: Final = 16 * 1_048_576
"""Longest line that is read; a file without line ends must not fill the memory."""

_timestamp: Final = TypeAdapter(Timestamp).validate_python


class FileError(ValueError):
    """A file that cannot be read as lines; the text names it."""


class Line(NamedTuple):
    """One line, and what could be told of it without judging it."""

    source: int
    """Which of the paths, from 0."""
    number: int
    """Line in its file, from 1."""
    raw: bytes
    """The line without its end."""
    topic: InputTopic | None
    """None when `type` names no event."""
    account_id: str | None
    occurred_ms: int | None
    """None when `occurred_at` is not readable as a time with an offset."""


class _Head(msgspec.Struct, gc=False):
    type: Any = None
    account_id: Any = None
    customer_id: Any = None
    occurred_at: Any = None


_decode_head: Final = msgspec.json.Decoder(_Head).decode


def read_lines(path: Path) -> Iterator[bytes]:
    """Yield the lines of a .jsonl, .jsonl.gz or .jsonl.xz file, without their ends; empty ones too.

    Raises:
        FileError: if it cannot be read, or holds a line of more than `LINE_BYTES_MAX`.
    """
    try:
        with _open(path) as stream:
            while line := stream.readline(LINE_BYTES_MAX + 1):
                if len(line) > LINE_BYTES_MAX:
                    raise FileError(f"{path}: a line is longer than {LINE_BYTES_MAX} bytes")
                yield line.rstrip(b"\r\n")
    except OSError as error:
        raise FileError(f"{path}: {error.strerror or error}") from error
    except (lzma.LZMAError, zlib.error, EOFError) as error:
        raise FileError(f"{path}: {error}") from error


def merge(paths: Sequence[Path], latest_ms: int | None = None) -> Iterator[Line]:
    """Yield the lines of all files, merged by the `occurred_at` at their heads.

    Ties go by the order of the files. Disorder inside a file stays: it is data. A line without a
    readable time, or with one after `latest_ms`, takes its turn with the time of the line before it
    in its file: one line dated 2099 must not hold back all that follow it. Blank lines are skipped.

    Raises:
        FileError: as `read_lines`.
    """
    # heapq.merge only ever compares the heads: for sequences that are out of order, as these may
    # be, that is the order wanted here.
    files = (_timed(source, path, latest_ms) for source, path in enumerate(paths))
    timed = heapq.merge(*files, key=lambda one: one[0])
    return (line for _, line in timed)


def inspect(source: int, number: int, raw: bytes) -> Line:
    """Tell of one line what can be told without judging it.

    >>> head = b'{"type":"ticket.opened","customer_id":"A","occurred_at":"1970-01-01T00:00:01Z"}'
    >>> inspect(0, 1, head)[3:]
    (<InputTopic.SUPPORT: 'support'>, 'A', 1000)
    """
    head = _head(raw)
    account_id = head.customer_id if head.account_id is None else head.account_id
    return Line(
        source,
        number,
        raw,
        TOPIC_OF_TYPE.get(head.type) if isinstance(head.type, str) else None,
        account_id if isinstance(account_id, str) else None,
        _occurred_ms(head.occurred_at),
    )


def _open(path: Path) -> gzip.GzipFile | lzma.LZMAFile | BufferedReader:
    match path.suffix:
        case ".gz":
            return gzip.open(path, "rb")
        case ".xz":
            return lzma.open(path, "rb")
        case _:
            return path.open("rb")


def _timed(source: int, path: Path, latest_ms: int | None) -> Iterator[tuple[int, Line]]:
    time_ms = 0
    for number, raw in enumerate(read_lines(path), start=1):
        if raw and not raw.isspace():
            line = inspect(source, number, raw)
            readable_ms = line.occurred_ms
            if readable_ms is not None and (latest_ms is None or readable_ms <= latest_ms):
                time_ms = readable_ms
            yield time_ms, line


def _head(raw: bytes) -> _Head:
    try:
        return _decode_head(raw)
    except (msgspec.DecodeError, UnicodeDecodeError):
        pass
    try:
        # The worker's own parser is the slower and the more tolerant one.
        value = from_json(raw)
    except ValueError:
        return _Head()
    return msgspec.convert(value, _Head) if isinstance(value, dict) else _Head()


def _occurred_ms(value: Any) -> int | None:
    try:
        return epoch_ms(_timestamp(value))
    except ValidationError:
        return None
