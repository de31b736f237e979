"""What a dossier is made of, and where it is found: a replay's folder, a broker, or a running service."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

from pydantic import TypeAdapter, ValidationError

from models.outputs import ChurnEvent, OutputEvent, TierChanged
from models.snapshots import Snapshot
from stream.cluster import Cluster
from stream.handling import partition_of
from stream.reading import PartitionReader
from stream.replay import CHURN_RISK_FILE, SNAPSHOTS_FILE, TIER_CHANGES_FILE
from stream.settings import Settings

_CHURN_EVENT: Final[TypeAdapter[ChurnEvent]] = TypeAdapter(ChurnEvent)


class DossierError(RuntimeError):
    """A dossier that cannot be put together; the text says why."""


class Dossier(NamedTuple):
    """All that is told of an account: its health now, and the changes that are still kept, oldest first."""

    snapshot: Snapshot
    changes: list[OutputEvent]


def from_folder(folder: Path, account_id: str) -> Dossier:
    """Find an account among the files that a replay wrote.

    Raises:
        DossierError: if the account is not among them, or a file cannot be read.
    """
    try:
        snapshot = next(_lines_of(folder / SNAPSHOTS_FILE, account_id), None)
        changes: list[OutputEvent] = [
            TierChanged.model_validate_json(line) for line in _lines_of(folder / TIER_CHANGES_FILE, account_id)
        ]
        changes += [_CHURN_EVENT.validate_json(line) for line in _lines_of(folder / CHURN_RISK_FILE, account_id)]
        if snapshot is None:
            raise DossierError(f"{folder}: no account {account_id!r}")
        return Dossier(Snapshot.model_validate_json(snapshot), _ordered(changes))
    except OSError as error:
        raise DossierError(f"{error.filename}: {error.strerror}") from error
    except ValidationError as error:
        raise DossierError(f"{folder}: not written by this release: {first_problem(error)}") from error


def from_broker(settings: Settings, account_id: str) -> Dossier:
    """Find an account in the topics that the workers write, read-committed.

    Reads the account's partition of each from its beginning.

    Raises:
        DossierError: if there is no snapshot of it, or an event is not of this release.
        ClusterError, ReadingError: if the topics cannot be read.
    """
    names, key = settings.topics, account_id.encode()
    cluster = Cluster(settings)
    try:
        snapshot: Snapshot | None = None
        for value in _records(settings, cluster, names.snapshots, key):
            # The last one counts; an empty one says that the account was erased.
            snapshot = None if value is None else Snapshot.model_validate_json(value)
        changes: list[OutputEvent] = [
            TierChanged.model_validate_json(value)
            for value in _records(settings, cluster, names.tier_changes, key)
            if value is not None
        ]
        changes += [
            _CHURN_EVENT.validate_json(value)
            for value in _records(settings, cluster, names.churn_risk, key)
            if value is not None
        ]
    except ValidationError as error:
        raise DossierError(f"{account_id!r}: not written by this release: {first_problem(error)}") from error
    if snapshot is None:
        raise DossierError(f"{names.snapshots}: no account {account_id!r}, or it was erased")
    kept = [one for one in changes if one.incarnation == snapshot.incarnation]
    return Dossier(snapshot, _ordered(kept))


def _ordered(changes: list[OutputEvent]) -> list[OutputEvent]:
    return sorted(changes, key=lambda one: (one.occurred_at, one.type, one.sequence))


def _lines_of(path: Path, account_id: str) -> Iterator[bytes]:
    # The account is the first field of every output.
    beginning = b'{"account_id":' + json.dumps(account_id, ensure_ascii=False).encode() + b","
    with path.open("rb") as lines:
        yield from (line for line in lines if line.startswith(beginning))


def _records(settings: Settings, cluster: Cluster, topic: str, key: bytes) -> Iterator[bytes | None]:
    partition = partition_of(key, cluster.counts[topic])
    held = cluster.range_of(topic, partition, read_committed=True)
    with PartitionReader(settings, topic, partition, held.start) as reader:
        for message in reader.until(held.end):
            if message.key() == key:
                yield message.value()


def first_problem(error: ValidationError) -> str:
    """Say what is wrong with something that should be of this release, the first of it."""
    one = error.errors(include_url=False, include_context=False)[0]
    return f"{'.'.join(str(part) for part in one['loc'])}: {one['msg']}"
