"""When a snapshot is published, and when there is nothing to say, as tables."""

# a row of a table is one line

from processors.context import Context
from processors.partition import Partition
from tests.core.test_partition import PLENTY, commit, reopened
from tests.support.scenario import moment_ms, policy_of, read_event
from tests.support.tables import Row, table


def _described(partition: Partition, account_id: str = "A-1") -> str:
    """Take a snapshot and name what it says; `-` if it says nothing new."""
    found = partition.take_snapshot(account_id)
    if found is None:
        return "-"
    shown = found.snapshot
    return f"{shown.revision} {shown.tier} {shown.lifetime.orders}"


@table("""
| case                                     | before       | then                | said           |
| the first one                            |              |                     | 1 unrated 1    |
| nothing happened since                   | snapshot     |                     | -              |
| an event that changes a figure           | snapshot     | d1 order 100        | 2 unrated 2    |
| one that changes nothing but the moment  | snapshot     | d1 resolve T        | -              |
| a ticket that came and went is a good sign | snapshot   | d1 open T low; d1 resolve T | 3 unrated 1 |
| a week in which nothing can be seen      | snapshot     | d6 time             | -              |
| tenure of a week                         | snapshot     | d7 time             | 2 unrated 1    |
""")
def test_when_a_snapshot_has_something_to_say(row: Row) -> None:
    """A snapshot says something new if a value other than its moment and revision did change since the last one."""
    partition = Partition(Context(policy_of()))
    partition.apply(read_event("d0 order 100", 0))
    for number, step in enumerate(one.strip() for one in f"{row['before']}; {row['then']}".split(";")):
        if step == "snapshot":
            assert _described(partition) == "1 unrated 1"
            assert not partition.snapshots_pending
        elif step.endswith(" time"):
            list(partition.tick(moment_ms(step.split()[0]), PLENTY))
        elif step:
            partition.apply(read_event(step, number + 1))

    assert _described(partition) == row["said"]
    assert not partition.snapshots_pending


def test_a_snapshot_that_says_nothing_new_is_settled_too() -> None:
    """It is pending no more, also for the worker that opens the partition next."""
    partition = Partition(Context(policy_of()))
    partition.apply(read_event("d0 order 100", 0))
    assert _described(partition) != "-"
    partition.apply(read_event("d0 resolve T", 1))
    assert list(partition.snapshots_pending) == ["A-1"]
    assert _described(partition) == "-"
    changes = partition.changes()
    partition.commit(changes)
    fresh = reopened(Context(policy_of()), 0, {"A-1": changes.states["A-1"] or b""}, {})

    assert not fresh.snapshots_pending
    assert _described(fresh) == "-"


def test_a_snapshot_that_was_not_committed_is_said_again() -> None:
    """After an abort the same snapshot is taken again, with the same revision."""
    partition = Partition(Context(policy_of()))
    partition.apply(read_event("d0 order 100", 0))
    commit(partition)
    first = partition.take_snapshot("A-1")
    partition.abort()

    assert list(partition.snapshots_pending) == ["A-1"]
    assert partition.take_snapshot("A-1") == first


def test_who_has_waited_longest_for_a_snapshot_is_first() -> None:
    """An event of an account that waits changes nothing of its place; once it was told, it is the last again."""
    partition = Partition(Context(policy_of()))
    for number, name in enumerate(("A-2", "A-1", "A-3", "A-2")):
        partition.apply(read_event("d0 order 100", number, name))
    waiting = list(partition.snapshots_pending)
    partition.take_snapshot("A-2")
    partition.apply(read_event("d1 order 100", 9, "A-2"))

    assert waiting == ["A-2", "A-1", "A-3"]
    assert list(partition.snapshots_pending) == ["A-1", "A-3", "A-2"]
