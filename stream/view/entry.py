"""From a snapshot to its place in the indexes: orders, sets, totals and names."""

import math
import re
import struct
import unicodedata
from decimal import Decimal
from typing import Final, NamedTuple

import msgspec

from models.outputs import Abc, AccountType, ChurnLevel, ChurnReason, Lifecycle, RfmSegment, Tier, Xyz
from stream.view.arrangement import Dimension, Sort
from stream.view.keys import SET_DIMENSIONS, UNCLASSED

NAME_STARTS_MAX: Final = 2
"""The first words of a name are found by their beginnings."""
BANDS_A_DECADE: Final = 20
"""Of the logarithmic revenue bands from which the concentration is drawn."""
_NO_BAND: Final = "-"
_NAME_CHARACTERS_MAX: Final = 80
_BIAS: Final = 1 << 63
_ORDER: Final = struct.Struct(">Q")
LEAST_VALUE: Final = _ORDER.pack(1)
"""Members of accounts without a value are less, all others are not."""
_SEPARATOR: Final = b"\x00"
VALUE_SORTS: Final = tuple(one for one in Sort if one is not Sort.NAME)
"""The orders by a value."""
VALUE_BYTES: Final = _ORDER.size
"""Of a member of such an order, before the id."""


class WindowBody(msgspec.Struct, gc=False, frozen=True):
    """What lists show of a window."""

    revenue: str
    profit: str | None
    orders: int


class LifetimeBody(msgspec.Struct, gc=False, frozen=True):
    """What lists show of an account's lifetime."""

    last_order: str | None


class RfmBody(msgspec.Struct, gc=False, frozen=True):
    """Recency, frequency, money, from 1 to 5, and the segment's name."""

    segment: RfmSegment | None = None
    r: int | None = None
    f: int | None = None
    m: int | None = None


class ClassesBody(msgspec.Struct, gc=False, frozen=True):
    """Relative classes."""

    abc_revenue: Abc | None = None
    abc_profit: Abc | None = None
    xyz: Xyz | None = None
    rfm: RfmBody | None = None
    account_types: list[AccountType] = []


class ChurnBody(msgspec.Struct, gc=False, frozen=True):
    """The risk of losing the account."""

    risk: float | None
    level: ChurnLevel
    value_at_stake: str | None
    value_lost: str | None = None
    lost_on: str | None = None
    reasons: list[ChurnReason] = []


class ActionBody(msgspec.Struct, gc=False, frozen=True):
    """What is recommended."""

    name: str


class ProfileBody(msgspec.Struct, gc=False, frozen=True):
    """What accounts are grouped by."""

    segment: str | None = None
    region: str | None = None
    owner: str | None = None


class SnapshotBody(msgspec.Struct, gc=False, frozen=True):
    """The part of a snapshot that lists and indexes are made of; what else it says is passed over."""

    account_id: str
    incarnation: int
    name: str | None
    profile: ProfileBody | None
    currency: str
    as_of: str
    revision: int
    tier: Tier
    score: float | None
    confidence: float
    windows: dict[str, WindowBody]
    lifetime: LifetimeBody
    classes: ClassesBody
    lifecycle: Lifecycle
    churn: ChurnBody
    actions: list[ActionBody] = []

    @property
    def longest(self) -> WindowBody:
        """The longest window."""
        return self.windows[max(self.windows, key=int)]

    @property
    def value_lost(self) -> str | None:
        """What a year with a lost account was worth; None of one that is not lost."""
        return self.churn.value_lost if self.churn.level is ChurnLevel.LOST else None


_DECODER: Final = msgspec.json.Decoder(SnapshotBody)


def decode_body(value: bytes) -> SnapshotBody:
    """Read the part of a snapshot that indexes are made of.

    Raises:
        ValueError: if it is no snapshot.
    """
    try:
        body = _DECODER.decode(value)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"not a snapshot: {error}") from error
    if not body.windows:
        raise ValueError("not a snapshot: it has no windows")
    return body


