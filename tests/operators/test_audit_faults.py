"""The audit finds what is planted: every kind of fault, by name, and nothing where there is none."""

import uuid
from collections.abc import Callable
from copy import deepcopy
from typing import Final

import msgspec
import pytest
from confluent_kafka import TopicPartition
from confluent_kafka.admin import AdminClient
from typer.testing import CliRunner

from models.codec import pack, unpack
from models.events import InputTopic
from models.policy import Policy
from models.portfolio import decode_cut_points, encode_cut_points
from processors.context import Context
from stream.administration import Administration
from stream.audit.auditing import Audit
from stream.audit.report import Fault, PartitionReport
from stream.checkpoint import CUT_POINTS_KEY, ReadStep
from stream.cli import app
from stream.records import OutRecord
from stream.settings import Settings, load_settings
from tests.operators.staged import Event, Staged, event, order, send, stage, write
from tests.support.broker import KafkaBroker

POLICY: Final = Policy(reporting_currency="GBP")
EVENTS: Final[list[Event | bytes]] = [
    *(order("A-1", day, "900") for day in range(0, 100, 10)),
    order("B-1", 3),
    b"not JSON",
    *(order("B-1", day, "20") for day in (5, 12, 30)),
    event("A-1", 101, "profile.updated", profile_version=1, name="Acme", ratings={}),
    event("B-1", 102, "ticket.opened", ticket_id="T-1", severity="critical"),
    order("A-1", 95, "5"),
    order("C-1", 103, "70", "USD"),
    order("C-1", 104, "70"),
    event("C-1", 105, "account.erased"),
    order("C-1", 104, "71"),
    order("C-1", 106, "72"),
    order("A-1", 500),
    order("A-1", 3000),
    order("A-1", 510),
    *(event("B-1", 512, "survey.answered", kind="csat", score=5, note=note) for note in "abc"),
]
"""Late ones, refused ones, one without a rate, an erasure and what comes after it, long silence, one too far ahead, one
that a snapshot tells nothing new of."""


@pytest.fixture
def variables(kafka: KafkaBroker) -> dict[str, str]:
    """An application with one partition, its inputs filled."""
    name = f"t{uuid.uuid4().hex[:12]}"
    found = {
        "ACCOUNT_HEALTH_BOOTSTRAP_SERVERS": kafka.bootstrap_servers,
        "ACCOUNT_HEALTH_APPLICATION_ID": name,
        "ACCOUNT_HEALTH_TOPIC_PREFIX": f"{name}.",
        "ACCOUNT_HEALTH_PARTITIONS": "1",
        "ACCOUNT_HEALTH_REPORTING_CURRENCY": "GBP",
        "ACCOUNT_HEALTH_CLOCK": "event",
        "ACCOUNT_HEALTH_FUTURE_TOLERANCE_HOURS": "26280",
        "ACCOUNT_HEALTH_SNAPSHOT_INTERVAL_MS": "0",
    }
    with Administration(load_settings(found)) as administration:
        administration.create()
    return found


@pytest.fixture
def settings(variables: dict[str, str]) -> Settings:
    """The same as settings; the inputs are filled."""
    found = load_settings(variables)
    send(found, EVENTS)
    return found


def _audit(settings: Settings, *policies: Policy) -> PartitionReport:
    (report,) = Audit(settings, map(Context, policies or (POLICY,)), lambda _: None).run()
    return report


def _first(staged: list[Staged], suffix: str) -> tuple[Staged, OutRecord]:
    """Find the first output to a topic."""
    return next((one, output) for one in staged for output in one.outputs if output.topic.endswith(suffix))


def _last(staged: list[Staged], suffix: str) -> tuple[Staged, OutRecord]:
    """Find the last output to a topic that has a value."""
    found = ((one, output) for one in reversed(staged) for output in reversed(one.outputs))
    return next((one, output) for one, output in found if output.topic.endswith(suffix) and output.value is not None)


def _without(suffix: str) -> Callable[[list[Staged]], None]:
    def spoil(staged: list[Staged]) -> None:
        one, output = _first(staged, suffix)
        one.outputs.remove(output)

    return spoil


def _twice(staged: list[Staged]) -> None:
    _, output = _first(staged, "tier-changes")
    staged[-1].outputs.append(output)


