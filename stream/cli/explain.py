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
    service: Annotated[
        str | None,
        typer.Option(
            metavar="URL", help="A running `account-health serve`; the key comes from ACCOUNT_HEALTH_SERVICE_KEY."
        ),
    ] = None,
) -> None:
    """Show an account's dossier: score and its parts, windows, classes, churn, every change and its cause, what to do.

    Changes nothing. Kafka keeps changes for thirty days unless the topics say otherwise, a service an account's last
    twenty; a replay's folder has all.
    """
    if folder is not None and service is not None:
        fail("--folder and --service: one of them at most", EXIT_USAGE)
    try:
        show(_dossier(account, folder, service), Console())
    except DossierError as error:
        fail(str(error), EXIT_USAGE)


def _dossier(account: str, folder: Path | None, service: str | None) -> Dossier:
    if folder is not None:
        return from_folder(folder, account)
    if service is not None:
        # It takes a quarter of a second to import, which the other sources should not wait for.
        from stream.explain.service import from_service  # noqa: PLC0415

        return from_service(service, settings_or_exit().service_key, account)
    settings = settings_or_exit()
    with errors_as_text(settings):
        return from_broker(settings, account)
