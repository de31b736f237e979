"""`account-health explain`: why an account stands where it stands."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from stream.cli.shell import EXIT_USAGE, errors_as_text, fail, settings_or_exit
from stream.explain.display import show
from stream.explain.dossier import Dossier, DossierError, from_broker, from_folder


def explain(
    account: Annotated[str, typer.Argument(help="The account's id.")],
    folder: Annotated[
        Path | None, typer.Option(help="The folder of a replay. Default: the topics that the workers write.")
    ] = None,
) -> None:
    """Show an account's dossier: score and its parts, windows, classes, churn, every change and its cause, what to do.

    Changes nothing. Kafka keeps changes for thirty days unless the topics say otherwise; a replay's folder has all.
    """
    try:
        show(_dossier(account, folder), Console())
    except DossierError as error:
        fail(str(error), EXIT_USAGE)


def _dossier(account: str, folder: Path | None) -> Dossier:
    if folder is not None:
        return from_folder(folder, account)
    settings = settings_or_exit()
    with errors_as_text(settings):
        return from_broker(settings, account)
