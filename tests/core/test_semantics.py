"""The worked examples of docs/semantics.md: what is reckoned there by hand is what the program gives."""

import doctest
import re
from collections.abc import Mapping, Sequence
from itertools import product
from math import exp, log, sqrt
from pathlib import Path
from typing import Any, Final

import numpy as np

from models.policy import Classes, Policy
from models.portfolio import Concentration, RfmCuts
from models.reasons import Outcome
from processors import classes
from processors.context import Card
from processors.portfolio.cutting import concentration, distribution
from processors.portfolio.points import points_of, quantile
from processors.scorecard import PARTS, combine
from processors.snapshots import snapshot
from tests.support.portfolios import cut_points, peers
from tests.support.scenario import Played, play, policy_of, windowed

DOCUMENT: Final = Path(__file__).resolve().parents[2] / "docs" / "semantics.md"
_WEIGHTS: Final = (30, 25, 15, 15, 15)


def _played(
    steps: str, brought: Sequence[int] = (), gap_days: float | None = None, policy: Policy | None = None
) -> Played:
    figures = peers([100 * one for one in brought])
    shares = (1.0, *(0.0,) * 14)
    cuts = cut_points(revenue=figures, profit=figures, gap_days=gap_days, part_shares=shares)
    return play(steps, policy or policy_of(), cuts)


def _part(name: str, steps: str, peers: Sequence[int] = ()) -> float | None:
    played = _played(steps, peers)
    found = [one.parts for one in snapshot(played.held, played.context).components]
    (value,) = [parts[name] for parts in found if name in parts]
    return value


def _window(days: int, steps: str) -> str:
    played = _played(steps, policy=windowed(days, 20))
    return snapshot(played.held, played.context).windows[str(days)].revenue


def _score(**parts: float) -> float | None:
    graded = combine([parts.get(name) for name in PARTS], Card(None, _WEIGHTS, missing_is_zero=False, shares=None))
    return None if graded.score is None else graded.score / 100


def _confidence(*known: str, others: Mapping[str, float]) -> float:
    shares = [float(others.get(name, 0)) for name in PARTS]
    card = Card(None, _WEIGHTS, missing_is_zero=False, shares=shares)
    return combine([1.0 if name in known else None for name in PARTS], card).confidence


def _tiers(steps: str, peers: Sequence[int]) -> str:
    weights = {"profit": 0, "strategic": 0, "potential": 0, "relationship": 0}
    return _played(steps, peers, policy=policy_of(scorecard={"weights": weights})).changes("tier")


def _abc(figures: Sequence[int]) -> list[str]:
    among = distribution(points_of(np.array(figures, np.int64)), Classes())
    return [str(classes.abc(among, one)) for one in figures]


def _monetary(revenue: int, among: Sequence[int]) -> int:
    points = points_of(np.array(among, np.int64))
    low, second, third, high = (quantile(points, hundredths) for hundredths in (20, 40, 60, 80))
    unused = (0.0, 0.0, 0.0, 0.0)
    cell = classes.rfm(RfmCuts(unused, unused, (low, second, third, high)), 0, 1, revenue)
    assert cell is not None
    return cell.monetary


def _concentration(revenues: Sequence[int]) -> Concentration:
    found = concentration(points_of(np.array(revenues, np.int64)))
    assert found is not None
    return found


def _risk(steps: str, gap_days: float) -> float | None:
    played = _played(steps, gap_days=gap_days)
    return snapshot(played.held, played.context).churn.risk


def _value_at_stake(steps: str, gap_days: float) -> str | None:
    played = _played(steps, gap_days=gap_days)
    return snapshot(played.held, played.context).churn.value_at_stake


NAMES: Final[dict[str, Any]] = {
    "exp": exp,
    "log": log,
    "sqrt": sqrt,
    "part": _part,
    "window": _window,
    "score": _score,
    "confidence": _confidence,
    "tiers": _tiers,
    "abc": _abc,
    "xyz": lambda sums: str(classes.xyz(sums, Classes())),
    "monetary": _monetary,
    "top_fifth": lambda revenues: _concentration(revenues).top_fifth_share,
    "gini": lambda revenues: round(_concentration(revenues).gini, 2),
    "risk": _risk,
    "value_at_stake": _value_at_stake,
}


def test_the_worked_examples() -> None:
    """Every example runs and gives what is written below it."""
    text = DOCUMENT.read_text(encoding="utf-8").replace("```\n", "\n")
    found = doctest.DocTestParser().get_doctest(text, dict(NAMES), DOCUMENT.name, str(DOCUMENT), 0)
    report: list[str] = []
    result = doctest.DocTestRunner(verbose=False).run(found, out=report.append)

    assert (result.failed, "".join(report)) == (0, "")
    assert result.attempted > 25


def test_the_table_of_segments_is_the_one_in_force() -> None:
    """Read by its rule, the first row that fits, it names the segment of each of the 125 cells."""
    rows = re.findall(
        r"^\| ([1-5–]+) \| ([1-5–]+) \| ([1-5–]+) \| `(\w+)` \|$", DOCUMENT.read_text(encoding="utf-8"), re.MULTILINE
    )
    between = (1.5, 2.5, 3.5, 4.5)
    assert rows

    for cell in product(range(1, 6), repeat=3):
        fitting = (name for *bounds, name in rows if all(map(_within, cell, bounds)))
        r, f, m = cell
        scored = classes.rfm(RfmCuts(between, between, between), 6 - r, f, m)
        assert scored is not None
        assert (*cell, next(fitting)) == scored


def _within(score: int, bounds: str) -> bool:
    low, _, high = bounds.partition("–")
    return int(low) <= score <= int(high or low)


def test_every_outcome_is_explained() -> None:
    """No outcome of an event is left out of the document."""
    text = DOCUMENT.read_text(encoding="utf-8")

    assert [one for one in Outcome if f"| `{one}` |" not in text] == []


def test_every_part_is_explained() -> None:
    """No part or component of the score, no tier, reason or level is left out of the document."""
    text = DOCUMENT.read_text(encoding="utf-8").replace("\n", " ").replace("_", " ")

    assert [name for name in PARTS if name.replace("_", " ") not in text] == []