def _other_bytes(staged: list[Staged]) -> None:
    one, output = _first(staged, "churn-risk")
    one.outputs[one.outputs.index(output)] = output._replace(value=(output.value or b"") + b" ")


def _invented(staged: list[Staged]) -> None:
    _, output = _first(staged, "tier-changes")
    headers = [(name, b"A-1/0/tier/99" if name == "ce_id" else value) for name, value in output.headers]
    staged[2].outputs.append(output._replace(key=b"A-1", headers=headers))


def _foreign(staged: list[Staged]) -> None:
    _, output = _first(staged, "tier-changes")
    staged[2].outputs.append(output._replace(headers=[]))


def _old_snapshot(staged: list[Staged]) -> None:
    one, output = _last(staged, "snapshots")
    one.outputs.remove(output)


def _no_tombstone(staged: list[Staged]) -> None:
    # and nothing of the second life of the account that was erased
    for one in staged:
        one.outputs[:] = [output for output in one.outputs if output.value is not None]
    del staged[_erasure(staged) + 1 :]


def _erasure(staged: list[Staged]) -> int:
    return next(index for index, one in enumerate(staged) if (b"C-1", None) in one.states)


def _state(staged: list[Staged]) -> tuple[Staged, int]:
    """Find a state of A-1 in the middle."""
    one = next(one for one in staged[3:] if any(key == b"A-1" for key, _ in one.states))
    return one, next(index for index, (key, _) in enumerate(one.states) if key == b"A-1")


def _altered_state(staged: list[Staged]) -> None:
    one, index = _state(staged)
    key, value = one.states[index]
    state = unpack(value or b"")
    state.lifetime_revenue_minor += 1
    one.states[index] = (key, pack(state))


def _lost_state(staged: list[Staged]) -> None:
    one, index = _state(staged)
    del one.states[index]


def _doubled_state(staged: list[Staged]) -> None:
    one, index = _state(staged)
    one.states.insert(0, one.states[index])


def _late_state(staged: list[Staged]) -> None:
    one, index = _state(staged)
    staged.append(Staged(states=[one.states[index]]))


def _ahead(staged: list[Staged]) -> None:
    last = staged[-1]
    assert last.checkpoint is not None
    held = last.checkpoint.inputs[InputTopic.ORDERS]
    inputs = {
        **last.checkpoint.inputs,
        InputTopic.ORDERS: msgspec.structs.replace(held, next_offset=held.next_offset + 1),
    }
    last.checkpoint = msgspec.structs.replace(last.checkpoint, inputs=inputs)


def _lost_transaction(staged: list[Staged]) -> None:
    del staged[4]


def _repeated_transaction(staged: list[Staged]) -> None:
    staged.insert(5, deepcopy(staged[4]))


def _skipped_records(staged: list[Staged]) -> None:
    one = staged[4]
    assert one.checkpoint is not None
    first = next(step for step in one.checkpoint.steps if isinstance(step, ReadStep))
    skipped = msgspec.structs.replace(first, from_offset=first.from_offset + 1, records=first.records - 1)
    steps = [skipped if step is first else step for step in one.checkpoint.steps]
    one.checkpoint = msgspec.structs.replace(one.checkpoint, steps=steps)


def _other_cuts(staged: list[Staged]) -> None:
    one = staged[4]
    index = next(index for index, (key, _) in enumerate(one.states) if key == CUT_POINTS_KEY)
    cuts = decode_cut_points(one.states[index][1] or b"")
    assert cuts.revenue is not None
    larger = msgspec.structs.replace(cuts.revenue, accounts=100 * cuts.revenue.accounts)
    one.states[index] = CUT_POINTS_KEY, encode_cut_points(msgspec.structs.replace(cuts, revenue=larger))


def _unreadable_cuts(staged: list[Staged]) -> None:
    one = staged[4]
    one.states[:] = [(key, b"\xff" if key == CUT_POINTS_KEY else value) for key, value in one.states]


def _other_clock(staged: list[Staged]) -> None:
    one = staged[4]
    assert one.checkpoint is not None
    one.checkpoint = msgspec.structs.replace(one.checkpoint, clock_ms=one.checkpoint.clock_ms + 1)


