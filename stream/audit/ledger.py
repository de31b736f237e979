"""Two lists of outputs, kept on disk so that memory stays bounded: those that should be there, and those that are."""

import hashlib
import sqlite3
from collections.abc import Iterator
from types import TracebackType
from typing import Final, NamedTuple, Self

from stream.headers import DeadLetterHeader, Header
from stream.records import Headers
from stream.topics import TopicNames

TIER: Final = "tier"
CHURN: Final = "churn"
SNAPSHOT: Final = "snapshot"
TOMBSTONE: Final = "tombstone"
DEAD_LETTER: Final = "dead-letter"
FOREIGN: Final = "foreign"
SEQUENCED: Final = (TIER, CHURN, SNAPSHOT)
"""Kinds that are numbered for each account."""

_CACHE_KIB: Final = 16_384
_WITHOUT_END: Final = 2**62
_DIGEST_BYTES: Final = 16
_ID_PARTS: Final = 4
_SCHEMA: Final = """
CREATE TABLE expected (
    partition INTEGER, kind TEXT, name TEXT, incarnation INTEGER, number INTEGER, digest BLOB, written_ms INTEGER,
    key BLOB, PRIMARY KEY (kind, name, incarnation, number)
) WITHOUT ROWID;
CREATE TABLE seen (
    place INTEGER PRIMARY KEY, partition INTEGER, kind TEXT, name TEXT, incarnation INTEGER, number INTEGER,
    digest BLOB, found TEXT
);
CREATE INDEX seen_by_name ON seen (name, kind, incarnation, number);
CREATE INDEX seen_by_partition ON seen (partition);
CREATE TABLE allowed (kind TEXT, name TEXT, incarnation INTEGER, low INTEGER, high INTEGER);
CREATE INDEX allowed_by_name ON allowed (name, kind);
"""
_SAME: Final = "kind = {0}.kind AND name = {0}.name AND incarnation = {0}.incarnation AND number = {0}.number"


class Identity(NamedTuple):
    """Which output it is: no two have the same, whoever made them."""

    kind: str
    name: str
    """The account; of a dead letter the topic and partition that the record came from."""
    incarnation: int
    number: int
    """Sequence, or revision of a snapshot, or offset of the record that a dead letter was."""

    def __str__(self) -> str:
        if self.kind == FOREIGN:
            return "a record that no worker wrote"
        return f"{self.kind} {self.name}/{self.incarnation}/{self.number}"


class Expected(NamedTuple):
    """An output that should be there."""

    identity: Identity
    digest: bytes
    written_ms: int
    """When its transaction was written."""
    key: bytes | None


class Found(NamedTuple):
    """An output that is there."""

    identity: Identity
    where: str


def identify(names: TopicNames, topic: str, key: bytes | None, value: bytes | None, headers: Headers) -> Identity:
    """Tell which output a record is; one that no worker wrote is foreign.

    >>> identify(TopicNames(""), "tier-changes", b"A", b"{}", [("ce_id", b"A/0/tier/7")])
    Identity(kind='tier', name='A', incarnation=0, number=7)
    """
    told = dict(headers)
    try:
        if topic == names.dead_letters:
            where = f"{told[DeadLetterHeader.TOPIC].decode()}/{int(told[DeadLetterHeader.PARTITION])}"
            return Identity(DEAD_LETTER, where, 0, int(told[DeadLetterHeader.OFFSET]))
        name = (key or b"").decode()
        if topic == names.snapshots and value is None:
            return Identity(TOMBSTONE, name, 0, 0)
        account_id, incarnation, kind, number = told[Header.CE_ID].decode().rsplit("/", _ID_PARTS - 1)
        expected_topic = {TIER: names.tier_changes, CHURN: names.churn_risk, SNAPSHOT: names.snapshots}.get(kind)
        if expected_topic == topic and account_id == name:
            return Identity(kind, name, int(incarnation), int(number))
    except (KeyError, ValueError):
        pass
    return Identity(FOREIGN, topic, 0, 0)


def digest_of(key: bytes | None, value: bytes | None, headers: Headers) -> bytes:
    """Hash all that a record holds."""
    hasher = hashlib.blake2b(digest_size=_DIGEST_BYTES)
    for part in (key, value, *(part for name, content in headers for part in (name.encode(), content))):
        length = -1 if part is None else len(part)
        hasher.update(length.to_bytes(8, "big", signed=True))
        hasher.update(part or b"")
    return hasher.digest()


