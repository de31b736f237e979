"""The order days of every account, read from files of events by the rules of the core.

An order counts on its local day, a cancellation undoes one on the day of the order, refunds change nothing, an event id
that is among the account's latest is a duplicate, and an erased account is forgotten. What a state cannot remember is
remembered here: an order or a cancellation that came after its day had left the horizon of the account.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

from models.churn_model import HORIZON_DAYS_MAX, RECENT_DAYS
from models.events import AccountErased, ClockAdvanced, InputTopic
from models.orders import Order
from models.reasons import RefusalReason
from models.wire import Refusal, parse
from processors import recent
from processors.context import Context, date_of, day_of_date
from stream.files import Line, merge

Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]

ACCOUNTS_MAX: Final = 5_000_000
"""More accounts than a model needs, and about as many as fit into the memory of one machine."""
_ERASURE: Final = b"account.erased"


class CalibrationError(ValueError):
    """A history from which no model can be fitted; the text says why."""


@dataclass(frozen=True)
class Features:
    """What order days say as of a day; arrays have one entry for each account that had ordered by then."""

    day: int
    accounts: Ints
    """Their numbers in the history."""
    order_days: Ints
    first_day: Ints
    last_day: Ints
    recent: tuple[Ints, Ints]
    """Order days of the last 90 and of the last 180 days."""

    def __len__(self) -> int:
        """Count the accounts."""
        return len(self.accounts)

    @property
    def silence(self) -> Ints:
        """Days since the last order."""
        return self.day - self.last_day

    @property
    def age(self) -> Ints:
        """Days since the first order."""
        return self.day - self.first_day

    def where(self, chosen: Flags) -> Self:
        """Keep some of the accounts."""
        short, long = self.recent
        return type(self)(
            self.day,
            self.accounts[chosen],
            self.order_days[chosen],
            self.first_day[chosen],
            self.last_day[chosen],
            (short[chosen], long[chosen]),
        )


class History:
    """Order days up to the end of a day.

    Args:
        order_days: the days of each account, in any order.
        until_day: the last day that counts; later ones are left out.
    """

    def __init__(self, order_days: Mapping[str, Iterable[int]], until_day: int) -> None:
        known = {one: days for one in sorted(order_days) if (days := _until(order_days[one], until_day))}
        self.until_day = until_day
        self.account_ids = tuple(known)
        self._days = np.fromiter((day for days in known.values() for day in days), np.int64)
        lengths = np.fromiter(map(len, known.values()), np.int64, len(known))
        self._owners = np.repeat(np.arange(len(known)), lengths)

    def __len__(self) -> int:
        """Count the accounts with an order."""
        return len(self.account_ids)

    @property
    def first_day(self) -> int:
        """The first day with an order; only where there is one."""
        return int(self._days.min())

    @property
    def last_day(self) -> int:
        """The last day with an order; only where there is one."""
        return int(self._days.max())

    @property
    def span_days(self) -> int:
        """Days from the first order to the end, both included."""
        return self.until_day - self.first_day + 1

    def features(self, day: int) -> Features:
        """Look at all accounts as of the end of a day: nothing after it is seen."""
        known = self._days <= day
        days, owners = self._days[known], self._owners[known]
        counts = self._count(owners)
        accounts = np.flatnonzero(counts)
        order_days = counts[accounts]
        starts = np.cumsum(order_days) - order_days
        short, long = (self._count(owners[days > day - length])[accounts] for length in RECENT_DAYS)
        return Features(
            day=day,
            accounts=accounts,
            order_days=order_days,
            first_day=days[starts],
            last_day=days[starts + order_days - 1],
            recent=(short, long),
        )

    def silent(self, features: Features, horizon_days: int) -> Flags:
        """Tell which of the accounts did not order in the horizon after the day of their features.

        The whole horizon must be within the history.
        """
        end = features.day + horizon_days
        assert end <= self.until_day, "what has not happened yet is not known"
        ordered = self._count(self._owners[(self._days > features.day) & (self._days <= end)]) > 0
        return ~ordered[features.accounts]

    def portfolio_gap_days(self, day: int) -> float:
        """Mean gap between order days up to a day, over all gaps of all accounts; a model's default without any."""
        features = self.features(day)
        gaps = int((features.order_days - 1).sum())
        if gaps == 0:
            return _GAP_WITHOUT_REPEATS
        lived = int((features.last_day - features.first_day).sum())
        return float(min(max(lived / gaps, 1.0), HORIZON_DAYS_MAX))

    def _count(self, owners: Ints) -> Ints:
        return np.bincount(owners, minlength=len(self.account_ids)).astype(np.int64)


