"""`account-health deliver`: tier changes and churn risks to HTTP destinations."""

import json
import os
from collections import deque
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Final

import typer
from pydantic import Field, TypeAdapter, ValidationError

from models.bodies import body_of
from models.fields import epoch_ms
from models.outputs import AccountLost, AccountRecovered, ChurnRiskChanged, TierChanged
from stream.cli.shell import EXIT_USAGE, errors_as_text, fail, settings_or_exit
from stream.cluster import Brokers
from stream.delivery.destinations import Destination, DestinationsError, WebhookDestination, load_destinations
from stream.delivery.events import Delivery, Place, UnreadableEventError, delivery_of
from stream.delivery.requests import WEBHOOK_SIGNATURE, WEBHOOK_TIMESTAMP, prepare
from stream.environment import env_name
from stream.reading import PartitionReader
from stream.records import output_record
from stream.settings import Settings
from stream.topics import event_source

_LOOKED_AT_RECORDS: Final = 200
_EVENT: Final[TypeAdapter[TierChanged | ChurnRiskChanged | AccountLost | AccountRecovered]] = TypeAdapter(
    Annotated[TierChanged | ChurnRiskChanged | AccountLost | AccountRecovered, Field(discriminator="type")]
)


def deliver(
    events: Annotated[
        list[Path] | None,
        typer.Argument(help="With --dry-run: files of events, as `account-health replay` writes them.", exists=True),
    ] = None,
    *,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Send nothing: print the requests that would be sent, without secrets.")
    ] = False,
    limit: Annotated[
        int, typer.Option(min=1, max=1000, help="With --dry-run: so many events of each file, or of each topic.")
    ] = 1,
) -> None:
    """Deliver to the destinations of the file that ACCOUNT_HEALTH_DESTINATIONS_FILE names.

    With --dry-run and without files, the latest events in Kafka are taken.
    """
    settings = settings_or_exit()
    destinations = destinations_or_exit(settings)
    if not dry_run:
        if events:
            fail("files of events are for --dry-run: what is delivered comes from Kafka", EXIT_USAGE)
        from stream.delivery.process import run_delivery  # noqa: PLC0415  # no other command needs all of it

        with errors_as_text(settings):
            run_delivery(settings, destinations)
    with errors_as_text(settings):
        found = _of_files(settings, events, limit) if events else _of_kafka(settings, limit)
        for delivery in found:
            for name, destination in destinations.items():
                _show(name, destination, delivery)


def destinations_or_exit(settings: Settings) -> dict[str, Destination]:
    """Return the destinations; end with every error when they are wrong."""
    if settings.destinations_file is None:
        fail(f"{env_name('destinations_file')} must be set: the file of destinations, see docs/delivery.md", EXIT_USAGE)
    try:
        return load_destinations(settings.destinations_file, os.environ)
    except DestinationsError as error:
        fail(str(error), EXIT_USAGE)


def _of_files(settings: Settings, paths: list[Path], limit: int) -> Iterator[Delivery]:
    source = event_source(settings.application_id)
    for path in paths:
        with path.open(encoding="utf-8") as lines:
            for number, line in zip(range(limit), lines, strict=False):
                try:
                    event = _EVENT.validate_json(line)
                except ValidationError as error:
                    (first, *_) = error.errors(include_url=False, include_input=False)
                    where = ".".join(map(str, first["loc"]))
                    fail(f"{path}, line {number + 1}: no event of the contract: {where}: {first['msg']}", EXIT_USAGE)
                record = output_record(body_of(event), settings.topics, source, None)
                place = Place(str(path), 0, number)
                written_ms = epoch_ms(event.occurred_at)
                yield Delivery(place, record.key or b"", record.value, record.headers, written_ms)


def _of_kafka(settings: Settings, limit: int) -> Iterator[Delivery]:
    names = settings.topics
    brokers = Brokers(settings)
    for topic, partitions in brokers.partition_counts([names.tier_changes, names.churn_risk]).items():
        latest: deque[Delivery] = deque(maxlen=limit)
        for partition in range(partitions):
            start, end = brokers.range_of(topic, partition, read_committed=True)
            with PartitionReader(settings, topic, partition, max(start, end - _LOOKED_AT_RECORDS)) as reader:
                latest.extend(map(delivery_of, reader.until(end)))
        yield from latest


def _show(name: str, destination: Destination, delivery: Delivery) -> None:
    try:
        event = delivery.event()
        if event.type not in destination.events:
            print(f"# {name}: not asked for: {event.type}\n")
            return
        request = prepare(destination, event)
    except UnreadableEventError as error:
        print(f"# {name}: no request can be made: {error}\n")
        return
    print(f"# {name}")
    print(f"{request.method} {request.url}")
    for header, value in {**request.headers, **_made_anew(destination)}.items():
        print(f"{header}: {value}")
    print()
    print(json.dumps(json.loads(request.body), indent=2, ensure_ascii=False))
    print()


def _made_anew(destination: Destination) -> Mapping[str, str]:
    """Return the headers that are made for each attempt, with nothing of the secrets."""
    if isinstance(destination, WebhookDestination):
        now = int(datetime.now(UTC).timestamp())
        return {WEBHOOK_TIMESTAMP: str(now), WEBHOOK_SIGNATURE: "v1,(made for each attempt)"}
    return {"authorization": "(secret)"}
