"""One replay: lines are dealt to the partitions, the portfolio is counted in between, the outputs are written."""

from collections import Counter
from collections.abc import Callable, Sequence
from datetime import date
from pathlib import Path
from typing import Final, NamedTuple

from models.events import ClockAdvanced, InputTopic
from models.orders import Order
from models.policy import Policy
from models.portfolio import cut_points_to_json
from models.reasons import Outcome, RefusalReason
from models.wire import parse
from processors.context import Context, day_of_date
from processors.portfolio.cutting import cut_points
from stream.files import Line, merge
from stream.handling import partition_of
from stream.portfolio.files import CUT_POINTS_FILE
from stream.portfolio.recount import Recount
from stream.replay.crew import Crew, processes_for
from stream.replay.erasures import last_erasures
from stream.replay.outputs import SNAPSHOTS_FILE, Outputs
from stream.replay.shard import Report, Tally, Terms, Turn

__all__ = [
    "DEFAULT_PARTITIONS",
    "Replay",
    "ReplayError",
    "Summary",
    "default_policy",
    "processes_for",
    "total_bytes",
]

DEFAULT_PARTITIONS: Final = 4
"""As many as the topics have by default."""
_WAITING_MAX: Final = 5000
"""Lines that are taken at a time, at most."""
_CLOCK: Final = b"clock.advanced"

UNTIL_MAX: Final = date(9999, 12, 30)
"""Last day that a replay may end with: its end, and the day after, exist in every time zone."""


class ReplayError(ValueError):
    """A replay that cannot begin; its text says why."""


class Summary(NamedTuple):
    """What a replay did."""

    outcomes: Counter[Outcome]
    refusals: Counter[RefusalReason]
    skipped: int
    """Events after `until`."""
    tier_changes: Counter[tuple[str, str]]
    """By direction and cause."""
    churn_events: Counter[str]
    tiers: Counter[str]
    levels: Counter[str]
    accounts: int
    first_ms: int | None
    last_ms: int | None


