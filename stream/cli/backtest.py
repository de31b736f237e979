"""`account-health backtest`: what another policy would have done."""

import time
from datetime import date, datetime
from pathlib import Path
from typing import Annotated, Final

import msgspec
import typer
from rich.console import Console
from rich.table import Table

from models.churn_model import ChurnModelError
from models.policy import Policy, PolicyError, load_policy
from processors.context import Context, day_of_date
from stream.backtest.comparison import TIERS, Comparison, Truth, compare
from stream.backtest.history import History, order_days, replayed
from stream.backtest.report import html
from stream.cli.replay import progress_bar
from stream.cli.shell import EXIT_USAGE, fail
from stream.files import FileError
from stream.judgement import model_for
from stream.portfolio.files import CUT_POINTS_FILE, CutPointsFileError, load_cut_points
from stream.replay import DEFAULT_PARTITIONS, ReplayError, default_policy, total_bytes

_MOVES_SHOWN: Final = 20


def backtest(  # noqa: PLR0913, PLR0917  # the flags of a command
    events: Annotated[list[Path], typer.Argument(help="Files of events, .jsonl, also .xz or .gz.")],
    policy: Annotated[Path, typer.Option(help="Policy file to try.")],
    against: Annotated[
        Path | None, typer.Option(help="Policy file to compare with. Default: the default policy.")
    ] = None,
    model: Annotated[Path | None, typer.Option(help="Churn model file to try. Default: the policy's rule.")] = None,
    against_model: Annotated[
        Path | None, typer.Option(help="Churn model file to compare with. Default: the policy's rule.")
    ] = None,
    until: Annotated[
        datetime | None, typer.Option(formats=["%Y-%m-%d"], help="Last day that counts, as of its end.")
    ] = None,
    left_after_days: Annotated[
        int | None,
        typer.Option(min=1, help="A silence of as many days is a departure. Default: `lost_days` of --against."),
    ] = None,
    cut_points: Annotated[
        Path | None,
        typer.Option(
            help=f"Compare accounts with these, a {CUT_POINTS_FILE}, under both. Default: each counts its own, daily."
        ),
    ] = None,
    partitions: Annotated[
        int, typer.Option(min=1, max=1000, help="Of the worker's inputs; matters for late events only.")
    ] = DEFAULT_PARTITIONS,
    json_file: Annotated[Path | None, typer.Option("--json", metavar="FILE", help="Write all differences.")] = None,
    html_file: Annotated[Path | None, typer.Option("--html", metavar="FILE", help="Write a report with plots.")] = None,
) -> None:
    """Replay a history under two policies and tell what is different.

    Who ends in another tier and why, which alerts would have come or not, how many changes were undone within 30
    days, and how well each policy's alerts foretold who left.
    """
    try:
        tried, asked = _loaded(policy, against)
        held = _held(events, asked, tried)
        cuts = None if cut_points is None else load_cut_points(cut_points)
        contexts = (
            Context(held, cuts=cuts, model=model_for(against_model, held)),
            Context(tried, cuts=cuts, model=model_for(model, tried)),
        )
        last = None if until is None else until.date()
        comparison = _compared(events, contexts, last, partitions, left_after_days or held.churn.lost_days)
    except (FileError, PolicyError, ChurnModelError, CutPointsFileError, ReplayError) as error:
        fail(str(error), EXIT_USAGE)
    except OSError as error:
        fail(f"{error.filename}: {error.strerror}")
    _print(comparison)
    names = ("the default policy" if against is None else against.stem, policy.stem)
    try:
        if json_file is not None:
            json_file.write_bytes(msgspec.json.format(msgspec.json.encode(comparison), indent=2) + b"\n")
        if html_file is not None:
            html_file.write_text(html(comparison, *names), encoding="utf-8")
    except OSError as error:
        fail(f"{error.filename}: {error.strerror}")


def _compared(
    events: list[Path], contexts: tuple[Context, Context], until: date | None, partitions: int, left_after_days: int
) -> Comparison:
    latest_ms = time.time_ns() // 1_000_000
    with progress_bar(Console(stderr=True)) as progress:

        def history_of(name: str, context: Context) -> History:
            task = progress.add_task(name, total=total_bytes(events))
            return replayed(context, events, latest_ms, until, partitions, lambda read: progress.advance(task, read))

        old, new = history_of("in force", contexts[0]), history_of("tried", contexts[1])
    calendar = contexts[0]
    end_ms = latest_ms if until is None else calendar.end_of_day_ms(day_of_date(until))
    last_ms = old.summary.last_ms
    end_day = calendar.day_of(end_ms if until is not None or last_ms is None else last_ms)
    days = order_days(events, calendar, end_ms, max(latest_ms, end_ms))
    truth = Truth(days, end_day, left_after_days)
    return compare(old, new, truth, calendar)


