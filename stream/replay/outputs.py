"""The files that a replay writes."""

from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import IO, Final, NamedTuple, Self

import msgspec

from stream.portfolio.files import CUT_POINTS_FILE

SNAPSHOTS_FILE: Final = "snapshots.jsonl"
TIER_CHANGES_FILE: Final = "tier-changes.jsonl"
CHURN_RISK_FILE: Final = "churn-risk.jsonl"
DEAD_LETTERS_FILE: Final = "dead-letters.jsonl"
_FILES: Final = (SNAPSHOTS_FILE, TIER_CHANGES_FILE, CHURN_RISK_FILE, DEAD_LETTERS_FILE, CUT_POINTS_FILE)


class DeadLetter(msgspec.Struct):
    """One refused line: `value` is the line itself, if it is UTF-8 text, else `value_hex`."""

    file: str
    line: int
    reason: str
    detail: str
    value: str | None = None
    value_hex: str | None = None


class Written(NamedTuple):
    """One line of an output, and what decides about its place there."""

    turn: int
    """Of the line of the input, or of the step of time, that led to it."""
    partition: int
    file: str
    line: bytes


class Outputs:
    """The files of a replay, written beside their names and renamed when they are whole."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._stack = ExitStack()
        self._files: dict[str, IO[bytes]] = {}

    def __enter__(self) -> Self:
        self._directory.mkdir(parents=True, exist_ok=True)
        for name in _FILES:
            self._files[name] = self._stack.enter_context((self._directory / f"{name}.part").open("wb"))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()
        for name in _FILES:
            part = self._directory / f"{name}.part"
            if error is None:
                part.replace(self._directory / name)
            else:
                part.unlink(missing_ok=True)

    def write(self, name: str, line: bytes) -> None:
        """Write one line."""
        self._files[name].write(line + b"\n")