class Replay:
    """One replay.

    Args:
        context: the policy. With cut points it is judged by those; without, by the portfolio's own, which is counted
            whenever the day turns and at the end.
        latest_ms: an event dated later is refused; with `until` its end counts instead, and later ones are skipped.
        until: the last day that counts, as of its end; None for the day of the last event that was not refused.
        partitions: of the worker's inputs. Each has a clock of its own: a late event may come before or after the
            alert that it would have prevented, depending on who else is in its partition.
        processes: in how many the partitions are; not more than there are partitions. The bytes are the same.

    Raises:
        ReplayError: if `until` is after `UNTIL_MAX`.
    """

    def __init__(
        self,
        context: Context,
        latest_ms: int,
        until: date | None = None,
        partitions: int = DEFAULT_PARTITIONS,
        processes: int = 1,
    ) -> None:
        if until is not None and until > UNTIL_MAX:
            raise ReplayError(f"--until {until} is after {UNTIL_MAX}, the last day that can be replayed")
        self._context = context
        self._partitions = partitions
        self._processes = min(processes, partitions)
        self._until_ms = None if until is None else context.end_of_day_ms(day_of_date(until))
        self._latest_ms = latest_ms if self._until_ms is None else self._until_ms
        # Whoever was erased after `until` is not brought back by it.
        self._erasures_until_ms = max(latest_ms, self._latest_ms)
        self._recount = Recount() if context.cuts is None else None
        self._cuts = context.cuts
        self._version = 0
        self._turn = 0
        self._clock_events = 0
        self._waiting_accounts: set[str | None] = set()
        self._first_ms: int | None = None
        self._last_ms: int | None = None

    def run(self, paths: Sequence[Path], directory: Path, progress: Callable[[int], None]) -> Summary:
        """Replay files into a directory; `progress` is told after each line how many bytes it had.

        Raises:
            FileError: if a file cannot be read.
            OSError: if the directory cannot be written.
        """
        terms = Terms(
            self._context.policy,
            self._context.erasure_secret,
            self._context.model,
            self._context.cuts,
            tuple(path.name for path in paths),
            self._latest_ms,
            last_erasures(paths, self._erasures_until_ms),
            skips_later=self._until_ms is not None,
        )
        with Outputs(directory) as outputs, Crew(self._partitions, self._processes, terms) as crew:
            for line in merge(paths, self._latest_ms):
                self._take(line, crew, outputs)
                progress(len(line.raw) + 1)
            self._finish(crew, outputs)
            return self._summary(crew.tallies())

    def _take(self, line: Line, crew: Crew, outputs: Outputs) -> None:
        moment_ms = self._clock_moment(line)
        if moment_ms is not None:
            self._work(crew, outputs)
            # As when it is produced: the clock of every partition.
            self._advance_all(moment_ms, crew, outputs)
            self._reach(moment_ms, moment_ms)
            self._clock_events += 1
            self._count(crew, outputs)
            return
        key = None if line.account_id is None else line.account_id.encode()
        number = 0 if key is None else partition_of(key, self._partitions)
        crew.deal(Turn(self._next_turn(), number, line))
        self._waiting_accounts.add(line.account_id)
        if crew.waiting_count >= _WAITING_MAX or self._may_count(line, crew):
            self._work(crew, outputs)
            self._count(crew, outputs)

    def _clock_moment(self, line: Line) -> int | None:
        """Give the moment to which a line moves all clocks; None for any other line."""
        if _CLOCK not in line.raw or line.topic is not InputTopic.ORDERS:
            return None
        event = parse(line.topic, None, line.raw)
        if isinstance(event, ClockAdvanced) and event.occurred_ms <= self._latest_ms:
            return event.occurred_ms
        return None

    def _may_count(self, line: Line, crew: Crew) -> bool:
        """Tell whether the portfolio might be counted after a line, if it is not refused."""
        moment_ms = line.occurred_ms
        if self._recount is None or (moment_ms is not None and moment_ms > self._latest_ms):
            return False
        if moment_ms is None:
            return True
        day = self._context.day_of(max(moment_ms, self._last_ms or moment_ms))
        return self._recount.is_due(day, crew.accounts + len(self._waiting_accounts))

    def _work(self, crew: Crew, outputs: Outputs) -> None:
        if crew.waiting_count:
            self._write(crew.work(), outputs)
            self._waiting_accounts.clear()

    def _count(self, crew: Crew, outputs: Outputs) -> None:
        """Count the portfolio at the turn of a day, and sooner while it is young."""
        if self._recount is None or self._last_ms is None:
            return
        day = self._context.day_of(self._last_ms)
        if not self._recount.is_due(day, crew.accounts):
            return
        if self._recount.day is not None and day > self._recount.day:
            # Whoever had no event yet is counted as of the same day.
            self._advance_all(self._context.start_of_day_ms(day), crew, outputs)
        self._draw(day, crew)

    def _draw(self, day: int, crew: Crew) -> None:
        """Count all accounts, and let new cut points be gone by."""
        assert self._recount is not None
        counted = crew.count(day)
        self._recount.counted(day, sum(one.accounts for one in counted))
        self._version += 1
        self._cuts = cut_points(counted, self._version, self._context.policy.classes)
        crew.adopt(self._cuts)

    def _advance_all(self, moment_ms: int, crew: Crew, outputs: Outputs) -> None:
        self._write(crew.advance(self._next_turn(), moment_ms), outputs)

    def _next_turn(self) -> int:
        self._turn += 1
        return self._turn

    def _write(self, report: Report, outputs: Outputs) -> None:
        for one in report.written:
            outputs.write(one.file, one.line)
        if report.first_ms is not None and report.last_ms is not None:
            self._reach(report.first_ms, report.last_ms)

    def _reach(self, first_ms: int, last_ms: int) -> None:
        self._first_ms = first_ms if self._first_ms is None else min(self._first_ms, first_ms)
        self._last_ms = last_ms if self._last_ms is None else max(self._last_ms, last_ms)

    def _finish(self, crew: Crew, outputs: Outputs) -> None:
        self._work(crew, outputs)
        self._count(crew, outputs)
        end_ms = self._until_ms
        if end_ms is None and self._last_ms is not None:
            end_ms = self._context.end_of_day_ms(self._context.day_of(self._last_ms))
        if end_ms is not None:
            self._advance_all(end_ms, crew, outputs)
        if self._recount is not None:
            self._draw(0 if end_ms is None else self._context.day_of(end_ms), crew)
            self._write(crew.refresh(self._next_turn()), outputs)
        assert self._cuts is not None, "there are cut points by now"
        outputs.write(CUT_POINTS_FILE, cut_points_to_json(self._cuts))
        for _, line in crew.snapshots():
            outputs.write(SNAPSHOTS_FILE, line)

    def _summary(self, tallies: Sequence[Tally]) -> Summary:
        outcomes = sum((one.outcomes for one in tallies), Counter[Outcome]())
        if self._clock_events:
            outcomes[Outcome.APPLIED] += self._clock_events
        return Summary(
            outcomes,
            sum((one.refusals for one in tallies), Counter()),
            sum(one.skipped for one in tallies),
            sum((one.tier_changes for one in tallies), Counter()),
            sum((one.churn_events for one in tallies), Counter()),
            sum((+one.tiers for one in tallies), Counter()),
            sum((+one.levels for one in tallies), Counter()),
            sum(one.accounts for one in tallies),
            self._first_ms,
            self._last_ms,
        )


def first_currency(paths: Sequence[Path]) -> str:
    """Find the currency of the earliest order of the files.

    Raises:
        ReplayError: if there is no order.
    """
    for line in merge(paths):
        if line.topic is InputTopic.ORDERS and line.account_id is not None:
            event = parse(InputTopic.ORDERS, line.account_id.encode(), line.raw)
            if isinstance(event, Order) and event.type == "order.completed":
                return event.currency
    raise ReplayError("no order in the files tells the reporting currency: give a policy with --policy")


def default_policy(paths: Sequence[Path]) -> Policy:
    """Give the default policy in the currency of the earliest order.

    Raises:
        ReplayError: if there is no order.
    """
    return Policy(reporting_currency=first_currency(paths))


def total_bytes(paths: Sequence[Path]) -> int | None:
    """Give the size of the files, for a progress bar; None if one is compressed."""
    if any(path.suffix in {".xz", ".gz"} for path in paths):
        return None
    return sum(path.stat().st_size for path in paths)