def test_nothing_is_found_where_nothing_is_planted(settings: Settings) -> None:
    """Late events, refusals, an erasure and a second life are replayed to the byte, from the first record on."""
    staged = stage(settings, POLICY)
    write(settings, staged)

    report = _audit(settings)

    assert report.named == []
    assert report.records == len(EVENTS)
    assert report.audited == report.transactions == len(staged)
    assert report.outputs == sum(output.value is not None for one in staged for output in one.outputs)
    topics = {output.topic.removeprefix(settings.topic_prefix) for one in staged for output in one.outputs}
    assert topics == {"tier-changes", "churn-risk", "snapshots", "dead-letters"}


@pytest.mark.parametrize(
    ("spoil", "kind", "told"),
    [
        pytest.param(_without("tier-changes"), Fault.MISSING, "tier A-1/0/1 is nowhere", id="a lost tier change"),
        pytest.param(_without("churn-risk"), Fault.MISSING, "churn ", id="a lost churn event"),
        pytest.param(_without("dead-letters"), Fault.MISSING, "dead-letter ", id="a lost dead letter"),
        pytest.param(_twice, Fault.TWICE, "tier A-1/0/1 is at ", id="a tier change twice"),
        pytest.param(_other_bytes, Fault.DIFFERENT, "holds other bytes", id="a churn event with a byte more"),
        pytest.param(_invented, Fault.UNEXPECTED, "tier A-1/0/99", id="an invented tier change"),
        pytest.param(
            _foreign, Fault.UNEXPECTED, "a record that no worker wrote at", id="a tier change that no worker wrote"
        ),
        pytest.param(_old_snapshot, Fault.SNAPSHOT, ": the last is ", id="a snapshot that is not the last"),
        pytest.param(_no_tombstone, Fault.SNAPSHOT, "and it was erased", id="a snapshot of who was erased"),
        pytest.param(_altered_state, Fault.STATE, "differs in lifetime_revenue_minor", id="an altered state"),
        pytest.param(_lost_state, Fault.STATE, "wrote no record of it", id="a lost state"),
        pytest.param(_doubled_state, Fault.STATE, "belongs to no transaction", id="a state between transactions"),
        pytest.param(_late_state, Fault.STATE, "follows the last checkpoint", id="a state after the last checkpoint"),
        pytest.param(_ahead, Fault.CHECKPOINT, "its steps lead to", id="a checkpoint one record ahead"),
        pytest.param(_lost_transaction, Fault.GAP, "were never read", id="a lost transaction"),
        pytest.param(_repeated_transaction, Fault.OVERLAP, "were read twice", id="a transaction twice"),
        pytest.param(_skipped_records, Fault.GAP, "were never read", id="a record that was not read"),
        pytest.param(_other_cuts, Fault.STATE, "differs in ", id="cut points that are not those of the states"),
        pytest.param(_unreadable_cuts, Fault.STATE, "newer than", id="cut points that cannot be read"),
        pytest.param(_other_clock, Fault.CHECKPOINT, "the clock is", id="a clock that nothing moved"),
    ],
)
def test_a_planted_fault_is_named(
    settings: Settings, spoil: Callable[[list[Staged]], None], kind: Fault, told: str
) -> None:
    """Whatever is lost, doubled, altered or invented is told with its kind and place."""
    staged = stage(settings, POLICY)
    spoil(staged)
    write(settings, staged)

    report = _audit(settings)

    assert report.faults[kind] > 0, report.named
    assert any(text.startswith(f"{kind}: ") and told in text for text in report.named), report.named


def _compacted(staged: list[Staged], cleaned: int) -> list[Staged]:
    """Leave of the first transactions what compaction leaves: the last state of each key, the last checkpoint."""
    kept = Staged(checkpoint=staged[cleaned - 1].checkpoint)
    for one in staged[:cleaned]:
        kept.outputs += one.outputs
        for key, value in one.states:
            kept.states = [(other, held) for other, held in kept.states if other != key]
            kept.states.append((key, value))
    return [kept, *staged[cleaned:]]


def test_a_compacted_log_is_audited_from_where_it_is_whole(settings: Settings) -> None:
    """What compaction left is the base, two transactions are taken as they are, the others replayed to the byte."""
    staged = stage(settings, POLICY)
    write(settings, _compacted(staged, 6))

    report = _audit(settings)

    assert report.named == []
    assert report.taken == {"the state topic was compacted: what was before is gone": 2}
    assert report.audited == len(staged) - 7


