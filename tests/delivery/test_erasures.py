"""Which accounts were erased, by what is read of the topic of snapshots."""

import pytest
from confluent_kafka import Message

from stream.delivery.erasures import Erasures


@pytest.mark.parametrize(
    ("header", "erased"), [(b"2", True), (b"0", False), (b"x", False), (b"", False), (None, False), (b"-1", False)]
)
def test_only_a_number_tells_of_an_erasure(header: bytes | None, erased: bool) -> None:  # noqa: FBT001  # a column
    """A record that somebody else wrote would end the delivery at every start, until compaction removes it."""
    erasures = Erasures()

    erasures.handle(Message("snapshots", 0, 0, key=b"A", value=None, headers=[("ce_incarnation", header)]))

    assert erasures.holds("A", 1) is erased