class Ledger:
    """The two lists; to be closed, or used in a `with` statement."""

    def __init__(self) -> None:
        # No name: a temporary file, which is gone when it is closed, and is written to beyond the cache only.
        self._base = sqlite3.connect("", isolation_level=None)
        self._base.executescript(f"PRAGMA journal_mode=OFF; PRAGMA cache_size=-{_CACHE_KIB}; {_SCHEMA}")
        self._base.execute("BEGIN")

    def close(self) -> None:
        """Forget everything."""
        self._base.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def see(self, partition: int, identity: Identity, digest: bytes, where: str) -> None:
        """Note an output that is there, in the order of its topic."""
        self._base.execute("INSERT INTO seen VALUES (NULL, ?, ?, ?, ?, ?, ?, ?)", (partition, *identity, digest, where))

    def expect(self, partition: int, one: Expected) -> bool:
        """Note an output that should be there; False if it was expected before."""
        cursor = self._base.execute(
            "INSERT OR IGNORE INTO expected VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (partition, *one.identity, one.digest, one.written_ms, one.key),
        )
        return cursor.rowcount == 1

    def allow(self, kind: str, name: str, incarnation: int | None, low: int, high: int | None = None) -> None:
        """Note that outputs with numbers above `low`, up to `high`, may be there: the audit cannot tell.

        Args:
            kind: of the outputs.
            name: as in their identity.
            incarnation: None for any.
            low: the last number that is not meant.
            high: the last that is; None for all.
        """
        limit = _WITHOUT_END if high is None else high
        if limit > low:
            self._base.execute("INSERT INTO allowed VALUES (?, ?, ?, ?, ?)", (kind, name, incarnation, low, limit))

    def missing(self, partition: int) -> Iterator[Expected]:
        """Yield what should be there and is not."""
        same = _SAME.format("expected")
        rows = self._base.execute(
            "SELECT kind, name, incarnation, number, digest, written_ms, key FROM expected "  # noqa: S608  # no input
            f"WHERE partition = ? AND NOT EXISTS (SELECT 1 FROM seen WHERE {same})",
            (partition,),
        )
        for row in rows:
            yield Expected(Identity(*row[:4]), *row[4:])

    def twice(self, partition: int) -> Iterator[Found]:
        """Yield what is there more than once, with all places."""
        rows = self._base.execute(
            "SELECT kind, name, incarnation, number, group_concat(found, ', ') FROM seen "
            "WHERE partition = ? AND kind NOT IN (?, ?) GROUP BY kind, name, incarnation, number HAVING count(*) > 1",
            (partition, TOMBSTONE, FOREIGN),
        )
        for row in rows:
            yield Found(Identity(*row[:4]), row[4])

    def different(self, partition: int) -> Iterator[Found]:
        """Yield what is there with other bytes."""
        rows = self._base.execute(
            "SELECT kind, name, incarnation, number, found FROM expected JOIN seen USING (kind, name, incarnation, "
            "number) WHERE expected.partition = ? AND expected.digest != seen.digest",
            (partition,),
        )
        for row in rows:
            yield Found(Identity(*row[:4]), row[4])

    def unexpected(self, partition: int) -> Iterator[Found]:
        """Yield what is there although nothing led to it."""
        same = _SAME.format("seen")
        rows = self._base.execute(
            "SELECT kind, name, incarnation, number, found FROM seen "  # noqa: S608  # no input
            f"WHERE partition = ? AND kind != ? AND NOT EXISTS (SELECT 1 FROM expected WHERE {same}) AND NOT EXISTS "
            "(SELECT 1 FROM allowed WHERE kind = seen.kind AND name = seen.name AND "
            "(incarnation IS NULL OR incarnation = seen.incarnation) AND seen.number > low AND seen.number <= high)",
            (partition, TOMBSTONE),
        )
        for row in rows:
            yield Found(Identity(*row[:4]), row[4])

    def names_with_snapshots(self, partition: int) -> Iterator[str]:
        """Yield the accounts that a snapshot is there of."""
        rows = self._base.execute(
            "SELECT DISTINCT name FROM seen WHERE partition = ? AND kind = ?", (partition, SNAPSHOT)
        )
        for row in rows:
            yield row[0]

    def is_expected(self, identity: Identity) -> bool:
        """Tell whether an output should be there."""
        row = self._base.execute(
            "SELECT 1 FROM expected WHERE kind = ? AND name = ? AND incarnation = ? AND number = ?", identity
        ).fetchone()
        return row is not None

    def last_expected_snapshot(self, name: str) -> Identity | None:
        """Give the newest snapshot of an account that should be there; None if nothing is known of any."""
        row = self._base.execute(
            "SELECT kind, name, incarnation, number FROM expected WHERE name = ? AND kind = ? "
            "ORDER BY incarnation DESC, number DESC LIMIT 1",
            (name, SNAPSHOT),
        ).fetchone()
        return None if row is None else Identity(*row)

    def newest_snapshot(self, name: str) -> tuple[int, int] | None:
        """Give incarnation and revision of an account's newest snapshot that is there."""
        row: tuple[int, int] | None = self._base.execute(
            "SELECT incarnation, number FROM seen WHERE name = ? AND kind = ? "
            "ORDER BY incarnation DESC, number DESC LIMIT 1",
            (name, SNAPSHOT),
        ).fetchone()
        return row

    def last_snapshot(self, name: str) -> Found | None:
        """Give the last record of an account among the snapshots."""
        row = self._base.execute(
            "SELECT kind, name, incarnation, number, found FROM seen WHERE name = ? AND kind IN (?, ?) "
            "ORDER BY place DESC LIMIT 1",
            (name, SNAPSHOT, TOMBSTONE),
        ).fetchone()
        return None if row is None else Found(Identity(*row[:4]), row[4])
