"""`account-health deliveries`: what could not be delivered, and delivering it once the cause is mended."""

import asyncio
import json
from collections import Counter
from collections.abc import Iterator
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from models.fields import from_epoch_ms
from stream.cli.deliver import destinations_or_exit
from stream.cli.shell import EXIT_FAILED, EXIT_USAGE, errors_as_text, fail, settings_or_exit
from stream.cluster import Brokers
from stream.delivery.failures import KeptFailure
from stream.delivery.reasons import Disposal, FailureReason
from stream.delivery.redrive import KeptFailures, RedriveError, Redriven, redrive
from stream.settings import Settings

app = typer.Typer(no_args_is_help=True, help="List failed deliveries, and deliver them again.")


@app.command("list")
def list_failures(
    *,
    destination: Annotated[str | None, typer.Option(help="Only those of this destination.")] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="End after so many; those after them are counted.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line, without what events hold.")] = False,
) -> None:
    """Print the failures that wait for a redrive, each partition in order, and how many there are by reason.

    Shows which event it is and why it failed, never what it holds.
    """
    settings = settings_or_exit()
    console = Console(highlight=False, soft_wrap=True)
    counts: Counter[tuple[str, str]] = Counter()
    with errors_as_text(settings):
        for number, kept in enumerate(_kept(settings).open(destination)):
            counts[kept.destination, kept.failure.reason] += 1
            if limit is not None and number >= limit:
                continue
            if as_json:
                print(json.dumps(_as_json(kept)))
            else:
                console.print(_line(kept), markup=False)
    if not as_json:
        table = Table(title="Failed deliveries")
        table.add_column("destination")
        table.add_column("reason")
        table.add_column("waiting", justify="right")
        for (name, reason), count in sorted(counts.items()):
            table.add_row(name, reason, str(count))
        Console().print(table)


@app.command("redrive")
def redrive_failures(
    *,
    destination: Annotated[str, typer.Option(help="Whose failures.")],
    discard: Annotated[
        list[FailureReason] | None,
        typer.Option(help="Settle failures of this reason without delivering them; may be given several times."),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only count what would be delivered.")] = False,
) -> None:
    """Deliver what failed at a destination again, in order, account by account.

    An account whose event fails again keeps it, and those behind it, for another redrive; exits with 1 then. May run
    beside `account-health deliver`, which holds an account's new events back until its failures are settled.
    """
    settings = settings_or_exit()
    destinations = destinations_or_exit(settings)
    if destination not in destinations:
        fail(f"{destination}: no such destination; there are {', '.join(sorted(destinations))}", EXIT_USAGE)
    chosen = frozenset(discard or ())
    with errors_as_text(settings):
        if dry_run:
            counts = Counter(one.failure.reason for one in _kept(settings).open(destination))
            for reason, count in sorted(counts.items()):
                print(f"{count} {reason} would be {'discarded' if reason in chosen else 'delivered'}")
            if not counts:
                print("nothing to deliver")
            return
        try:
            done = asyncio.run(redrive(settings, destination, destinations[destination], chosen))
        except RedriveError as error:
            fail(str(error))
    for line in _summary(done):
        print(line)
    if done.reasons or done.left:
        raise typer.Exit(EXIT_FAILED)


def _kept(settings: Settings) -> KeptFailures:
    return KeptFailures(settings, Brokers(settings))


def _summary(done: Redriven) -> Iterator[str]:
    said = [
        (done.disposals[Disposal.DELIVERED], "delivered"),
        (done.discarded, "discarded"),
        (done.disposals[Disposal.ERASED], "dropped: their accounts were erased"),
        (done.disposals[Disposal.UNWANTED], "dropped: the destination does not ask for their type any more"),
        *((count, f"failed again: {reason}") for reason, count in sorted(done.reasons.items())),
        (done.left, "left: they are behind one that failed, or the destination accepts nothing"),
    ]
    lines = [f"{count} {what}" for count, what in said if count]
    yield from lines or ["nothing to deliver"]


def _line(kept: KeptFailure) -> str:
    when = from_epoch_ms(kept.delivery.written_ms).isoformat(" ", "seconds").replace("+00:00", "Z")
    origin = f"{kept.origin.topic}[{kept.origin.partition}]@{kept.origin.offset}"
    place = kept.delivery.place
    return (
        f"[{place.partition}]@{place.offset}  {when}  {kept.destination}  {kept.failure.reason:<16}{origin}"
        f"  {kept.failure.detail}"
    )


def _as_json(kept: KeptFailure) -> dict[str, object]:
    return {
        "partition": kept.delivery.place.partition,
        "offset": kept.delivery.place.offset,
        "destination": kept.destination,
        "reason": kept.failure.reason,
        "detail": kept.failure.detail,
        "status": kept.failure.status,
        "attempts": kept.failure.attempts,
        "published_at": from_epoch_ms(kept.delivery.written_ms).isoformat().replace("+00:00", "Z"),
        "topic": kept.origin.topic,
        "origin_partition": kept.origin.partition,
        "origin_offset": kept.origin.offset,
    }
