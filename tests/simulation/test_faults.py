"""What is injected: each fault is what the truth says it is, and nothing else is wrong."""

from collections import Counter, defaultdict

from hypothesis import given
from hypothesis import strategies as st

from models.events import InputTopic
from models.fields import from_epoch_ms
from models.reasons import RefusalReason
from models.wire import Refusal, parse
from stream.simulation import LabelledRecord, Mark, Simulation, SimulationSpec
from stream.simulation.happening import encode
from stream.simulation.spec import DAY_MS

History = list[LabelledRecord]


def _first_of_each(history: History) -> dict[tuple[InputTopic, str], LabelledRecord]:
    firsts: dict[tuple[InputTopic, str], LabelledRecord] = {}
    for one in history:
        if one.mark is not Mark.MALFORMED:
            firsts.setdefault((one.record.topic, one.fields["event_id"]), one)
    return firsts


def test_every_other_record_is_accepted_as_it_was_meant(history: History) -> None:
    """A record that is not malformed is read as its own event, with the account's id as its key."""
    for record, persona, mark, reason, fields in history:
        if mark is Mark.MALFORMED:
            continue
        event = parse(record.topic, record.key, record.value)
        assert not isinstance(event, Refusal)
        assert (event.event_id, event.type, reason) == (fields["event_id"], fields["type"], None)
        assert record.key == persona.account_id.encode()


def test_a_malformed_record_is_refused_for_the_reason_that_the_truth_gives(
    history: History,
) -> None:
    """Only the record of 2099 can be read: that it lies in the future, a clock decides."""
    for labelled in history:
        if labelled.mark is Mark.MALFORMED:
            record = labelled.record
            got = parse(record.topic, record.key, record.value)
            if labelled.reason is RefusalReason.IN_THE_FUTURE:
                assert not isinstance(got, Refusal)
                assert from_epoch_ms(got.occurred_ms).year == 2099
            else:
                assert isinstance(got, Refusal)
                assert got.reason is labelled.reason


def test_every_kind_of_fault_is_there(history: History) -> None:
    """The malformed records cover the reasons that a file can hold."""
    assert {one.reason for one in history if one.mark is Mark.MALFORMED} == {
        RefusalReason.INVALID_JSON,
        RefusalReason.NOT_AN_OBJECT,
        RefusalReason.UNKNOWN_TYPE,
        RefusalReason.WRONG_TOPIC,
        RefusalReason.MISSING_FIELD,
        RefusalReason.INVALID_FIELD,
        RefusalReason.TIME_WITHOUT_OFFSET,
        RefusalReason.UNKNOWN_CURRENCY,
        RefusalReason.IN_THE_FUTURE,
    }


def test_faults_come_in_their_shares(history: History, spec: SimulationSpec) -> None:
    """Each share is met within a third."""
    marks = Counter(one.mark for one in history)
    accepted = marks[Mark.CLEAN] + marks[Mark.LATE]
    shares = {
        Mark.MALFORMED: spec.malformed_share,
        Mark.LATE: spec.late_share,
        Mark.DUPLICATE: spec.duplicate_share,
        Mark.CONFLICT: spec.conflict_share,
    }

    for mark, share in shares.items():
        assert 2 / 3 * share < marks[mark] / accepted < 4 / 3 * share


def test_a_line_is_one_line_of_text(history: History) -> None:
    """Every value is UTF-8 without a line break, so that a file of lines can hold it."""
    for one in history:
        assert "\n" not in one.record.value.decode()
        assert one.record.value.strip()


def test_late_records_are_days_late(history: History) -> None:
    """A record marked late is sent a day or more after it happened, a clean one soon."""
    for one in history:
        event = parse(one.record.topic, one.record.key, one.record.value)
        if isinstance(event, Refusal) or one.mark not in (Mark.LATE, Mark.CLEAN):
            continue
        delay_ms = one.record.produced_ms - event.occurred_ms
        if one.mark is Mark.LATE:
            assert DAY_MS <= delay_ms < 36 * DAY_MS
        elif event.type != "order.completed":  # an order may be held until it is cancelled
            assert delay_ms < DAY_MS


def test_a_duplicate_repeats_bytes_and_a_conflict_does_not(history: History) -> None:
    """Both repeat an id that came before; only the duplicate says the same again."""
    firsts = _first_of_each(history)
    for one in history:
        first = firsts[one.record.topic, one.fields["event_id"]] if _is_repeat(one) else one
        match one.mark:
            case Mark.DUPLICATE:
                assert first is not one
                assert first.record.value == one.record.value
            case Mark.CONFLICT:
                assert first is not one
                assert first.record.value != one.record.value
            case Mark.CLEAN | Mark.LATE:
                assert firsts[one.record.topic, one.fields["event_id"]] is one
            case Mark.MALFORMED:
                pass


def test_a_repeat_comes_while_the_first_is_remembered(history: History) -> None:
    """Between a record and its repetition, its account sends fewer than 32 others to the topic."""
    places: Counter[tuple[bytes, InputTopic]] = Counter()
    place_of: dict[tuple[InputTopic, str], int] = {}
    distances = defaultdict(list)
    for one in history:
        id_ = (one.record.topic, one.fields["event_id"])
        lane = (one.record.key, one.record.topic)
        if _is_repeat(one):
            distances[one.mark].append(places[lane] - place_of[id_])
        elif one.mark is not Mark.MALFORMED:
            places[lane] += 1
            place_of[id_] = places[lane]

    assert max(distances[Mark.DUPLICATE]) < 32
    assert max(distances[Mark.CONFLICT]) < 32


def test_some_cancellations_come_before_their_order(history: History) -> None:
    """Both orders of sending are there, and a cancellation says what its order said."""
    sent: dict[str, LabelledRecord] = {}
    before = after = 0
    for one in history:
        if one.mark not in (Mark.CLEAN, Mark.LATE) or one.record.topic is not InputTopic.ORDERS:
            continue
        match one.fields["type"]:
            case "order.completed":
                cancellation = sent.get(f"x{one.fields['order_id']}")
                before += cancellation is not None
                sent[one.fields["order_id"]] = one
                if cancellation is not None:
                    assert cancellation.fields["amount"] == one.fields["amount"]
                    assert cancellation.fields["ordered_at"] == one.fields["occurred_at"]
            case "order.cancelled":
                after += one.fields["order_id"] in sent
                sent[f"x{one.fields['order_id']}"] = one
            case _:
                pass

    assert before >= 10
    assert after > before


@given(data=st.binary(max_size=20))
def test_encoding_keeps_letters(data: bytes) -> None:
    """Text beyond ASCII is written as itself, not escaped."""
    text = data.decode("latin-1").replace('"', "").replace("\\", "")
    printable = "".join(letter for letter in text if letter.isprintable())

    assert encode({"name": printable}) == f'{{"name":"{printable}"}}'.encode()


def _is_repeat(one: LabelledRecord) -> bool:
    return one.mark in (Mark.DUPLICATE, Mark.CONFLICT)


def test_no_faults_means_none(simulation: Simulation) -> None:
    """With all shares at zero, every record is clean."""
    until = simulation.spec.until
    spec = SimulationSpec(
        until=until,
        accounts=20,
        malformed_share=0,
        late_share=0,
        duplicate_share=0,
        conflict_share=0,
    )

    assert {one.mark for one in Simulation(spec, 1).labelled_history()} == {Mark.CLEAN}
