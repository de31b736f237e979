"""`account-health simulate`: write the events of a believable company, and the truth about it."""

from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from models.events import InputTopic
from stream.simulation import Mark, Simulation, SimulationSpec, Truth
from stream.simulation.export import TRUTH_FILE, file_of, holds_other_data, write_history

_DATE_FORMAT = "%Y-%m-%d"


def simulate(  # noqa: PLR0913, PLR0917  # typer: one argument an option
    out: Annotated[Path, typer.Option(metavar="DIR", file_okay=False, help="Where to write.")],
    accounts: Annotated[int, typer.Option(min=1, help="Customer accounts.")] = 300,
    days: Annotated[int, typer.Option(min=1, help="Days of history.")] = 730,
    seed: Annotated[int, typer.Option(help="Another seed, another company.")] = 1,
    until: Annotated[
        datetime | None,
        typer.Option(formats=[_DATE_FORMAT], help="Last day, UTC.", show_default="yesterday"),
    ] = None,
    currency: Annotated[str, typer.Option(help="ISO 4217 code of all amounts.")] = "EUR",
    malformed_share: Annotated[
        float,
        typer.Option(min=0, max=0.5, help="Records followed by a broken copy."),
    ] = 0.001,
) -> None:
    """Write the events of a simulated company, and the truth about it.

    The same options give the same bytes. DIR gets orders.jsonl, support.jsonl
    and profiles.jsonl, sorted by the time of sending, truth.jsonl with one line
    an account, and truth.json with the whole and all that was injected.
    """
    last = _yesterday() if until is None else until.date()
    try:
        spec = SimulationSpec(
            until=last,
            accounts=accounts,
            days=days,
            currency=currency,
            malformed_share=malformed_share,
        )
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error
    if holds_other_data(out):
        raise typer.BadParameter(
            f"{out} has such files but no {TRUTH_FILE}: they are not a simulation's to replace",
            param_hint="--out",
        )
    console = Console(stderr=True)
    try:
        with console.status(f"Simulating {accounts} accounts for {days} days"):
            truth = write_history(Simulation(spec, seed), out)
    except OSError as error:
        console.print(f"error: {error}", style="red", markup=False, highlight=False)
        raise typer.Exit(1) from error
    console.print(_summary(truth, out))
    console.print(
        f"The same again: --accounts {accounts} --days {days} --seed {seed} --until {last}"
        f" --currency {currency} --malformed-share {malformed_share}",
        soft_wrap=True,
        highlight=False,
    )


def _yesterday() -> date:
    # The last whole day: nothing of the history lies in the future.
    return datetime.now(UTC).date() - timedelta(days=1)


def _summary(truth: Truth, out: Path) -> Table:
    spec = truth.spec
    table = Table(title=f"{len(truth.accounts):,} accounts, {spec.days:,} days until {spec.until}")
    table.add_column("what")
    table.add_column("how many", justify="right")
    for topic in InputTopic:
        table.add_row(f"lines in {out / file_of(topic)}", f"{truth.lines[topic]:,}")
    table.add_section()
    for type_, count in sorted(truth.types().items()):
        table.add_row(type_, f"{count:,}")
    table.add_section()
    for mark, count in truth.marks().items():
        if mark is not Mark.CLEAN:
            table.add_row(f"{mark} records", f"{count:,}")
    table.add_row("cancellations before their order", f"{truth.cancelled_first():,}")
    table.add_section()
    for cause, count in sorted(truth.churned().items()):
        table.add_row(f"accounts lost: {cause}", f"{count:,}")
    table.add_row("of these came back", f"{truth.returned():,}")
    table.add_row("revenue from the top 20 %", f"{truth.top_share():.0%}")
    return table
