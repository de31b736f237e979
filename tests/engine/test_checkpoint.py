"""What stands in the state topic beside accounts."""

import pytest

from models.state import ErasedAccount
from stream.checkpoint import CheckpointError, decode_mark, encode_mark


def test_an_erasure_mark_keeps_its_bytes() -> None:
    """A mark of the released format is read and written as ever: format, then what is left of the account."""
    mark = ErasedAccount(1_700_000_000_000, 2)

    assert encode_mark(mark).hex() == "0192cf0000018bcfe5680002"
    assert decode_mark(encode_mark(mark)) == mark


@pytest.mark.parametrize(
    ("value", "told"),
    [
        pytest.param(b"", "holds no erasure mark", id="nothing"),
        pytest.param(b"\x01", "holds no erasure mark", id="nothing after the format"),
        pytest.param(b"\x01\x92\xa1x\x00", "holds no erasure mark", id="a text for a moment"),
        pytest.param(b"\x00\x92\x01\x00", "holds no erasure mark", id="format 0"),
        pytest.param(b"\xc8\x92\x01\x00", "format 200 is newer than 1", id="a newer format"),
    ],
)
def test_bytes_that_are_no_erasure_mark_are_told_apart(value: bytes, told: str) -> None:
    """A mark that cannot be read is an error of the checkpoint, which says so."""
    with pytest.raises(CheckpointError, match=told):
        decode_mark(value)
