"""`account-health reference`: write the pages of docs/ that follow from the code."""

from pathlib import Path
from typing import Annotated

import typer

from stream.cli.shell import EXIT_FAILED, fail
from stream.reference import stale, write


def reference(
    folder: Annotated[Path, typer.Option(help="Where the pages are.")] = Path("docs"),
    *,
    check: Annotated[bool, typer.Option("--check", help="Write nothing; exit with 1 if a page is stale.")] = False,
) -> None:
    """Write the generated pages of the documentation."""
    if not check:
        for name in write(folder):
            print(f"wrote {folder / name}")
        return
    if names := stale(folder):
        fail((f"{folder / name} is stale: run account-health reference" for name in names), EXIT_FAILED)
