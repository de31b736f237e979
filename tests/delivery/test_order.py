"""In order for each account, many accounts at a time, and offsets that never pass what is not done: properties."""

import asyncio
import random
from collections import defaultdict
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.delivery.dispatcher import Dispatcher
from stream.delivery.events import Delivery, Place
from stream.delivery.failures import Failure, Settlement, Waiting, failure_record, read_record, settlement_record
from stream.delivery.positions import Positions
from stream.delivery.reasons import FailureReason
from stream.records import OutRecord
from stream.topics import TopicNames

TOPICS: Final = ("tier-changes", "churn-risk")
SEEDS: Final = st.integers(0, 2**32)
"""Of what happens inside tasks, where hypothesis must not be asked."""


def delivery(account: str, offset: int, topic: str = "churn-risk", partition: int = 0) -> Delivery:
    """Make a record of an account."""
    return Delivery(Place(topic, partition, offset), account.encode(), b"{}", [("ce_id", b"x")], offset)


async def _idle(dispatcher: Dispatcher) -> None:
    """Wait until all is done, or fail with what went wrong."""
    async with asyncio.timeout(10):
        while not dispatcher.idle:
            assert not dispatcher.failure.done(), dispatcher.failure.result()
            await asyncio.sleep(0)


@given(st.lists(st.integers(1, 3), min_size=1, max_size=40), SEEDS)
def test_a_position_never_passes_what_is_not_done(gaps: list[int], seed: int) -> None:
    """Whatever the order in which records end, one reads on at the oldest that has not."""
    offsets = [sum(gaps[: number + 1]) for number in range(len(gaps))]
    positions, left, chosen = Positions(), list(offsets), random.Random(seed)
    for offset in offsets:
        positions.read(offset, offset * 10)
    chosen.shuffle(left)

    while left:
        assert positions.next_offset == min(left)
        assert positions.oldest_ms == min(left) * 10
        assert positions.open == len([one for one in offsets if one >= min(left)])
        positions.done(left.pop())

    assert positions.next_offset == offsets[-1] + 1
    assert (positions.oldest_ms, positions.open) == (None, 0)


@given(st.lists(st.tuples(st.sampled_from("ABCDE"), st.sampled_from(TOPICS)), min_size=1, max_size=60), SEEDS)
def test_each_accounts_records_follow_each_other(records: list[tuple[str, str]], seed: int) -> None:
    """However long each takes, an account's are handled in the order given and never two at a time."""
    chosen = random.Random(seed)
    handled: defaultdict[bytes, list[Place]] = defaultdict(list)
    busy: set[bytes] = set()

    async def handle(one: Delivery) -> None:
        assert one.account not in busy
        busy.add(one.account)
        for _ in range(chosen.randrange(4)):
            await asyncio.sleep(0)
        busy.remove(one.account)
        handled[one.account].append(one.place)

    async def run() -> dict[tuple[str, int], int]:
        dispatcher = Dispatcher(handle)
        for offset, (account, topic) in enumerate(records):
            dispatcher.take(delivery(account, offset, topic))
            if chosen.random() < 0.3:
                await asyncio.sleep(0)
        await _idle(dispatcher)
        assert dispatcher.open == 0
        return dispatcher.next_offsets()

    ends = asyncio.run(run())

    for account in {one.encode() for one, _ in records}:
        expected = [Place(topic, 0, n) for n, (one, topic) in enumerate(records) if one.encode() == account]
        assert handled[account] == expected
    last = {(topic, 0): n + 1 for n, (_, topic) in enumerate(records)}
    assert ends == last


