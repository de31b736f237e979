"""The documents: commands in them exist or are run, links lead somewhere."""

import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

import pytest
import typer.main

from stream.cli import app

ROOT: Final = Path(__file__).resolve().parents[2]
DOCUMENTS: Final = sorted(
    [*ROOT.glob("*.md"), *(ROOT / "docs").glob("**/*.md"), *(ROOT / "deploy").glob("**/*.md")], key=str
)
_SHELL_BLOCK: Final = re.compile(r"(?P<comment><!-- [^\n]* -->\n)?```sh\n(?P<commands>.*?)```", re.DOTALL)
_SPAN: Final = re.compile(r"`(account-health [^`]*)`")
_LINK: Final = re.compile(r"\]\((?P<target>[^)#\s]+)")
_RUN_COMMENT: Final = "<!-- run in a copy of examples/ -->"
_RUN_SECONDS_MAX: Final = 60


def _blocks(document: Path) -> list[tuple[str, str]]:
    text = document.read_text(encoding="utf-8")
    return [(one["comment"] or "", one["commands"]) for one in _SHELL_BLOCK.finditer(text)]


def _lines(program: str) -> list[tuple[str, list[str]]]:
    """Give every line of a document that calls a program, with its words."""
    found = []
    for document in DOCUMENTS:
        for _, commands in _blocks(document):
            joined = commands.replace("\\\n", " ")
            for line in joined.splitlines():
                words = line.partition("#")[0].replace('"', "").split()
                if words and words[0].endswith(program):
                    found.append((f"{document.name}: {line}", words[1:]))
    return found


def _check_command(words: list[str]) -> None:
    command: Any = typer.main.get_command(app)
    names = []
    while hasattr(command, "commands") and words and not words[0].startswith("-"):
        names.append(words[0])
        command = command.commands[words[0]]
        words = words[1:]
    options = {name for one in command.params for name in (*one.opts, *one.secondary_opts)} | {"--help"}
    for word in words:
        if word.startswith("--"):
            assert word.partition("=")[0] in options, f"{' '.join(names)} has no {word}"


@pytest.mark.parametrize(("line", "words"), [pytest.param(*one, id=one[0]) for one in _lines("account-health")])
def test_a_command_in_a_document_exists(line: str, words: list[str]) -> None:
    """Every line of a document that calls the command line names a command and options that exist."""
    assert words, line

    _check_command(words)


def _spans() -> list[tuple[str, list[str]]]:
    """Give every command that the text of a document names, with its words."""
    return [
        (f"{document.name}: {line}", line.split()[1:])
        for document in DOCUMENTS
        for line in sorted(set(_SPAN.findall(document.read_text(encoding="utf-8"))))
    ]


@pytest.mark.parametrize(("line", "words"), [pytest.param(*one, id=one[0]) for one in _spans()])
def test_a_command_in_the_text_exists(line: str, words: list[str]) -> None:
    """Every command between backquotes, as in the pages of the runbook, exists with its options."""
    assert words, line

    _check_command(words)


def test_the_readme_names_every_command() -> None:
    """The table of commands leaves out none that `--help` shows."""
    command: Any = typer.main.get_command(app)
    shown = [name for name, one in command.commands.items() if not one.hidden]
    text = (ROOT / "README.md").read_text(encoding="utf-8")

    assert [name for name in shown if f"| `account-health {name}` |" not in text] == []


@pytest.mark.parametrize(("line", "words"), [pytest.param(*one, id=one[0]) for one in _lines("make")])
def test_a_make_target_in_a_document_exists(line: str, words: list[str]) -> None:
    """Every `make` line of a document names a target of the Makefile."""
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)

    assert words[0] in targets, line


@pytest.mark.parametrize(
    ("name", "made"),
    [
        ("README.md", "health/snapshots.jsonl"),
        ("docs/churn.md", "health/snapshots.jsonl"),
        ("docs/delivery.md", "health/tier-changes.jsonl"),
    ],
)
def test_commands_on_files_run(name: str, made: str, tmp_path: Path) -> None:
    """The commands of a document that need no broker are run as they stand, in a copy of the examples."""
    blocks = [commands for comment, commands in _blocks(ROOT / name) if comment.strip() == _RUN_COMMENT]
    folder = tmp_path / "examples"
    shutil.copytree(ROOT / "examples", folder)
    environment = {"PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin", "HOME": str(tmp_path)}

    assert blocks, f"{name} has a block that is run"
    for commands in blocks:
        done = subprocess.run(
            ["sh", "-euc", commands],
            cwd=folder,
            env=environment,
            check=False,
            capture_output=True,
            text=True,
            timeout=_RUN_SECONDS_MAX,
        )

        assert done.returncode == 0, done.stderr
    assert (folder / made).stat().st_size > 0


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda one: str(one.relative_to(ROOT)))
def test_links_of_a_document_lead_somewhere(document: Path) -> None:
    """A link to a file of the repository names one that is there."""
    targets = [one["target"] for one in _LINK.finditer(document.read_text(encoding="utf-8"))]

    missing = [one for one in targets if "://" not in one and not (document.parent / one).exists()]

    assert missing == []
