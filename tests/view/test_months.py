"""Losses and returns a month: whatever comes in whichever batches, each living account's turns count once."""

import itertools
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stream.view import months
from stream.view.keys import Keys
from stream.view.months import MONTHS_MAX, OTHER, PARTS, VALUES_MAX, WHOLE
from stream.view.totals import read_total
from stream.view.writing import Batch, ViewWriter
from tests.support.redis import RedisServer
from tests.support.snapshots import body, churn_change, snapshot
from tests.view.test_writing import keys_of, writer_of

_numbers = itertools.count()
ACCOUNTS: Final = ("A", "B", "C")
SEGMENT: Final = {"A": "retail", "B": None, "C": "re:tail"}
BEGIN: Final = datetime(2026, 1, 15, tzinfo=UTC)


def stored(client: Any, keys: Keys) -> dict[str, tuple[int, int]]:
    """Read what is counted: accounts and value at stake, by group and value."""
    found = {}
    for group in (WHOLE, PARTS):
        for value, packed in client.hgetall(keys.totals(group)).items():
            total = read_total(packed)
            found[f"{group}/{value.decode()}"] = (total.accounts, total.stake)
    return found


def recounted(events: dict[str, list[bytes]]) -> dict[str, tuple[int, int]]:
    """Count the events of the living accounts by hand."""
    accounts, stakes = Counter[str](), Counter[str]()
    for event in (body(one) for several in events.values() for one in several):
        if event["type"] == "account.churn_risk_changed":
            continue
        head = f"{event['occurred_at'][:7]}:{event['type'].removeprefix('account.')}"
        parts = [f"reason:{one}" for one in event["reasons"] or ["-"]]
        parts += [f"segment:{SEGMENT[event['account_id']] or '-'}", "owner:Ann"]
        for name in (f"{WHOLE}/{head}", *(f"{PARTS}/{head}:{part}" for part in parts)):
            accounts[name] += 1
            stakes[name] += int(event["value_at_stake"].replace(".", ""))
    return {name: (count, stakes[name]) for name, count in accounts.items()}


@st.composite
def histories(draw: st.DrawFn) -> list[tuple[str, bytes | None]]:
    """Draw churn events, each with its account, and erasures."""
    drawn: list[tuple[str, bytes | None]] = []
    sequences, incarnations = dict.fromkeys(ACCOUNTS, 0), dict.fromkeys(ACCOUNTS, 0)
    for number in range(draw(st.integers(1, 30))):
        account_id = draw(st.sampled_from(ACCOUNTS))
        if draw(st.integers(0, 9)) == 0:
            drawn.append((account_id, None))
            sequences[account_id], incarnations[account_id] = 0, incarnations[account_id] + 1
            continue
        sequences[account_id] += 1
        kind = draw(st.sampled_from(["lost", "recovered", "changed"]))
        event = churn_change(
            account_id,
            sequences[account_id],
            incarnation=incarnations[account_id],
            lost=kind == "lost",
            recovered=kind == "recovered",
            reasons=draw(st.sampled_from([[], ["overdue"], ["overdue", "complaint"]])),
            value_at_stake=draw(st.sampled_from(["0.00", "12.50"])),
            occurred_at=BEGIN + timedelta(days=9 * number),
        )
        drawn.append((account_id, event))
    return drawn


def _alive(account_id: str, incarnation: int) -> bytes:
    return snapshot(account_id, incarnation=incarnation, owner="Ann", segment=SEGMENT[account_id])


@settings(max_examples=60)
@given(drawn=histories(), size=st.integers(1, 7))
def test_months_are_what_counting_by_hand_gives(
    shared_redis: RedisServer, drawn: list[tuple[str, bytes | None]], size: int
) -> None:
    """However events are cut into batches, read again by a process started anew, and taken back by erasures."""
    client, application_id = shared_redis.client(), f"months{next(_numbers)}"
    writer = writer_of(client, application_id)
    writer.write(Batch({one: [_alive(one, 0)] for one in ACCOUNTS}), {})
    living: dict[str, list[bytes]] = {one: [] for one in ACCOUNTS}
    incarnations = dict.fromkeys(ACCOUNTS, 0)
    for first in range(0, len(drawn), size):
        batch = Batch()
        for account_id, event in drawn[first : first + size]:
            if event is None:
                incarnations[account_id] += 1
                living[account_id] = []
                batch.changes.pop(account_id, None)
                batch.snapshots.setdefault(account_id, []).extend([None, _alive(account_id, incarnations[account_id])])
            else:
                living[account_id].append(event)
                batch.changes.setdefault(account_id, []).append(event)
        writer.write(batch, {})
        writer = ViewWriter(client, application_id, 100)
        writer.load()
        writer.write(batch, {})
    found = stored(client, keys_of(writer, application_id))
    client.close()

    assert found == recounted(living)


def test_a_turn_is_counted_once_however_many_changes_came_between(client: Any) -> None:
    """The account's sequence decides, not the history that is kept of it: that is shorter than a redelivery may be."""
    writer = writer_of(client)
    writer.write(Batch({"A": [snapshot("A")]}), {})
    events = [churn_change("A", 1, lost=True), *(churn_change("A", number) for number in range(2, 40))]
    writer.write(Batch(changes={"A": events}), {})
    before = stored(client, keys_of(writer))

    writer.write(Batch(changes={"A": events}), {})

    assert before["months/2026-01:lost"] == (1, 9000)
    assert stored(client, keys_of(writer)) == before


def test_months_are_bounded(client: Any) -> None:
    """The last 24 are kept, counted from the latest; a turn that is older still is not counted."""
    writer = writer_of(client)
    writer.write(Batch({one: [snapshot(one)] for one in "ABC"}), {})
    for account_id, year in (("A", 2024), ("B", 2026), ("C", 2024)):
        event = churn_change(account_id, 1, lost=True, occurred_at=datetime(year, 1, 31, tzinfo=UTC))
        writer.write(Batch(changes={account_id: [event]}), {})

    found = stored(client, keys_of(writer))

    assert months.oldest_month("2026-01") == "2024-02"
    assert MONTHS_MAX == 24
    assert {name.partition("/")[2][:7] for name in found} == {"2026-01"}
    writer.write(Batch({"A": [None]}), {})
    assert stored(client, keys_of(writer)) == found


@pytest.mark.parametrize("erased", [False, True])
def test_values_are_bounded(client: Any, erased: bool) -> None:  # noqa: FBT001  # a column
    """Beyond 200 owners in a month the others are one, from which an erased account is taken back too."""
    writer = writer_of(client)
    names = [f"A{number}" for number in range(VALUES_MAX + 5)]
    writer.write(Batch({one: [snapshot(one, owner=one)] for one in names}), {})
    for some in (names[:VALUES_MAX], names[VALUES_MAX:]):
        writer.write(Batch(changes={one: [churn_change(one, 1, lost=True)] for one in some}), {})
    if erased:
        writer.write(Batch({names[-1]: [None], names[0]: [None]}), {})
    owners = {name: one for name, one in stored(client, keys_of(writer)).items() if ":owner:" in name}

    assert owners[f"{PARTS}/2026-01:lost:owner:{OTHER}"][0] == (4 if erased else 5)
    assert len(owners) == VALUES_MAX + (0 if erased else 1)
