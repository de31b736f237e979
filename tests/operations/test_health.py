"""Health: a worker that stands still while records wait, told from samples without waiting."""

import pytest

from stream.health import Health, Problem, Progress, Unready

ORDERS_0 = ("account-health.orders", 0)
DEADLINE_SECONDS = 60


class Clock:
    """A monotonic clock that moves when told to."""

    seconds = 1000.0

    def __call__(self) -> float:
        """Return the time."""
        return self.seconds


@pytest.mark.parametrize(
    ("samples", "stuck_seconds"),
    [
        # (seconds, position, end); the last one is when health is asked
        ([(0, 5, 5), (300, 5, 5)], None),
        ([(0, 5, 5), (30, 5, 9), (89, 5, 9)], None),
        ([(0, 5, 5), (30, 5, 9), (91, 5, 9)], 61),
        ([(0, 5, 9), (50, 6, 20), (100, 7, 40)], None),
        ([(0, 5, 9), (50, 6, 20), (111, 6, 40)], 61),
        ([(0, 5, 9), (59, 9, 9), (100, 9, 10), (150, 9, 10)], None),
        ([(0, 9, 9), (70, 5, 9), (120, 5, 9)], None),
    ],
    ids=[
        "idle for long",
        "records wait, not for long",
        "records wait for too long",
        "slow but moving",
        "moved, then stopped while more arrive",
        "caught up in between",
        "went back after an abort",
    ],
)
def test_stuck_is_waiting_records_and_a_position_that_stands_still(
    samples: list[tuple[float, int, int]], stuck_seconds: float | None
) -> None:
    """Only a partition whose records wait while it does not move for the deadline is stuck."""
    clock = Clock()
    health = Health(DEADLINE_SECONDS, clock)
    for seconds, position, end in samples:
        clock.seconds = 1000 + seconds
        health.report({ORDERS_0: Progress(position, end)})
    _, position, end = samples[-1]

    expected = [] if stuck_seconds is None else [Problem("stuck", stuck_seconds, *ORDERS_0, position, end)]
    assert health.problems() == expected


def test_a_worker_that_reports_nothing_is_unhealthy() -> None:
    """From the first report on, silence for the deadline is a problem; before it, nothing is."""
    clock = Clock()
    health = Health(DEADLINE_SECONDS, clock)
    clock.seconds += 600
    before = health.problems()
    health.report({})
    clock.seconds += DEADLINE_SECONDS + 1

    assert before == []
    assert health.problems() == [Problem("silent", DEADLINE_SECONDS + 1)]


def test_a_partition_that_was_given_back_is_forgotten() -> None:
    """What another worker now reads is not held against this one, nor after it comes back."""
    clock = Clock()
    health = Health(DEADLINE_SECONDS, clock)
    for progress in ({ORDERS_0: Progress(5, 9)}, {}, {ORDERS_0: Progress(5, 9)}):
        health.report(progress)
        clock.seconds += DEADLINE_SECONDS - 1

    assert health.problems() == []


def test_reasons_for_not_being_ready() -> None:
    """Each reason holds while its fact does; holding no partition at all is no reason."""
    health = Health(DEADLINE_SECONDS)
    seen = [health.readiness().reasons]
    health.set_assigned([1, 0])
    health.set_restoring([1])
    seen.append(health.readiness().reasons)
    assigned, restoring = health.readiness()[1:]
    health.set_restoring([])
    health.set_assigned([])
    seen.append(health.readiness().reasons)
    health.set_draining()
    health.set_assigned(None)
    seen.append(health.readiness().reasons)

    assert seen == [[Unready.NOT_ASSIGNED], [Unready.RESTORING], [], [Unready.NOT_ASSIGNED, Unready.DRAINING]]
    assert (assigned, restoring) == ([0, 1], [1])
