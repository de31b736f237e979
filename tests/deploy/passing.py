"""Passes the lines of files through a partition task and prints a hash of all that comes out; run by either release.

`python passing.py PROFILES ORDERS SUPPORT`: what it prints follows from the lines alone.
"""

import hashlib
import importlib
import pkgutil
import sys
from pathlib import Path

from confluent_kafka import Message

import processors
from models.events import InputTopic
from models.policy import Policy
from processors.context import Context
from processors.partition import Partition
from stream.handling import Place
from stream.records import OutRecord
from stream.restore import Restored
from stream.settings import load_settings
from stream.task import PartitionTask

BATCH = 100
WALL_MS = 4_000_000_000_000
SETTINGS = {
    "ACCOUNT_HEALTH_BOOTSTRAP_SERVERS": "localhost:9092",
    "ACCOUNT_HEALTH_REPORTING_CURRENCY": "EUR",
    "ACCOUNT_HEALTH_CLOCK": "event",
    "ACCOUNT_HEALTH_SNAPSHOT_INTERVAL_MS": "0",
}


def _files() -> list[str]:
    """Give where the modules are that every event passes."""
    names = [one.name for one in pkgutil.walk_packages(processors.__path__, "processors.") if not one.ispkg]
    names += ["models.codec", "models.reading", "models.wire", "stream.handling", "stream.records"]
    return [importlib.import_module(name).__file__ or "" for name in names]


def _text(line: bytes, name: bytes) -> bytes:
    _, _, rest = line.partition(b'"' + name + b'":"')
    return rest.partition(b'"')[0]


def _lines(paths: list[Path]) -> list[tuple[InputTopic, bytes]]:
    found = [(topic, line) for topic, path in zip(InputTopic, paths, strict=True) for line in path.open("rb")]
    return sorted(found, key=lambda one: _text(one[1], b"occurred_at"))


def _passed(paths: list[Path]) -> str:
    context = Context(Policy(reporting_currency="EUR"))
    restored = Restored(Partition(context), dict.fromkeys(InputTopic, 0), None, 0, 0.0)
    place = Place(0, 1, dict.fromkeys(InputTopic, "id"))
    task = PartitionTask(place, restored, load_settings(SETTINGS), lambda: WALL_MS)
    made = hashlib.sha256()
    records = 0

    def produce(record: OutRecord) -> None:
        nonlocal records
        records += 1
        made.update(repr(record).encode())

    for number, (topic, line) in enumerate(_lines(paths), 1):
        position = task.positions[topic]
        key = _text(line, b"account_id")
        message = Message(topic=topic, partition=0, offset=position, key=key, value=line, timestamp=(1, WALL_MS))
        task.process(topic, [message], produce)
        if number % BATCH == 0:
            task.tick(BATCH, produce)
            task.publish_snapshots(BATCH, produce)
            changes = task.changes()
            made.update(repr(list(task.changelog(changes))).encode())
            task.committed(changes)
    while task.tick(BATCH, produce):
        pass
    return f"{records} {made.hexdigest()}"


if __name__ == "__main__":
    sys.stdout.write(f"{_passed([Path(one) for one in sys.argv[1:]])} { {Path(one).suffix for one in _files()} }\n")