def _loaded(policy: Path, against: Path | None) -> tuple[Policy, Policy | None]:
    """Read the policies; what is wrong with either is told of both at once, each line with its file."""
    loaded: list[Policy] = []
    errors: list[str] = []
    for path in (policy, *(() if against is None else (against,))):
        try:
            loaded.append(load_policy(path))
        except PolicyError as error:
            name = f"{path}: "
            errors += [name + line.removeprefix(name) for line in str(error).splitlines()]
    if errors:
        raise PolicyError("\n".join(errors))
    return loaded[0], None if against is None else loaded[1]


def _held(events: list[Path], held: Policy | None, tried: Policy) -> Policy:
    if held is not None:
        if held.reporting_currency != tried.reporting_currency:
            raise PolicyError(
                f"the policies report in {held.reporting_currency} and {tried.reporting_currency}: their accounts "
                "cannot be compared"
            )
        return held
    default = default_policy(events)
    # Another currency or time zone would be another business.
    return default.model_copy(
        update={
            "reporting_currency": tried.reporting_currency,
            "reporting_timezone": tried.reporting_timezone,
            "rates": tried.rates,
        }
    )


def _print(comparison: Comparison) -> None:
    console = Console()
    table = Table("", "in force", "tried", title="What if", title_justify="left")
    old, new = comparison.old, comparison.new
    table.add_row("policy", old.policy_version, new.policy_version)
    for name, held, tried in (("events", old.events, new.events), ("dead letters", old.refused, new.refused)):
        for one in sorted(held.keys() | tried.keys()):
            table.add_row(f"{name} {one}", f"{held.get(one, 0):,}", f"{tried.get(one, 0):,}")
    table.add_row("tier changes", f"{old.tier_changes:,}", f"{new.tier_changes:,}")
    table.add_row("of them undone within 30 days", f"{old.flaps:,}", f"{new.flaps:,}")
    for tier in TIERS:
        table.add_row(f"accounts {tier}", f"{old.tiers.get(tier, 0):,}", f"{new.tiers.get(tier, 0):,}")
    for level in ("medium", "high", "lost"):
        row = (f"{side.churn_events.get(level, 0):,}" for side in (old, new))
        table.add_row(f"churn events {level}", *row)
    for before, after in zip(old.foretold, new.foretold, strict=True):
        name = f"alerts {before.level} or worse"
        table.add_row(f"{name}: precision", _share(before.precision), _share(after.precision))
        table.add_row(f"{name}: recall", _share(before.recall), _share(after.recall))
        table.add_row(f"{name}: days ahead", _days(before.lead_days), _days(after.lead_days))
    console.print(table)
    if comparison.skipped:
        console.print(f"{comparison.skipped:,} events are after --until")
    moves = comparison.moves
    console.print(
        f"{len(moves):,} of {comparison.accounts:,} accounts end in another tier; "
        f"{len(comparison.alerts_only_new):,} alerts more, {len(comparison.alerts_only_old):,} fewer"
    )
    if not moves:
        return
    shown = Table("account", "in force", "tried", "score", "why", title="Who moves", title_justify="left")
    for move in moves[:_MOVES_SHOWN]:
        deltas = ", ".join(f"{name} {delta:+.2f}" for name, delta in move.deltas.items())
        score = f"{_score(move.old_score)} → {_score(move.new_score)}"
        why = f"{move.why}: {deltas}" if deltas else move.why
        shown.add_row(move.name or move.account_id, move.old_tier or "–", move.new_tier or "–", score, why)
    if len(moves) > _MOVES_SHOWN:
        shown.caption = f"and {len(moves) - _MOVES_SHOWN} more: --json FILE lists all"
    console.print(shown)


def _share(value: float | None) -> str:
    return "–" if value is None else f"{value:.1%}"


def _days(value: float | None) -> str:
    return "–" if value is None else f"{value:.0f}"


def _score(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}"
