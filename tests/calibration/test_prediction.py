"""The compiled models against their formulas, and what holds for all of them."""

import math
from typing import Final, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.churn_model import ChurnModel, Logistic, Parameters, Recency, ReturnCurve
from models.state import AccountState
from processors.return_model import (
    LOG_ODDS_MAX,
    compiled,
    crossing_day,
    log_odds,
    probability,
    recent_order_days,
)
from processors.windows import Movement, Rhythm, add, drop_before, rhythm
from tests.calibration import reference
from tests.calibration.test_model_file import MODEL

FIRST_DAY: Final = 9_000
HORIZON: Final = 365
_WEIGHT: Final = st.floats(0, 5)
_SHAPE: Final = st.floats(0.01, 100)


@st.composite
def _logistics(draw: st.DrawFn) -> Logistic:
    silence = draw(_WEIGHT)
    return Logistic(
        intercept=draw(st.floats(-5, 5)),
        log_orders=-draw(_WEIGHT),
        log_silence=silence,
        log_age=draw(_WEIGHT) - silence,
        log_overdue=draw(_WEIGHT),
        recent_weights=(-draw(_WEIGHT), -draw(_WEIGHT)),
        recent_most=(draw(st.integers(1, 90)), draw(st.integers(1, 180))),
    )


PARAMETERS: Final[st.SearchStrategy[Parameters]] = st.one_of(
    st.builds(Recency, intercept=st.floats(-5, 5), slope=_WEIGHT),
    st.builds(
        ReturnCurve,
        kind=st.sampled_from(["bg_nbd", "mbg_nbd"]),
        r=_SHAPE,
        alpha_days=st.floats(0.1, 1000),
        a=_SHAPE,
        b=_SHAPE,
        shift=st.floats(-5, 5),
        scale=st.floats(0.1, 5),
    ),
    _logistics(),
)
MODELS: Final = st.builds(
    ChurnModel,
    calibrated=st.just(value=False),
    horizon_days=st.integers(1, 400),
    portfolio_gap_days=st.floats(1, 365),
    parameters=PARAMETERS,
)
ORDER_DAYS: Final = st.lists(st.integers(0, 900), min_size=1, max_size=40, unique=True)


def _live(order_days: list[int], day: int) -> AccountState:
    """The state of an account that ordered on these days, as the core would hold it: the old ones are forgotten."""
    state = AccountState("A")
    for one in sorted(order_days):
        drop_before(state, FIRST_DAY + one - HORIZON + 1)
        add(state, FIRST_DAY + one, Movement(100, 1, None), FIRST_DAY + one - HORIZON + 1)
    drop_before(state, FIRST_DAY + day - HORIZON + 1)
    return state


@given(model=MODELS, order_days=ORDER_DAYS, silence=st.integers(0, 500))
def test_a_compiled_model_is_its_formula(model: ChurnModel, order_days: list[int], silence: int) -> None:
    """Also on what the account remembers instead of on all its orders."""
    day = max(order_days) + silence
    state = _live(order_days, day)

    value = log_odds(compiled(model), state, rhythm(state), FIRST_DAY + day)

    expected = reference.log_odds(model.parameters, order_days, day, model.horizon_days, model.portfolio_gap_days)
    assert value == pytest.approx(max(-LOG_ODDS_MAX, min(expected, LOG_ODDS_MAX)), rel=1e-7, abs=1e-7)


@given(model=MODELS, order_days=ORDER_DAYS, silence=st.integers(0, 500), longer=st.integers(1, 500))
def test_the_risk_never_falls_while_an_account_is_silent(
    model: ChurnModel, order_days: list[int], silence: int, longer: int
) -> None:
    """Time alone takes the risk up, or leaves it."""
    predictor = compiled(model)
    before, after = (
        log_odds(predictor, state, rhythm(state), FIRST_DAY + day)
        for day in (max(order_days) + silence, max(order_days) + silence + longer)
        for state in [_live(order_days, day)]
    )

    assert before is not None
    assert after is not None
    assert after >= before - 1e-9 * max(1, abs(before))


