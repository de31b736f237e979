"""Asking over HTTP at a steady rate, whether answers keep up or not: a late one counts from when it was due."""

import asyncio
import contextlib
import time
from collections.abc import Coroutine, Sequence
from typing import Any, Final, NamedTuple

_CONNECTIONS: Final = 32
_API: Final = "/api/v1"
_WARM_UP: Final = 200


class Asked(NamedTuple):
    """One request."""

    kind: str
    seconds: float
    """From when it was due to the last byte of its answer."""
    succeeded: bool


async def ask_steadily(
    port: int, targets: Sequence[tuple[str, str]], per_second: int, beside: Coroutine[Any, Any, None]
) -> list[Asked]:
    """Ask for each target in turn at a rate, while something else goes on; without the first few."""
    other = asyncio.create_task(beside)
    due: asyncio.Queue[tuple[int, float]] = asyncio.Queue()
    answers: list[Asked | None] = [None] * len(targets)

    async def connection() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=2**22)
        with contextlib.suppress(asyncio.CancelledError):
            while True:
                index, when = await due.get()
                kind, target = targets[index]
                status = await _ask(reader, writer, port, target)
                answers[index] = Asked(kind, time.monotonic() - when, status == b"200")
                due.task_done()
        writer.close()

    connections = [asyncio.create_task(connection()) for _ in range(_CONNECTIONS)]
    started = time.monotonic()
    for index in range(len(targets)):
        when = started + index / per_second
        await asyncio.sleep(max(0.0, when - time.monotonic()))
        due.put_nowait((index, when))
    await due.join()
    for task in (*connections, other):
        task.cancel()
    await asyncio.gather(*connections, other, return_exceptions=True)
    return [one for one in answers[_WARM_UP:] if one is not None]


async def _ask(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, port: int, target: str) -> bytes:
    writer.write(f"GET {_API}{target} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n".encode())
    head = await reader.readuntil(b"\r\n\r\n")
    length = next(int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
    await reader.readexactly(length)
    return head.split(b" ", 2)[1]
