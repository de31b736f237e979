"""Reading a table: plain, .gz or .xz; delimited or aligned with spaces; row by row, with line numbers."""

import csv
import gzip
import io
import lzma
import zlib
from collections import Counter
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final

from stream.importers.errors import RejectReason, RowError, SourceError

WHITESPACE: Final = "whitespace"
"""The delimiter of files whose columns are aligned with spaces."""
_ROWS_BETWEEN_REPORTS: Final = 8192

Progress = Callable[[int], None]
"""Told, now and then, how many bytes of the (compressed) file have been read."""


@dataclass(frozen=True, slots=True)
class Dialect:
    """How a table is written."""

    delimiter: str = ","
    encoding: str = "utf-8-sig"
    columns: tuple[str, ...] = ()
    """Names of the columns of a file that has no header; empty: the first row is the header."""


class Table:
    """A table in a file: its columns, and its rows as often as they are asked for.

    Raises:
        SourceError: if the file cannot be read, or is not a table of this dialect.
    """

    def __init__(self, path: Path, dialect: Dialect) -> None:
        if path.exists() and not path.is_file():
            # A pipe can be read once; an order that fails as a whole needs the file again.
            raise SourceError(f"{path}: not a regular file")
        self.path = path
        self._dialect = dialect
        self.columns = dialect.columns or self._header()

    def index_of(self, needed: Iterable[str]) -> dict[str, int]:
        """Return where each needed column is; those that are not there are listed in one error."""
        names = list(dict.fromkeys(needed))
        counts = Counter(self.columns)
        missing = [name for name in names if not counts[name]]
        if missing:
            raise SourceError(f"{self.path}: no column {_listed(missing)}; the file has {_listed(self.columns)}")
        if doubled := [name for name in names if counts[name] > 1]:
            raise SourceError(f"{self.path}: more than one column is named {_listed(doubled)}")
        return {name: self.columns.index(name) for name in names}

    def rows(self, progress: Progress | None = None) -> Iterator[tuple[int, list[str]]]:
        """Yield the line on which each row begins (the file's first line is 1), and its cells; no empty rows."""
        with _open(self.path, self._dialect.encoding) as (raw, text):
            numbered = self._numbered(text)
            if not self._dialect.columns:
                next(numbered, None)
            for count, row in enumerate(numbered):
                if progress is not None and count % _ROWS_BETWEEN_REPORTS == 0:
                    progress(raw.tell())
                yield row

    def check_width(self, cells: Sequence[str]) -> None:
        """Raise RowError unless there is one cell for each column."""
        if len(cells) != len(self.columns):
            raise RowError(RejectReason.WRONG_CELL_COUNT, f"{len(cells)} cells, but {len(self.columns)} columns")

    def as_json(self, cells: Sequence[str]) -> dict[str, str] | list[str]:
        """Return a row as it is kept among the rejects: by column, or as a list where it has no such shape."""
        if len(cells) == len(self.columns) == len(set(self.columns)):
            return dict(zip(self.columns, cells, strict=True))
        return list(cells)

    def _header(self) -> tuple[str, ...]:
        with _open(self.path, self._dialect.encoding) as (_, text):
            first = next(self._numbered(text), None)
        if first is None:
            raise SourceError(f"{self.path}: the file is empty; its first line should name the columns")
        return tuple(name.strip() for name in first[1])

    def _numbered(self, text: IO[str]) -> Iterator[tuple[int, list[str]]]:
        if self._dialect.delimiter == WHITESPACE:
            return ((line, cells) for line, row in enumerate(text, 1) if (cells := row.split()))
        return self._delimited(text)

    def _delimited(self, text: IO[str]) -> Iterator[tuple[int, list[str]]]:
        # Strict: a quote that is never closed would otherwise swallow the rest of the file without an error.
        reader = csv.reader(text, delimiter=self._dialect.delimiter, strict=True)
        line = 1
        try:
            for cells in reader:
                if cells:
                    yield line, cells
                line = reader.line_num + 1
        except csv.Error as error:
            raise SourceError(f"{self.path}: line {line}: {error}") from error


def first_cells(path: Path, dialect: Dialect) -> list[str]:
    """Return the cells of a file's first row, whatever they are; empty for an empty file."""
    # A name for a column that is not there: so the first row is not taken for a header.
    rows = Table(path, Dialect(dialect.delimiter, dialect.encoding, ("?",))).rows()
    return next((cells for _, cells in rows), [])


def _listed(names: Sequence[str]) -> str:
    return ", ".join(repr(name) for name in names)


@contextmanager
def _open(path: Path, encoding: str) -> Generator[tuple[IO[bytes], IO[str]]]:
    """Open a file for reading by its suffix; whatever is wrong with its bytes is a SourceError."""
    try:
        with path.open("rb") as raw, _decompressed(path, raw) as plain:
            yield raw, io.TextIOWrapper(plain, encoding=encoding, newline="")
    except UnicodeDecodeError as error:
        raise SourceError(f"{path}: not {encoding} text: {error.reason}") from error
    except (lzma.LZMAError, zlib.error, gzip.BadGzipFile, EOFError) as error:
        raise SourceError(f"{path}: the compressed data is damaged or cut off: {error}") from error
    except OSError as error:
        raise SourceError(f"{path}: {error.strerror or error}") from error


def _decompressed(path: Path, raw: IO[bytes]) -> IO[bytes] | gzip.GzipFile:
    match path.suffix.lower():
        case ".xz":
            return lzma.open(raw)
        case ".gz":
            return gzip.open(raw)
        case _:
            return raw
