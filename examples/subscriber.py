"""A subscriber: takes tier changes and churn events once each and in order, however often it is stopped or killed.

    python subscriber.py --bootstrap-servers localhost:9092 --database changes.db

Needs `confluent-kafka` and nothing else. It keeps a table of the changes of every account: replace `apply` by what
your service does with a change, in the same transaction.

Kafka gives a record again when a subscriber ends between handling it and saying so. Therefore an event goes through
an inbox, a table whose key is the event's id: what is in it already is a repetition. An account's events are taken by
their sequence, which has no gaps; one that comes too early waits for those before it. Position and effect:
the position is committed to Kafka after the transaction of the database, so that nothing is missed.
"""

import argparse
import json
import logging
import signal
import socket
import sqlite3
from contextlib import closing
from typing import Any

from confluent_kafka import Consumer, KafkaException

BATCH_RECORDS = 500
HELD_MAX = 100
"""Events of one account that may wait for an earlier one: more, and it has expired while nobody read."""
KEPT = "-31 days"
"""For how long ids are remembered: a day longer than the topics keep their records."""

SCHEMA = """
CREATE TABLE IF NOT EXISTS inbox (
    id TEXT PRIMARY KEY, stream TEXT NOT NULL, sequence INTEGER NOT NULL, body TEXT NOT NULL,
    applied INTEGER NOT NULL DEFAULT 0, received TEXT NOT NULL DEFAULT CURRENT_TIMESTAMP
);
CREATE INDEX IF NOT EXISTS waiting ON inbox (stream, sequence) WHERE NOT applied;
CREATE TABLE IF NOT EXISTS progress (stream TEXT PRIMARY KEY, sequence INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS changes (
    number INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, account_id TEXT NOT NULL, change TEXT NOT NULL
);
"""

log = logging.getLogger("subscriber")


def apply(database: sqlite3.Connection, event_id: str, body: dict[str, Any]) -> None:
    """Do what the subscriber is for; a type or a value that is new to it is left alone."""
    match body["type"]:
        case "account.tier_changed":
            change = f"tier {body['previous_tier'] or '-'} -> {body['tier']} ({body['cause']})"
        case "account.churn_risk_changed" | "account.lost" | "account.recovered":
            change = f"churn {body['previous_level'] or '-'} -> {body['level']}, at stake {body['value_at_stake']}"
        case unknown:
            log.warning("left alone: %s of a type that is new here: %s", event_id, unknown)
            return
    account_id = body["account_id"]
    database.execute("INSERT INTO changes (id, account_id, change) VALUES (?, ?, ?)", (event_id, account_id, change))


def receive(database: sqlite3.Connection, topic: str, headers: dict[str, bytes], value: bytes) -> None:
    """Put one event into the inbox, unless it is there, and apply all that are next in their order."""
    event_id, sequence = headers["ce_id"].decode(), int(headers["ce_sequence"])
    body = json.loads(value)
    # An account that was erased and came back is another one: its sequence starts again.
    stream = json.dumps([topic, body["account_id"], body["incarnation"]])
    added = database.execute(
        "INSERT INTO inbox (id, stream, sequence, body) VALUES (?, ?, ?, ?) ON CONFLICT (id) DO NOTHING",
        (event_id, stream, sequence, value.decode()),
    ).rowcount
    if not added:
        log.info("a repetition: %s", event_id)
        return
    # Whoever begins to read in the middle begins with what is there.
    database.execute("INSERT OR IGNORE INTO progress VALUES (?, ?)", (stream, sequence - 1))
    while take_next(database, stream):
        pass


def take_next(database: sqlite3.Connection, stream: str) -> bool:
    """Apply the event that is next in one account's order; return whether there was one."""
    (last,) = database.execute("SELECT sequence FROM progress WHERE stream = ?", (stream,)).fetchone()
    waiting = database.execute(
        "SELECT id, sequence, body FROM inbox WHERE stream = ? AND NOT applied AND sequence > ?"
        " ORDER BY sequence LIMIT ?",
        (stream, last, HELD_MAX + 1),
    ).fetchall()
    if not waiting or (waiting[0][1] != last + 1 and len(waiting) <= HELD_MAX):
        return False
    event_id, sequence, body = waiting[0]
    if sequence != last + 1:
        log.warning("never came: %s, %s to %s", stream, last + 1, sequence - 1)
    apply(database, event_id, json.loads(body))
    database.execute("UPDATE inbox SET applied = 1 WHERE id = ?", (event_id,))
    database.execute("UPDATE progress SET sequence = ? WHERE stream = ?", (sequence, stream))
    return True


def run(consumer: Consumer, database: sqlite3.Connection) -> None:
    """Read until the process is asked to stop."""
    stopping = False

    def stop(*_: object) -> None:
        nonlocal stopping
        stopping = True

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    while not stopping:
        messages = consumer.consume(BATCH_RECORDS, timeout=0.5)
        if not messages:
            continue
        with database:
            for message in messages:
                if message.error() is not None:
                    raise KafkaException(message.error())
                headers: Any = dict(message.headers() or [])
                receive(database, message.topic() or "", headers, message.value() or b"")
            database.execute("DELETE FROM inbox WHERE applied AND received < datetime('now', ?)", (KEPT,))
        # Only now: ended between the two, the same records come again, and the inbox knows them.
        consumer.commit(asynchronous=False)


def main() -> None:
    """Read the command line and begin."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bootstrap-servers", default="localhost:9092")
    parser.add_argument("--prefix", default="account-health.", help="beginning of the topics' names")
    parser.add_argument("--group", default="example-subscriber")
    parser.add_argument("--database", default="changes.db")
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(message)s")
    consumer = Consumer(
        {
            "bootstrap.servers": options.bootstrap_servers,
            "group.id": options.group,
            # Whoever starts again under the same name goes on at once. Several subscribers of a group have several
            # names, and one database.
            "group.instance.id": f"{options.group}-{socket.gethostname()}",
            "auto.offset.reset": "earliest",
            "enable.auto.commit": False,
            # What a transaction left behind when it failed was never published.
            "isolation.level": "read_committed",
        }
    )
    with closing(consumer), closing(sqlite3.connect(options.database)) as database:
        database.executescript(SCHEMA)
        consumer.subscribe([f"{options.prefix}tier-changes", f"{options.prefix}churn-risk"])
        run(consumer, database)


if __name__ == "__main__":
    main()
