"""pyproject.toml, the locks and the changelog agree with each other and give their reasons."""

import re
import tomllib
from pathlib import Path
from typing import Any, Final

import pytest

ROOT: Final = Path(__file__).resolve().parents[2]
PROJECT: Final = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
PARSED: Final[dict[str, Any]] = tomllib.loads(PROJECT)

REASON: Final = re.compile(r"#\s*\S+\s+\S+")
"""A comment of two words at least."""


def _section(title: str) -> list[str]:
    """The lines of one table, without those of its sub-tables."""
    lines = PROJECT.splitlines()
    start = lines.index(title) + 1
    end = next((n for n in range(start, len(lines)) if lines[n].startswith("[")), len(lines))
    return lines[start:end]


def _normalised(requirement: str) -> str:
    name = re.match(r"[A-Za-z0-9._-]+", requirement)
    assert name is not None
    return re.sub(r"[-_.]+", "-", name[0]).lower()


def _locked(lock: str) -> dict[str, str]:
    """Name and version of each package in a lock."""
    text = (ROOT / lock).read_text(encoding="utf-8")
    return dict(re.findall(r"^([a-z0-9-]+)==(\S+)", text, flags=re.MULTILINE))


@pytest.mark.parametrize("table", ["[tool.ruff.lint]", "[tool.ruff.lint.per-file-ignores]"])
def test_every_ignored_rule_has_a_reason(table: str) -> None:
    """A rule of ruff is switched off on a line of its own, whose comment says why."""
    codes = [line for line in _section(table) if re.match(r'\s*"[A-Z]+\d*",', line)]

    assert codes
    assert [line for line in codes if not REASON.search(line)] == []


def test_every_ignored_rule_stands_on_its_own_line() -> None:
    """No list of ignored rules is written in one line, where the reasons would be missed."""
    lint = PARSED["tool"]["ruff"]["lint"]
    ignored = {
        *lint["ignore"],
        *(code for codes in lint["per-file-ignores"].values() for code in codes),
    }
    lines = _section("[tool.ruff.lint]") + _section("[tool.ruff.lint.per-file-ignores]")

    assert ignored == {m[1] for line in lines if (m := re.match(r'\s*"([A-Z]+\d*)",', line))}


def test_every_override_of_mypy_has_a_reason() -> None:
    """A relaxation of the type checker names its modules and says why on that line."""
    overrides = PROJECT.split("[[tool.mypy.overrides]]")[1:]
    modules = [line for text in overrides for line in text.splitlines() if line.startswith("module")]

    assert len(modules) == len(overrides)
    assert [line for line in modules if not REASON.search(line)] == []


def test_every_ignored_warning_has_a_reason() -> None:
    """A warning is let through only below a comment that says why."""
    lines = _section("[tool.pytest]")
    ignored = [n for n, line in enumerate(lines) if line.strip().startswith('"ignore')]

    assert [lines[n] for n in ignored if not lines[n - 1].strip().startswith("#")] == []


def test_the_changelog_starts_with_this_version() -> None:
    """The newest section of the changelog is about the version in pyproject.toml."""
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    versions = re.findall(r"^## \[([^\]]+)\]", changelog, flags=re.MULTILINE)

    assert versions[0] == PARSED["project"]["version"]


def test_every_version_says_what_becomes_of_state_and_wire() -> None:
    """Each section of the changelog has the subsection that an upgrade begins with."""
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    sections = re.split(r"^## \[", changelog, flags=re.MULTILINE)[1:]

    assert [s.split("]")[0] for s in sections if "\n### State and wire\n" not in s] == []


def test_the_locks_hold_every_dependency() -> None:
    """`make lock` was run after the last change of the dependencies."""
    runtime = {_normalised(name) for name in PARSED["project"]["dependencies"]}
    development = {_normalised(name) for name in PARSED["dependency-groups"]["dev"]}
    extra = {_normalised(name) for names in PARSED["project"]["optional-dependencies"].values() for name in names}

    assert runtime - _locked("requirements.lock").keys() == set()
    assert (runtime | development | extra) - _locked("requirements-dev.lock").keys() == set()


def test_the_locks_agree() -> None:
    """What is tested is what is shipped: both locks name the same versions."""
    runtime, development = _locked("requirements.lock"), _locked("requirements-dev.lock")

    assert runtime == {name: development.get(name) for name in runtime}


def test_the_chosen_python_is_the_oldest_supported() -> None:
    """Development happens on the oldest Python, where what is too new fails first."""
    chosen = (ROOT / ".python-version").read_text(encoding="utf-8").strip()

    assert PARSED["project"]["requires-python"].split(",")[0] == f">={chosen}"
    assert PARSED["tool"]["mypy"]["python_version"] == chosen
