"""`account-health calibrate`: fit the churn model to one's own history."""

import os
import time
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer
from rich.console import Console
from rich.table import Table

from models.churn_model import HORIZON_DAYS_MAX, ChurnModel, Comparison, LabelWindow
from models.policy import Churn, Policy, PolicyError, load_policy
from processors.context import Context, date_of
from stream.cli.shell import EXIT_USAGE, fail
from stream.files import FileError

if TYPE_CHECKING:
    from stream.calibration.history import Reading

_BAR_CHARACTERS: Final = 40
_QUIET_DAYS: Final = 7
"""So many days without any order at the end are told of."""
_UTC: Final = Policy(reporting_currency="EUR")
"""Only its time zone matters: no amount is looked at."""
_KINDS: Final = {
    "recency": "recency alone",
    "bg_nbd": "BG/NBD",
    "mbg_nbd": "MBG/NBD",
    "logistic": "logistic",
}
_PROTOCOLS: Final = {
    "later_windows": "means over windows later than those that a candidate learned from",
    "cross_validation": "five-fold cross-validation over accounts, as the history is too short for later windows",
    "cross_validation_shifted": "five-fold cross-validation over accounts at the longest horizon that fits twice into "
    "the history; the chosen model's log-odds are then shifted to the mean risk of the MBG/NBD curve",
}
_PLOT_SUFFIXES: Final = (".svg", ".png", ".pdf")


