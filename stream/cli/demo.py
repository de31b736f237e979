"""`account-health demo`: the whole system on this machine, with nothing else installed."""

import signal
import time
from pathlib import Path
from typing import Annotated, Any, Final, NoReturn

import typer
from rich.console import Console

from models.policy import PolicyError
from stream.cli.shell import EXIT_USAGE, fail
from stream.demo.options import AHEAD_DAYS_MAX, DemoError, Options

_EXIT_INTERRUPTED: Final = 130


def demo(  # noqa: PLR0913  # typer: one argument an option
    *,
    once: Annotated[bool, typer.Option("--once", help="Stop when the history is done, with a summary.")] = False,
    accounts: Annotated[int, typer.Option(min=1, help="Customer accounts of the company.")] = 300,
    days: Annotated[int, typer.Option(min=1, help="Days of history, up to the present day.")] = 730,
    seed: Annotated[int, typer.Option(help="Another seed, another company.")] = 1,
    speed: Annotated[
        float, typer.Option(min=0.01, max=1000, help="Simulated hours a second, once the history is done.")
    ] = 6.0,
    policy: Annotated[
        Path | None, typer.Option(exists=True, dir_okay=False, help="Policy file. Default: the default policy, in EUR.")
    ] = None,
    picture: Annotated[
        Path | None, typer.Option(hidden=True, dir_okay=False, help="Write a picture of the live screen, and end.")
    ] = None,
) -> None:
    """Show the whole system at work: nothing to install, nothing kept.

    Starts an embedded broker and a worker, lets the worker process the history of a simulated
    company, and then goes on with its life, sped up. Ctrl-C ends it. Exits with 1 if anything fails.
    """
    started = time.monotonic()
    # What only this command needs takes a while to import.
    from stream.demo.display import display_for  # noqa: PLC0415
    from stream.demo.show import Demo  # noqa: PLC0415

    options = Options(
        accounts=accounts,
        days=days,
        seed=seed,
        hours_per_second=speed,
        once=once,
        policy_file=policy,
        picture_file=picture,
    )
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _interrupt)
    try:
        run = Demo(options, started)
    except (PolicyError, ValueError) as error:
        fail(str(error), EXIT_USAGE)
    console = Console()
    interrupted = False
    try:
        run.run(display_for(console))
    except KeyboardInterrupt:
        interrupted = True
    except (DemoError, OSError) as error:
        fail(f"{error}; the worker's log is {run.log_file}")
    for line in run.summary():
        console.print(line, markup=False, highlight=False, soft_wrap=True)
    if run.ended:
        console.print(
            f"The company is {AHEAD_DAYS_MAX:,} days ahead of today, as far as the demo goes: start it again."
        )
    run.clean_up()
    if interrupted and (once or run.timing is None):
        raise typer.Exit(_EXIT_INTERRUPTED)


def _interrupt(*_: Any) -> NoReturn:
    raise KeyboardInterrupt
