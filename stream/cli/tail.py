"""`account-health tail`: what the system publishes, as it is published, for people."""

import json
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from enum import StrEnum, unique
from typing import Annotated, Any, Final

import typer
from kafka import KafkaConsumer, TopicPartition
from kafka.consumer.fetcher import ConsumerRecord
from rich.console import Console
from rich.text import Text

from models.fields import from_epoch_ms
from stream.cli.shell import EXIT_USAGE, errors_as_text, fail, settings_or_exit
from stream.headers import DeadLetterHeader
from stream.settings import Settings
from stream.terminal import LEVEL_STYLES, TIER_STYLES, moment_text, plain
from stream.topics import CHURN_RISK, DEAD_LETTERS, TIER_CHANGES, Topic

_POLL_MS: Final = 500
_BOOTSTRAP_TIMEOUT_MS: Final = 10_000
_DELTAS_SHOWN: Final = 3
_DIRECTION_STYLES: Final = {"promoted": "green", "demoted": "red", "withdrawn": "red"}


@unique
class Tailed(StrEnum):
    """What can be looked at."""

    TIER_CHANGES = "tier-changes"
    CHURN_RISK = "churn-risk"
    DEAD_LETTERS = "dead-letters"


_TOPICS: Final[dict[Tailed, Topic]] = {
    Tailed.TIER_CHANGES: TIER_CHANGES,
    Tailed.CHURN_RISK: CHURN_RISK,
    Tailed.DEAD_LETTERS: DEAD_LETTERS,
}


def tail(
    what: Annotated[Tailed, typer.Argument(help="Which of the outputs.")],
    *,
    from_beginning: Annotated[
        bool, typer.Option("--from-beginning", help="Begin with the oldest that is kept.")
    ] = False,
    limit: Annotated[int | None, typer.Option(min=1, help="End after so many; else at Ctrl-C.")] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="One JSON object a line: the event, or a dead letter's headers.")
    ] = False,
) -> None:
    """Print changes as they are committed, one a line."""
    settings = settings_or_exit()
    line_of = _LINES[what]
    console = Console(highlight=False, soft_wrap=True)
    with errors_as_text(settings):
        try:
            for record in records(settings, _TOPICS[what], from_beginning=from_beginning, limit=limit):
                if as_json:
                    sys.stdout.write(_json(what, record) + "\n")
                    sys.stdout.flush()
                else:
                    console.print(line_of(record))
        except KeyboardInterrupt:
            return


def records(settings: Settings, topic: Topic, *, from_beginning: bool, limit: int | None) -> Iterator[ConsumerRecord]:
    """Yield committed records of a topic, without a group: other readers notice nothing.

    Endless without a limit.
    """
    name = settings.topics.of(topic)
    consumer: Any = KafkaConsumer(
        bootstrap_servers=settings.bootstrap_servers.split(","),
        client_id=f"{settings.application_id}-tail",
        group_id=None,
        enable_auto_commit=False,
        isolation_level="read_committed",
        allow_auto_create_topics=False,
        bootstrap_timeout_ms=_BOOTSTRAP_TIMEOUT_MS,
    )
    try:
        partitions = consumer.partitions_for_topic(name)
        if not partitions:
            fail(f"{name}: no such topic; account-health topics create makes it", EXIT_USAGE)
        assigned = [TopicPartition(name, partition) for partition in sorted(partitions)]
        consumer.assign(assigned)
        (consumer.seek_to_beginning if from_beginning else consumer.seek_to_end)(*assigned)
        for partition in assigned:
            consumer.position(partition)  # seeking is put off until it is asked where it led
        left = limit
        while left is None or left > 0:
            for batch in consumer.poll(timeout_ms=_POLL_MS, max_records=left).values():
                yield from batch
                left = None if left is None else left - len(batch)
    finally:
        consumer.close()


