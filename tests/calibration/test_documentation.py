"""The worked examples of docs/churn.md."""

import doctest
from pathlib import Path
from typing import Final

PAGE: Final = Path(__file__).resolve().parents[2] / "docs" / "churn.md"


def test_the_examples_hold() -> None:
    """Each can be followed with a pocket calculator, and gives what is written."""
    found = doctest.testfile(str(PAGE), module_relative=False, encoding="utf-8")

    assert found.failed == 0
    assert found.attempted > 10
