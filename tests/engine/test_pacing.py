"""How much is done at a time."""

from typing import Final

from stream.pacing import CommitPace, Portion, rest_seconds
from stream.settings import Settings
from tests.support.tables import Row, table

SETTINGS: Final = Settings(
    reporting_currency="EUR", batch_records=2000, commit_interval_ms=200, catch_up_commit_interval_ms=1000
)


@table("""
| case                      | microseconds each | portion |
| quick                     | 5                 | 2000    |
| as quick as counts        | 10                | 2000    |
| ordinary                  | 100               | 200     |
| slow                      | 1000              | 20      |
| slower than there is time | 10000             | 10      |
""")
def test_a_portion_takes_about_as_long_whatever_each_takes(row: Row) -> None:
    """After some portions the next has as many as fit into twenty milliseconds, between ten and the most."""
    portion = Portion(0.02, most=2000)
    for _ in range(50):
        portion.took(portion.size() * int(row["microseconds each"]) / 1e6, portion.size())

    assert abs(portion.size() - int(row["portion"])) <= 1


def test_the_first_portion_is_small() -> None:
    """Before anything was timed, and after a portion of none, each is taken to take a tenth of a millisecond."""
    portion = Portion(0.02, most=2000)
    portion.took(1.0, 0)

    assert portion.size() == 200


@table("""
| case                      | microseconds each | a fifth |
| ordinary                  | 100               | 40      |
| slow                      | 1000              | 4       |
| slower than there is time | 10000             | 2       |
""")
def test_a_part_of_a_portion_takes_that_part_of_the_time(row: Row) -> None:
    """A fifth of a portion is a fifth of what fits into its time, and of the least."""
    portion = Portion(0.02, most=2000)
    for _ in range(50):
        portion.took(portion.size() * int(row["microseconds each"]) / 1e6, portion.size())

    assert abs(portion.size(5) - int(row["a fifth"])) <= 1
    assert Portion(0.02, most=2).size(5) == 1


@table("""
| case                           | commit takes | next after |
| nothing to commit              | 0            | 0.2        |
| ordinary                       | 0.02         | 0.18       |
| half of the interval           | 0.1          | 0.1        |
| longer than half               | 0.15         | 0.1        |
| longer than the interval       | 3            | 0.1        |
""")
def test_regular_commits_come_an_interval_apart_but_leave_half_of_it(row: Row) -> None:
    """The pause behind a commit is shorter by what it took; after one that took too long none is made up for."""
    pace = CommitPace(SETTINGS)
    now_seconds = 100.0
    now_seconds += pace.pause_seconds(now_seconds)
    pauses = []
    for _ in range(3):
        now_seconds += float(row["commit takes"])
        pauses.append(round(pace.pause_seconds(now_seconds), 6))
        now_seconds += pauses[-1]

    assert pauses == [float(row["next after"])] * 3


@table("""
| ms behind   | since the last commit | commits |
| 0           | 0.2                   | yes     |
| 150         | 0.2                   | yes     |
| 390         | 0.2                   | yes     |
| 450         | 0.2                   | no      |
| 450         | 0.4                   | yes     |
| 3600000     | 0.2                   | no      |
| 3600000     | 0.79                  | no      |
| 3600000     | 0.81                  | yes     |
| 3600000     | 7.0                   | yes     |
""")
def test_behind_a_backlog_commits_come_less_often(row: Row) -> None:
    """A commit waits for a later one of its regular times, while that is sooner than the next record is old, or 1 s."""
    pace = CommitPace(SETTINGS)
    pace.committed(100.0)
    now_seconds = 100.0 + float(row["since the last commit"])

    assert pace.may_wait(now_seconds, int(row["ms behind"])) == (row["commits"] == "no")


@table("""
| case                            | due   | snapshots | awaited | rests |
| nobody waits                    | 0.008 | 0.002     | no      | 0     |
| an event waits for its commit   | 0.008 | 0         | yes     | 0.008 |
| and snapshots were made         | 0.008 | 0.002     | yes     | 0.016 |
| of nothing but snapshots        | 0     | 0.004     | yes     | 0.016 |
| nothing was due                 | 0     | 0         | yes     | 0     |
| a slice that took far too long  | 3     | 0         | yes     | 0.02  |
""")
def test_time_rests_as_long_as_it_worked_while_an_event_waits(row: Row) -> None:
    """Beside events time takes half of the event loop at most, and snapshots a fifth; alone they have all of it."""
    rests = rest_seconds(float(row["due"]), float(row["snapshots"]), awaited=row["awaited"] == "yes")

    assert rests == float(row["rests"])
