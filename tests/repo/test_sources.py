"""The rules of the house that no linter knows, held for every file of the repository."""

import ast
import re
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).resolve().parents[2]
PACKAGES: Final = ("models", "processors", "stream")

MODULE_LINES_MAX: Final = 400
FUNCTION_LINES_MAX: Final = 60

LONGER: Final[Mapping[str, str]] = {}
"""What may be longer, as path or path::function, and why."""


def _files() -> list[Path]:
    """Every file that is committed or would be, relative to the root."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    paths = (Path(name) for name in listed.split("\0") if name)
    return sorted(path for path in paths if (ROOT / path).is_file())


def _modules(*folders: str) -> list[Path]:
    return [path for path in _files() if path.suffix == ".py" and path.parts[0] in folders]


def _text(path: Path) -> str:
    return (ROOT / path).read_text(encoding="utf-8", errors="replace")


def _lengths() -> Iterator[tuple[str, int, int]]:
    """Name, length in lines and allowed length of each module and function."""
    for path in _modules(*PACKAGES, "tests", "benchmarks"):
        source = _text(path)
        yield str(path), source.count("\n"), MODULE_LINES_MAX
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                assert node.end_lineno is not None
                length = node.end_lineno - node.lineno + 1
                yield f"{path}::{node.name}", length, FUNCTION_LINES_MAX


def _headings(markdown: str) -> list[str]:
    """Headings of the first level outside code blocks."""
    outside = re.sub(r"^(`{3,}|~{3,}).*?^\1[`~]*$", "", markdown, flags=re.MULTILINE | re.DOTALL)
    return re.findall(r"^# .*$", outside, flags=re.MULTILINE)


def test_modules_and_functions_are_short() -> None:
    """A module has at most 400 lines and a function 60, unless `LONGER` gives a reason."""
    long = {name for name, length, allowed in _lengths() if length > allowed}

    assert set(LONGER) == long


@pytest.mark.parametrize("name", ["print", "breakpoint"])
def test_the_packages_do_not_call(name: str) -> None:
    """Only the command line prints, and nothing stops in a debugger."""
    calls = [
        f"{path}:{node.lineno}"
        for path in _modules(*PACKAGES)
        if path.parts[:2] != ("stream", "cli")
        for node in ast.walk(ast.parse(_text(path)))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == name
    ]

    assert calls == []


def test_nothing_is_left_to_do_in_the_packages() -> None:
    """Unfinished work is not marked in the sources: it is done, or it is not there."""
    marks = [
        f"{path}:{number}"
        for path in _modules(*PACKAGES)
        for number, line in enumerate(_text(path).splitlines(), 1)
        # The marks that are looked for, which this file itself is not searched for.
        if re.search(r"\b(FIXME|TODO|XXX)\b", line)
    ]

    assert marks == []


def test_every_page_has_one_title() -> None:
    """A Markdown file has exactly one heading of the first level."""
    titles = {str(path): len(_headings(_text(path))) for path in _files() if path.suffix == ".md"}

    assert titles == dict.fromkeys(titles, 1)


# The hosts are put together from parts, or this file would be the first to be found.
BANNED: Final[Mapping[str, str]] = {
    "a path of one machine": r"(?<![\w.])/(?:work|root)/",
    "a registry's host": "|".join(
        re.escape(".".join(host))
        for host in (
            ("pypi", "org"),
            ("pythonhosted", "org"),
            ("repo", "maven"),
            ("repo1", "maven"),
            ("registry", "npmjs"),
            ("deb", "debian"),
            ("proxy", "golang"),
        )
    ),
}


@pytest.mark.parametrize("what", BANNED)
def test_no_file_names(what: str) -> None:
    """The repository works wherever it is cloned and wherever its packages come from."""
    found = [
        f"{path}:{number}"
        for path in _files()
        for number, line in enumerate(_text(path).splitlines(), 1)
        if re.search(BANNED[what], line)
    ]

    assert found == []


def test_shell_scripts_parse() -> None:
    """Bash accepts every shell script, and each can be run."""
    scripts = [path for path in _files() if _text(path).startswith("#!/usr/bin/env bash")]

    assert Path(".ci/run") in scripts
    for path in scripts:
        subprocess.run(["bash", "-n", ROOT / path], check=True)
        assert (ROOT / path).stat().st_mode & 0o111, f"{path} cannot be run"


def test_shell_scripts_name_their_shell() -> None:
    """Every shell script starts with the one first line that the check above looks for."""
    others = [
        str(path)
        for path in _files()
        if (path.suffix in {".sh", ".bash"} or re.match(r"#!.*\bsh\b", _text(path)))
        and not _text(path).startswith("#!/usr/bin/env bash\n")
    ]

    assert others == []
