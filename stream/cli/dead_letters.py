"""`account-health dead-letters`: what was refused, and sending it again once the cause is mended."""

import json
from collections import Counter
from collections.abc import Iterator
from datetime import datetime
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from models.fields import epoch_ms, from_epoch_ms
from models.reasons import RefusalReason
from stream.cli.shell import EXIT_USAGE, errors_as_text, fail, settings_or_exit
from stream.cluster import Cluster
from stream.redrive import DeadLetter, PositionForgottenError, Redrive, Redriven, dead_letters, kept
from stream.settings import Settings

app = typer.Typer(no_args_is_help=True, help="List refused records, and send them again.")


@app.command("list")
def list_letters(
    *,
    reason: Annotated[RefusalReason | None, typer.Option(help="Only those that were refused for this.")] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="End after so many; those after them are counted.")] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="One JSON object a line, without what the record held.")
    ] = False,
) -> None:
    """Print the dead letters that are kept, the oldest of each partition first, and how many there are by reason.

    Shows where each came from and why it was refused, never what it holds.
    """
    settings = settings_or_exit()
    console = Console(highlight=False, soft_wrap=True)
    counts: Counter[str] = Counter()
    with errors_as_text(settings):
        for number, letter in enumerate(_letters(settings, reason)):
            counts[letter.reason] += 1
            if limit is not None and number >= limit:
                continue
            if as_json:
                print(json.dumps(_as_json(letter)))
            else:
                console.print(_line(letter), markup=False)
        if not as_json:
            _print_counts(counts)


@app.command()
def redrive(
    *,
    reason: Annotated[RefusalReason, typer.Option(help="Why they were refused.")],
    from_: Annotated[
        str | None,
        typer.Option(
            "--from",
            metavar="TIME",
            help="Pass over those that were refused before, for good: ISO 8601 with an offset from UTC.",
        ),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only count what would be sent.")] = False,
) -> None:
    """Send the records that were refused for a reason again, to the topics that they came from, each once.

    Key and value are unchanged, the partition is the key's own. Ends where the dead letters end when
    it starts. What was sent is remembered with it, in one transaction: another run, or one after a
    crash, sends nothing twice. What is refused again is a new dead letter.
    """
    settings = settings_or_exit()
    from_ms = _moment(from_)
    with errors_as_text(settings), Redrive(settings, Cluster(settings), reason, dry_run=dry_run) as one:
        try:
            done = one.run(from_ms)
        except PositionForgottenError as error:
            fail(str(error), EXIT_USAGE)
    for line in _summary(done, dry_run=dry_run):
        print(line)


def _letters(settings: Settings, reason: RefusalReason | None) -> Iterator[DeadLetter]:
    letters = dead_letters(settings, *kept(settings, Cluster(settings)))
    return (one for one in letters if reason is None or one.reason == reason)


def _moment(text: str | None) -> int | None:
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        fail(f"--from {text}: a time should be as 2026-01-31T12:00:00Z", EXIT_USAGE)
    return epoch_ms(moment)


def _summary(done: Redriven, *, dry_run: bool) -> Iterator[str]:
    verb = "would be sent" if dry_run else "sent"
    for topic, count in sorted(done.sent.items()):
        yield f"{count} {verb} to {topic}"
    if not done.sent:
        yield "nothing to send"
    for count, why in (
        (done.cut, "were too large to be kept whole: send them again from their source"),
        (done.superseded, "are profiles older than one that is there: sent behind it they would replace it"),
        (done.foreign, "came from topics that are no inputs of this application"),
        (done.passed_over, "were refused before the time given"),
    ):
        if count:
            yield f"{count} not sent: they {why}"


def _line(letter: DeadLetter) -> str:
    when = from_epoch_ms(letter.written_ms).isoformat(" ", "seconds").replace("+00:00", "Z")
    origin = f"{letter.topic}[{letter.origin_partition}]@{letter.origin_offset}"
    note = " (cut)" if letter.is_cut else ""
    return f"[{letter.partition}]@{letter.offset}  {when}  {letter.reason:<20}{origin}  {letter.detail}{note}"


def _as_json(letter: DeadLetter) -> dict[str, object]:
    return {
        "partition": letter.partition,
        "offset": letter.offset,
        "refused_at": from_epoch_ms(letter.written_ms).isoformat().replace("+00:00", "Z"),
        "reason": letter.reason,
        "detail": letter.detail,
        "topic": letter.topic,
        "origin_partition": letter.origin_partition,
        "origin_offset": letter.origin_offset,
        "is_cut": letter.is_cut,
    }


def _print_counts(counts: Counter[str]) -> None:
    table = Table(title="Dead letters")
    table.add_column("reason")
    table.add_column("kept", justify="right")
    for reason, count in sorted(counts.items()):
        table.add_row(reason, str(count))
    Console().print(table)