def tier_line(record: ConsumerRecord) -> Text:
    """Return a tier change as a line: when, who, from where to where, why."""
    body = _body(record)
    line = _begin(body.get("occurred_at"), body.get("account_id"))
    before = body.get("previous_tier") or "—"
    line.append(f"{before:>8}", TIER_STYLES.get(before, ""))
    line.append(" → ", _DIRECTION_STYLES.get(str(body.get("direction")), ""))
    tier = plain(body.get("tier"))
    line.append(f"{tier:<8}", TIER_STYLES.get(tier, ""))
    line.append(f"  {_number(body.get('score_before'))} → {_number(body.get('score'))}")
    line.append(f"  {plain(body.get('cause')):<13}", "italic")
    deltas = sorted(_deltas(body), key=lambda one: -abs(one[1]))[:_DELTAS_SHOWN]
    for index, (name, delta) in enumerate(deltas):
        line.append(", " if index else "  ")
        line.append(f"{name} {delta:+.2f}", "green" if delta > 0 else "red")
    return line


def churn_line(record: ConsumerRecord) -> Text:
    """Return a churn event as a line: when, who, how likely, why, how much is at stake."""
    body = _body(record)
    line = _begin(body.get("occurred_at"), body.get("account_id"))
    before, level = body.get("previous_level") or "—", plain(body.get("level"))
    line.append(f"{plain(before):>8} → ")
    line.append(f"{level:<8}", LEVEL_STYLES.get(level, ""))
    risk = body.get("risk")
    line.append(f"  risk {risk:>6.1%}" if isinstance(risk, int | float) else "  risk      –")
    if body.get("silent_days") is not None:
        line.append(f"  silent {plain(body['silent_days'])} d")
    if body.get("value_at_stake") is not None:
        line.append(f"  at stake {plain(body['value_at_stake'])}", "bold")
    if reasons := body.get("reasons"):
        line.append(f"  {', '.join(plain(one) for one in reasons)}", "italic")
    return line


def dead_letter_line(record: ConsumerRecord) -> Text:
    """Return a dead letter as a line: when, why, which record."""
    headers = _headers(record)
    line = Text(f"{moment_text(from_epoch_ms(record.timestamp))}  ")
    line.append(f"{plain(headers.get(DeadLetterHeader.REASON, '?')):<20}", "red")
    where = [DeadLetterHeader.TOPIC, DeadLetterHeader.PARTITION, DeadLetterHeader.OFFSET]
    topic, partition, offset = (plain(headers.get(name, "?")) for name in where)
    line.append(f"{topic}[{partition}]@{offset}", "cyan")
    line.append(f"  {plain(headers.get(DeadLetterHeader.DETAIL, ''))}")
    return line


_LINES: Final[dict[Tailed, Callable[[ConsumerRecord], Text]]] = {
    Tailed.TIER_CHANGES: tier_line,
    Tailed.CHURN_RISK: churn_line,
    Tailed.DEAD_LETTERS: dead_letter_line,
}


def _json(what: Tailed, record: ConsumerRecord) -> str:
    if what is Tailed.DEAD_LETTERS:
        where = {"offset": record.offset, "partition": record.partition}
        return json.dumps({**where, **_headers(record)})
    return json.dumps(_body(record), ensure_ascii=False)


def _body(record: ConsumerRecord) -> dict[str, Any]:
    try:
        body = json.loads(record.value)
    except (TypeError, ValueError):
        return {}
    return body if isinstance(body, dict) else {}


def _headers(record: ConsumerRecord) -> dict[str, str]:
    return {name: (value or b"").decode(errors="replace") for name, value in record.headers}


def _begin(occurred_at: Any, account_id: Any) -> Text:
    try:
        moment = datetime.fromisoformat(str(occurred_at)).astimezone(UTC)
    except ValueError:
        moment = None
    line = Text(f"{moment_text(moment) if moment else plain(occurred_at)}  ")
    line.append(f"{plain(account_id):<12}  ", "bold")
    return line


def _number(value: Any) -> str:
    return f"{value:6.2f}" if isinstance(value, int | float) else "     –"


def _deltas(body: dict[str, Any]) -> Iterator[tuple[str, float]]:
    for component in body.get("components") or ():
        if component.get("delta_hundredths"):
            yield plain(component.get("name")), component["delta_hundredths"] / 100
