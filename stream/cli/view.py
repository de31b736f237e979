"""`account-health view`: keep the Redis view, or build it anew."""

from typing import Annotated

import typer
from redis.exceptions import RedisError
from rich.console import Console

from stream.cli.shell import errors_as_text, fail, settings_or_exit


def view(
    *,
    rebuild: Annotated[bool, typer.Option("--rebuild", help="Begin it anew, whatever there is.")] = False,
    once: Annotated[bool, typer.Option("--once", help="End when it holds every account.")] = False,
) -> None:
    """Keep the Redis view of the snapshots and changes, for the API.

    A view that is missing, of another version, or too old is built anew by itself. Until it is complete the API
    answers that it is being built.
    """
    settings = settings_or_exit()
    # What only this command needs takes a while to import.
    from stream.view.process import build_once, run_view  # noqa: PLC0415
    from stream.view.source import SourceError  # noqa: PLC0415
    from stream.view.writing import ViewConflictError  # noqa: PLC0415

    if not once:
        run_view(settings, rebuild=rebuild)
    console = Console(highlight=False)
    with errors_as_text(settings):
        try:
            accounts = build_once(
                settings, lambda share, count: console.print(f"{share:.0%} read, {count:,} accounts"), rebuild=rebuild
            )
        except (RedisError, SourceError, ViewConflictError) as error:
            fail(f"the view in {settings.redis_url}: {error}")
    console.print(f"the view is complete: {accounts:,} accounts")