@given(
    model=MODELS,
    order_days=ORDER_DAYS,
    silence=st.integers(0, 500),
    bounds=st.lists(st.floats(-6, 6), max_size=3),
    ahead=st.integers(0, 40),
)
def test_the_crossing_day_is_the_first_of_its_kind(
    model: ChurnModel, order_days: list[int], silence: int, bounds: list[float], ahead: int
) -> None:
    """Found as by looking at every day: a bound that was not reached before is reached."""
    predictor, today = compiled(model), max(order_days) + silence
    state = _live(order_days, today)
    held = rhythm(state)
    now, *later = (log_odds(predictor, state, held, FIRST_DAY + today + one) for one in range(ahead + 1))
    assert now is not None
    crossed = [
        one
        for one, value in enumerate(later, start=1)
        if value is not None and any(now < bound <= value for bound in bounds)
    ]

    found = crossing_day(predictor, state, held, FIRST_DAY + today, bounds, FIRST_DAY + today + ahead)

    assert found == (FIRST_DAY + today + crossed[0] if crossed else None)


@pytest.mark.parametrize("order_days", [1, 2, 10_000])
@pytest.mark.parametrize("silence", [0, 1, 3_650])
@given(model=MODELS)
def test_extremes_are_finite(order_days: int, silence: int, model: ChurnModel) -> None:
    """From one order ever to one on each of ten thousand days, up to ten years of silence."""
    predictor = compiled(model)
    held = Rhythm(order_days, FIRST_DAY, FIRST_DAY + order_days - 1)

    value = predictor.log_odds(held, (90, 180), FIRST_DAY + order_days - 1 + silence)

    assert math.isfinite(value)
    assert 0 <= probability(value) <= 1


@pytest.mark.parametrize("kind", ["bg_nbd", "mbg_nbd"])
@pytest.mark.parametrize("shape", [1e-6, 1e6])
@pytest.mark.parametrize("alpha_days", [1e-3, 1e9])
def test_the_ends_of_what_a_curve_may_be_are_finite(
    kind: Literal["bg_nbd", "mbg_nbd"], shape: float, alpha_days: float
) -> None:
    """A fit that ran to the end of the allowed range still predicts."""
    for dropout in ((1e-6, 1e6), (1e6, 1e-6), (1e-6, 1e-6), (1e6, 1e6)):
        curve = ReturnCurve(kind=kind, r=shape, alpha_days=alpha_days, a=dropout[0], b=dropout[1])
        predictor = compiled(ChurnModel(calibrated=False, horizon_days=1, portfolio_gap_days=1, parameters=curve))
        for held in (Rhythm(1, 0, 0), Rhythm(2, 0, 1), Rhythm(10_000, 0, 9_999)):
            for silence in (0, 3_650):
                assert held.last_day is not None
                assert abs(predictor.log_odds(held, (0, 0), held.last_day + silence)) <= LOG_ODDS_MAX


def test_an_account_without_an_order_has_no_risk() -> None:
    """A prospect cannot come back."""
    state = AccountState("A")

    assert log_odds(compiled(MODEL), state, rhythm(state), FIRST_DAY) is None
    assert crossing_day(compiled(MODEL), state, rhythm(state), FIRST_DAY, [0.0], FIRST_DAY + 7) is None


def test_recent_days_are_counted_by_days_with_an_order() -> None:
    """A day with two orders counts once, one with a refund only does not; windows end with the day asked for."""
    state = AccountState(
        "A",
        days=[100, 101, 190, 191, 200, 280],
        orders=[1, 2, 1, 3, 0, 1],
    )

    assert recent_order_days(state, 280) == (2, 4)
    assert recent_order_days(state, 281) == (1, 3)
