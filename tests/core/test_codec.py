"""The packed state: bytes that every later program reads, and that say who is due without being unpacked."""

import json
import struct
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from models.codec import (
    FIGURES_BYTES,
    FORMAT,
    NO_BUDGET,
    NO_DAY,
    NO_PROFIT,
    StateFormatError,
    figures,
    header,
    pack,
    unpack,
)
from models.events import OrderCompleted
from models.orders import NANO_MAX, Order, order_of
from models.outputs import ChurnLevel, Tier
from models.state import (
    AccountState,
    ComponentPoints,
    OpenTicket,
    ProfileRating,
    ProfileState,
    SupportDay,
    SurveyAnswer,
)
from processors.recent import fingerprint
from tests.support.tables import Row, table

GOLDEN: Final = Path(__file__).parents[1] / "golden" / "state-1.json"

MINIMAL: Final = AccountState("A")
RICH: Final = AccountState(
    account_id="Müller & Söhne/7",
    incarnation=1,
    revision=42,
    published_revision=41,
    tier_sequence=3,
    churn_sequence=2,
    configuration="0123456789ab+m-1",
    as_of_ms=1_769_860_800_123,
    as_of_day=20_484,
    due_day=20_491,
    days=[20_300, 20_484],
    revenue_minor=[-2_500, 10**13],
    orders=[-1, 2],
    costed_revenue_minor=[0, 99_999],
    cost_minor=[0, 60_000],
    lifetime_orders=9,
    lifetime_revenue_minor=10**15,
    lifetime_costed_revenue_minor=99_999,
    lifetime_cost_minor=60_000,
    lifetime_service_cost_minor=4_000,
    old_order_days=4,
    old_first_order_day=18_000,
    old_last_order_day=20_100,
    old_block=670,
    old_block_revenue_minor=-7,
    old_block_orders=3,
    product_lines={"pumps": 20_300, "Ventile": 20_484},
    recent_orders=bytes(range(24)),
    recent_support=bytes(12),
    recent_profiles=b"\xff" * 12,
    open_tickets=[OpenTicket("T-1", "critical", 20_480)],
    support_days=[SupportDay(20_480, "oc", 1), SupportDay(20_480, "sb", 2)],
    surveys=[SurveyAnswer(20_470, "csat", 4), SurveyAnswer(20_471, "nps", 0)],
    profile=ProfileState(
        version=5,
        name="Müller",
        segment="industry",
        industry="pumps",
        region="EMEA",
        owner="kim",
        crm_url="https://crm.example/7",
        parent_id="A-0",
        customer_since_day=12_345,
        budget_minor=5_000_000,
        renewal_day=20_600,
        ratings={"market_share": ProfileRating(82.5, 20_400)},
        override_tier="key",
        override_reason="strategic",
        override_until_day=20_500,
    ),
    portfolio_version=12,
    year_revenue_minor=10**13 - 2_500,
    year_profit_minor=39_999,
    year_orders=1,
    parts=0b100_0110_0000_0011,
    tier="growth",
    earned_tier="key",
    graded=True,
    graded_day=20_450,
    tier_before="key",
    below_since_days=[20_450, None, None],
    score=6_512,
    graded_score=7_001,
    graded_points=[ComponentPoints("revenue", 7_001, 40, 7_001), ComponentPoints("profit", None, 35, 0)],
    churn_level="medium",
    risk=5_123,
    lost_day=20_470,
    value_lost_minor=12_345,
    recovered_day=20_460,
    published_hash=2**64 - 1,
)
EXAMPLES: Final = {"minimal": MINIMAL, "rich": RICH}


def test_the_rich_example_uses_every_field() -> None:
    """No field of the rich example has its default, or the golden bytes would not show it."""
    for rich in (RICH, RICH.profile):
        assert rich is not None
        defaults = type(rich)("A") if isinstance(rich, AccountState) else ProfileState(5)
        same = [
            name
            for name in type(rich).__struct_fields__
            if getattr(rich, name) == getattr(defaults, name) and name != "version"
        ]
        assert same == []


@pytest.mark.parametrize("name", EXAMPLES)
def test_released_bytes_are_read_and_written(name: str) -> None:
    """Bytes of format 1 are read as what was packed, and today's program packs the same bytes."""
    golden = json.loads(GOLDEN.read_text(encoding="utf-8"))
    packed = bytes.fromhex(golden[name])

    assert unpack(packed) == EXAMPLES[name]
    assert pack(EXAMPLES[name]).hex() == golden[name], "format 1 is released: write a new format and an upgrade"


