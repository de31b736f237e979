"""Words: every language says everything, and every name that a page can meet has words."""

import ast
import re
import string
from enum import StrEnum
from pathlib import Path

import pytest

from models.actions import DEFAULT_ACTIONS
from models.events import Ratings
from models.outputs import (
    AccountType,
    Cause,
    ChurnLevel,
    ChurnReason,
    Direction,
    Lifecycle,
    RfmSegment,
    Tier,
)
from processors.scorecard import COMPONENTS, PARTS
from stream.console import pages
from stream.console.pulse import Condition
from stream.console.words import Language, Words, catalogue
from stream.view.arrangement import Dimension

KINDS: dict[str, type[StrEnum]] = {
    "tier": Tier,
    "churn_level": ChurnLevel,
    "lifecycle": Lifecycle,
    "rfm_segment": RfmSegment,
    "account_type": AccountType,
    "direction": Direction,
    "cause": Cause,
    "reason": ChurnReason,
    "dimension": Dimension,
}
SOURCES = sorted(Path(pages.__file__).parent.parent.rglob("*.py"))
_KEY = re.compile(r"[a-z_]+(\.[a-z_]+)+")
_ASKING = {"words", "count", "section", "_card"}


def asked_in(source: str) -> set[str]:
    """Give the keys that a module asks for: what it says at once, and titles of sections and cards."""
    found = set()
    for call in ast.walk(ast.parse(source)):
        if isinstance(call, ast.Call):
            name = getattr(call.func, "attr", getattr(call.func, "id", ""))
            texts = [one.value for one in call.args[:2] if isinstance(one, ast.Constant) and isinstance(one.value, str)]
            found |= {text for text in texts if name in _ASKING and _KEY.fullmatch(text)}
    return found


def placeholders(text: str) -> set[str]:
    """Give the names of the values that a text has places for."""
    return {name for _, name, _, _ in string.Formatter().parse(text) if name is not None}


@pytest.mark.parametrize("language", Language)
def test_every_language_says_the_same_things(language: Language) -> None:
    """The same keys as in English, each with the same values in it, and nothing empty."""
    english, texts = catalogue(Language.ENGLISH), catalogue(language)

    assert texts.keys() == english.keys()
    for key, text in texts.items():
        assert text.strip() or key == "tell.comma", key
        assert placeholders(text) == placeholders(english[key]), key


@pytest.mark.parametrize("language", Language)
@pytest.mark.parametrize("kind", KINDS)
def test_every_name_of_the_contract_has_words(language: Language, kind: str) -> None:
    """A tier, a reason or a phase that is added is told in every language, not shown as in the contract."""
    missing = [one.value for one in KINDS[kind] if f"{kind}.{one.value}" not in catalogue(language)]

    assert not missing


@pytest.mark.parametrize("language", Language)
def test_actions_components_and_conditions_have_words(language: Language) -> None:
    """The default actions, all components with their parts, the ratings, and how the view may be."""
    wanted = {
        *(f"action.{one.name}" for one in DEFAULT_ACTIONS),
        *(f"component.{name}" for name, _, _ in COMPONENTS),
        *(f"part.{name}" for name in PARTS),
        *(f"banner.{one}" for one in Condition if one is not Condition.CURRENT),
        *(f"nav.{one.name}" for one in pages.PAGES),
    }

    assert not wanted - catalogue(language).keys()
    assert set(Ratings.model_fields) - {"competitive_pressure"} <= set(PARTS)


def test_every_text_that_a_page_asks_for_is_there() -> None:
    """What stands in the sources as a key is one."""
    keys = set(catalogue(Language.ENGLISH)) | {one.removesuffix(".one") for one in catalogue(Language.ENGLISH)}
    found = {key for source in SOURCES for key in asked_in(source.read_text("utf-8"))}

    assert len(found) > 100
    assert not found - keys


def test_a_text_that_is_not_there_is_a_bug() -> None:
    """It is not shown as its key; a name that only the policy knows is shown as it is."""
    words = Words(Language.CHINESE)

    with pytest.raises(KeyError):
        words("nav.nothing")
    assert words.name("action", "send_<b>flowers</b>") == "Send <b>flowers</b>"
