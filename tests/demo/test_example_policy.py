"""The commented policy among the examples is the default one, and leaves nothing out."""

import re
import tomllib
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from models.policy import Policy, load_policy

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "policy.toml"


def _names(values: dict[str, Any], prefix: str = "") -> set[str]:
    return {
        name
        for key, value in values.items()
        for name in (_names(value, f"{prefix}{key}.") if isinstance(value, dict) else {f"{prefix}{key}"})
    }


def _fields(model: BaseModel, prefix: str = "") -> set[str]:
    found: set[str] = set()
    for name in type(model).model_fields:
        value = getattr(model, name)
        found |= _fields(value, f"{prefix}{name}.") if isinstance(value, BaseModel) else {f"{prefix}{name}"}
    return found


def test_the_example_policy_is_the_default_one() -> None:
    """A worker that is given the file behaves as one that is given the currency alone."""
    assert load_policy(EXAMPLE) == Policy(reporting_currency="EUR")


def test_the_example_policy_shows_every_setting() -> None:
    """Whoever edits it finds each setting there, or, of those that are empty by default, an example."""
    text = EXAMPLE.read_text()
    shown = _names(tomllib.loads(text))

    missing = _fields(Policy(reporting_currency="EUR")) - shown

    assert missing == {"rates", "scorecards", "vetoes", "support.service_cost"}
    for section in ("[[rates.USD]]", "[[scorecards]]", "[[vetoes]]", "[support.service_cost]"):
        assert section in text


def test_what_the_example_shows_as_comments_can_be_used(tmp_path: Path) -> None:
    """The lines that are comments in it are a valid policy too."""
    used = re.sub(r"^# (\[\[|\w+ = )", r"\1", EXAMPLE.read_text(), flags=re.MULTILINE)
    path = tmp_path / "policy.toml"
    path.write_text(used)

    policy = load_policy(path)

    assert set(policy.rates) == {"USD"}
    assert [one.name for one in policy.scorecards] == ["resellers"]
    assert [one.measure for one in policy.vetoes] == ["profit"]
    assert len(policy.support.service_cost) == 4