def test_what_is_given_back_is_dropped_and_read_again() -> None:
    """Records of a partition that is taken away are broken off, and those of others go on."""
    started: list[Place] = []

    async def run() -> tuple[dict[tuple[str, int], int], dict[tuple[str, int], int]]:
        gate = asyncio.Event()

        async def handle(one: Delivery) -> None:
            started.append(one.place)
            if one.place.partition == 0:
                await gate.wait()

        dispatcher = Dispatcher(handle)
        for offset in range(3):
            dispatcher.take(delivery("A", offset, partition=0))
            dispatcher.take(delivery("B", offset, partition=1))
        await asyncio.sleep(0.01)
        given_back = await dispatcher.forget([("churn-risk", 0)])
        gate.set()
        await _idle(dispatcher)
        return given_back, dispatcher.next_offsets()

    given_back, left = asyncio.run(run())

    assert given_back == {("churn-risk", 0): 0}
    assert left == {("churn-risk", 1): 3}
    assert [one.offset for one in started if one.partition == 0] == [0]


def test_an_error_that_nobody_expects_is_told() -> None:
    """It ends nothing silently: whoever runs the dispatcher sees it, and the record is not done."""

    async def run() -> tuple[BaseException, dict[tuple[str, int], int]]:
        async def handle(_: Delivery) -> None:
            raise ZeroDivisionError

        dispatcher = Dispatcher(handle)
        dispatcher.take(delivery("A", 5))
        return await dispatcher.failure, dispatcher.next_offsets()

    error, offsets = asyncio.run(run())

    assert isinstance(error, ZeroDivisionError)
    assert offsets == {("churn-risk", 0): 5}


NAMES: Final = TopicNames()
FAILURE: Final = Failure(FailureReason.REJECTED, "answered 404", 3, 404)


def _kept(record: OutRecord, offset: int, partition: int = 0) -> Delivery:
    """Read a record of failures as it was appended at a place."""
    return Delivery(Place(record.topic, partition, offset), record.key or b"", record.value, record.headers, 9)


def test_a_failure_reads_as_it_was_written() -> None:
    """The event is unchanged, and a failure of a failure says where the event came from first only in its last word."""
    record = failure_record("crm", delivery("A", 7), FAILURE, NAMES)

    kept = read_record(_kept(record, 40))

    assert kept is not None
    assert not isinstance(kept, Settlement)
    assert (kept.destination, kept.failure, kept.origin) == ("crm", FAILURE, Place("churn-risk", 0, 7))
    assert (kept.delivery.value, kept.delivery.headers, kept.delivery.written_ms) == (b"{}", [("ce_id", b"x")], 7)
    assert record.topic == NAMES.delivery_failures
    assert read_record(delivery("A", 1)) is None
    assert read_record(_kept(settlement_record(Settlement("crm", b"A", 40), NAMES), 41)) == Settlement("crm", b"A", 40)


@pytest.mark.parametrize("status", [None, 500])
def test_a_failure_without_an_answer_has_no_status(status: int | None) -> None:
    """A header is absent rather than empty."""
    record = failure_record("crm", delivery("A", 7), FAILURE._replace(status=status), NAMES)

    assert ("delivery_failure_status" in dict(record.headers)) is (status is not None)


@given(
    st.lists(
        st.tuples(st.sampled_from(["crm", "hook"]), st.sampled_from("AB"), st.booleans()),
        max_size=40,
    )
)
def test_an_account_waits_while_its_last_failure_is_not_settled(steps: list[tuple[str, str, bool]]) -> None:
    """Whatever the order of failures and settlements, of accounts and destinations."""
    waiting = Waiting()
    last: dict[tuple[str, str], int] = {}
    settled: dict[tuple[str, str], int] = {}

    for offset, (destination, account, fails) in enumerate(steps):
        key = (destination, account)
        if fails:
            last[key] = offset
            record = failure_record(destination, delivery(account, 1), FAILURE, NAMES)
        else:
            # a redrive settles what it has seen, which need not be the last
            settled[key] = max(settled.get(key, -1), last.get(key, 0) - offset % 2)
            record = settlement_record(Settlement(destination, account.encode(), settled[key]), NAMES)
        waiting.learn(_kept(record, offset))

    expected = {key for key, offset in last.items() if offset > settled.get(key, -1)}
    found = {(one, account) for one in ("crm", "hook") for account in "AB" if waiting.holds(one, account.encode())}
    assert found == expected
    assert sum(waiting.counts().values()) == len(expected)