def calibrate(  # noqa: PLR0913, PLR0917  # typer: one argument an option
    events: Annotated[list[Path], typer.Argument(help="Files of events, .jsonl, also .xz or .gz.")],
    out: Annotated[Path, typer.Option(help="Where to write the model.")],
    until: Annotated[
        datetime | None,
        typer.Option(formats=["%Y-%m-%d"], help="Last day that counts. Default: the day of the last order."),
    ] = None,
    horizon_days: Annotated[
        int, typer.Option(min=1, max=HORIZON_DAYS_MAX, help="The risk is that of no order within so many days.")
    ] = Churn().horizon_days,
    policy: Annotated[Path | None, typer.Option(help="Policy file, for its time zone. Default: UTC.")] = None,
    plot: Annotated[
        Path | None, typer.Option(help=f"Where to draw the reliability of the winner: {', '.join(_PLOT_SUFFIXES)}.")
    ] = None,
) -> None:
    """Fit churn models to a history of orders, compare them on what they have not seen, and write the best.

    Nothing after --until is looked at. A candidate that is worse than recency alone never wins.
    """
    try:
        from stream.calibration.calibrating import Source  # noqa: PLC0415  # SciPy is not for the other commands
        from stream.calibration.calibrating import calibrate as fit  # noqa: PLC0415  # see above
        from stream.calibration.history import CalibrationError, read_history  # noqa: PLC0415  # see above
    except ModuleNotFoundError as error:
        fail(f"{error.name} is missing: install account-health-stream with its extra, account-health-stream[calibrate]")
    _check_paths(events, out, plot)
    try:
        context = Context(_UTC if policy is None else load_policy(policy))
        reading = read_history(events, context, time.time_ns() // 1_000_000, None if until is None else until.date())
        _warn_of_an_end_without_orders(reading.history.last_day, reading.history.until_day)
        zone = context.policy.reporting_timezone
        model = fit(reading.history, horizon_days, Source([path.name for path in events], reading.events, zone))
    except (CalibrationError, FileError, PolicyError) as error:
        fail(str(error), EXIT_USAGE)
    _write(model, out, plot)
    _print(Console(), model, reading, out)


def _warn_of_an_end_without_orders(last_day: int, until_day: int) -> None:
    if (days := until_day - last_day) >= _QUIET_DAYS:
        typer.echo(
            f"warning: the last order is of {date_of(last_day)}, {days} days before --until: if the files end there, "
            "accounts only seem to be silent",
            err=True,
        )


def _check_paths(events: list[Path], out: Path, plot: Path | None) -> None:
    """Refuse what would only fail, or do harm, after the work is done."""
    errors = []
    written = [path for path in (out, plot) if path is not None]
    if plot is not None and plot.suffix not in _PLOT_SUFFIXES:
        errors.append(f"--plot {plot}: ends in none of {', '.join(_PLOT_SUFFIXES)}")
    if len({path.resolve() for path in written}) < len(written):
        errors.append("--out and --plot are one file")
    if {path.resolve() for path in written} & {path.resolve() for path in events}:
        errors.append("--out or --plot is a file of events")
    errors += [f"{path}: no such folder as {path.parent}" for path in written if not path.parent.is_dir()]
    if errors:
        fail(errors, EXIT_USAGE)


def _write(model: ChurnModel, out: Path, plot: Path | None) -> None:
    partial = out.with_name(f".{out.name}.{os.getpid()}.part")
    try:
        try:
            partial.write_text(model.to_json(), encoding="utf-8")
            partial.replace(out)
        finally:
            partial.unlink(missing_ok=True)
        if plot is not None:
            from stream.calibration.plot import write_plot  # noqa: PLC0415  # only who asks for a picture waits for it

            write_plot(model, plot)
    except OSError as error:
        fail(f"{error.filename or out}: {error.strerror}")


def _print(console: Console, model: ChurnModel, reading: "Reading", out: Path) -> None:
    fitted_on, comparison = model.fitted_on, model.comparison
    assert fitted_on is not None
    assert comparison is not None
    console.print(
        f"{fitted_on.events:,} orders and cancellations of {fitted_on.accounts:,} accounts,"
        f" {fitted_on.first_order} to {fitted_on.until}"
    )
    left_out = {
        "after --until": reading.skipped,
        **{f"{outcome}": count for outcome, count in sorted(reading.ignored.items())},
        **{f"refused, {reason}": count for reason, count in sorted(reading.refused.items())},
    }
    for why, count in left_out.items():
        if count:
            console.print(f"left out: {count:,} events, {why}")
    console.print(_candidates(model, comparison))
    console.print(f"{_PROTOCOLS[comparison.protocol]}", soft_wrap=True)
    console.print(_windows("Compared on", comparison.windows), _windows("Fitted on", fitted_on.windows))
    console.print(_reliability(model, comparison))
    console.print(
        f"model {model.version}, risk of no order within {model.horizon_days} days, written to {out}", soft_wrap=True
    )


def _candidates(model: ChurnModel, comparison: Comparison) -> Table:
    table = Table(title="Candidates", title_justify="left")
    table.add_column("model")
    for name in ("AUC", "Brier", "log-loss", "calibration error"):
        table.add_column(name, justify="right")
    table.add_column("")
    for one in comparison.candidates:
        figures = (one.auc, one.brier, one.log_loss, one.calibration_error)
        won = "chosen" if one.kind == model.parameters.kind else ""
        table.add_row(_KINDS[one.kind], *(f"{figure:.4f}" for figure in figures), won)
    return table


def _reliability(model: ChurnModel, comparison: Comparison) -> Table:
    table = Table(
        title=f"Reliability of {_KINDS[model.parameters.kind]}",
        caption="━ observed, ◆ predicted, from 0 to 1",
        title_justify="left",
        caption_justify="left",
    )
    for name in ("accounts", "predicted", "observed"):
        table.add_column(name, justify="right")
    table.add_column("", no_wrap=True)
    for one in comparison.reliability:
        bar = ["━"] * round(one.observed * _BAR_CHARACTERS)
        bar += [" "] * (_BAR_CHARACTERS + 1 - len(bar))
        bar[round(one.predicted * _BAR_CHARACTERS)] = "◆"
        table.add_row(f"{one.accounts:,}", f"{one.predicted:.3f}", f"{one.observed:.3f}", "".join(bar))
    return table


def _windows(title: str, windows: Sequence[LabelWindow]) -> Table:
    table = Table(title=title, title_justify="left")
    for name in ("as of", "horizon", "accounts", "silent"):
        table.add_column(name, justify="right")
    for one in windows:
        share = one.silent / max(one.accounts, 1)
        table.add_row(f"{one.cut}", f"{one.horizon_days} days", f"{one.accounts:,}", f"{share:.1%}")
    return table
