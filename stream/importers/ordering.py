"""Sorting more lines than memory should hold."""

import heapq
import tempfile
from collections.abc import Iterator
from typing import IO, Final

LINES_IN_MEMORY_MAX: Final = 250_000
_KEY_BYTES: Final = 15 + 1 + 12 + 6


class LineSorter:
    """Lines put in the order of (time, rank, source line, number).

    Holds at most `lines_max` lines in memory; more go to temporary files in sorted runs that are merged at the end.

    >>> sorter = LineSorter()
    >>> sorter.add(b"second", time_ms=5)
    >>> sorter.add(b"first", time_ms=3)
    >>> list(sorter)
    [b'first', b'second']
    """

    def __init__(self, lines_max: int = LINES_IN_MEMORY_MAX) -> None:
        self._lines_max = lines_max
        self._lines: list[bytes] = []
        self._runs: list[IO[bytes]] = []

    def add(self, line: bytes, *, time_ms: int = 0, rank: int = 0, source_line: int = 0, number: int = 0) -> None:
        """Add one line, which must hold no line break; numbers must not be negative."""
        # The key as text of a fixed width: bytes compare as the numbers do, and survive a file.
        self._lines.append(b"%015d%01d%012d%06d" % (time_ms, rank, source_line, number) + line)
        if len(self._lines) >= self._lines_max:
            self._spill()

    def _spill(self) -> None:
        self._lines.sort()
        run = tempfile.TemporaryFile()  # noqa: SIM115  # closed by close()
        run.writelines(line + b"\n" for line in self._lines)
        self._runs.append(run)
        self._lines = []

    def close(self) -> None:
        """Remove the temporary files."""
        for run in self._runs:
            run.close()

    def __iter__(self) -> Iterator[bytes]:
        """Yield the lines in order; may be asked again."""
        self._lines.sort()
        for run in self._runs:
            run.seek(0)
        on_disk = ((line[:-1] for line in run) for run in self._runs)
        for line in heapq.merge(*on_disk, self._lines):
            yield line[_KEY_BYTES:]
