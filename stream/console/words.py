"""Words: every text that a page shows, in each language, from one catalogue file a language."""

import tomllib
from collections.abc import Iterator, Mapping
from enum import StrEnum, unique
from functools import cache
from pathlib import Path
from typing import Any, Final

_FOLDER: Final = Path(__file__).with_name("catalogue")


@unique
class Language(StrEnum):
    """A language that pages speak; its catalogue is the file of that name."""

    ENGLISH = "en"
    CHINESE = "zh"


@cache
def catalogue(language: Language) -> Mapping[str, str]:
    """Read the texts of a language by key: the tables' names and the text's, with dots between."""
    return dict(_flat("", tomllib.loads((_FOLDER / f"{language}.toml").read_text("utf-8"))))


def _flat(prefix: str, table: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for key, value in table.items():
        if isinstance(value, str):
            yield prefix + key, value
        else:
            yield from _flat(f"{prefix}{key}.", value)


class Words:
    """Says everything in one language.

    >>> words = Words(Language.ENGLISH)
    >>> words("tier.key"), words.count("account.counted", 1, number="1"), words.count("account.counted", 5, number="5")
    ('Key', '1 account', '5 accounts')
    >>> words.name("tier", "key"), words.name("action", "send_flowers")
    ('Key', 'Send flowers')
    """

    def __init__(self, language: Language) -> None:
        self.language: Final = language
        self._texts = catalogue(language)

    def __call__(self, key: str, /, **values: object) -> str:
        """Give a text, with values in their places. A key that is not in the catalogue is a KeyError."""
        return self._texts[key].format(**values)

    def count(self, key: str, count: int, /, **values: object) -> str:
        """Give the text for one or for several: `KEY.one` or `KEY.other`."""
        return self(f"{key}.{'one' if count == 1 else 'other'}", **values)

    def name(self, kind: str, value: str) -> str:
        """Give what a value of an enumeration is called; one that only the policy names is called as it names it."""
        text = self._texts.get(f"{kind}.{value}")
        return value.replace("_", " ").capitalize() if text is None else text
