"""The same core without Kafka: files of events in, files of outputs out, on the event clock.

Deterministic: the same files, policy and `until` give the same bytes.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from datetime import date
from pathlib import Path
from types import TracebackType
from typing import IO, Final, NamedTuple, Self

import msgspec

from models.events import ClockAdvanced, InputTopic
from models.orders import Order
from models.outputs import TierChanged
from models.policy import Policy
from models.portfolio import CutPoints, cut_points_to_json
from models.reasons import Outcome, RefusalReason
from models.wire import ReadEvent, Refusal, parse
from processors.account import Step
from processors.context import Context, day_of_date
from processors.partition import NEVER, Partition
from processors.snapshots import snapshot
from stream.files import Line, merge
from stream.handling import partition_of
from stream.portfolio.files import CUT_POINTS_FILE
from stream.portfolio.survey import Survey

SNAPSHOTS_FILE: Final = "snapshots.jsonl"
TIER_CHANGES_FILE: Final = "tier-changes.jsonl"
CHURN_RISK_FILE: Final = "churn-risk.jsonl"
DEAD_LETTERS_FILE: Final = "dead-letters.jsonl"
_FILES: Final = (SNAPSHOTS_FILE, TIER_CHANGES_FILE, CHURN_RISK_FILE, DEAD_LETTERS_FILE, CUT_POINTS_FILE)
DEFAULT_PARTITIONS: Final = 4
"""As many as the topics have by default."""
_TICK_ACCOUNTS: Final = 1000
_PACK_EVENTS: Final = 50_000
"""Touched states are packed after as many events, which bounds the memory."""


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


class DeadLetter(msgspec.Struct):
    """One refused line: `value` is the line itself, if it is UTF-8 text, else `value_hex`."""

    file: str
    line: int
    reason: str
    detail: str
    value: str | None = None
    value_hex: str | None = None


class _Outputs:
    """The files of a replay, written beside their names and renamed when they are whole."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._stack = ExitStack()
        self._files: dict[str, IO[bytes]] = {}

    def __enter__(self) -> Self:
        self._directory.mkdir(parents=True, exist_ok=True)
        for name in _FILES:
            self._files[name] = self._stack.enter_context((self._directory / f"{name}.part").open("wb"))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()
        for name in _FILES:
            part = self._directory / f"{name}.part"
            if error is None:
                part.replace(self._directory / name)
            else:
                part.unlink(missing_ok=True)

    def write(self, name: str, line: bytes) -> None:
        """Write one line."""
        self._files[name].write(line + b"\n")


