"""Writing the view: whatever comes in whichever batches, Redis holds what the topics say."""

import itertools
from typing import Any, Final

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stream.view import keys as names
from stream.view.account import HISTORY_MAX, account_of
from stream.view.arrangement import Sort
from stream.view.entry import decode_body, entry_of, order_of
from stream.view.keys import RANKED_DIMENSIONS, Keys
from stream.view.packing import SCHEMA, unpack
from stream.view.record import packed_snapshot, read_record, read_snapshot, value_of
from stream.view.totals import Total
from stream.view.writing import Batch, ViewConflictError, ViewWriter
from tests.support.redis import RedisServer
from tests.support.snapshots import churn_change, snapshot, tier_change

APPLICATION: Final = "test"
_numbers = itertools.count()


def writer_of(client: Any, application_id: str = APPLICATION, changes_kept: int = 100) -> ViewWriter:
    """Make a writer with a view of its own, just begun."""
    writer = ViewWriter(client, application_id, changes_kept)
    writer.load()
    writer.begin({})
    return writer


def keys_of(writer: ViewWriter, application_id: str = APPLICATION) -> Keys:
    """Give the keys of its build."""
    return Keys(application_id, writer.meta[names.BUILD])


def contents(client: Any, keys: Keys) -> dict[str, Any]:
    """Read all keys of a build, by what follows their common beginning."""
    found: dict[str, Any] = {}
    for key in client.scan_iter(match=f"{keys.prefix}*".replace("{", "[{]")):
        kind = client.type(key)
        name = key.decode().removeprefix(keys.prefix)
        match kind:
            case b"string":
                found[name] = client.get(key)
            case b"hash":
                found[name] = client.hgetall(key)
            case b"set":
                found[name] = set(client.smembers(key))
            case b"zset":
                found[name] = client.zrange(key, 0, -1)
            case b"stream":
                found[name] = [unpack(fields[names.EVENT]) for _, fields in client.xrange(key)]
    return found


def expected_indexes(bodies: dict[str, bytes]) -> dict[str, Any]:
    """Work out from snapshots alone what the indexes must be."""
    keys, found = Keys("", b""), dict[str, Any]()
    totals: dict[str, dict[str, Total]] = {}
    for account_id, value in bodies.items():
        entry = entry_of(decode_body(value))
        for sort, member in entry.orders:
            found.setdefault(keys.order(sort, entry.cell).removeprefix(keys.prefix), set()).add(member)
        for dimension, one in entry.sets:
            found.setdefault(f"set:{dimension}:{one}", set()).add(account_id.encode())
        for group, one in entry.totals:
            totals.setdefault(group, {}).setdefault(one, Total()).add(entry, 1)
    for group, values in totals.items():
        found[f"totals:{group}"] = {value.encode(): total.packed() for value, total in values.items()}
        if group in RANKED_DIMENSIONS:
            found[f"ranked:{group}"] = set(found[f"totals:{group}"])
    return found


def indexes(found: dict[str, Any]) -> dict[str, Any]:
    """Keep the indexes of what was read, ordered sets as sets."""
    return {
        name: set(value) if isinstance(value, list) else value
        for name, value in found.items()
        if not name.startswith("account:") and name != "changes"
    }


def bodies(found: dict[str, Any]) -> dict[str, bytes]:
    """Keep the snapshots of what was read."""
    packed = {
        name.removeprefix("account:"): packed_snapshot(record)
        for name, record in found.items()
        if name.startswith("account:")
    }
    return {account_id: read_snapshot(one) for account_id, one in packed.items() if one is not None}


ACCOUNTS: Final = ("A", "B", "C")


