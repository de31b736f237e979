"""Files as they come: compressed, damaged, empty, oddly quoted."""

import csv
import gzip
import lzma
from collections.abc import Callable
from pathlib import Path
from typing import Final

import msgspec
import pytest

from stream.importers.errors import SourceError
from stream.importers.ordering import LineSorter
from stream.importers.outbox import Made, Outbox
from stream.importers.source import Dialect, Table, first_cells

TEXT: Final = b"a,b\n1,x\n\n2,y\n"


def _rows(path: Path, dialect: Dialect = Dialect()) -> list[tuple[int, list[str]]]:  # noqa: B008  # frozen
    return list(Table(path, dialect).rows())


@pytest.mark.parametrize(
    ("suffix", "pack"),
    [(".csv", bytes), (".csv.gz", gzip.compress), (".csv.xz", lzma.compress), (".CSV.XZ", lzma.compress)],
)
def test_files_are_unpacked_by_their_suffix(tmp_path: Path, suffix: str, pack: Callable[[bytes], bytes]) -> None:
    """The same rows come out of a plain and of a compressed file."""
    path = tmp_path / f"rows{suffix}"
    path.write_bytes(pack(TEXT))

    assert _rows(path) == [(2, ["1", "x"]), (4, ["2", "y"])]


@pytest.mark.parametrize(
    ("content", "first", "second"),
    [
        (b'a,b\n"1\n1",x\n2,y\n', 2, 4),
        (b"a,b\r\n1,x\r\n\r\n\r\n2,y", 2, 5),
        (b"\xef\xbb\xbf\n\na,b\n1,x\n2,y\n", 4, 5),
    ],
)
def test_a_row_has_the_number_of_its_first_line(tmp_path: Path, content: bytes, first: int, second: int) -> None:
    """Rows of several lines, empty lines and other line ends do not shift the numbers."""
    path = tmp_path / "rows.csv"
    path.write_bytes(content)

    table = Table(path, Dialect())

    assert table.columns == ("a", "b")
    assert [line for line, _ in table.rows()] == [first, second]


@pytest.mark.parametrize(
    ("name", "content", "error"),
    [
        ("a.csv", b"", "the file is empty"),
        ("a.csv", b"\n\n", "the file is empty"),
        ("a.csv", b"a,b\n1,\xff\n", "not utf-8-sig text"),
        ("a.csv", b'a,b\n1,"x\n2,y\n', "line 2: unexpected end of data"),
        ("a.csv", b'a,b\n1,"x"y\n', "line 2: ',' expected after '\"'"),
        ("a.xz", lzma.compress(TEXT)[:-6], "damaged or cut off"),
        ("a.xz", TEXT, "damaged or cut off"),
        ("a.gz", gzip.compress(TEXT)[:-6], "damaged or cut off"),
        ("a.gz", TEXT, "damaged or cut off"),
    ],
)
def test_a_damaged_file_is_an_error(tmp_path: Path, name: str, content: bytes, error: str) -> None:
    """What cannot be read to its end is not read as if it ended there."""
    path = tmp_path / name
    path.write_bytes(content)

    with pytest.raises(SourceError, match=error) as caught:
        _rows(path)
    [line] = caught.value.lines
    assert str(path) in line
    assert "\n" not in line


def test_a_quote_that_is_never_closed_in_a_long_file_is_an_error(tmp_path: Path) -> None:
    """The rest of the file does not disappear in one cell."""
    path = tmp_path / "rows.csv"
    path.write_text('a,b\n1,"x\n' + "2,y\n" * csv.field_size_limit(), encoding="utf-8")

    with pytest.raises(SourceError, match="line 2: field larger than field limit"):
        _rows(path)


@pytest.mark.parametrize("kind", ["missing", "folder"])
def test_what_is_no_file_is_an_error(tmp_path: Path, kind: str) -> None:
    """A missing file and a folder are said to be that."""
    path = tmp_path / "missing" if kind == "missing" else tmp_path

    with pytest.raises(SourceError, match=r"No such file|not a regular file"):
        Table(path, Dialect())


def test_missing_columns_are_listed_at_once(tmp_path: Path) -> None:
    """One error names every column that is not there, and those that are."""
    path = tmp_path / "rows.csv"
    path.write_bytes(TEXT)

    with pytest.raises(SourceError, match=r"no column 'c', 'd'; the file has 'a', 'b'"):
        Table(path, Dialect()).index_of(["a", "c", "d", "c"])


def test_a_column_named_twice_is_an_error_where_it_matters(tmp_path: Path) -> None:
    """Two columns of one name are an error only if they are needed, and rows are then kept as lists."""
    path = tmp_path / "rows.csv"
    path.write_bytes(b"a,b,b\n1,2,3\n")
    table = Table(path, Dialect())

    assert table.index_of(["a"]) == {"a": 0}
    assert table.as_json(["1", "2", "3"]) == ["1", "2", "3"]
    with pytest.raises(SourceError, match="more than one column is named 'b'"):
        table.index_of(["a", "b"])


def test_aligned_columns_are_read(tmp_path: Path) -> None:
    """Columns aligned with spaces are cells, whatever the number of spaces and the line ends."""
    path = tmp_path / "rows.txt"
    path.write_bytes(b" 00001  19970101   1.00\r\n\r\n 00002 19970102 2.00")
    dialect = Dialect("whitespace", columns=("id", "date", "amount"))

    assert _rows(path, dialect) == [(1, ["00001", "19970101", "1.00"]), (3, ["00002", "19970102", "2.00"])]
    assert first_cells(path, dialect) == ["00001", "19970101", "1.00"]


def test_events_of_one_time_and_line_keep_their_order() -> None:
    """What one row of a source says first comes first, whatever the events' ids are."""
    time = {"account_id": "7", "occurred_at": "2025-01-01T00:00:00Z"}
    made = [
        Made({"event_id": name, "type": "sla.breached", **time, "ticket_id": "1"}, 2, number)
        for number, name in enumerate(["b", "a"])
    ]
    with Outbox() as outbox:
        outbox.accept(*made)

        assert [msgspec.json.decode(line)["event_id"] for line in outbox.events] == ["b", "a"]


@pytest.mark.parametrize("lines_max", [1, 2, 3, 1000])
def test_lines_are_sorted_beyond_memory(lines_max: int) -> None:
    """The order is by time, rank, line and number as numbers, however many lines fit into memory."""
    keys = [
        (time_ms, rank, source_line, number)
        for time_ms in (10, 9, 100)
        for rank in (1, 0)
        for source_line in (20, 3)
        for number in (1, 0)
    ]
    sorter = LineSorter(lines_max)
    for key in keys:
        time_ms, rank, source_line, number = key
        sorter.add(repr(key).encode(), time_ms=time_ms, rank=rank, source_line=source_line, number=number)
    expected = [repr(key).encode() for key in sorted(keys)]

    assert [list(sorter), list(sorter)] == [expected, expected]
    sorter.close()