def test_the_fingerprint_of_an_event_is_part_of_the_format() -> None:
    """What a state remembers of an event is the same in every release, whatever made the event."""
    golden = json.loads(GOLDEN.read_text(encoding="utf-8"))
    raw = {
        "event_id": "e-1",
        "account_id": "A",
        "type": "order.completed",
        "occurred_at": "2026-01-31T12:00:00Z",
        "order_id": "O",
        "amount": "12.50",
        "currency": "EUR",
    }
    order = order_of(OrderCompleted.model_validate(raw))

    assert fingerprint(order).hex() == golden["fingerprint"]
    for same in (
        {"occurred_at": datetime(2026, 1, 31, 12, tzinfo=UTC)},
        {"occurred_at": "2026-01-31T13:00:00+01:00"},
        {"amount": 12.5},
        {"channel": "web"},
    ):
        assert fingerprint(order_of(OrderCompleted.model_validate(raw | same))) == fingerprint(order)
    for other in ({"amount": "12.51"}, {"order_id": "P"}, {"cost": "0"}, {"product_lines": ["pumps"]}):
        changed = fingerprint(order_of(OrderCompleted.model_validate(raw | other)))
        assert changed[:8] == fingerprint(order)[:8]
        assert changed != fingerprint(order)


def test_an_amount_of_more_than_64_bits_has_a_fingerprint() -> None:
    """The largest amounts, in billionths, are beyond what MessagePack can hold."""
    order = Order("order.completed", "e-1", "A", 0, NANO_MAX, "EUR")

    assert fingerprint(order) != fingerprint(msgspec.structs.replace(order, amount_nano=NANO_MAX - 1))


@table("""
| example | pending | tier   | level  | due   |
| minimal | False   | None   | None   | None  |
| rich    | True    | growth | medium | 20491 |
""")
def test_the_header_of_the_examples(row: Row) -> None:
    """A header gives format, pending snapshot, tier, level and due day."""
    found = header(pack(EXAMPLES[row["example"]]))

    assert [str(one) for one in found] == [str(FORMAT), row["pending"], row["tier"], row["level"], row["due"]]


def test_the_figures_of_the_examples() -> None:
    """The header holds what a census reads: of an account that knows all, and of one that knows nothing."""
    rich, minimal = (struct.unpack("<3q6i", figures(pack(one))) for one in (RICH, MINIMAL))

    assert rich == (10**13 - 2_500, 39_999, 5_000_000, 1, 4 + 1, 18_000, 20_484, 1 + 2, RICH.parts)
    assert minimal == (0, NO_PROFIT, NO_BUDGET, 0, 0, NO_DAY, NO_DAY, 0, 0)


@given(
    st.sampled_from([None, *Tier]),
    st.sampled_from([None, *ChurnLevel]),
    st.none() | st.integers(-(2**31), 2**31 - 2),
    st.integers(0, 3),
)
def test_any_header_equals_its_state(tier: Tier | None, level: ChurnLevel | None, due: int | None, behind: int) -> None:
    """Every tier and level has its code, and the header never says other than the state."""
    state = AccountState("A", tier=tier, churn_level=level, due_day=due, revision=7, published_revision=7 - behind)
    packed = pack(state)
    again = unpack(packed)

    assert header(packed) == (FORMAT, behind > 0, again.tier, again.churn_level, again.due_day)
    assert again == state


@pytest.mark.parametrize("name", EXAMPLES)
def test_bytes_that_are_cut_are_refused(name: str) -> None:
    """No beginning of a packed state is a state, nor is one with something behind it."""
    packed = pack(EXAMPLES[name])
    for length in range(len(packed)):
        with pytest.raises(StateFormatError):
            unpack(packed[:length])
    with pytest.raises(StateFormatError):
        unpack(packed + b"\x00")


@given(st.binary(max_size=60))
@example(b"\x91\xa1\xff")
def test_other_bytes_are_refused(body: bytes) -> None:
    """Bytes that are no state raise nothing but the one error."""
    for head in (b"", bytes([FORMAT]), pack(MINIMAL)[:8]):
        try:
            unpack(head + body)
        except StateFormatError:
            continue


@table("""
| case                  | header     | told           |
| a newer format        | 0200000000000000 | newer than 1 |
| the newest thinkable  | ff00000000000000 | newer than 1 |
| a format before any   | 0000000000000000 | format 0     |
| an unknown tier       | 0100060000000000 | tier 6       |
| an unknown level      | 0100000700000000 | level 7      |
| no header             | 01000000         | too short    |
""")
def test_headers_that_are_refused(row: Row) -> None:
    """A state of a newer format, or of a tier or level that nobody knows, is refused with a clear line."""
    body = bytes(FIGURES_BYTES) + msgspec.msgpack.encode(["A"])
    with pytest.raises(StateFormatError, match=row["told"]):
        unpack(bytes.fromhex(row["header"]) + (body if row["case"] != "no header" else b""))


def test_a_state_is_small() -> None:
    """A state of 20 order days fits into 600 bytes, ids of 32 events included."""
    days = list(range(20_000, 20_400, 20))
    state = AccountState(
        "customer-123456",
        days=days,
        revenue_minor=[123_456] * 20,
        orders=[1] * 20,
        costed_revenue_minor=[123_456] * 20,
        cost_minor=[65_432] * 20,
    )
    assert len(pack(state)) < 500