def test_a_fault_is_found_behind_a_compacted_log(settings: Settings) -> None:
    """A base does not hide what is wrong after it."""
    staged = stage(settings, POLICY)
    one, output = _last(staged, "tier-changes")
    one.outputs.remove(output)
    write(settings, _compacted(staged, 6))

    report = _audit(settings)

    assert report.faults == {Fault.MISSING: 1}, report.named


def test_the_whole_log_can_be_demanded(variables: dict[str, str], settings: Settings) -> None:
    """With --from-beginning a compacted log fails the audit, without it only says how far it could look."""
    write(settings, _compacted(stage(settings, POLICY), 6))
    environ = {**variables, "COLUMNS": "200"}

    tolerant = CliRunner().invoke(app, ["audit"], env=environ)
    strict = CliRunner().invoke(app, ["audit", "--from-beginning"], env=environ)

    assert (tolerant.exit_code, strict.exit_code) == (0, 1), tolerant.output + strict.output
    assert "2 transactions were taken as they are: the state topic was compacted" in tolerant.output
    assert "2 transactions could not be audited: the state topic was compacted" in strict.output


def test_lost_cut_points_are_told(settings: Settings) -> None:
    """What was compared with cut points that are gone is taken as it is, until others are adopted."""
    staged = stage(settings, POLICY)
    one = staged[5]
    one.states[:] = [(key, value) for key, value in one.states if key != CUT_POINTS_KEY]
    write(settings, staged)

    report = _audit(settings)

    # The transaction after it adopts others, but it is not known under which ones it began.
    assert report.taken == {
        "cut points that were adopted are gone from the state topic": 1,
        "the cut points in force are gone from the state topic": 1,
    }
    assert (report.named, report.audited) == ([], len(staged) - 2)


def test_a_policy_that_is_not_known_is_asked_for(settings: Settings) -> None:
    """What was decided under a policy that the audit does not have is taken as it is, and the policy is named."""
    staged = stage(settings, POLICY)
    write(settings, staged)
    other = Policy(reporting_currency="GBP", revision=2, window_days=(30, 90, 366))

    report = _audit(settings, other)

    (reason,) = report.taken
    assert POLICY.version in reason
    assert "--policy FILE" in reason
    assert (report.named, report.audited) == ([], 0)
    assert _audit(settings, other, POLICY).audited == len(staged)


def test_what_was_recorded_decides_and_not_the_settings(variables: dict[str, str], settings: Settings) -> None:
    """The clock and the tolerance of then are in the checkpoints: other settings of now change nothing."""
    staged = stage(settings, POLICY)
    write(settings, staged)
    refused = [
        dict(one.headers)["dead_letter_reason"]
        for each in staged
        for one in each.outputs
        if one.key == b"A-1" and one.topic.endswith("dead-letters")
    ]
    other = {**variables, "ACCOUNT_HEALTH_CLOCK": "live", "ACCOUNT_HEALTH_FUTURE_TOLERANCE_HOURS": "80000"}

    report = _audit(load_settings(other))

    assert b"in_the_future" in refused
    assert (report.named, report.audited) == ([], len(staged))


def test_what_a_topic_no_longer_keeps_is_not_missing(settings: Settings) -> None:
    """Outputs older than the oldest that is kept are counted as expired."""
    staged = stage(settings, POLICY)
    write(settings, staged)
    tier_changes = [output for one in staged for output in one.outputs if output.topic.endswith("tier-changes")]
    admin = AdminClient({"bootstrap.servers": settings.bootstrap_servers})
    first = TopicPartition(settings.topics.tier_changes, 0, 3)
    for future in admin.delete_records([first]).values():
        future.result(30)

    report = _audit(settings)

    assert report.named == []
    assert 0 < report.expired <= len(tier_changes)


def test_records_that_retention_removed_are_not_replayed(settings: Settings) -> None:
    """Transactions whose input records are gone are taken as they are; those after them are replayed."""
    staged = stage(settings, POLICY)
    write(settings, staged)
    admin = AdminClient({"bootstrap.servers": settings.bootstrap_servers})
    for future in admin.delete_records([TopicPartition(settings.topics.orders, 0, 9)]).values():
        future.result(30)

    report = _audit(settings)

    assert report.named == []
    assert report.taken == {f"{settings.topics.orders} keeps nothing before offset 9": 5}
    assert report.audited == len(staged) - 5