@st.composite
def records(draw: st.DrawFn) -> list[tuple[str, str, bytes | None]]:
    """Draw what the topics hold: kind, account, value; snapshots and changes of an account each in their order."""
    drawn: list[tuple[str, str, bytes | None]] = []
    revisions, incarnations = dict.fromkeys(ACCOUNTS, 0), dict.fromkeys(ACCOUNTS, 0)
    sequences = dict.fromkeys(ACCOUNTS, 0)
    for _ in range(draw(st.integers(1, 25))):
        account_id = draw(st.sampled_from(ACCOUNTS))
        match draw(st.sampled_from(["snapshot", "snapshot", "snapshot", "erase", "change"])):
            case "snapshot":
                revisions[account_id] += draw(st.integers(1, 3))
                value = snapshot(
                    account_id,
                    revisions[account_id],
                    incarnation=incarnations[account_id],
                    name=draw(st.sampled_from(["Acme Trading Ltd", "Zoë & Söhne", None])),
                    tier=draw(st.sampled_from(["key", "basic"])),
                    score=draw(st.sampled_from([None, 0.0, 99.99])),
                    revenue=draw(st.sampled_from(["-5.00", "0.00", "1234.50"])),
                    risk=draw(st.sampled_from([None, 0.25])),
                    level=draw(st.sampled_from(["low", "lost"])),
                    owner=draw(st.sampled_from(["Ann", "Bob", None])),
                    abc_revenue=draw(st.sampled_from(["A", None])),
                    account_types=draw(st.sampled_from([[], ["breadwinner", "image_maker"]])),
                )
                drawn.append(("snapshot", account_id, value))
            case "erase":
                drawn.append(("snapshot", account_id, None))
                if revisions[account_id]:
                    incarnations[account_id] += 1
                    revisions[account_id] = sequences[account_id] = 0
            case _:
                sequences[account_id] += 1
                make = draw(st.sampled_from([tier_change, churn_change]))
                event = make(account_id, sequences[account_id], incarnation=incarnations[account_id])
                drawn.append(("change", account_id, event))
    return drawn


def batches_of(drawn: list[tuple[str, str, bytes | None]], sizes: list[int]) -> list[Batch]:
    """Cut records into batches."""
    batches: list[Batch] = []
    left = list(drawn)
    for size in itertools.cycle(sizes):
        if not left:
            return batches
        batch = Batch()
        for kind, account_id, value in left[:size]:
            if kind == "snapshot":
                batch.snapshots.setdefault(account_id, []).append(value)
            else:
                assert value is not None
                batch.changes.setdefault(account_id, []).append(value)
        batches.append(batch)
        left = left[size:]
    raise AssertionError("cycle never ends")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(drawn=records(), sizes=st.lists(st.integers(1, 6), min_size=1, max_size=4), again=st.booleans())
def test_the_view_is_what_the_topics_say_however_they_are_cut(
    shared_redis: RedisServer,
    drawn: list[tuple[str, str, bytes | None]],
    sizes: list[int],
    again: bool,  # noqa: FBT001  # a column
) -> None:
    """Accounts are the last snapshots, indexes follow from them alone, and batches that come again change nothing."""
    client, application_id = shared_redis.client(), f"t{next(_numbers)}"
    writer = writer_of(client, application_id)
    last: dict[str, bytes] = {}
    for kind, account_id, value in drawn:
        if kind == "snapshot" and value is not None:
            last[account_id] = value
        elif kind == "snapshot":
            last.pop(account_id, None)
    batches = batches_of(drawn, sizes)
    for batch in batches:
        writer.write(batch, {})
    if again:
        # The last batch once more, by a process that was started anew.
        writer = ViewWriter(client, application_id, 100)
        writer.load()
        writer.write(batches[-1], {})
    found = contents(client, keys_of(writer, application_id))
    client.close()

    assert bodies(found) == last
    assert indexes(found) == expected_indexes(last)
    shown = [event for event in found.get("changes", []) if event]
    assert len(set(shown)) == len(shown)
    for account_id in last:
        stored = account_of(found[f"account:{account_id}"])
        assert set(stored.history) == {one for one in shown if f'"account_id":"{account_id}"'.encode() in one}


