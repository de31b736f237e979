"""`account-health topics`: show, create and verify the topics."""

import typer
from rich.console import Console
from rich.table import Table

from stream.administration import Administration, plans
from stream.cli.shell import EXIT_FAILED, errors_as_text, fail, settings_or_exit

app = typer.Typer(no_args_is_help=True, help="Show, create and verify the topics in Kafka.")


@app.command()
def show() -> None:
    """Print every topic as the settings ask for it. Needs no broker."""
    settings = settings_or_exit()
    table = Table(title=f"Topics at {settings.bootstrap_servers}")
    table.add_column("topic", no_wrap=True)
    table.add_column("flow")
    table.add_column("partitions", justify="right")
    table.add_column("keeps")
    table.add_column("holds")
    for plan in plans(settings):
        table.add_row(
            plan.name,
            plan.topic.flow,
            str(plan.partitions),
            plan.topic.kept(settings.retention),
            plan.topic.description,
        )
    Console().print(table)


@app.command()
def create() -> None:
    """Make the topics that are missing; those that are there are left as they are."""
    settings = settings_or_exit()
    with errors_as_text(settings), Administration(settings) as administration:
        created = administration.create()
        for plan in plans(settings):
            print(f"{'created' if plan.name in created else 'present'}  {plan.name}")


@app.command()
def verify() -> None:
    """Compare the topics with what the settings ask for; exit with 1 and list what differs."""
    settings = settings_or_exit()
    with errors_as_text(settings), Administration(settings) as administration:
        differences = administration.differences()
    if differences:
        fail(
            (f"{one.name}: {one.what} is {one.found}, not {one.expected}" for one in differences),
            EXIT_FAILED,
        )
    print(f"all {len(plans(settings))} topics are as they should be")
