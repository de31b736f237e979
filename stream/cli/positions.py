"""`account-health positions`: where every input is read to, and setting the group's offsets back."""

import json
from enum import StrEnum, unique
from typing import Annotated, Any

import typer
from confluent_kafka import TopicPartition
from rich.console import Console
from rich.table import Table

from models.fields import from_epoch_ms
from stream.cli.shell import EXIT_FAILED, EXIT_USAGE, errors_as_text, fail, settings_or_exit, wide_console
from stream.cluster import Cluster
from stream.positions import PartitionStanding, Standing, look
from stream.resets import ResetRefusedError, Resets
from stream.settings import Settings

app = typer.Typer(no_args_is_help=True, help="Show where every input is read to, and repair the group's offsets.")


@unique
class Target(StrEnum):
    """Where the group's offsets can be set to."""

    CHECKPOINT = "checkpoint"
    BEGINNING = "beginning"


@app.command()
def show(*, as_json: Annotated[bool, typer.Option("--json", help="One JSON object for each input.")] = False) -> None:
    """Compare, for each input and partition, the topic, the checkpoint and the group's offset.

    Exits with 1 if they do not agree, and says which command mends it. Changes nothing, and may be
    run while workers run.
    """
    settings = settings_or_exit()
    with errors_as_text(settings):
        cluster = Cluster(settings)
        found = [look(cluster, settings, partition) for partition in range(cluster.partitions)]
    if as_json:
        for standing in found:
            for one in standing.inputs.values():
                print(json.dumps(_row(standing, one)))
    else:
        _print(settings, found)
    problems = [one.recounted for one in found if one.recounted is not None]
    problems += [text for one in found for each in one.inputs.values() if (text := each.disagreement()) is not None]
    if problems:
        fail(dict.fromkeys(problems), EXIT_FAILED)


@app.command()
def reset(
    *,
    to: Annotated[
        Target,
        typer.Option(
            help="checkpoint: what the state was built from, to repair offsets that were set by hand. beginning: the"
            " oldest records, only where nothing was published yet; else it says how to rebuild beside."
        ),
    ],
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Set the group's offsets of the inputs. Stop all workers first.

    Changes neither the state nor the outputs, deletes no record and makes no topic. Waits until the
    sessions of stopped workers have ended, and a killed worker's transaction. Asks for the
    application's id unless --yes is given.
    """
    settings = settings_or_exit()
    console = Console(stderr=True, soft_wrap=True)
    with errors_as_text(settings):
        resets = Resets(settings, Cluster(settings))
        try:
            if to is Target.BEGINNING:
                resets.check_nothing_published()
            resets.wait_for_no_members(lambda members: console.print(f"waiting for {', '.join(members)} to be gone"))
            if to is Target.CHECKPOINT:
                _to_checkpoint(settings, resets, yes=yes)
            else:
                _to_beginning(settings, resets, yes=yes)
        except ResetRefusedError as error:
            fail(str(error), EXIT_FAILED)


def _to_checkpoint(settings: Settings, resets: Resets, *, yes: bool) -> None:
    offsets = resets.to_checkpoint()
    if not offsets:
        print("there is no checkpoint: nothing to set")
        return
    for one in offsets:
        print(f"{one.topic} [{one.partition}] to {one.offset}")
    _confirm(settings, yes=yes)
    resets.set([TopicPartition(one.topic, one.partition, one.offset) for one in offsets])
    print(f"the group's offsets are the checkpoints' in {len(offsets)} inputs")


def _to_beginning(settings: Settings, resets: Resets, *, yes: bool) -> None:
    _confirm(settings, yes=yes)
    if resets.forget():
        print("the group's offsets are deleted: the next worker begins with the oldest records")
    else:
        print("the group has no offsets: the next worker begins with the oldest records anyway")


def _confirm(settings: Settings, *, yes: bool) -> None:
    if yes:
        return
    try:
        typed = typer.prompt("Type the application's id to go on", err=True)
    except typer.Abort:
        typed = ""
    if typed != settings.application_id:
        fail(f"that is not {settings.application_id}: nothing was changed", EXIT_USAGE)


def _row(standing: PartitionStanding, one: Standing) -> dict[str, Any]:
    checkpoint = standing.checkpoint
    problem = standing.recounted or one.disagreement()
    return {
        "topic": one.name,
        "partition": one.partition,
        "log_start": one.available.start,
        "checkpoint": None if one.held is None else one.held.next_offset,
        "committed": one.committed,
        "end": one.available.end,
        "lag": one.lag,
        "clock": _clock(standing),
        "policy_revision": None if checkpoint is None else checkpoint.policy_revision,
        "agrees": problem is None,
        "problem": problem,
    }


def _clock(standing: PartitionStanding) -> str | None:
    checkpoint = standing.checkpoint
    if checkpoint is None or checkpoint.clock_ms < 0:
        return None
    return from_epoch_ms(checkpoint.clock_ms).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _print(settings: Settings, found: list[PartitionStanding]) -> None:
    table = Table(title=f"Positions of {settings.application_id}")
    table.add_column("topic", no_wrap=True)
    for name in ("partition", "log start", "checkpoint", "group", "end", "lag"):
        table.add_column(name, justify="right", overflow="fold")
    table.add_column("clock", no_wrap=True)
    table.add_column("policy", justify="right")
    table.add_column("agree")
    for standing in found:
        for one in standing.inputs.values():
            row = _row(standing, one)
            cells = [row[name] for name in ("partition", "log_start", "checkpoint", "committed", "end", "lag")]
            cells += [row["clock"], row["policy_revision"]]
            agree = "yes" if row["agrees"] else "[red]no[/red]"
            table.add_row(one.name, *("–" if cell is None else str(cell) for cell in cells), agree)
    wide_console().print(table)
