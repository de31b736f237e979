"""`account-health produce`: send files of events to Kafka."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Final
from zoneinfo import ZoneInfo

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from stream.cli.shell import EXIT_FAILED, EXIT_USAGE, errors_as_text, fail, settings_or_exit
from stream.files import Line, inspect, merge
from stream.sending import Pace, Sender, SendingError
from stream.settings import Settings, policy_of
from stream.shifting import shifted

_MS_PER_DAY: Final = 86_400_000
_MS_PER_HOUR: Final = 3_600_000
_MS_PER_SECOND: Final = 1000
_PROGRESS_EVERY: Final = 500
_EXIT_INTERRUPTED: Final = 130


def produce(  # typer: one argument an option
    events: Annotated[
        list[Path],
        typer.Argument(exists=True, dir_okay=False, help="Files of one event a line: .jsonl, .jsonl.gz, .jsonl.xz."),
    ],
    *,
    rate: Annotated[
        float | None, typer.Option(min=0.001, help="So many records a second; else as fast as possible.")
    ] = None,
    speedup: Annotated[
        float | None,
        typer.Option(min=0.001, help="The events' own rhythm, so many times as fast as it was."),
    ] = None,
    end_of_input: Annotated[
        bool,
        typer.Option("--end-of-input", help="At last, move the event clock to the end of the last event's day."),
    ] = False,
    now: Annotated[
        bool,
        typer.Option("--now", help="Move all events by whole days, so that the last one is of today."),
    ] = False,
) -> None:
    """Send events to the inputs, merged by the time at which they happened.

    Each goes to the topic of its type, with its account as the key. Lines of no known type go to
    orders, where the worker turns them into dead letters. Exits with 1 if any was not delivered.
    """
    if rate is not None and speedup is not None:
        fail("give --rate or --speedup, not both", EXIT_USAGE)
    settings = settings_or_exit()
    console = Console(stderr=True, soft_wrap=True)
    with errors_as_text(settings):
        try:
            sender = Sender(settings)
        except SendingError as error:
            fail(str(error), EXIT_USAGE)
        started = time.monotonic()
        interrupted = False
        try:
            lines = _shifted(events, settings) if now else merge(events, _latest_allowed_ms(settings))
            pace = Pace(records_per_second=rate, speedup=speedup)
            _send(lines, sender, settings, pace, console, end_of_input=end_of_input)
        except KeyboardInterrupt:
            interrupted = True
        finally:
            sender.close()
        _summarise(sender, time.monotonic() - started, console)
        if interrupted:
            raise typer.Exit(_EXIT_INTERRUPTED)
        if sender.failed:
            raise typer.Exit(EXIT_FAILED)


def _send(  # noqa: PLR0913  # all that the command was told
    lines: Iterator[Line],
    sender: Sender,
    settings: Settings,
    pace: Pace,
    console: Console,
    *,
    end_of_input: bool,
) -> None:
    time_zone = _time_zone(settings)
    latest_ms = _latest_allowed_ms(settings)
    last_ms: int | None = None
    columns = TextColumn("sending"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("sending", total=None)
        started = time.monotonic()
        for count, line in enumerate(lines, start=1):
            occurred_ms = line.occurred_ms
            if occurred_ms is not None and occurred_ms > latest_ms:
                occurred_ms = None  # a date in the far future is neither waited for nor the end
            due = started + pace.seconds_until_due(occurred_ms)
            if (left := due - time.monotonic()) > 0:
                sender.wait(left)
            sender.send(line)
            if occurred_ms is not None:
                last_ms = max(last_ms or 0, occurred_ms)
            if count % _PROGRESS_EVERY == 0:
                progress.update(task, completed=count)
        sender.flush()
        if end_of_input and last_ms is not None:
            sender.end_input(last_ms, time_zone)


def _shifted(paths: list[Path], settings: Settings) -> Iterator[Line]:
    """Yield all lines, moved by whole days so that the last event is of the day up to now."""
    latest_ms = _latest_allowed_ms(settings)
    times = (line.occurred_ms for line in merge(paths, latest_ms))
    last_ms = max((one for one in times if one is not None and one <= latest_ms), default=None)
    days = 0 if last_ms is None else (_now_ms() - last_ms) // _MS_PER_DAY
    for line in merge(paths, latest_ms):
        yield inspect(line.source, line.number, shifted(line.raw, days))


def _latest_allowed_ms(settings: Settings) -> int:
    """Return the time after which an event is a dead letter."""
    return _now_ms() + settings.future_tolerance_hours * _MS_PER_HOUR


def _now_ms() -> int:
    return int(time.time() * _MS_PER_SECOND)


def _time_zone(settings: Settings) -> ZoneInfo:
    """Return the zone whose days count: the policy's, or UTC without a policy."""
    if settings.policy_file is None:
        return ZoneInfo("UTC")
    return ZoneInfo(policy_of(settings).reporting_timezone)


def _summarise(sender: Sender, seconds: float, console: Console) -> None:
    total = sum(sender.sent.values())
    parts = ", ".join(f"{topic} {count}" for topic, count in sorted(sender.sent.items()))
    speed = f"{total / seconds:,.0f} a second" if seconds > 0 else "at once"
    console.print(f"sent {total} lines ({parts or 'none'}) in {seconds:.1f} s, {speed}")
    if sender.unroutable:
        console.print(
            f"{sender.unroutable} of them have no known type: sent to orders unchanged, where they become dead letters"
        )
    if sender.failed:
        console.print(f"{sender.failed} records were not delivered: {sender.first_failure}", style="red")
