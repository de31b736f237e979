"""The seed and the spec decide everything, and nothing else does."""

import itertools
from collections import Counter
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.events import InputTopic
from models.fields import from_epoch_ms
from stream.simulation import LabelledRecord, Mark, Simulation, SimulationSpec
from stream.simulation.happening import instant

SMALL = SimulationSpec(until=date(2026, 3, 31), accounts=12, days=200)
END = datetime(2026, 4, 1, tzinfo=UTC)


def test_the_same_seed_gives_the_same_records() -> None:
    """Two simulations of one seed send the same bytes at the same times."""
    assert list(Simulation(SMALL, 3).history()) == list(Simulation(SMALL, 3).history())


def test_another_seed_gives_another_company() -> None:
    """No two seeds share a value."""
    one = {record.value for record in Simulation(SMALL, 3).history()}
    other = {record.value for record in Simulation(SMALL, 4).history()}

    assert not one & other


def test_more_accounts_leave_the_earlier_ones_as_they_are() -> None:
    """The first twelve accounts of a company of thirty send what a company of twelve sends."""
    larger = SimulationSpec(until=SMALL.until, days=SMALL.days, accounts=30)
    first = {persona.account_id.encode() for persona in Simulation(SMALL, 3).personas()}

    same = [record for record in Simulation(larger, 3).history() if record.key in first]

    assert same == list(Simulation(SMALL, 3).history())


def test_faults_do_not_change_what_happened() -> None:
    """With other shares of faults, the same orders are placed."""
    clean = SimulationSpec(
        until=SMALL.until,
        days=SMALL.days,
        accounts=SMALL.accounts,
        malformed_share=0,
        late_share=0,
        duplicate_share=0,
        conflict_share=0,
    )

    def placed(spec: SimulationSpec) -> set[str]:
        latest = instant(spec.end_ms - 40 * 86_400_000)
        return {
            one.fields["event_id"]
            for one in Simulation(spec, 3).labelled_history()
            if one.record.topic is InputTopic.ORDERS and one.fields["occurred_at"] < latest
        }

    assert placed(clean) == placed(SMALL)
    assert {one.mark for one in Simulation(clean, 3).labelled_history()} == {Mark.CLEAN}


def test_live_goes_on_where_the_history_ends() -> None:
    """A longer history is the shorter one and what was live after it."""
    simulation = Simulation(SMALL, 3)
    before = list(simulation.history())
    longer = list(simulation.history(END + timedelta(days=60)))

    after = list(itertools.islice(simulation.live(END), len(longer) - len(before)))

    assert after
    assert before + after == longer


def test_live_takes_the_company_on() -> None:
    """For years after the history, accounts go on ordering and new ones are acquired."""
    known = {persona.account_id.encode() for persona in Simulation(SMALL, 3).personas()}
    records = list(itertools.islice(Simulation(SMALL, 3).live(END), 5_000))

    orders = Counter(record.key in known for record in records if record.topic is InputTopic.ORDERS)
    assert min(orders[True], orders[False]) > 50
    assert from_epoch_ms(records[-1].produced_ms) > END + timedelta(days=365)


@pytest.mark.parametrize("method", ["history", "live"])
def test_a_moment_needs_an_offset(method: str) -> None:
    """A moment that names no instant is refused at once."""
    naive = END.replace(tzinfo=None)

    with pytest.raises(ValueError, match="offset"):
        getattr(Simulation(SMALL, 3), method)(naive)


@given(
    seed=st.integers(),
    accounts=st.integers(1, 6),
    days=st.integers(1, 90),
    currency=st.sampled_from(["EUR", "JPY", "KWD"]),
)
def test_every_company_is_sent_in_order(seed: int, accounts: int, days: int, currency: str) -> None:
    """Records come by the time of sending, within the period, none sent before it happened."""
    spec = SimulationSpec(until=date(2024, 2, 29), accounts=accounts, days=days, currency=currency)
    history = list(Simulation(spec, seed).labelled_history())

    sent_ms = [labelled.record.produced_ms for labelled in history]
    assert sent_ms == sorted(sent_ms)
    assert all(spec.first_day * 86_400_000 <= moment < spec.end_ms for moment in sent_ms)
    assert len({labelled.persona for labelled in history}) <= accounts
    assert all(_sent_after_it_happened(labelled) for labelled in history)


def _sent_after_it_happened(labelled: LabelledRecord) -> bool:
    occurred_at = datetime.fromisoformat(labelled.fields["occurred_at"])
    return occurred_at < from_epoch_ms(labelled.record.produced_ms)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("accounts", 0),
        ("days", 0),
        ("days", 20_000),
        ("currency", "EURO"),
        ("malformed_share", -0.1),
        ("late_share", 0.6),
        ("until", date(2099, 1, 1)),
    ],
)
def test_a_spec_out_of_range_is_refused(field: str, value: object) -> None:
    """The message names the field."""
    values = {"until": date(2026, 1, 1)} | {field: value}

    with pytest.raises(ValueError, match=field):
        SimulationSpec(**values)  # type: ignore[arg-type]  # wrong on purpose
