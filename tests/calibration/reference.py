"""The predictions by their published formulas, term for term: slow, and nothing rearranged."""

import math
from decimal import Decimal, localcontext
from itertools import pairwise
from typing import Final

from models.churn_model import Logistic, Recency, ReturnCurve

_PRECISION: Final = 80


def p_alive(curve: ReturnCurve, repeats: int, last: float, age: float) -> Decimal:
    """P(alive) of an account with so many repeats, the last of them `last` after the first order, `age` ago.

    Fader, Hardie & Lee (2008), Computing P(alive) using the BG/NBD model; Batislam et al. (2007) for MBG/NBD.
    """
    with localcontext(prec=_PRECISION):
        r, alpha, a, b = (Decimal(one) for one in (curve.r, curve.alpha_days, curve.a, curve.b))
        power = ((alpha + Decimal(age)) / (alpha + Decimal(last))) ** (r + repeats)
        if curve.kind == "mbg_nbd":
            return 1 / (1 + a / (b + repeats) * power)
        return 1 / (1 + a / (b + repeats - 1) * power) if repeats else Decimal(1)


def p_return(curve: ReturnCurve, repeats: int, last: float, age: float, horizon: float) -> Decimal:
    """Chance of an order within a horizon."""
    with localcontext(prec=_PRECISION):
        r, alpha = Decimal(curve.r), Decimal(curve.alpha_days)
        silent = ((alpha + Decimal(age)) / (alpha + Decimal(age) + Decimal(horizon))) ** (r + repeats)
        return p_alive(curve, repeats, last, age) * (1 - silent)


def log_odds(
    parameters: Recency | ReturnCurve | Logistic,
    order_days: list[int],
    day: int,
    horizon_days: int,
    portfolio_gap_days: float,
) -> float:
    """Log-odds of no order within the horizon, from all order days of an account."""
    known = sorted({one for one in order_days if one <= day})
    gaps = [later - earlier for earlier, later in pairwise(known)]
    own_gap = (sum(gaps) + portfolio_gap_days) / (len(gaps) + 1)
    silence, age = day - known[-1], day - known[0]
    match parameters:
        case Recency(intercept=intercept, slope=slope):
            return intercept + slope * math.log(1 + silence)
        case ReturnCurve():
            chance = p_return(parameters, len(known) - 1, known[-1] - known[0], age, horizon_days)
            with localcontext(prec=_PRECISION):
                return parameters.shift + parameters.scale * float((1 - chance).ln() - chance.ln())
        case Logistic():
            recent = [sum(day - length < one for one in known) for length in (90, 180)]
            return (
                parameters.intercept
                + parameters.log_orders * math.log(len(known))
                + parameters.log_silence * math.log(1 + silence)
                + parameters.log_age * math.log(1 + age)
                + parameters.log_overdue * math.log(1 + silence / own_gap)
                + sum(
                    weight * min(count, most)
                    for weight, count, most in zip(
                        parameters.recent_weights, recent, parameters.recent_most, strict=True
                    )
                )
            )
