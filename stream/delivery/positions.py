"""How far one partition is done, when its records end in another order than they were read in."""

from collections import OrderedDict
from typing import Final


class Positions:
    """The records of one partition that were read and are not done, in order.

    >>> positions = Positions()
    >>> for offset in (3, 4, 7):
    ...     positions.read(offset, written_ms=offset * 1000)
    >>> positions.done(4)
    >>> positions.next_offset, positions.oldest_ms
    (3, 3000)
    >>> positions.done(3)
    >>> positions.next_offset, positions.open
    (7, 1)
    """

    __slots__ = ("_done", "_open", "next_offset")

    def __init__(self) -> None:
        self._open: Final[OrderedDict[int, int]] = OrderedDict()
        self._done: Final[set[int]] = set()
        self.next_offset: int | None = None
        """The offset from which on to read again after a crash; None before the first record."""

    @property
    def open(self) -> int:
        """How many records from `next_offset` on were read: those that are not done, and those done behind them."""
        return len(self._open)

    @property
    def oldest_ms(self) -> int | None:
        """Timestamp of the oldest record that is not done."""
        return next(iter(self._open.values()), None)

    @property
    def read_to(self) -> int | None:
        """The offset behind the last record that was read; None before the first."""
        return next(reversed(self._open)) + 1 if self._open else self.next_offset

    def read(self, offset: int, written_ms: int) -> None:
        """Note a record that was read; offsets ascend."""
        if not self._open:
            self.next_offset = offset
        self._open[offset] = written_ms

    def done(self, offset: int) -> None:
        """Note that a record is done; one that was not read is passed over."""
        if offset not in self._open:
            return
        self._done.add(offset)
        while self._open:
            first = next(iter(self._open))
            if first not in self._done:
                self.next_offset = first
                return
            self._done.discard(first)
            del self._open[first]
            self.next_offset = first + 1
