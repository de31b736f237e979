"""Whatever the rows are: each is part of one event or is one reject, and no money is lost."""

from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Final

from hypothesis import given
from hypothesis import strategies as st

from tests.importers.running import run_mapping

MAPPING: Final = """
name = "shop"
type = "order.completed"
group_by = "order_id"
[refund]
order_id_prefix = "C"
negative_amount = true
[refuse]
order_id_prefix = "A"
[fields]
account_id = { column = "account" }
occurred_at = { column = "time" }
order_id = { column = "order" }
amount = { column = "quantity", times = "price" }
currency = { column = "currency" }
"""

ROWS: Final = st.lists(
    st.tuples(
        st.sampled_from(["1", "2", "3", "C4", "C5", "A6", ""]),
        st.sampled_from(["k", "k", "k", "l", ""]),
        st.sampled_from(["2025-01-01", "2025-01-02T10:00:00+02:00", "1969-12-31", "soon"]),
        st.sampled_from(["1", "2", "-1", "-3", "0", "x", ""]),
        st.sampled_from(["1.10", "0.001", "99999999999", "0"]),
        st.sampled_from(["EUR", "EUR", "EUR", "USD", "EURO"]),
    ),
    max_size=12,
)


def _number(text: str) -> Decimal | None:
    return Decimal(text) if text.lstrip("-").isdigit() else None


@given(ROWS)
def test_rows_and_money_are_conserved(rows: Sequence[tuple[str, ...]]) -> None:
    """Rows in events and rejects are disjoint and complete, and the sums of both are the sum of all rows."""
    header = "order,account,time,quantity,price,currency"
    with TemporaryDirectory() as folder:
        path = Path(folder) / "rows.csv"
        path.write_text("\n".join([header, *(",".join(row) for row in rows)]), encoding="utf-8")
        imported = run_mapping(MAPPING, path)

    rejected = [line for line, _ in imported.rejects]
    orders = {event["event_id"].removeprefix("shop:") for event in imported.events}
    in_events = [line for line, row in enumerate(rows, 2) if row[0] in orders]
    assert sorted(rejected + in_events) == list(range(2, len(rows) + 2))

    readable = [(row, number) for row in rows if (number := _number(row[3])) is not None]
    total = sum((number * Decimal(row[4]) for row, number in readable), Decimal(0))
    signed = sum(
        (Decimal(one["amount"]) * (1 if one["type"] == "order.completed" else -1) for one in imported.events),
        Decimal(0),
    )
    money = imported.summary.money.values()
    assert sum((one.amount.read for one in money), Decimal(0)) == total
    assert signed + sum((one.amount.rejected for one in money), Decimal(0)) == total
    assert imported.refusals() == []


@given(ROWS, st.randoms(use_true_random=False))
def test_the_order_of_rows_does_not_matter(rows: Sequence[tuple[str, ...]], random: Random) -> None:
    """Rows of an order may lie anywhere: shuffled rows make orders of the same amounts."""
    shuffled = list(rows)
    random.shuffle(shuffled)
    results = []
    for version in (rows, shuffled):
        with TemporaryDirectory() as folder:
            path = Path(folder) / "rows.csv"
            lines = ["order,account,time,quantity,price,currency", *(",".join(row) for row in version)]
            path.write_text("\n".join(lines), encoding="utf-8")
            events = run_mapping(MAPPING, path).events
        results.append({one["event_id"]: (one["type"], one["amount"], one["account_id"]) for one in events})

    assert results[0] == results[1]
