"""What to simulate, and the days and random numbers that all of it is made of."""

from dataclasses import dataclass
from datetime import date, timedelta
from random import Random
from typing import Final

from models.fields import EPOCH, MINOR_DIGITS

DAY_MS: Final = 86_400_000
HOUR_MS: Final = 3_600_000
MINUTE_MS: Final = 60_000
YEAR_DAYS: Final = 365

_EPOCH_DATE: Final = EPOCH.date()
_FIRST_DATE: Final = date(1990, 1, 1)
_LAST_DATE: Final = date(2090, 12, 31)
_SHARE_MAX: Final = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulationSpec:
    """The company's size, its period, and how much of what it sends is imperfect.

    Shares are of the records sent, from 0 to 0.5. Raises ValueError, naming the field, for a value
    out of range.
    """

    until: date
    """Last day of the history, inclusive, in UTC."""
    accounts: int = 300
    """Accounts that appear within the history; more are acquired after it."""
    days: int = 730
    """Days of history, `until` included."""
    currency: str = "EUR"
    """ISO 4217 code of every amount."""
    malformed_share: float = 0.001
    """Records followed by a broken copy that must be refused."""
    late_share: float = 0.01
    """Orders and support events that arrive at least a day after they happened."""
    duplicate_share: float = 0.005
    """Records sent twice, byte for byte."""
    conflict_share: float = 0.001
    """Records whose id is sent again with other content."""

    def __post_init__(self) -> None:
        if self.accounts < 1:
            raise ValueError("accounts: at least 1")
        if self.days < 1:
            raise ValueError("days: at least 1")
        if self.until > _LAST_DATE or self.first_day < day_of(_FIRST_DATE):
            raise ValueError(f"until, days: only from {_FIRST_DATE} to {_LAST_DATE}")
        if self.currency not in MINOR_DIGITS:
            raise ValueError("currency: not an ISO 4217 code")
        for name in ("malformed_share", "late_share", "duplicate_share", "conflict_share"):
            if not 0 <= getattr(self, name) <= _SHARE_MAX:
                raise ValueError(f"{name}: from 0 to {_SHARE_MAX}")

    @property
    def last_day(self) -> int:
        """The last day of the history, in days since 1970-01-01."""
        return day_of(self.until)

    @property
    def first_day(self) -> int:
        """The first day of the history, in days since 1970-01-01."""
        return self.last_day - self.days + 1

    @property
    def end_ms(self) -> int:
        """The moment at which the history ends, exclusive."""
        return (self.last_day + 1) * DAY_MS


def sub_random(seed: int, *path: object) -> Random:
    """Return random numbers of their own for one part of the company.

    Drawing more of one part's numbers, or adding parts, leaves all others as they are.
    """
    name = "/".join(str(part) for part in (seed, *path))
    return Random(name)  # noqa: S311  # a simulation is repeated by its seed, not kept secret


def day_of(day: date) -> int:
    """Days from 1970-01-01 to a date."""
    return (day - _EPOCH_DATE).days


def date_of(day: int) -> date:
    """Turn days since 1970-01-01 into the date.

    >>> date_of(365).isoformat()
    '1971-01-01'
    """
    return _EPOCH_DATE + timedelta(days=day)
