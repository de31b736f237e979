"""Who is erased, known before the first line is replayed: an erased account is in no later replay."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from models.events import AccountErased
from models.wire import parse
from stream.files import inspect, read_lines

_ERASURE: Final = b"account.erased"


def last_erasures(paths: Sequence[Path], latest_ms: int) -> dict[str, int]:
    """Give the moment of the last erasure of each account that was erased, up to a moment; epoch milliseconds.

    Raises:
        FileError: if a file cannot be read.
    """
    found: dict[str, int] = {}
    for source, path in enumerate(paths):
        for number, raw in enumerate(read_lines(path), start=1):
            if _ERASURE not in raw:
                continue
            line = inspect(source, number, raw)
            if line.topic is None or line.account_id is None:
                continue
            event = parse(line.topic, line.account_id.encode(), raw)
            if isinstance(event, AccountErased) and event.occurred_ms <= latest_ms:
                found[event.account_id] = max(event.occurred_ms, found.get(event.account_id, event.occurred_ms))
    return found