_GAP_WITHOUT_REPEATS: Final = 45.0


@dataclass(frozen=True)
class Reading:
    """A history and how it was read."""

    history: History
    events: int
    """Orders and cancellations that count."""
    skipped: int
    """Events after the last day that counts."""
    ignored: Counter[str]
    """Duplicates and conflicts."""
    refused: Counter[RefusalReason]


def read_history(
    paths: Sequence[Path],
    context: Context,
    latest_ms: int,
    until: date | None = None,
    progress: Callable[[int], None] = lambda _: None,
) -> Reading:
    """Read the order days of files of events, merged as `replay` merges them.

    Args:
        paths: .jsonl, also .gz or .xz.
        context: whose time zone says which day a moment belongs to.
        latest_ms: an event dated later is refused; with `until` its end counts instead, and later ones are skipped.
        until: the last day that counts; None for the day of the last event of an order.
        progress: is told after each line how many bytes it had.

    Raises:
        FileError: if a file cannot be read.
        CalibrationError: if no order is in the files, or more accounts than `ACCOUNTS_MAX`.
    """
    reader = _Reader(context, latest_ms, until)
    for line in merge(paths, reader.latest_ms):
        reader.take(line)
        progress(len(line.raw) + 1)
    return reader.finish()


def _until(days: Iterable[int], until_day: int) -> list[int]:
    return sorted({day for day in days if day <= until_day})


class _Reader:
    def __init__(self, context: Context, latest_ms: int, until: date | None) -> None:
        self._context = context
        self._until_day = None if until is None else day_of_date(until)
        self.latest_ms = latest_ms if self._until_day is None else context.end_of_day_ms(self._until_day)
        self._orders: dict[str, dict[int, int]] = defaultdict(dict)
        self._recent: dict[str, bytes] = {}
        self._last_day: int | None = None
        self._events = 0
        self._skipped = 0
        self._ignored: Counter[str] = Counter()
        self._refused: Counter[RefusalReason] = Counter()

    def take(self, line: Line) -> None:
        topic = line.topic or InputTopic.ORDERS
        # Of what is not an order only an erasure matters.
        if topic is not InputTopic.ORDERS and _ERASURE not in line.raw:
            return
        event = parse(topic, None if line.account_id is None else line.account_id.encode(), line.raw)
        if isinstance(event, Refusal):
            self._refused[event.reason] += 1
        elif event.occurred_ms > self.latest_ms:
            if self._until_day is None:
                self._refused[RefusalReason.IN_THE_FUTURE] += 1
            else:
                self._skipped += 1
        elif isinstance(event, AccountErased):
            self._orders.pop(event.account_id, None)
            self._recent.pop(event.account_id, None)
        elif isinstance(event, Order):
            self._count(event)
        else:
            assert isinstance(event, ClockAdvanced) or topic is not InputTopic.ORDERS

    def _count(self, order: Order) -> None:
        known = self._recent.get(order.account_id, b"")
        print_ = recent.fingerprint(order)
        if (outcome := recent.seen(known, print_)) is not None:
            self._ignored[outcome] += 1
            return
        self._recent[order.account_id] = recent.remember(known, print_)
        occurred_day = self._context.day_of(order.occurred_ms)
        self._last_day = occurred_day if self._last_day is None else max(self._last_day, occurred_day)
        match order.type:
            case "order.completed":
                self._add(order.account_id, occurred_day, 1)
            case "order.cancelled":
                assert order.ordered_ms is not None
                self._add(order.account_id, self._context.day_of(order.ordered_ms), -1)
            case "order.refunded":
                pass

    def _add(self, account_id: str, day: int, orders: int) -> None:
        self._events += 1
        days = self._orders[account_id]
        days[day] = days.get(day, 0) + orders
        if len(self._orders) > ACCOUNTS_MAX:
            raise CalibrationError(f"more than {ACCOUNTS_MAX:,} accounts: a part of them is enough to fit a model")

    def finish(self) -> Reading:
        until_day = self._last_day if self._until_day is None else self._until_day
        if until_day is None or self._last_day is None:
            later = f" up to --until: {self._skipped:,} events are later" if self._skipped else ""
            raise CalibrationError(f"no order in the files{later}")
        order_days = {one: [day for day, orders in days.items() if orders > 0] for one, days in self._orders.items()}
        history = History(order_days, until_day)
        if len(history) == 0:
            raise CalibrationError(f"no order in the files up to {date_of(until_day)}")
        return Reading(history, self._events, self._skipped, self._ignored, self._refused)
