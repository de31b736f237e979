"""Order days are read from files of events by the rules of the core, up to a day and no further."""

# ruff: noqa: E501  # a row of a table is one line

import json
from collections.abc import Iterable
from datetime import date
from pathlib import Path
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.policy import Policy
from models.state import AccountState
from processors.context import Context, date_of
from processors.return_model import compiled, log_odds, recent_order_days
from processors.windows import Movement, add, drop_before, rhythm
from stream.calibration import candidates
from stream.calibration.history import CalibrationError, History, Reading, read_history
from tests.calibration.test_prediction import MODELS
from tests.support.scenario import DAY_MS, FIRST_DAY, iso
from tests.support.tables import Row, table

UTC: Final = Context(Policy(reporting_currency="EUR"))
NOW_MS: Final = (FIRST_DAY + 10_000) * DAY_MS


def _event(text: str) -> dict[str, Any]:
    """Read a step: an account, a verb, a moment, and for some an order's day or an id."""
    account, verb, moment, *rest = text.split()
    options = dict(one.split("=") for one in rest)
    event = {
        "account_id": account,
        "event_id": options.get("id", text),
        "occurred_at": iso(moment),
        "amount": "1",
        "currency": "EUR",
        "order_id": "O",
    }
    if "of" in options:
        event["ordered_at"] = iso(options["of"])
    types = {
        "order": "order.completed",
        "cancel": "order.cancelled",
        "refund": "order.refunded",
        "erase": "account.erased",
    }
    return event | {"type": types.get(verb, verb)}


def _file(folder: Path, events: Iterable[dict[str, Any]]) -> Path:
    path = folder / "events.jsonl"
    path.write_text("".join(f"{json.dumps(one)}\n" for one in events), encoding="utf-8")
    return path


def _read(folder: Path, steps: str, until: int | None = None, context: Context = UTC) -> Reading:
    events = [_event(one.strip()) for one in steps.split(";")]
    return read_history([_file(folder, events)], context, NOW_MS, None if until is None else date_of(FIRST_DAY + until))


def _days(history: History) -> str:
    """Accounts with the number, first and last of their order days."""
    known = history.features(history.until_day)
    rows = zip(known.accounts, known.order_days, known.first_day - FIRST_DAY, known.last_day - FIRST_DAY, strict=True)
    return ", ".join(
        f"{history.account_ids[account]} {count}x d{first}-d{last}" for account, count, first, last in rows
    )


@table("""
| case                                  | steps                                                        | days |
| two accounts                          | A order d0; B order d1; A order d9                           | A 2x d0-d9, B 1x d1-d1 |
| two orders of a day are one           | A order d0@08:00; A order d0@09:00; A order d1               | A 2x d0-d1 |
| a cancellation undoes its day         | A order d0; A order d5; A cancel d6 of=d5                    | A 1x d0-d0 |
| one of two orders of a day            | A order d0@08:00; A order d0@09:00; A cancel d6 of=d0@08:00  | A 1x d0-d0 |
| a cancellation that comes first       | B order d0; A cancel d1 of=d0; A order d0@13:00; A order d3  | A 1x d3-d3, B 1x d0-d0 |
| a refund is no order, and undoes none | A order d0; A refund d5                                      | A 1x d0-d0 |
| a duplicate counts once               | A order d0 id=1; A order d0 id=1; A cancel d1 of=d0; B order d2 | B 1x d2-d2 |
| a conflict does not count             | A order d0 id=1; A order d3 id=1                             | A 1x d0-d0 |
| an erased account is forgotten        | A order d0; B order d0; A erase d3                           | B 1x d0-d0 |
| and begins anew                       | A order d0; A erase d3; A order d4                           | A 1x d4-d4 |
| late events count on their day        | A order d9; A order d2                                       | A 2x d2-d9 |
| refused lines do not count            | A order d0; A rubbish d1; B order.completed d3               | A 1x d0-d0, B 1x d3-d3 |
""")
def test_what_an_order_day_is(tmp_path: Path, row: Row) -> None:
    """As in the state of an account, as far back as the history goes."""
    assert _days(_read(tmp_path, row["steps"]).history) == row["days"]


def test_nothing_after_the_last_day_is_seen(tmp_path: Path) -> None:
    """Neither an order nor a cancellation nor an erasure, nor an account that appears only then."""
    steps = "A order d0; B order d1@23:59; B cancel d2 of=d1@23:59; C order d2@00:00; A erase d2"

    reading = _read(tmp_path, steps, until=1)

    assert _days(reading.history) == "A 1x d0-d0, B 1x d1-d1"
    assert (reading.events, reading.skipped, reading.history.span_days) == (2, 3, 2)


