"""The place of a change: the build of the view that it belongs to, and its number in that build."""

import re
from typing import Final, NamedTuple

from stream.serving.queries import QueryError

_PATTERN: Final = re.compile(r"(\d{1,16})-(\d{1,16})")


class Place(NamedTuple):
    """Ordered; the id of the change's entry in the stream."""

    build: int
    number: int

    def __str__(self) -> str:
        return f"{self.build}-{self.number}"


def read_place(cursor: str) -> Place:
    """Read a cursor of changes.

    Raises:
        QueryError: if it is none.
    """
    match = _PATTERN.fullmatch(cursor)
    if match is None:
        raise QueryError("after", "Input should be the cursor of a change, or the `next` of a page of changes")
    return Place(int(match[1]), int(match[2]))
