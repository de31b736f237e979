"""The suite finds what it is there to find: each bug is planted in the workers, and has to make it fail."""

from pathlib import Path

import pytest

from tests.chaos.driver import Driver, Run
from tests.chaos.entry import Plant
from tests.chaos.kinds import Kind
from tests.support.broker import KafkaBroker
from tests.support.tables import Row, table

SEED = 7
_ATTEMPTS_MAX = 3


@table("""
| bug              | fault            | found as |
| checkpoint-ahead | kill             | missing  |
| output-outside   | zombie-in-commit | twice    |
| state-lost       | kill             | missing  |
""")
def test_a_planted_bug_is_found(kafka: KafkaBroker, tmp_path: Path, row: Row) -> None:
    """One fault shows that something was lost, or published twice; a bug that needs its moment has three."""
    for attempt in range(_ATTEMPTS_MAX):
        run = Run(1)
        folder = tmp_path / str(attempt)
        folder.mkdir()
        Driver(kafka, folder, SEED + attempt, print, Plant(row["bug"])).run(iter([Kind(row["fault"])]), 1, run)
        found = {"missing": run.verdict.missing, "twice": run.verdict.twice}
        if run.valid == 1 and not run.ok and found[row["found as"]] > 0:
            return
    pytest.fail(f"nothing was {row['found as']} in {_ATTEMPTS_MAX} runs")
