"""One replay of a history under one policy, kept as far as a comparison needs it."""

import tempfile
from collections.abc import Callable, Iterator, Sequence
from datetime import date, datetime
from pathlib import Path
from typing import Final, TypeVar

import msgspec

from models.events import InputTopic
from models.orders import Order
from models.wire import Refusal, parse
from processors.context import Context
from stream.files import merge
from stream.replay import CHURN_RISK_FILE, SNAPSHOTS_FILE, TIER_CHANGES_FILE, Replay, Summary, processes_for
from stream.replay.erasures import last_erasures

Progress = Callable[[int], None]
_Line = TypeVar("_Line")


class Part(msgspec.Struct, frozen=True):
    """One component of a score; points are of 100."""

    name: str
    points: float


class Health(msgspec.Struct, frozen=True):
    """An account at the end, as its snapshot says."""

    account_id: str
    name: str | None
    tier: str
    score: float | None
    confidence: float
    veto: str | None
    components: list[Part]


class TierChange(msgspec.Struct, frozen=True):
    """One change of tier."""

    account_id: str
    occurred_at: datetime
    previous_tier: str | None
    tier: str
    cause: str
    flap: bool


class Alert(msgspec.Struct, frozen=True):
    """One churn event."""

    account_id: str
    occurred_at: datetime
    previous_level: str | None
    level: str


class History(msgspec.Struct, frozen=True):
    """What became of all accounts under one policy."""

    policy_version: str
    accounts: dict[str, Health]
    tier_changes: list[TierChange]
    churn_events: list[Alert]
    summary: Summary


def replayed(  # noqa: PLR0913, PLR0917  # a replay's own
    context: Context, events: Sequence[Path], latest_ms: int, until: date | None, partitions: int, progress: Progress
) -> History:
    """Replay files of events under one policy.

    Raises:
        FileError, ReplayError: as a replay.
        OSError: if the folder for temporary files cannot be written.
    """
    with tempfile.TemporaryDirectory(prefix="account-health-backtest-") as name:
        folder = Path(name)
        run = Replay(context, latest_ms, until, partitions, processes_for(events, partitions))
        summary = run.run(events, folder, progress)
        return History(
            policy_version=context.configuration,
            accounts={one.account_id: one for one in _lines(folder / SNAPSHOTS_FILE, Health)},
            tier_changes=list(_lines(folder / TIER_CHANGES_FILE, TierChange)),
            churn_events=list(_lines(folder / CHURN_RISK_FILE, Alert)),
            summary=summary,
        )


def order_days(
    events: Sequence[Path], context: Context, latest_ms: int, erasures_until_ms: int
) -> dict[str, list[int]]:
    """Give the days on which each account ordered, ascending, up to a moment.

    A cancelled order counts: what the account did is what a forecast is about. What an account did before it was
    erased does not: a replay knows nothing of it.

    Args:
        events: the files.
        context: whose time zone says which day an order belongs to.
        latest_ms: the last moment that counts.
        erasures_until_ms: the last moment up to which an erasure counts, also for what was before it.

    Raises:
        FileError: if a file cannot be read.
    """
    found: dict[str, set[int]] = {}
    erased_ms = last_erasures(events, erasures_until_ms)
    for line in merge(events, latest_ms):
        if line.topic is not InputTopic.ORDERS or line.account_id is None:
            continue
        event = parse(InputTopic.ORDERS, line.account_id.encode(), line.raw)
        if isinstance(event, Refusal) or not erased_ms.get(line.account_id, _NEVER) < event.occurred_ms <= latest_ms:
            continue
        if isinstance(event, Order) and event.type == _ORDERED:
            found.setdefault(event.account_id, set()).add(context.day_of(event.occurred_ms))
    return {account_id: sorted(days) for account_id, days in found.items()}


_ORDERED: Final = "order.completed"
_NEVER: Final = -(10**18)


def _lines(path: Path, kind: type[_Line]) -> Iterator[_Line]:
    decode = msgspec.json.Decoder(kind).decode
    with path.open("rb") as lines:
        for line in lines:
            yield decode(line)
