"""A share of a replay's partitions: their accounts, what lines and time do to them, their part of a census."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

import msgspec

from models.bodies import TierChanged, encode
from models.churn_model import ChurnModel
from models.events import AccountErased, ClockAdvanced, InputTopic
from models.policy import Policy
from models.portfolio import CutPoints
from models.reasons import Outcome, RefusalReason
from models.wire import ReadEvent, Refusal, parse
from processors.account import Step
from processors.context import Context
from processors.partition import NEVER, Partition
from processors.portfolio.census import Counted
from processors.snapshots import snapshot
from stream.files import Line
from stream.replay.census import Figures
from stream.replay.outputs import CHURN_RISK_FILE, DEAD_LETTERS_FILE, TIER_CHANGES_FILE, DeadLetter, Written

_TICK_ACCOUNTS: Final = 1000
_PACK_LINES: Final = 50_000
"""Touched states are packed after as many lines, which bounds the memory."""


class Terms(NamedTuple):
    """What a shard judges by."""

    policy: Policy
    erasure_secret: bytes
    model: ChurnModel | None
    cuts: CutPoints | None
    """That stay; None where the portfolio is counted."""
    files: tuple[str, ...]
    """Names of the inputs."""
    latest_ms: int
    """An event dated later is refused, or skipped."""
    erasures: dict[str, int]
    """When each erased account was erased for the last time, epoch milliseconds."""
    skips_later: bool


class Turn(NamedTuple):
    """One line, for a partition."""

    number: int
    partition: int
    line: Line


class Report(NamedTuple):
    """What a step of a shard led to."""

    written: list[Written]
    first_ms: int | None
    """Earliest and latest moment of the events that were not refused."""
    last_ms: int | None
    accounts: int


@dataclass
class Tally:
    """What became of events and accounts."""

    outcomes: Counter[Outcome] = field(default_factory=Counter)
    refusals: Counter[RefusalReason] = field(default_factory=Counter)
    skipped: int = 0
    """Events after `until`."""
    tier_changes: Counter[tuple[str, str]] = field(default_factory=Counter)
    """By direction and cause."""
    churn_events: Counter[str] = field(default_factory=Counter)
    tiers: Counter[str] = field(default_factory=Counter)
    levels: Counter[str] = field(default_factory=Counter)
    accounts: int = 0


class Shard:
    """Some of the partitions.

    Args:
        numbers: which.
        terms: what they are judged by.
    """

    def __init__(self, numbers: Iterable[int], terms: Terms) -> None:
        self._terms = terms
        self._context = Context(terms.policy, terms.erasure_secret, cuts=terms.cuts, model=terms.model)
        self._partitions = {number: Partition(self._context) for number in numbers}
        # Cut points that are given stay as they are.
        self._figures = Figures() if terms.cuts is None else None
        self._tally = Tally()
        self._written: list[Written] = []
        self._first_ms: int | None = None
        self._last_ms: int | None = None
        self._unpacked_lines = 0
        # Erased accounts that had an event since their last erasure: each of them is another incarnation.
        self._forgotten: set[str] = set()

    def take(self, turns: Sequence[Turn]) -> Report:
        """Take some lines, in their order."""
        for turn in turns:
            self._take(turn)
        self._unpacked_lines += len(turns)
        if self._unpacked_lines >= _PACK_LINES:
            self._pack()
        return self._report()

    def advance(self, turn: int, moment_ms: int) -> Report:
        """Let time pass for every account."""
        for number, accounts in self._partitions.items():
            accounts.clock_ms = max(accounts.clock_ms, moment_ms)
            self._advance(turn, number, accounts)
        return self._report()

    def count(self, as_of_day: int) -> Counted:
        """Take the census of all accounts."""
        assert self._figures is not None, "only a portfolio without cut points of its own is counted"
        return self._figures.count(as_of_day)

    def adopt(self, cuts: CutPoints) -> None:
        """Go by other cut points, which reach an account when it is looked at next."""
        self._context = self._context.with_cuts(cuts)
        for accounts in self._partitions.values():
            accounts.context = self._context

    def refresh(self, turn: int) -> Report:
        """Look at every account."""
        self._pack()
        for number, accounts in self._partitions.items():
            accounts.refresh()
            self._advance(turn, number, accounts)
        return self._report()

    def snapshots(self) -> list[tuple[str, bytes]]:
        """Describe every account, in the order of their ids."""
        self._pack()
        homes = {one: accounts for accounts in self._partitions.values() for one in accounts.account_ids()}
        found = []
        for account_id in sorted(homes):
            state = homes[account_id].get(account_id)
            assert state is not None
            found.append((account_id, encode(snapshot(state, self._context))))
        return found

    def tally(self) -> Tally:
        """Say what became of events and accounts, once `snapshots` has been asked."""
        for accounts in self._partitions.values():
            self._tally.tiers += accounts.tiers
            self._tally.levels += accounts.levels
            self._tally.accounts += len(accounts)
        return self._tally

    def _take(self, turn: Turn) -> None:
        line = turn.line
        # A file has no record keys: an event's own account stands for its key.
        key = None if line.account_id is None else line.account_id.encode()
        event = parse(line.topic or InputTopic.ORDERS, key, line.raw)
        if self._is_erased(line, event):
            self._forgotten.add(line.account_id or "")
            self._tally.outcomes[Outcome.ERASED] += 1
            if not isinstance(event, Refusal):
                accounts = self._partitions[turn.partition]
                accounts.clock_ms = max(accounts.clock_ms, event.occurred_ms)
                self._reach(event.occurred_ms)
                self._advance(turn.number, turn.partition, accounts)
            return
        if isinstance(event, Refusal):
            self._refuse(turn, event)
            return
        if event.occurred_ms > self._terms.latest_ms:
            if self._terms.skips_later:
                self._tally.skipped += 1
            else:
                self._refuse(turn, Refusal(RefusalReason.IN_THE_FUTURE, "dated later than the clock allows"))
            return
        assert not isinstance(event, ClockAdvanced), "the clock of all partitions is no line of one"
        accounts = self._partitions[turn.partition]
        if event.account_id in self._forgotten:
            self._forgotten.discard(event.account_id)
            accounts.begin_anew(event.account_id)
        step = accounts.apply(event)
        if step.refusal is not None:
            self._refuse(turn, step.refusal)
            return
        assert step.outcome is not None, "an event that is not refused has an outcome"
        self._tally.outcomes[step.outcome] += 1
        self._reach(event.occurred_ms)
        self._take_step(turn.number, turn.partition, event.account_id, accounts, step, by_event=True)
        self._advance(turn.number, turn.partition, accounts)

    def _is_erased(self, line: Line, event: ReadEvent | Refusal) -> bool:
        """Tell whether a line is of an account that was erased later: then nothing of it is kept, not even refused."""
        if line.account_id is None or (erased_ms := self._terms.erasures.get(line.account_id)) is None:
            return False
        if isinstance(event, Refusal):
            return line.occurred_ms is None or line.occurred_ms <= erased_ms
        return event.occurred_ms <= min(erased_ms, self._terms.latest_ms) and not isinstance(event, AccountErased)

    def _reach(self, moment_ms: int) -> None:
        self._first_ms = moment_ms if self._first_ms is None else min(self._first_ms, moment_ms)
        self._last_ms = moment_ms if self._last_ms is None else max(self._last_ms, moment_ms)

    def _advance(self, turn: int, number: int, accounts: Partition) -> None:
        while True:
            reached = 0
            for account_id, step in accounts.tick(NEVER, _TICK_ACCOUNTS):
                self._take_step(turn, number, account_id, accounts, step, by_event=False)
                reached += 1
            # Whoever was evaluated may be due again: under new cut points a day that has come can matter.
            if not reached:
                return

    def _take_step(  # noqa: PLR0913  # whose step it is, and when
        self, turn: int, number: int, account_id: str, accounts: Partition, step: Step, *, by_event: bool
    ) -> None:
        if self._figures is not None and step.changed:
            self._figures.note(account_id, accounts, by_event=by_event)
        for event in step.outputs:
            if isinstance(event, TierChanged):
                self._tally.tier_changes[event.direction, event.cause] += 1
                file = TIER_CHANGES_FILE
            else:
                self._tally.churn_events[event.type] += 1
                file = CHURN_RISK_FILE
            self._written.append(Written(turn, number, file, encode(event)))

    def _refuse(self, turn: Turn, refusal: Refusal) -> None:
        line = turn.line
        self._tally.refusals[refusal.reason] += 1
        letter = DeadLetter(self._terms.files[line.source], line.number, refusal.reason.value, refusal.detail)
        try:
            letter.value = line.raw.decode()
        except UnicodeDecodeError:
            letter.value_hex = line.raw.hex()
        self._written.append(Written(turn.number, turn.partition, DEAD_LETTERS_FILE, msgspec.json.encode(letter)))

    def _pack(self) -> None:
        self._unpacked_lines = 0
        for accounts in self._partitions.values():
            accounts.commit(accounts.changes())

    def _report(self) -> Report:
        written, self._written = self._written, []
        counted = 0 if self._figures is None else self._figures.accounts
        return Report(written, self._first_ms, self._last_ms, counted)
