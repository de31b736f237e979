"""The short way from a record's bytes to an order.

`models.events` is the contract. To validate an order against it costs several times what the order does to its account,
so ordinary ones are read here: `read_order` accepts only what the contract accepts, and gives the same order.
"""

import re
from datetime import datetime
from typing import Final

import msgspec
from msgspec import UNSET

from models.fields import AMOUNT_MAX, MINOR_DIGITS, epoch_ms
from models.orders import AMOUNT_DECIMALS, NANO, NANO_MAX, Order, OrderDocument

_decode: Final = msgspec.json.Decoder(OrderDocument).decode

_FLAT_BYTES: Final = 400
"""A shorter document cannot be nested deeper than the contract's reader follows, which is 200 levels."""
_OPENINGS_MAX: Final = 150
_BYTES_MAX: Final = 4000
"""A longer document may hold a number of more digits than the contract's reader takes, which are 4,300."""
_BACKSLASH: Final = ord("\\")
_DELETE: Final = 0x7F


def read_order(value: bytes) -> Order | None:
    """Read an order from JSON; None if the contract itself has to look at the document, for whatever reason.

    >>> order = read_order(
    ...     b'{"type":"order.completed","event_id":"e1","account_id":"A","order_id":"O","amount":12.5,'
    ...     b'"currency":"EUR","occurred_at":"1970-01-02T00:00:00Z"}'
    ... )
    >>> order.account_id, order.amount_nano, order.occurred_ms
    ('A', 12500000000, 86400000)
    """
    raw = _read(value)
    if raw is None:
        return None
    account_id = raw.customer_id if raw.account_id is UNSET else raw.account_id
    occurred_ms = _epoch_ms(raw.occurred_at)
    amount_nano = _nano(raw.amount)
    cost_nano = None if raw.cost is None else _nano(raw.cost)
    if (
        account_id is UNSET
        or occurred_ms is None
        or amount_nano is None
        or (cost_nano is None and raw.cost is not None)
        or raw.currency not in MINOR_DIGITS
    ):
        return None
    kind, order_id, currency = raw.type, raw.order_id, raw.currency
    if kind == "order.completed":
        if order_id is None:
            return None
        lines = raw.product_lines
        return Order(
            kind, raw.event_id, account_id, occurred_ms, amount_nano, currency, cost_nano, order_id, None, lines
        )
    ordered_ms = None if raw.ordered_at is None else _epoch_ms(raw.ordered_at)
    if ordered_ms is None:
        if raw.ordered_at is not None or kind == "order.cancelled":
            return None
    elif ordered_ms >= occurred_ms and raw.ordered_at != raw.occurred_at:
        # Within a millisecond the contract tells which one is first.
        return None
    if order_id is None if kind == "order.cancelled" else amount_nano == 0:
        return None
    return Order(kind, raw.event_id, account_id, occurred_ms, amount_nano, currency, cost_nano, order_id, ordered_ms)


def _read(value: bytes) -> OrderDocument | None:
    # No control characters in ids: the decoder refuses them but for this one, and those that an escape would hide.
    if len(value) > _BYTES_MAX or _BACKSLASH in value or _DELETE in value:
        return None
    # Unknown fields are skipped by the decoder, however deep they are and whatever bytes stand in them.
    if len(value) > _FLAT_BYTES and value.count(b"{") + value.count(b"[") > _OPENINGS_MAX:
        return None
    try:
        if not value.isascii():
            value.decode()
        return _decode(value)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None


_CENT: Final = NANO // 100
# Compared with a decimal number, a double would be turned into one.
_LARGEST: Final = float(AMOUNT_MAX)
_AMOUNT: Final = re.compile(r"([0-9]{1,12})(?:\.([0-9]{1,9}))?")


def _nano(amount: float | str) -> int | None:
    """Read an amount; None if it is not written in the ordinary way, or out of range.

    A JSON number is taken as the shortest decimal number that is the same double, as the contract takes it.
    """
    if isinstance(amount, float):
        if not 0 <= amount <= _LARGEST:
            return None
        cents = round(amount * 100)
        # Doubles of up to fifteen digits are different ones, and this one has the digits of `cents`.
        if cents / 100 == amount:
            return cents * _CENT
        amount = repr(amount)
    match = _AMOUNT.fullmatch(amount)
    if match is None:
        return None
    whole, decimals = match.groups("")
    nano = int(whole) * NANO + int(decimals.ljust(AMOUNT_DECIMALS, "0"))
    return nano if nano <= NANO_MAX else None


_HOUR_END: Final = len("2026-01-31T10:")
_SECOND_END: Final = len("2026-01-31T10:11:12")
_SECONDS_OF_HOUR: Final = {
    f"{minute:02}:{second:02}": (minute * 60 + second) * 1000 for minute in range(60) for second in range(60)
}
_TAIL: Final = re.compile(r"(?:\.([0-9]{1,6}))?(?:Z|([+-])([01][0-9]|2[0-3]):([0-5][0-9]))")
_MILLISECOND_DIGITS: Final = 3
_MINUTE_MS: Final = 60_000
_CACHED_MAX: Final = 4096
# What stands in these follows from the key alone.
_hours: Final[dict[str, int]] = {}
_tails: Final[dict[str, int]] = {}


def _epoch_ms(text: str) -> int | None:
    """Read a time of RFC 3339, rounded down to a millisecond; None if the contract has to look at it.

    Most events share their hour with others, and all of them their milliseconds.
    """
    hour_ms = _hours.get(text[:_HOUR_END])
    if hour_ms is None and (hour_ms := _hour_ms(text[:_HOUR_END])) is None:
        return None
    tail_ms = _tails.get(text[_SECOND_END:])
    if tail_ms is None and (tail_ms := _tail_ms(text[_SECOND_END:])) is None:
        return None
    second_ms = _SECONDS_OF_HOUR.get(text[_HOUR_END:_SECOND_END])
    if second_ms is None:
        return None
    moment_ms = hour_ms + second_ms + tail_ms
    return moment_ms if moment_ms >= 0 else None


def _hour_ms(text: str) -> int | None:
    try:
        hour_ms = epoch_ms(msgspec.convert(f"{text}00:00Z", datetime))
    except msgspec.ValidationError:
        return None
    return _keep(_hours, text, hour_ms)


def _tail_ms(text: str) -> int | None:
    match = _TAIL.fullmatch(text)
    if match is None:
        return None
    fraction, sign, hours, minutes = match.groups("")
    fraction_ms = int(fraction.ljust(_MILLISECOND_DIGITS, "0")[:_MILLISECOND_DIGITS])
    # The time is as of the offset: what is ahead of UTC was earlier.
    offset_ms = (int(hours) * 60 + int(minutes)) * _MINUTE_MS if sign else 0
    tail_ms = fraction_ms + (offset_ms if sign == "-" else -offset_ms)
    return tail_ms if len(fraction) > _MILLISECOND_DIGITS else _keep(_tails, text, tail_ms)


def _keep(cache: dict[str, int], text: str, milliseconds: int) -> int:
    if len(cache) >= _CACHED_MAX:
        cache.clear()
    cache[text] = milliseconds
    return milliseconds
