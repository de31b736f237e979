"""Files of events: read whatever they hold, merged by the time at their heads."""

import gzip
import json
import lzma
from pathlib import Path

import pytest

from models.events import InputTopic
from stream.files import FileError, inspect, merge, read_lines
from stream.shifting import shifted


def _event(name: str, minute: int | None, type_: str = "order.completed") -> str:
    event = {"event_id": name, "type": type_, "account_id": "A"}
    if minute is not None:
        event["occurred_at"] = f"2024-01-01T00:{minute:02}:00Z"
    return json.dumps(event)


def _write(path: Path, *lines: str) -> Path:
    path.write_text("".join(f"{line}\n" for line in lines))
    return path


def _ids(*paths: Path) -> list[str]:
    return [json.loads(line.raw)["event_id"] for line in merge(paths)]


def test_files_are_merged_by_the_time_at_their_heads(tmp_path: Path) -> None:
    """The earliest head is taken first, and equal times go by the order of the files."""
    first = _write(tmp_path / "1", _event("a1", 1), _event("a3", 3), _event("a5", 5))
    second = _write(tmp_path / "2", _event("b0", 0), _event("b3", 3), _event("b4", 4))

    assert _ids(first, second) == ["b0", "a1", "a3", "b3", "b4", "a5"]
    assert _ids(second, first) == ["b0", "a1", "b3", "a3", "b4", "a5"]


def test_disorder_inside_a_file_stays(tmp_path: Path) -> None:
    """A file's own order is data: a late line holds up what stands behind it, and nothing else."""
    late = _write(tmp_path / "1", _event("a5", 5), _event("a1", 1), _event("a6", 6))
    other = _write(tmp_path / "2", _event("b2", 2), _event("b7", 7))

    assert _ids(late, other) == ["b2", "a5", "a1", "a6", "b7"]
    assert _ids(late) == ["a5", "a1", "a6"]


def test_a_line_without_a_time_takes_that_of_the_line_before_it(tmp_path: Path) -> None:
    """What cannot be dated stays where it stood among its neighbours."""
    first = _write(tmp_path / "1", _event("a1", 1), _event("a?", None), _event("a9", 9))
    second = _write(tmp_path / "2", _event("b0", 0), _event("b4", 4))

    assert _ids(first, second) == ["b0", "a1", "a?", "b4", "a9"]


def test_lines_keep_their_bytes_and_their_place(tmp_path: Path) -> None:
    """A line is handed on unchanged, with its file and number, blank lines being passed over."""
    path = tmp_path / "events.jsonl"
    path.write_bytes(b'{"b": 1.10 }\r\n\n \t\nnot json \xff\n{"last": true}')

    assert [(line.source, line.number, line.raw) for line in merge([path])] == [
        (0, 1, b'{"b": 1.10 }'),
        (0, 4, b"not json \xff"),
        (0, 5, b'{"last": true}'),
    ]


@pytest.mark.parametrize(
    ("raw", "topic", "account_id", "occurred_ms"),
    [
        (b'{"type":"order.completed","account_id":"A"}', InputTopic.ORDERS, "A", None),
        (b'{"type":"ticket.opened","customer_id":"B"}', InputTopic.SUPPORT, "B", None),
        (b'{"type":"account.erased","occurred_at":"1970-01-01T01:00:01+01:00"}', InputTopic.PROFILES, None, 1000),
        (b'{"type":"order.completed","amount":NaN}', InputTopic.ORDERS, None, None),
        (b'{"type":"no.such","occurred_at":"1970-01-01T00:00:01"}', None, None, None),
        (b'{"type":7,"account_id":8,"occurred_at":9}', None, None, None),
        (b'["type"]', None, None, None),
        (b'{"type":"order.completed"', None, None, None),
        (b"\xff", None, None, None),
    ],
)
def test_a_line_is_routed_by_what_can_be_read_of_it(
    raw: bytes, topic: InputTopic | None, account_id: str | None, occurred_ms: int | None
) -> None:
    """Type, account and time are told where they can be, whatever else is wrong with a line."""
    assert inspect(0, 1, raw)[3:] == (topic, account_id, occurred_ms)


def test_compressed_files_are_read_by_their_suffix(tmp_path: Path) -> None:
    """Plain, gzip and xz files give the same lines."""
    text = b"one\ntwo\n"
    (tmp_path / "a.jsonl").write_bytes(text)
    (tmp_path / "a.jsonl.gz").write_bytes(gzip.compress(text))
    (tmp_path / "a.jsonl.xz").write_bytes(lzma.compress(text))

    for path in tmp_path.iterdir():
        assert list(read_lines(path)) == [b"one", b"two"]


@pytest.mark.parametrize("name", ["cut.jsonl.gz", "cut.jsonl.xz", "plain.jsonl.xz", "missing.jsonl"])
def test_a_file_that_cannot_be_read_is_named(tmp_path: Path, name: str) -> None:
    """A damaged or missing file is an error with its name, not an end of input."""
    path = tmp_path / name
    if name.startswith("cut"):
        pack = gzip.compress if name.endswith("gz") else lzma.compress
        path.write_bytes(pack(b"line\n" * 100_000)[:-20])
    elif name.startswith("plain"):
        path.write_bytes(b"plain text\n")

    with pytest.raises(FileError, match=name):
        list(read_lines(path))


def test_shifting_moves_every_time_and_nothing_else() -> None:
    """Times and dates move by whole days; amounts, texts and unknown fields keep their bytes."""
    profile = (
        b'{"type":"profile.updated","occurred_at":"2024-02-28T10:00:00+01:00","amount":1.10,'
        b'"customer_since":"2020-01-01","renewal_on":null,"name":"2020-01-01",'
        b'"ratings":{"market_share":{"value":50.0,"rated_at":"2023-12-31"}},'
        b'"override":{"tier":"key","reason":"x","until":"2024-12-31"}}'
    )

    assert json.loads(shifted(profile, 2)) == json.loads(profile) | {
        "occurred_at": "2024-03-01T10:00:00+01:00",
        "customer_since": "2020-01-03",
        "ratings": {"market_share": {"value": 50.0, "rated_at": "2024-01-02"}},
        "override": {"tier": "key", "reason": "x", "until": "2025-01-02"},
    }
    assert b'"amount":1.10' in shifted(profile, 2)


@pytest.mark.parametrize("raw", [b"", b"[]", b"\xff", b'{"occurred_at":"2024"}', b'{"occurred_at":1}'])
def test_what_is_no_event_is_not_shifted(raw: bytes) -> None:
    """A line that the worker will refuse is refused for its own faults."""
    assert shifted(raw, 1) == raw