def test_writing_a_view_again_changes_nothing(client: Any) -> None:
    """An older snapshot, the same one again and a change that is known are counted as stale."""
    writer = writer_of(client)
    batch = Batch({"A": [snapshot("A", 7)]}, {"A": [tier_change("A", 1)]}, {("snapshots", 0): 5})
    assert writer.write(batch, {}).snapshots == 1
    before = contents(client, keys_of(writer))

    again = writer.write(Batch({"A": [snapshot("A", 7), snapshot("A", 6)]}, {"A": [tier_change("A", 1)]}), {})

    assert (again.stale_snapshots, again.stale_changes) == (2, 1)
    assert contents(client, keys_of(writer)) == before


def test_an_erased_account_is_gone_with_its_changes(client: Any) -> None:
    """Its record, indexes, totals and entries in the stream of changes: nothing is left, and the others stay."""
    writer = writer_of(client)
    writer.write(
        Batch(
            {one: [snapshot(one, owner="Ann", abc_revenue="A")] for one in "AB"},
            {one: [tier_change(one, 1), churn_change(one, 1)] for one in "AB"},
        ),
        {},
    )

    assert writer.write(Batch({"A": [None]}), {}).erasures == 1

    found = contents(client, keys_of(writer))
    assert bodies(found).keys() == {"B"}
    assert indexes(found) == expected_indexes(bodies(found))
    assert len(found["changes"]) == 2
    assert b'"A"' not in b"".join(found["changes"])
    assert "account:A" not in found


def test_a_change_waits_for_its_account_and_is_shown_with_it(client: Any) -> None:
    """A change that is read before the first snapshot is not lost; until then nobody sees it, and it expires."""
    writer = writer_of(client)
    writer.write(Batch(changes={"A": [tier_change("A", 1)]}), {})
    keys = keys_of(writer)
    assert "changes" not in contents(client, keys)
    assert client.ttl(keys.account("A")) > 0

    writer.write(Batch({"A": [snapshot("A")]}), {})

    assert contents(client, keys)["changes"] == [tier_change("A", 1)]
    assert client.ttl(keys.account("A")) == -1


def test_a_change_of_an_erased_incarnation_is_dropped(client: Any) -> None:
    """What the erased account did is not shown to whoever sees its successor, and the successor's changes are."""
    writer = writer_of(client)
    writer.write(Batch({"A": [snapshot("A", 9), None, snapshot("A", 1, incarnation=1)]}), {})

    written = writer.write(
        Batch(changes={"A": [tier_change("A", 3), tier_change("A", 1, incarnation=1, tier="key")]}), {}
    )

    assert (written.stale_changes, written.changes) == (1, 1)
    found = contents(client, keys_of(writer))
    assert found["changes"] == [tier_change("A", 1, incarnation=1, tier="key")]
    assert bodies(found) == {"A": snapshot("A", 1, incarnation=1)}


def test_the_stream_and_the_history_of_changes_are_bounded(client: Any) -> None:
    """The stream keeps as many as it was told to, an account its last twenty."""
    writer = writer_of(client, changes_kept=100)
    writer.write(Batch({"A": [snapshot("A")]}), {})
    for first in range(1, 151, 50):
        writer.write(Batch(changes={"A": [tier_change("A", n) for n in range(first, first + 50)]}), {})
    keys = keys_of(writer)
    found = contents(client, keys)

    assert found["changes"] == [tier_change("A", n) for n in range(51, 151)]
    _, rest = read_record(found["account:A"])
    assert rest.changes == [tier_change("A", n) for n in range(151 - HISTORY_MAX, 151)]
    assert client.hget(f"{{{APPLICATION}}}:view:meta", names.CHANGES) == b"150"


