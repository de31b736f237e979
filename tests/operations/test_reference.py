"""The generated pages say what the code says."""

import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from models.reasons import Outcome, RefusalReason
from stream.cli import app
from stream.docstrings import member_docs
from stream.reference import pages, stale

DOCS = Path(__file__).resolve().parents[2] / "docs"


def test_the_committed_pages_are_current() -> None:
    """`account-health reference` would change nothing."""
    assert stale(DOCS) == []


def test_a_stale_page_is_found_and_mended(tmp_path: Path) -> None:
    """--check fails on a page that was edited or is missing, and a run without it mends them."""
    run = CliRunner().invoke
    run(app, ["reference", "--folder", str(tmp_path)])
    (tmp_path / "metrics.md").write_text("# Metrics\n\nby hand\n")
    (tmp_path / "topics.md").unlink()
    checked = run(app, ["reference", "--check", "--folder", str(tmp_path)])
    mended = run(app, ["reference", "--folder", str(tmp_path)])

    assert (checked.exit_code, checked.stderr.count(" is stale")) == (1, 2)
    assert (mended.exit_code, mended.stdout.count("wrote ")) == (0, 2)
    assert stale(tmp_path) == []


@pytest.mark.parametrize("cls", [RefusalReason, Outcome])
def test_every_member_is_explained(cls: type[RefusalReason] | type[Outcome]) -> None:
    """Each reason and outcome has a sentence, which is what its page shows."""
    assert member_docs(cls).keys() == cls.__members__.keys()
    assert all(text.endswith(".") for text in member_docs(cls).values())


def test_tables_are_whole() -> None:
    """Every row of a table has as many cells as its head, whatever its texts hold."""
    for page in pages().values():
        for table in re.findall(r"(?:^\|.*\n)+", page, flags=re.MULTILINE):
            assert len({row.count("|") for row in table.splitlines()}) == 1
