"""The suite finds what it is there to find: each bug is planted in the workers, and has to make it fail."""

from pathlib import Path

from tests.chaos.driver import Driver, Run
from tests.chaos.entry import Plant
from tests.chaos.kinds import Kind
from tests.support.broker import KafkaBroker
from tests.support.tables import Row, table

SEED = 7


@table("""
| bug              | fault            | found as |
| checkpoint-ahead | kill             | missing  |
| output-outside   | zombie-in-commit | twice    |
| state-lost       | kill             | missing  |
""")
def test_a_planted_bug_is_found(kafka: KafkaBroker, tmp_path: Path, row: Row) -> None:
    """One fault among the work is enough to see that something was lost, or published twice."""
    run = Run(1)

    Driver(kafka, tmp_path, SEED, print, Plant(row["bug"])).run(iter([Kind(row["fault"])]), 1, run)

    found = {"missing": run.verdict.missing, "twice": run.verdict.twice}
    assert run.valid == 1
    assert not run.ok
    assert found[row["found as"]] > 0
