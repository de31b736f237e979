"""`account-health replay`: the core over files, with no Kafka at all."""

import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from models.churn_model import ChurnModelError
from models.fields import from_epoch_ms
from models.policy import PolicyError, load_policy
from processors.context import Context
from stream.cli.shell import EXIT_USAGE, fail
from stream.files import FileError
from stream.judgement import model_for
from stream.portfolio.files import CUT_POINTS_FILE, CutPointsFileError, load_cut_points
from stream.replay import (
    DEFAULT_PARTITIONS,
    Replay,
    ReplayError,
    Summary,
    default_policy,
    processes_for,
    total_bytes,
)


def replay(  # noqa: PLR0913, PLR0917  # the flags of a command
    events: Annotated[list[Path], typer.Argument(help="Files of events, .jsonl, also .xz or .gz.")],
    out: Annotated[Path, typer.Option(help="Folder for the outputs.")],
    policy: Annotated[Path | None, typer.Option(help="Policy file. Default: the default policy.")] = None,
    model: Annotated[Path | None, typer.Option(help="Churn model file. Default: the policy's rule.")] = None,
    until: Annotated[
        datetime | None, typer.Option(formats=["%Y-%m-%d"], help="Last day that counts, as of its end.")
    ] = None,
    cut_points: Annotated[
        Path | None,
        typer.Option(
            help=f"Compare accounts with these, a {CUT_POINTS_FILE}. Default: the portfolio is counted daily."
        ),
    ] = None,
    partitions: Annotated[
        int, typer.Option(min=1, max=1000, help="Of the worker's inputs; matters for late events only.")
    ] = DEFAULT_PARTITIONS,
    processes: Annotated[
        int | None,
        typer.Option(
            min=1, max=1000, help="The same bytes come sooner. Default: one a core, for files of some megabytes."
        ),
    ] = None,
) -> None:
    """Replay files of events through the same core as the worker, on the event clock.

    Files are merged by the time at their heads. Writes snapshots.jsonl, tier-changes.jsonl, churn-risk.jsonl,
    dead-letters.jsonl and cut-points.json; two runs give the same bytes. Without --cut-points the portfolio is
    counted whenever the day turns, and at the end, after which every account is evaluated once more.
    """
    console = Console(stderr=True)
    try:
        if policy is None:
            in_force = default_policy(events)
            console.print(f"No --policy: the default one, in {in_force.reporting_currency} as the first order is.")
        else:
            in_force = load_policy(policy)
        cuts = None if cut_points is None else load_cut_points(cut_points)
        started = time.perf_counter()
        run = Replay(
            Context(in_force, cuts=cuts, model=model_for(model, in_force)),
            time.time_ns() // 1_000_000,
            None if until is None else until.date(),
            partitions,
            processes or processes_for(events, partitions),
        )
        with progress_bar(console) as progress:
            task = progress.add_task("events", total=total_bytes(events))
            summary = run.run(events, out, lambda size: progress.advance(task, size))
    except (FileError, PolicyError, ChurnModelError, CutPointsFileError, ReplayError) as error:
        fail(str(error), EXIT_USAGE)
    except OSError as error:
        fail(f"{error.filename or out}: {error.strerror}")
    _print(console, summary, time.perf_counter() - started)


def progress_bar(console: Console) -> Progress:
    """Return a progress bar for bytes of files."""
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f}%"),
        TimeElapsedColumn(),
        console=console,
        disable=not console.is_terminal,
    )


def _print(console: Console, summary: Summary, seconds: float) -> None:
    events = summary.outcomes.total() + summary.refusals.total()
    table = Table("", "", "count", title="Replay", show_header=False)
    for outcome, count in sorted(summary.outcomes.items()):
        table.add_row("events", outcome, f"{count:,}")
    for reason, count in sorted(summary.refusals.items()):
        table.add_row("dead letters", reason, f"{count:,}")
    if summary.skipped:
        table.add_row("skipped", "after --until", f"{summary.skipped:,}")
    for (direction, cause), count in sorted(summary.tier_changes.items()):
        table.add_row("tier changes", f"{direction}, {cause}", f"{count:,}")
    for kind, count in sorted(summary.churn_events.items()):
        table.add_row("churn events", kind, f"{count:,}")
    for tier, count in sorted(summary.tiers.items()):
        table.add_row("accounts by tier", tier, f"{count:,}")
    for level, count in sorted(summary.levels.items()):
        table.add_row("accounts by churn level", level, f"{count:,}")
    table.add_row("accounts", "", f"{summary.accounts:,}")
    console.print(table)
    if summary.first_ms is not None and summary.last_ms is not None:
        first, last = (from_epoch_ms(one).astimezone(UTC) for one in (summary.first_ms, summary.last_ms))
        console.print(f"{first:%Y-%m-%d %H:%M} to {last:%Y-%m-%d %H:%M} UTC")
    console.print(f"{events:,} events in {seconds:.1f} s, {events / max(seconds, 1e-9):,.0f} a second")