def test_without_a_last_day_the_history_ends_with_its_last_event(tmp_path: Path) -> None:
    """One dated after the clock is refused, or everyone would seem to be gone."""
    reading = _read(tmp_path, "A order d0; A refund d7; B order d20000")

    assert reading.history.until_day == FIRST_DAY + 7
    assert reading.refused.total() == 1


def test_days_are_those_of_the_policy(tmp_path: Path) -> None:
    """An order late in the evening belongs to the next day further east."""
    tokyo = Context(Policy(reporting_currency="EUR", reporting_timezone="Asia/Tokyo"))

    assert _days(_read(tmp_path, "A order d0@16:00", context=tokyo).history) == "A 1x d1-d1"


@pytest.mark.parametrize("steps", ["A refund d0", "A order d0; A cancel d1 of=d0", "A order d5"])
def test_a_history_without_an_order_is_refused(tmp_path: Path, steps: str) -> None:
    """There is nothing to learn from, and nobody to predict."""
    with pytest.raises(CalibrationError, match="no order in the files"):
        _read(tmp_path, steps, until=4)


ORDERS: Final = st.dictionaries(
    st.sampled_from("ABCDE"), st.lists(st.integers(0, 700), min_size=1, max_size=30), min_size=1
)


@given(orders=ORDERS, day=st.integers(0, 800))
def test_features_are_those_that_an_account_remembers(orders: dict[str, list[int]], day: int) -> None:
    """What a model is fitted on is what the worker predicts from, though it forgets single days after a year."""
    horizon = 365
    history = History(orders, 800)
    features = history.features(day)
    expected = {}
    for account, days in orders.items():
        state = AccountState(account)
        for one in sorted(one for one in days if one <= day):
            drop_before(state, one - horizon + 1)
            add(state, one, Movement(1, 1, None), one - horizon + 1)
        drop_before(state, day - horizon + 1)
        held = rhythm(state)
        if held.order_days:
            expected[account] = (held.order_days, held.first_day, held.last_day, *recent_order_days(state, day))
    rows = zip(
        features.accounts.tolist(),
        features.order_days.tolist(),
        features.first_day.tolist(),
        features.last_day.tolist(),
        *(one.tolist() for one in features.recent),
        strict=True,
    )

    found = {history.account_ids[one]: tuple(figures) for one, *figures in rows}

    assert found == expected


@given(model=MODELS, orders=ORDERS)
def test_batch_predictions_are_those_of_the_core(model: Any, orders: dict[str, list[int]]) -> None:
    """Account by account, in the order of the features."""
    history = History(orders, 700)
    features = history.features(700)
    values = candidates.log_odds(model, features).tolist()

    for account, value in zip(features.accounts.tolist(), values, strict=True):
        state = AccountState("A", days=sorted(set(orders[history.account_ids[account]])))
        state.orders = [1] * len(state.days)
        assert log_odds(compiled(model), state, rhythm(state), 700) == value


@given(orders=ORDERS, cut=st.integers(0, 700), horizon=st.integers(1, 100))
def test_silence_is_no_order_within_the_horizon(orders: dict[str, list[int]], cut: int, horizon: int) -> None:
    """From the day after the cut to the last day of the horizon."""
    history = History(orders, 800)
    features = history.features(cut)

    silent = history.silent(features, horizon).tolist()

    for account, one in zip(features.accounts.tolist(), silent, strict=True):
        days = orders[history.account_ids[account]]
        assert one == (not any(cut < day <= cut + horizon for day in days))


def test_the_mean_gap_is_over_all_gaps() -> None:
    """An account with many gaps counts as often; without any gap the default model's is taken."""
    assert History({"A": [0, 10, 20, 30], "B": [0, 50], "C": [7]}, 60).portfolio_gap_days(60) == 20
    assert History({"A": [0], "B": [3]}, 60).portfolio_gap_days(60) == 45
    assert History({"A": [0, 10, 20, 30], "B": [0, 50]}, 60).portfolio_gap_days(10) == 10


def test_a_date_is_a_day(tmp_path: Path) -> None:
    """`until` is inclusive."""
    reading = read_history([_file(tmp_path, [_event("A order d3@23:59")])], UTC, NOW_MS, date(2026, 1, 4))

    assert _days(reading.history) == "A 1x d3-d3"