def test_of_two_writers_one_finds_out(client: Any) -> None:
    """Neither writes over the other: the one that is behind is told, reads again, and goes on."""
    first = writer_of(client)
    second = ViewWriter(client, APPLICATION, 100)
    second.load()
    first.write(Batch({"A": [snapshot("A")]}, positions={("snapshots", 0): 1}), {})

    with pytest.raises(ViewConflictError):
        second.write(Batch({"B": [snapshot("B")]}, positions={("snapshots", 0): 1}), {})

    second.load()
    assert second.meta[b"position:snapshots:0"] == b"1"
    second.write(Batch({"B": [snapshot("B")]}, positions={("snapshots", 0): 2}), {})
    found = contents(client, keys_of(second))
    assert indexes(found) == expected_indexes({"A": snapshot("A"), "B": snapshot("B")})


def test_of_two_builds_one_is_swept_and_the_other_stays(client: Any) -> None:
    """A build that is begun while another one writes has its own keys; only the others are removed."""
    client.set("somebody-else", "1")
    writer = writer_of(client)
    writer.write(Batch({"A": [snapshot("A")]}), {})
    old = keys_of(writer)
    writer.begin({})
    writer.sweep(lambda: True)
    writer.write(Batch({"B": [snapshot("B")]}), {})

    assert contents(client, old) == {}
    assert bodies(contents(client, keys_of(writer))).keys() == {"B"}
    assert client.get("somebody-else") == b"1"


def test_who_is_overtaken_while_it_sweeps_removes_nothing_of_the_next_build(client: Any) -> None:
    """Of two processes that begin anew, the first one still sweeps when the second one writes already."""
    first, second = writer_of(client), ViewWriter(client, APPLICATION, 100)
    second.load()
    second.begin({})
    second.write(Batch({"A": [snapshot("A")]}), {})

    with pytest.raises(ViewConflictError):
        first.sweep(lambda: True)

    assert indexes(contents(client, keys_of(second))) == expected_indexes({"A": snapshot("A")})
    assert bodies(contents(client, keys_of(second))).keys() == {"A"}


def test_a_view_of_another_version_is_not_read(client: Any) -> None:
    """What another version left behind is no view for this one, and is removed when the next build begins."""
    writer = writer_of(client)
    writer.write(Batch({"A": [snapshot("A")]}), {})
    client.hset(f"{{{APPLICATION}}}:view:meta", names.SCHEMA, "0-other")

    other = ViewWriter(client, APPLICATION, 100)
    other.load()

    assert (other.is_foreign, other.meta, other.accounts) == (True, {}, 0)
    other.begin({})
    other.sweep(lambda: True)
    assert other.meta[names.SCHEMA] == SCHEMA.encode()
    assert contents(client, keys_of(other)) == {}
    assert sorted(client.keys()) == [f"{{{APPLICATION}}}:view:meta".encode()]


def test_a_record_tells_the_order_of_its_account_without_being_inflated(client: Any) -> None:
    """By every value, also by those that the account does not have."""
    writer = writer_of(client)
    said = {
        "A": snapshot("A", score=50.0, level="low"),
        "B": snapshot("B", score=None, level="lost", value_lost="5.00"),
    }
    writer.write(Batch({one: [value] for one, value in said.items()}), {})

    for account_id, value in said.items():
        record = client.get(keys_of(writer).account(account_id))
        for sort in set(Sort) - {Sort.NAME}:
            assert value_of(record, sort) + account_id.encode() == order_of(decode_body(value), sort)


@pytest.mark.parametrize("value", [b"", b"{}", b'{"account_id":1}', b"\xff", b"[1]"])
def test_what_is_no_snapshot_is_counted_and_passed_over(client: Any, value: bytes) -> None:
    """A record that somebody else wrote stops nothing."""
    writer = writer_of(client)

    written = writer.write(Batch({"A": [value], "B": [snapshot("B")]}, {"C": [value]}), {})

    assert (written.unreadable_snapshots, written.unreadable_changes, written.snapshots) == (1, 1, 1)
    assert bodies(contents(client, keys_of(writer))).keys() == {"B"}
