"""`account-health serve`: the API and the console."""

from stream.cli.shell import settings_or_exit


def serve() -> None:
    """Serve the API and the console: accounts, portfolio, changes as they happen, and changes of profiles.

    Without a key only this machine is served.
    """
    settings = settings_or_exit()
    # FastAPI takes half a second to import, which no other command should wait for.
    from stream.serving.process import run_serve  # noqa: PLC0415

    run_serve(settings)
