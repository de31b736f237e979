"""How tiers, levels and moments look on a terminal; and texts of others, made harmless."""

import re
from datetime import UTC, datetime
from typing import Any, Final

_UNPRINTABLE: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")
"""Control characters, and those that turn the direction of text: both could fake a line."""
TIER_STYLES: Final = {
    "key": "bold magenta",
    "growth": "green",
    "standard": "cyan",
    "basic": "yellow",
    "unrated": "dim",
}
LEVEL_STYLES: Final = {"lost": "bold red", "high": "red", "medium": "yellow", "low": "green"}


def plain(value: Any) -> str:
    r"""Give a text without what could fake a line.

    >>> plain("a\nb")
    'a�b'
    """
    return _UNPRINTABLE.sub("�", str(value))


def moment_text(moment: datetime) -> str:
    """Write a moment in UTC, to the second."""
    return moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%SZ")