class Entry(NamedTuple):
    """Where an account stands in the indexes."""

    cell: str
    orders: frozenset[tuple[Sort, bytes]]
    """Its members of the ordered sets; of names it has several."""
    sets: frozenset[tuple[Dimension, str]]
    totals: frozenset[tuple[str, str]]
    """Groups and their values that count it."""
    revenue: int
    """In minor units, as the next one."""
    stake: int
    lost: int
    """Its value when it was lost."""


def order_of(body: SnapshotBody, sort: Sort) -> bytes:
    """Give an account's place in an order: its member, or the first of them."""
    match sort:
        case Sort.REVENUE:
            value = minor(body.longest.revenue)
        case Sort.SCORE:
            has_ordered = body.churn.level is not ChurnLevel.NONE
            value = round(body.score * 100) if has_ordered and body.score is not None else None
        case Sort.RISK:
            value = None if body.churn.risk is None else round(body.churn.risk * 10_000)
        case Sort.VALUE_AT_STAKE:
            value = minor(body.churn.value_at_stake)
        case Sort.VALUE_LOST:
            value = minor(body.value_lost)
        case Sort.NAME:
            return name_members(body.name, body.account_id.encode())[0]
    return order_member(value, body.account_id.encode())


def entry_of(body: SnapshotBody) -> Entry:
    """Find an account's place in the indexes."""
    revenue = minor(body.longest.revenue)
    cell = cell_of(body.tier, body.churn.level, body.classes, body.lifecycle)
    values = values_of(body)
    ranks: list[tuple[Sort, bytes]] = [
        (sort, order_of(body, sort)) for sort in VALUE_SORTS if sort is not Sort.VALUE_LOST or _is_lost(body)
    ]
    ranks += [(Sort.NAME, member) for member in name_members(body.name, body.account_id.encode())]
    counted = [("cell", cell), *((dimension.value, value) for dimension, value in values), *_matrices(body, revenue)]
    return Entry(
        cell,
        frozenset(ranks),
        frozenset(one for one in values if one[0] in SET_DIMENSIONS),
        frozenset(counted),
        revenue or 0,
        minor(body.churn.value_at_stake) or 0,
        minor(body.value_lost) or 0,
    )


def cell_of(tier: Tier, level: ChurnLevel, classes: ClassesBody, lifecycle: Lifecycle) -> str:
    """Name the cell that an account is in.

    >>> cell_of(Tier.KEY, ChurnLevel.LOW, ClassesBody(), Lifecycle.STEADY)
    'key:low:-:steady'
    """
    return f"{tier}:{level}:{classes.abc_revenue or UNCLASSED}:{lifecycle}"


def _is_lost(body: SnapshotBody) -> bool:
    return body.churn.level is ChurnLevel.LOST


def values_of(body: SnapshotBody) -> list[tuple[Dimension, str]]:
    """Give what an account has in each dimension; several types may be one account's."""
    profile, classes = body.profile or ProfileBody(), body.classes
    found = {
        Dimension.TIER: body.tier.value,
        Dimension.CHURN_LEVEL: body.churn.level.value,
        Dimension.ABC_REVENUE: classes.abc_revenue,
        Dimension.LIFECYCLE: body.lifecycle,
        Dimension.SEGMENT: profile.segment,
        Dimension.OWNER: profile.owner,
        Dimension.REGION: profile.region,
        Dimension.RFM_SEGMENT: None if classes.rfm is None else classes.rfm.segment,
        Dimension.XYZ: classes.xyz,
    }
    types = [(Dimension.ACCOUNT_TYPE, one) for one in classes.account_types]
    return [(dimension, value) for dimension, value in found.items() if value is not None] + types


