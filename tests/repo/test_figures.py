"""Measured figures in prose are those of the committed results.

A figure is followed by a comment that names its place: `22.5<!-- result: ratios.account_health/plain_faust -->`.
"""

import json
import re
from pathlib import Path
from typing import Any, Final, NamedTuple

import pytest

ROOT: Final = Path(__file__).resolve().parents[2]
RESULTS: Final = ROOT / "benchmarks" / "results" / "latest.json"
VALIDATION: Final = ROOT / "validation" / "results.json"
"""Its results are found under `churn`."""
CHAOS: Final = ROOT / "benchmarks" / "results" / "chaos.json"
"""Its results are found under `chaos`."""
MARK: Final = re.compile(r"(?P<shown>-?\d[\d,]*(?:\.\d+)?)?(?P<between>[^\d<]*)<!-- result: (?P<path>\S+) -->")


class Figure(NamedTuple):
    """A number in a page, and the place in the results that it is said to come from."""

    shown: str | None
    path: str


def figures(text: str) -> list[Figure]:
    """Find the figures of a page; code spans and blocks are examples."""
    prose = re.sub(r"^(`{3,}|~{3,}).*?^\1[`~]*$", "", text, flags=re.MULTILINE | re.DOTALL)
    prose = re.sub(r"`[^`\n]*`", "", prose)
    return [Figure(found["shown"], found["path"]) for found in MARK.finditer(prose)]


def looked_up(results: Any, path: str) -> Any:
    """Follow a dotted path into the results."""
    for part in path.split("."):
        results = results[part]
    return results


def agrees(shown: str | None, value: float) -> bool:
    """Tell whether a figure is the value, rounded to as many decimals as it shows."""
    if shown is None:
        return False
    plain = shown.replace(",", "")
    decimals = len(plain.partition(".")[2])
    return float(plain) == round(float(value), decimals)


def _results() -> dict[str, Any]:
    measured: dict[str, Any] = json.loads(RESULTS.read_text(encoding="utf-8"))
    others = {
        name: json.loads(path.read_text(encoding="utf-8")) for name, path in (("churn", VALIDATION), ("chaos", CHAOS))
    }
    return measured | others


def _pages() -> list[Path]:
    return [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


@pytest.mark.parametrize("page", _pages(), ids=lambda page: str(page.relative_to(ROOT)))
def test_figures_are_those_of_the_results(page: Path) -> None:
    """Whoever measures again also changes what is said about it."""
    found = figures(page.read_text(encoding="utf-8"))
    results = _results() if found else {}
    wrong = [
        f"{figure.path}: {figure.shown}, measured {looked_up(results, figure.path)}"
        for figure in found
        if not agrees(figure.shown, looked_up(results, figure.path))
    ]

    assert wrong == []


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("does 12,345<!-- result: a.b --> events", [("12,345", "a.b")]),
        ("**22.5×**<!-- result: ratios.x/y --> faster", [("22.5", "ratios.x/y")]),
        ("99.9 ms<!-- result: latency.50%.p99 -->, 3<!-- result: c -->", [("99.9", "latency.50%.p99"), ("3", "c")]),
        ("no number<!-- result: a -->", [(None, "a")]),
        ("`1<!-- result: a -->` is how", []),
    ],
)
def test_a_figure_is_the_number_before_its_comment(text: str, expected: list[tuple[str | None, str]]) -> None:
    """Also with a unit or emphasis between the two."""
    assert figures(text) == [Figure(*one) for one in expected]


@pytest.mark.parametrize(
    ("shown", "value", "agreed"),
    [
        ("12,345", 12345, True),
        ("12,346", 12345, False),
        ("22.5", 22.47, True),
        ("22.4", 22.47, False),
        ("22", 22.47, True),
        (None, 1, False),
    ],
)
def test_a_figure_may_show_fewer_decimals(shown: str | None, value: float, agreed: bool) -> None:  # noqa: FBT001  # a column
    """Rounded, never otherwise different."""
    assert agrees(shown, value) is agreed
