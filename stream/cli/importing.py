"""`account-health import`: turn public data or any CSV file into input events."""

import os
import sys
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from datetime import UTC, timedelta
from decimal import Decimal
from pathlib import Path
from typing import IO, Annotated, NoReturn

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn
from rich.table import Table as RichTable

from models.fields import from_epoch_ms
from stream.importers.engine import import_mapped
from stream.importers.errors import ImportFailedError
from stream.importers.incidents import read_accounts
from stream.importers.mapping import load_mapping
from stream.importers.outbox import Outbox
from stream.importers.presets import Extras, Preset, import_preset
from stream.importers.source import Progress as OnProgress
from stream.importers.source import Table
from stream.importers.summary import Summary, Totals

_USAGE_ERROR = 2
_FILES_MAX = 2


def import_events(  # noqa: PLR0913, PLR0917  # typer: one argument an option
    source: Annotated[
        list[str],
        typer.Argument(
            metavar="[PRESET] FILE",
            help=f"The file to read (plain, .gz or .xz), after one of: {', '.join(Preset)}."
            " With --mapping, the file alone.",
        ),
    ],
    mapping: Annotated[Path | None, typer.Option(help="A TOML file that says how rows become events.")] = None,
    out: Annotated[Path | None, typer.Option(help="Where to write the events; standard output if not given.")] = None,
    rejects: Annotated[
        Path | None,
        typer.Option(help="Where to write rejected rows; beside --out as NAME.rejects.jsonl if not given."),
    ] = None,
    profiles: Annotated[
        Path | None,
        typer.Option(help="adventureworks-resellers: the resellers' names, for their profiles."),
    ] = None,
    accounts: Annotated[
        Path | None,
        typer.Option(help="incidents: a CSV file of caller_id,account_id that joins callers to accounts."),
    ] = None,
    shift_days: Annotated[int, typer.Option(help="incidents: move every time by so many days.")] = 0,
) -> None:
    """Turn a data set or a CSV file into input events, one JSON object a line, in order of time.

    Rows that cannot become an event go to a rejects file, with their line and
    the reason. Counts and control totals are printed at the end.
    """
    try:
        preset, path = _what(source, mapping)
        _check_options(preset, profiles, accounts, shift_days)
        # Beside a device there is no place for another file.
        if rejects is None and out is not None and (out.is_file() or not out.exists()):
            rejects = out.with_name(f"{out.name.removesuffix('.jsonl')}.rejects.jsonl")
        _check_paths([path, mapping, profiles, accounts], [out, rejects])
        with Outbox() as outbox:
            extras = Extras(
                profiles,
                read_accounts(accounts) if accounts else None,
                timedelta(days=shift_days),
            )
            _run(preset, path, mapping, outbox, extras)
            if rejects is not None:
                _write(rejects, outbox.rejects)
            _write(out, outbox.events)
            _print_summary(outbox.summary, path, rejects)
    except ImportFailedError as error:
        _fail(error.lines)
    except OverflowError:
        _fail([f"--shift-days {shift_days} is too large"])


def _what(source: list[str], mapping: Path | None) -> tuple[Preset | None, Path]:
    """Tell the preset from the file; with a mapping there is no preset."""
    if mapping is not None:
        if len(source) != 1:
            raise ImportFailedError("give either a preset or --mapping, and one file")
        return None, Path(source[0])
    if len(source) != _FILES_MAX:
        raise ImportFailedError(f"give a preset ({', '.join(Preset)}) and one file, or --mapping and one file")
    if source[0] not in list(Preset):
        raise ImportFailedError(f"{source[0]!r} is no preset; there are {', '.join(Preset)}")
    return Preset(source[0]), Path(source[1])


def _check_options(preset: Preset | None, profiles: Path | None, accounts: Path | None, shift_days: int) -> None:
    problems: list[str] = []
    if profiles is not None and preset is not Preset.ADVENTUREWORKS_RESELLERS:
        problems.append(f"--profiles is for {Preset.ADVENTUREWORKS_RESELLERS}")
    if preset is not Preset.INCIDENTS:
        if accounts is not None:
            problems.append(f"--accounts is for {Preset.INCIDENTS}")
        if shift_days:
            problems.append(f"--shift-days is for {Preset.INCIDENTS}")
    if problems:
        raise ImportFailedError(*problems)


def _check_paths(read: Iterable[Path | None], written: list[Path | None]) -> None:
    """Refuse to write over what is read, and to write two things to one file."""
    sources = {one.resolve() for one in read if one is not None}
    targets = [one.resolve() for one in written if one is not None]
    if sources & set(targets):
        raise ImportFailedError("--out and --rejects should not name a file that is read")
    if len(targets) != len(set(targets)):
        raise ImportFailedError("--out and --rejects should be two files")
    if missing := [str(one.parent) for one in targets if not one.parent.is_dir()]:
        raise ImportFailedError(f"no such folder: {', '.join(dict.fromkeys(missing))}")


