"""`account-health audit`: prove that what is published follows from what was read."""

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from models.churn_model import load_churn_model
from models.policy import load_policy
from processors.context import Context
from stream.audit.auditing import Audit
from stream.audit.report import Fault, PartitionReport
from stream.cli.shell import EXIT_FAILED, errors_as_text, fail, settings_or_exit, wide_console
from stream.judgement import context_of

_OUTPUT_FAULTS = (Fault.MISSING, Fault.TWICE, Fault.DIFFERENT, Fault.UNEXPECTED)


def audit(
    *,
    from_beginning: Annotated[
        bool,
        typer.Option("--from-beginning", help="Fail unless every transaction since the first could be replayed."),
    ] = False,
    policy: Annotated[
        list[Path] | None,
        typer.Option(help="A policy that was in force before the present one; may be given several times."),
    ] = None,
    churn_model: Annotated[
        list[Path] | None,
        typer.Option(help="A churn model that was in force before the present one; may be given several times."),
    ] = None,
    json_file: Annotated[
        Path | None, typer.Option("--json", metavar="FILE", help="Write the result as JSON, too.")
    ] = None,
) -> None:
    """Replay what the checkpoints say through the same core, and compare every byte that was published.

    For each partition: the steps must read each input exactly once, and lead to the states, tier
    changes, churn events, dead letters and snapshots that a read-committed reader finds, none twice.
    Needs the settings of the workers, changes nothing, and may be run while they run: it ends where
    the checkpoints were when it began. Transactions whose records are gone (compacted, expired) are
    taken as they are, and counted. Exits with 1 if anything is not as it should be.
    """
    settings = settings_or_exit()
    console = Console(stderr=True)
    with errors_as_text(settings), console.status("starting") as status:
        present = context_of(settings)
        policies = [present.policy, *(load_policy(path) for path in policy or ())]
        models = [present.model, None, *(load_churn_model(path) for path in churn_model or ())]
        contexts = [Context(one, present.erasure_secret, model=model) for one in policies for model in models]
        reports = Audit(settings, contexts, status.update).run()
    _print(reports)
    if json_file is not None:
        ok = not _verdict(reports, from_beginning=from_beginning)
        result = {"ok": ok, "partitions": [one.as_json() for one in reports]}
        json_file.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    if lines := _verdict(reports, from_beginning=from_beginning):
        fail(lines, EXIT_FAILED)
    print("all that was audited is as it should be")


def _verdict(reports: list[PartitionReport], *, from_beginning: bool) -> list[str]:
    lines = []
    for one in reports:
        lines += [f"partition {one.partition}: {text}" for text in one.named]
        if (more := one.faults.total() - len(one.named)) > 0:
            lines.append(f"partition {one.partition}: and {more} more")
        if from_beginning:
            lines += [
                f"partition {one.partition}: {count} transactions could not be audited: {reason}"
                for reason, count in one.taken.items()
            ]
    return lines


def _print(reports: list[PartitionReport]) -> None:
    table = Table(title="Audit")
    columns = ("partition", "transactions", "audited", "events", "states", "outputs", "expired")
    for name in (*columns, *_OUTPUT_FAULTS, "other faults"):
        table.add_column(name, justify="right", overflow="fold")
    for one in reports:
        outputs = [one.faults[kind] for kind in _OUTPUT_FAULTS]
        others = one.faults.total() - sum(outputs)
        figures = (one.partition, one.transactions, one.audited, one.records, one.states, one.outputs, one.expired)
        told = (f"[red]{count}[/red]" if count else "0" for count in (*outputs, others))
        table.add_row(*map(str, figures), *told)
    wide_console().print(table)
    for one in reports:
        for reason, count in one.taken.items():
            print(f"partition {one.partition}: {count} transactions were taken as they are: {reason}")
