"""What the output topics tell: the latest changes with their reasons, and how many records there are."""

from collections import Counter, deque
from collections.abc import Iterable, Iterator
from typing import Final, TypeVar

import msgspec
from pydantic import TypeAdapter

from models.outputs import AccountLost, AccountRecovered, ChurnEvent, ChurnRiskChanged, TierChanged
from stream.topics import CHURN_RISK, DEAD_LETTERS, SNAPSHOTS, TIER_CHANGES, Topic

OUTPUTS: Final = (TIER_CHANGES, CHURN_RISK, SNAPSHOTS, DEAD_LETTERS)
_KEPT: Final = 200
"""Changes of each kind that are remembered: partitions are read in turn, and the latest are wanted of all."""

_read_churn: Final = TypeAdapter[ChurnEvent](ChurnRiskChanged | AccountLost | AccountRecovered).validate_json

_Change = TypeVar("_Change", bound=TierChanged | ChurnEvent)


class _Profile(msgspec.Struct):
    account_id: str
    name: str | None = None


class Story:
    """Collects what is published; knows nothing of Kafka."""

    def __init__(self) -> None:
        self.counts: Final[Counter[str]] = Counter()
        """Records of each output, by the suffix of its topic's name."""
        self.names: Final[dict[str, str]] = {}
        """Name of each account, as its profile says."""
        self.first_change_s: float | None = None
        """When the first tier change with a previous tier was read."""
        self._tier_changes: deque[TierChanged] = deque(maxlen=_KEPT)
        self._churn_events: deque[ChurnEvent] = deque(maxlen=_KEPT)
        self._fresh: deque[TierChanged | ChurnEvent] = deque(maxlen=_KEPT)

    def take(self, topic: Topic, value: bytes | None, now_s: float) -> None:
        """Take one record of an output, read so many seconds after the start of the demo."""
        if value is None:
            return  # the snapshot of an erased account
        self.counts[topic.suffix] += 1
        if topic is TIER_CHANGES:
            change = TierChanged.model_validate_json(value)
            self._tier_changes.append(change)
            self._fresh.append(change)
            if self.first_change_s is None and change.previous_tier is not None:
                self.first_change_s = now_s
        elif topic is CHURN_RISK:
            event = _read_churn(value)
            self._churn_events.append(event)
            self._fresh.append(event)

    def take_profile(self, value: bytes | None) -> None:
        """Take one record of the profiles, for the account's name; one that cannot be read is not ours to judge."""
        try:
            profile = msgspec.json.decode(value or b"", type=_Profile)
        except (msgspec.DecodeError, UnicodeDecodeError):
            return
        if profile.name:
            self.names[profile.account_id] = profile.name

    def name(self, account_id: str) -> str:
        """Give an account's name, or its id while there is none."""
        return self.names.get(account_id, account_id)

    def tier_changes(self, count: int) -> list[TierChanged]:
        """Give the latest tier changes, the latest first."""
        return _latest(self._tier_changes, count)

    def churn_events(self, count: int) -> list[ChurnEvent]:
        """Give the latest churn events, the latest first."""
        return _latest(self._churn_events, count)

    def fresh(self) -> Iterator[TierChanged | ChurnEvent]:
        """Give what has come since the last call, oldest first."""
        while self._fresh:
            yield self._fresh.popleft()


def _latest(events: Iterable[_Change], count: int) -> list[_Change]:
    # Of equal moments the one that was read last comes first, hence not `reverse=True`.
    return sorted(events, key=lambda one: one.occurred_at)[: -count - 1 : -1]
