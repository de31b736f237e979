"""The command line `account-health`: one module a command."""

import typer

from stream.cli import dead_letters, deliveries, positions, topics
from stream.cli.audit import audit
from stream.cli.backtest import backtest
from stream.cli.calibrate import calibrate
from stream.cli.check import check
from stream.cli.deliver import deliver
from stream.cli.demo import demo
from stream.cli.explain import explain
from stream.cli.importing import import_events
from stream.cli.produce import produce
from stream.cli.reference import reference
from stream.cli.replay import replay
from stream.cli.serve import serve
from stream.cli.simulate import simulate
from stream.cli.tail import tail
from stream.cli.view import view
from stream.cli.worker import worker

app = typer.Typer(
    name="account-health",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_show_locals=False,
    help="Event-driven account health: orders and support events in, tier changes and churn risks out.",
)
app.command("demo")(demo)
app.command("import")(import_events)
app.command("simulate")(simulate)
app.command("replay")(replay)
app.command("backtest")(backtest)
app.command("calibrate")(calibrate)
app.command("worker")(worker)
app.command("view")(view)
app.command("serve")(serve)
app.command("deliver")(deliver)
app.add_typer(deliveries.app, name="deliveries")
app.add_typer(topics.app, name="topics")
app.add_typer(positions.app, name="positions")
app.command("audit")(audit)
app.add_typer(dead_letters.app, name="dead-letters")
app.command("check")(check)
app.command("produce")(produce)
app.command("explain")(explain)
app.command("tail")(tail)
app.command("reference", hidden=True)(reference)


def main() -> None:
    """Run the command line."""
    app()
