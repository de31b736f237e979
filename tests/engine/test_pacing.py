"""How much is done at a time."""

from typing import Final

from stream.pacing import Pace
from stream.settings import Settings
from tests.support.tables import Row, table

SETTINGS: Final = Settings(
    reporting_currency="EUR", batch_records=2000, commit_interval_ms=200, catch_up_commit_interval_ms=1000
)


@table("""
| case                      | microseconds a record | records in a batch |
| quick                     | 5                     | 2000               |
| as quick as may be        | 10                    | 2000               |
| ordinary                  | 100                   | 200                |
| with a year passing by    | 10000                 | 20                 |
""")
def test_a_batch_takes_about_as_long_whatever_its_records_take(row: Row) -> None:
    """After some batches the next has as many records as fit into twenty milliseconds, within the setting."""
    pace = Pace(SETTINGS)
    for _ in range(50):
        records = pace.batch_records()
        pace.processed(records * int(row["microseconds a record"]) / 1e6, records)

    assert abs(pace.batch_records() - int(row["records in a batch"])) <= 1


def test_the_first_batch_is_small() -> None:
    """Before anything was timed a batch has as many records as a slow one would."""
    assert Pace(SETTINGS).batch_records() == 200


@table("""
| catching up | since the last commit | commits |
| no          | 0.2                   | yes     |
| yes         | 0.2                   | no      |
| yes         | 0.79                  | no      |
| yes         | 0.81                  | yes     |
| yes         | 7.0                   | yes     |
""")
def test_behind_a_backlog_commits_come_less_often(row: Row) -> None:
    """A commit waits for a later one of its regular times, while that one is still in time for a backlog."""
    pace = Pace(SETTINGS)
    pace.committed(100.0)
    now_seconds = 100.0 + float(row["since the last commit"])

    assert pace.may_wait(now_seconds, catching_up=row["catching up"] == "yes") == (row["commits"] == "no")