class Replay:
    """One replay.

    Args:
        context: the policy. With cut points it is judged by those; without, by the portfolio's own, which is counted
            whenever the day turns and at the end.
        latest_ms: an event dated later is refused; with `until` its end counts instead, and later ones are skipped.
        until: the last day that counts, as of its end; None for the day of the last event that was not refused.
        partitions: of the worker's inputs. Each has a clock of its own: a late event may come before or after the
            alert that it would have prevented, depending on who else is in its partition.

    Raises:
        ReplayError: if `until` is after `UNTIL_MAX`.
    """

    def __init__(
        self, context: Context, latest_ms: int, until: date | None = None, partitions: int = DEFAULT_PARTITIONS
    ) -> None:
        if until is not None and until > UNTIL_MAX:
            raise ReplayError(f"--until {until} is after {UNTIL_MAX}, the last day that can be replayed")
        self._context = context
        self._partitions = [Partition(context) for _ in range(partitions)]
        # Cut points that are given stay as they are.
        self._survey = Survey(context.policy.classes) if context.cuts is None else None
        self._until_ms = None if until is None else context.end_of_day_ms(day_of_date(until))
        self._latest_ms = latest_ms if self._until_ms is None else self._until_ms
        self._outcomes: Counter[Outcome] = Counter()
        self._refusals: Counter[RefusalReason] = Counter()
        self._tier_changes: Counter[tuple[str, str]] = Counter()
        self._churn_events: Counter[str] = Counter()
        self._skipped = 0
        self._first_ms: int | None = None
        self._last_ms: int | None = None

    def run(self, paths: Sequence[Path], directory: Path, progress: Callable[[int], None]) -> Summary:
        """Replay files into a directory; `progress` is told after each line how many bytes it had.

        Raises:
            FileError: if a file cannot be read.
            OSError: if the directory cannot be written.
        """
        with _Outputs(directory) as outputs:
            for number, line in enumerate(merge(paths, self._latest_ms), start=1):
                self._take(paths, line, outputs)
                progress(len(line.raw) + 1)
                if number % _PACK_EVENTS == 0:
                    self._pack()
            self._finish(outputs)
        return Summary(
            self._outcomes,
            self._refusals,
            self._skipped,
            self._tier_changes,
            self._churn_events,
            sum((+one.tiers for one in self._partitions), Counter()),
            sum((+one.levels for one in self._partitions), Counter()),
            sum(map(len, self._partitions)),
            self._first_ms,
            self._last_ms,
        )

    def _take(self, paths: Sequence[Path], line: Line, outputs: _Outputs) -> None:
        topic = line.topic or InputTopic.ORDERS
        # A file has no record keys: an event's own account stands for its key.
        key = None if line.account_id is None else line.account_id.encode()
        event = parse(topic, key, line.raw)
        if isinstance(event, Refusal):
            self._refuse(paths, line, event, outputs)
        elif self._until_ms is not None and event.occurred_ms > self._until_ms:
            self._skipped += 1
        elif event.occurred_ms > self._latest_ms:
            refusal = Refusal(RefusalReason.IN_THE_FUTURE, "dated later than the clock allows")
            self._refuse(paths, line, refusal, outputs)
        else:
            self._apply(paths, line, event, outputs)

    def _apply(self, paths: Sequence[Path], line: Line, event: ReadEvent, outputs: _Outputs) -> None:
        moment_ms = event.occurred_ms
        if isinstance(event, ClockAdvanced):
            self._reach(moment_ms)
            # As when it is produced: the clock of every partition.
            self._advance_all(moment_ms, outputs)
            self._outcomes[Outcome.APPLIED] += 1
        else:
            accounts = self._partitions[partition_of(event.account_id.encode(), len(self._partitions))]
            step = accounts.apply(event)
            if step.refusal is not None:
                self._refuse(paths, line, step.refusal, outputs)
                return
            self._reach(moment_ms)
            assert step.outcome is not None, "an event that is not refused has an outcome"
            self._outcomes[step.outcome] += 1
            self._take_step(event.account_id, accounts, step, outputs)
            self._advance(accounts, outputs)
        self._count(outputs)

    def _count(self, outputs: _Outputs) -> None:
        """Count the portfolio at the turn of a day, and sooner while it is young."""
        assert self._last_ms is not None, "time has begun"
        day = self._context.day_of(self._last_ms)
        if self._survey is None or not self._survey.is_due(day):
            return
        if self._survey.turns(day):
            # Whoever had no event yet is counted as of the same day.
            self._advance_all(self._context.start_of_day_ms(day), outputs)
        self._adopt(self._survey.take(day))

    def _adopt(self, cuts: CutPoints) -> None:
        self._context = self._context.with_cuts(cuts)
        for accounts in self._partitions:
            accounts.context = self._context

    def _reach(self, moment_ms: int) -> None:
        self._first_ms = moment_ms if self._first_ms is None else min(self._first_ms, moment_ms)
        self._last_ms = moment_ms if self._last_ms is None else max(self._last_ms, moment_ms)

    def _advance_all(self, moment_ms: int, outputs: _Outputs) -> None:
        for accounts in self._partitions:
            accounts.clock_ms = max(accounts.clock_ms, moment_ms)
            self._advance(accounts, outputs)

    def _advance(self, accounts: Partition, outputs: _Outputs) -> None:
        while True:
            reached = 0
            for account_id, step in accounts.tick(NEVER, _TICK_ACCOUNTS):
                self._take_step(account_id, accounts, step, outputs)
                reached += 1
            # Whoever was evaluated may be due again: under new cut points a day that has come can matter.
            if not reached:
                return

    def _take_step(self, account_id: str, accounts: Partition, step: Step, outputs: _Outputs) -> None:
        if self._survey is not None and step.changed:
            self._survey.note(account_id, accounts)
        self._publish(step, outputs)

    def _finish(self, outputs: _Outputs) -> None:
        end_ms = self._until_ms
        if end_ms is None and self._last_ms is not None:
            end_ms = self._context.end_of_day_ms(self._context.day_of(self._last_ms))
        if end_ms is not None:
            self._advance_all(end_ms, outputs)
        self._pack()
        if self._survey is not None:
            self._adopt(self._survey.take(0 if end_ms is None else self._context.day_of(end_ms)))
            for accounts in self._partitions:
                accounts.refresh()
                self._advance(accounts, outputs)
            self._pack()
        assert self._context.cuts is not None, "there are cut points by now"
        outputs.write(CUT_POINTS_FILE, cut_points_to_json(self._context.cuts))
        homes = {one: accounts for accounts in self._partitions for one in accounts.account_ids()}
        for account_id in sorted(homes):
            state = homes[account_id].get(account_id)
            assert state is not None
            outputs.write(SNAPSHOTS_FILE, snapshot(state, self._context).model_dump_json().encode())

    def _pack(self) -> None:
        for accounts in self._partitions:
            accounts.commit(accounts.changes())

    def _publish(self, step: Step, outputs: _Outputs) -> None:
        for event in step.outputs:
            if isinstance(event, TierChanged):
                self._tier_changes[event.direction, event.cause] += 1
                name = TIER_CHANGES_FILE
            else:
                self._churn_events[event.type] += 1
                name = CHURN_RISK_FILE
            outputs.write(name, event.model_dump_json().encode())

    def _refuse(self, paths: Sequence[Path], line: Line, refusal: Refusal, outputs: _Outputs) -> None:
        self._refusals[refusal.reason] += 1
        letter = DeadLetter(paths[line.source].name, line.number, refusal.reason.value, refusal.detail)
        try:
            letter.value = line.raw.decode()
        except UnicodeDecodeError:
            letter.value_hex = line.raw.hex()
        outputs.write(DEAD_LETTERS_FILE, msgspec.json.encode(letter))


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