def _run(preset: Preset | None, path: Path, mapping: Path | None, outbox: Outbox, extras: Extras) -> None:
    with _progress_bar(path) as progress:
        if preset is not None:
            import_preset(preset, path, outbox, extras, progress)
        elif mapping is not None:
            chosen = load_mapping(mapping)
            table = Table(path, chosen.file.dialect)
            import_mapped(table, chosen, outbox, progress=progress)


@contextmanager
def _progress_bar(path: Path) -> Generator[OnProgress | None]:
    console = Console(stderr=True)
    if not console.is_terminal or not path.is_file():
        yield None
        return
    columns = TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn()
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task(f"reading {path.name}", total=path.stat().st_size)
        yield lambda position_bytes: bar.update(task, completed=position_bytes)


def _write(path: Path | None, lines: Iterable[bytes]) -> None:
    """Write lines to a file, whole or not at all, or to standard output."""
    if path is None:
        _write_lines(sys.stdout.buffer, lines)
        sys.stdout.buffer.flush()
        return
    try:
        if path.exists() and not path.is_file():
            with path.open("wb") as device:
                _write_lines(device, lines)
            return
        partial = path.with_name(f".{path.name}.{os.getpid()}.part")
        try:
            with partial.open("xb") as file:
                _write_lines(file, lines)
            partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)
    except OSError as error:
        raise ImportFailedError(f"{path}: {error.strerror or error}") from error


def _write_lines(file: IO[bytes], lines: Iterable[bytes]) -> None:
    for line in lines:
        file.write(line + b"\n")


def _print_summary(summary: Summary, path: Path, rejects: Path | None) -> None:
    table = RichTable(title=f"import of {path.name}", title_justify="left", show_header=False)
    table.add_column("what", overflow="fold")
    table.add_column("figure", justify="right", overflow="fold")
    for label, figure in summary_lines(summary):
        table.add_row(label, figure)
    console = Console(stderr=True)
    console.print(table)
    for note in summary.notes:
        console.print(f"note: {note}", markup=False, highlight=False, soft_wrap=True)
    if summary.rejected:
        kept = f"are in {rejects}" if rejects else "were not kept: --rejects names a file for them"
        console.print(f"rejected rows {kept}", markup=False, highlight=False, soft_wrap=True)


def summary_lines(summary: Summary) -> Generator[tuple[str, str]]:
    """Yield the lines of the summary, a label and its figure."""
    yield "rows read", f"{summary.rows:,}"
    if summary.rows_skipped:
        yield "rows skipped by the mapping's only", f"{summary.rows_skipped:,}"
    if summary.groups:
        yield f"{summary.groups_name} read", f"{summary.groups:,}"
        yield f"{summary.groups_name} rejected", f"{summary.groups_rejected:,}"
    yield "events", f"{summary.events.total():,}"
    for type_, count in sorted(summary.events.items()):
        yield f"events {type_}", f"{count:,}"
    yield "accounts", f"{len(summary.first_ms_by_account):,}"
    yield "rows rejected", f"{summary.rejected.total():,}"
    for reason, count in sorted(summary.rejected.items()):
        yield f"rows rejected: {reason}", f"{count:,}"
    for currency, money in sorted(summary.money.items()):
        yield from _totals("amount", currency, money.amount)
        if money.cost.read or money.cost.accepted:
            yield from _totals("cost", currency, money.cost)
    for label, figure in summary.facts:
        yield label, _money(figure) if isinstance(figure, Decimal) else f"{figure:,}"
    if summary.first_ms is not None and summary.last_ms is not None:
        yield "first event", _time_text(summary.first_ms)
        yield "last event", _time_text(summary.last_ms)


def _totals(kind: str, currency: str, totals: Totals) -> Generator[tuple[str, str]]:
    yield f"{kind} {currency}, all rows", _money(totals.read)
    for type_, value in sorted(totals.accepted.items()):
        yield f"{kind} {currency}, {type_}", _money(value)
    yield f"{kind} {currency}, rejected rows", _money(totals.rejected)


def _money(value: Decimal) -> str:
    return f"{value:,f}"


def _time_text(moment_ms: int) -> str:
    return from_epoch_ms(moment_ms).astimezone(UTC).isoformat(" ").replace("+00:00", " UTC")


def _fail(lines: Iterable[str]) -> NoReturn:
    for line in lines:
        typer.echo(f"error: {line}", err=True)
    raise typer.Exit(_USAGE_ERROR)