def _matrices(body: SnapshotBody, revenue: int | None) -> list[tuple[str, str]]:
    classes = body.classes
    found = [
        ("currency", f"{body.currency}:{digits(body.longest.revenue)}"),
        ("revenue_band", _NO_BAND if revenue is None or revenue <= 0 else str(band(revenue))),
    ]
    if classes.abc_revenue is not None and classes.xyz is not None:
        found.append(("abc_xyz", f"{classes.abc_revenue}:{classes.xyz}"))
    if classes.rfm is not None and classes.rfm.r is not None:
        found.append(("rfm", f"{classes.rfm.r}:{classes.rfm.f}"))
    return found


def band(revenue: int) -> int:
    """Give the logarithmic band of a positive revenue, a larger one for a larger revenue.

    >>> band(1), band(9), band(10), band(1000)
    (0, 19, 20, 60)
    """
    return math.floor(math.log10(revenue) * BANDS_A_DECADE + 1e-9)


def minor(text: str | None) -> int | None:
    """Read a decimal text as a whole number of its last digit's unit.

    >>> minor("12.50"), minor("-3"), minor(None)
    (1250, -3, None)
    """
    return None if text is None else int(text.replace(".", ""))


def digits(text: str) -> int:
    """Count the decimals of a decimal text.

    >>> digits("12.50"), digits("-3")
    (2, 0)
    """
    return len(text.partition(".")[2])


def decimal_text(value: int, decimals: int) -> str:
    """Write a whole number of minor units as a decimal.

    >>> decimal_text(-1250, 2), decimal_text(3, 0)
    ('-12.50', '3')
    """
    return str(Decimal(value).scaleb(-decimals))


def order_member(value: int | None, account_id: bytes) -> bytes:
    """Give a member that sorts by value and then by account: eight bytes of the value, then the id.

    All members have the same score, so that a page begins behind a member in logarithmic time, however many accounts
    have the same value. An account without a value comes before all others; values beyond 63 bits are equal.

    >>> members = [order_member(one, b"A") for one in (None, -(2**70), -5, 0, 7, 2**70)]
    >>> members == sorted(members)
    True
    """
    return _ORDER.pack(0 if value is None else min(max(value, 1 - _BIAS), _BIAS - 1) + _BIAS) + account_id


def is_without_value(member: bytes, sort: Sort) -> bool:
    """Tell whether a member of an order stands for an account without a value."""
    return sort is not Sort.NAME and member < LEAST_VALUE


def id_of_order_member(member: bytes) -> bytes:
    """Give the account of a member of an ordered set."""
    return member[_ORDER.size :]


def fold(text: str) -> str:
    """Give a text without regard to case, accents and repeated spaces.

    >>> fold("  Müller  & SÖHNE ")
    'muller & sohne'
    """
    plain = "".join(one for one in unicodedata.normalize("NFKD", text) if not unicodedata.combining(one))
    return " ".join(plain.casefold().split())


def name_members(name: str | None, account_id: bytes) -> list[bytes]:
    r"""Give the members of the names by which an account is found: the name from each of its first words on.

    The first of them stands for the account in the alphabetical order; without a name it is empty.

    >>> name_members("Acme Trading", b"A-1")
    [b'acme trading\x00\x00A-1', b'trading\x00\x01A-1']
    """
    folded = fold(name or "")[:_NAME_CHARACTERS_MAX]
    starts = [match.start() for match in re.finditer(r"\S+", folded)][:NAME_STARTS_MAX] or [0]
    return [
        folded[start:].encode() + _SEPARATOR + bytes([min(index, 1)]) + account_id for index, start in enumerate(starts)
    ]


class NameMember(NamedTuple):
    """What a member of the names says."""

    text: str
    first: bool
    """Whether the text is the whole name."""
    account_id: bytes


def read_name_member(member: bytes) -> NameMember:
    """Take a member of the names apart."""
    text, _, rest = member.partition(_SEPARATOR)
    return NameMember(text.decode(), rest[0] == 0, rest[1:])
