"""The whole audit: fixes an end for every partition, collects what is published, replays, and compares.

It needs no pause of the workers. Of what they commit meanwhile it is only told that it is later than the end.
"""

from collections.abc import Callable, Iterable
from typing import Any, Final, NamedTuple

from confluent_kafka import Message

from processors.context import Context
from stream.audit.changelog import Written, transactions
from stream.audit.judges import Judges
from stream.audit.ledger import (
    DEAD_LETTER,
    FOREIGN,
    SNAPSHOT,
    TOMBSTONE,
    Expected,
    Identity,
    Ledger,
    digest_of,
    identify,
)
from stream.audit.replaying import Replayer
from stream.audit.report import Fault, PartitionReport
from stream.checkpoint import CHECKPOINT_KEY, CUT_POINTS_KEY, CheckpointError, decode, mark_key_of
from stream.cluster import Cluster
from stream.handling import partition_of
from stream.inputs import timestamp_ms
from stream.reading import PartitionReader
from stream.records import Headers
from stream.settings import Settings

_CLOCKS_APART_MS: Final = 60_000
"""How far timestamps of one transaction may lie apart, on different topics."""
OnProgress = Callable[[str], None]


class _Kept(NamedTuple):
    """What one partition of an output still holds."""

    trimmed: bool
    first_ms: int | None
    """Timestamp of the oldest record; None if there is none."""


class Audit:
    """One audit.

    Args:
        settings: of the workers.
        contexts: every policy and churn model that was in force, or those that are known; the present ones first.
        on_progress: told what is being done.

    Raises:
        ClusterError: if the topics cannot be worked with.
    """

    def __init__(self, settings: Settings, contexts: Iterable[Context], on_progress: OnProgress) -> None:
        self._judges = Judges(contexts)
        self._settings = settings
        self._names = settings.topics
        self._cluster = Cluster(settings)
        self._on_progress = on_progress
        self._kept: dict[tuple[str, int], _Kept] = {}

    def run(self) -> list[PartitionReport]:
        """Audit every partition.

        Raises:
            ReadingError: if a topic cannot be read.
        """
        state = self._names.state
        partitions = range(self._cluster.partitions)
        ends = [self._cluster.range_of(state, one, read_committed=True).end for one in partitions]
        with Ledger() as ledger:
            for topic in (
                self._names.tier_changes,
                self._names.churn_risk,
                self._names.snapshots,
                self._names.dead_letters,
            ):
                for partition in range(self._cluster.counts[topic]):
                    self._on_progress(f"reading {topic} [{partition}]")
                    self._collect(topic, partition, ledger)
            # Outputs that were read are of transactions whose state is written by now: up to here all are explained.
            later_ends = [self._cluster.range_of(state, one).end for one in partitions]
            return [self._audit(one, ends[one], later_ends[one], ledger) for one in partitions]

    def _collect(self, topic: str, partition: int, ledger: Ledger) -> None:
        # To the end of all that is written, open transactions included: whatever the fixed ends show is among it.
        start, end = self._cluster.range_of(topic, partition)
        first_ms: int | None = None
        with PartitionReader(self._settings, topic, partition, start) as reader:
            for message in reader.until(end):
                first_ms = timestamp_ms(message) if first_ms is None else first_ms
                headers = _headers(message)
                identity = identify(self._names, topic, message.key(), message.value(), headers)
                digest = digest_of(message.key(), message.value(), headers)
                where = f"{topic}[{partition}]@{message.offset()}"
                ledger.see(self._owner(identity, message, partition), identity, digest, where)
        self._kept[topic, partition] = _Kept(start > 0, first_ms)

    def _owner(self, identity: Identity, message: Message, partition: int) -> int:
        """Tell by which partition's task a record was published."""
        if identity.kind == DEAD_LETTER:
            return int(identity.name.rpartition("/")[2]) % self._cluster.partitions
        if identity.kind == FOREIGN:
            return partition % self._cluster.partitions
        return partition_of(message.key(), self._cluster.partitions)

    def _audit(self, partition: int, end: int, later_end: int, ledger: Ledger) -> PartitionReport:
        report = PartitionReport(partition)
        place = self._cluster.place(partition)
        replayer = Replayer(place, self._cluster, self._judges, self._settings, ledger, report)
        start = self._cluster.range_of(self._names.state, partition).start
        try:
            with PartitionReader(self._settings, self._names.state, partition, start) as reader:
                for transaction in transactions(reader.until(end), report):
                    replayer.take(transaction)
                    if report.transactions % 100 == 1:
                        self._on_progress(f"partition {partition}: {report.transactions} transactions")
                later_erased = self._allow_later(reader.until(later_end), replayer)
        finally:
            replayer.close()
        self._settle(ledger, replayer, report, later_erased)
        return report

    def _allow_later(self, messages: Iterable[Message], replayer: Replayer) -> set[str]:
        """Allow what was published after the end of the audit; returns the accounts that were erased since."""
        erased: set[str] = set()
        for message in messages:
            key, value = message.key() or b"", message.value()
            if key == CHECKPOINT_KEY:
                try:
                    inputs = decode(value or b"").inputs
                except CheckpointError:
                    continue
                for topic, held in inputs.items():
                    done = 0 if replayer.last is None else replayer.last.inputs[topic].next_offset
                    replayer.allow_dead_letters(topic, done, held.next_offset)
            elif key != CUT_POINTS_KEY and mark_key_of(key) is None:
                name = key.decode(errors="replace")
                replayer.allow_later(name, Written(value, message.offset() or 0))
                if value is None:
                    erased.add(name)
        return erased

    def _settle(self, ledger: Ledger, replayer: Replayer, report: PartitionReport, later_erased: set[str]) -> None:
        partition, accounts = report.partition, replayer.accounts
        for one in ledger.missing(partition):
            name = one.identity.name
            if one.identity.kind == SNAPSHOT and _superseded(one, ledger, replayer, later_erased):
                continue
            if self._expired(one):
                report.expired += 1
            else:
                report.fault(Fault.MISSING, f"{one.identity} is nowhere")
        for found in ledger.twice(partition):
            report.fault(Fault.TWICE, f"{found.identity} is at {found.where}")
        for found in ledger.different(partition):
            report.fault(Fault.DIFFERENT, f"{found.identity} at {found.where} holds other bytes")
        for found in ledger.unexpected(partition):
            mark = accounts.erasure_of(found.identity.name) if report.taken else None
            # An account that was erased before the base of this audit has left nothing but a mark.
            if mark is None or found.identity.incarnation >= mark.incarnation:
                report.fault(Fault.UNEXPECTED, f"nothing led to {found.identity} at {found.where}")
        for name in accounts.account_ids():
            if name not in later_erased:
                self._check_last_snapshot(name, ledger, replayer, report)
        for name in ledger.names_with_snapshots(partition):
            last = ledger.last_snapshot(name)
            gone = accounts.get(name) is None and name not in later_erased
            if gone and last is not None and ledger.is_expected(last.identity):
                report.fault(Fault.SNAPSHOT, f"{last.identity} at {last.where} is the last, and it was erased")

    def _check_last_snapshot(self, name: str, ledger: Ledger, replayer: Replayer, report: PartitionReport) -> None:
        state = replayer.accounts.get(name)
        assert state is not None, "only committed accounts are asked for"
        if not state.published_revision:
            return
        # Not the state's revision: a snapshot that would tell nothing new is not published.
        found, expected = ledger.last_snapshot(name), ledger.last_expected_snapshot(name)
        if found is None:
            report.fault(Fault.SNAPSHOT, f"{name} has none")
        elif found.identity.kind == TOMBSTONE:
            report.fault(Fault.SNAPSHOT, f"{name} is removed at {found.where}, and was not erased")
        elif expected is not None and found.identity[2:] < expected[2:]:
            report.fault(Fault.SNAPSHOT, f"{name}: the last is {found.identity} at {found.where}, not {expected}")

    def _expired(self, one: Expected) -> bool:
        """Tell whether an output is older than what its topic still holds of its partition."""
        names = self._names
        topic = {DEAD_LETTER: names.dead_letters, SNAPSHOT: names.snapshots}.get(one.identity.kind)
        topic = topic or (names.tier_changes if one.identity.kind == "tier" else names.churn_risk)
        count = self._cluster.counts[topic]
        # Without a key any partition may have held it.
        held = range(count) if one.key is None else [partition_of(one.key, count)]
        return any(_is_before(one.written_ms, self._kept[topic, partition]) for partition in held)


def _is_before(written_ms: int, kept: _Kept) -> bool:
    return kept.trimmed and (kept.first_ms is None or written_ms <= kept.first_ms + _CLOCKS_APART_MS)


def _superseded(one: Expected, ledger: Ledger, replayer: Replayer, later_erased: set[str]) -> bool:
    """Tell whether compaction may have removed a snapshot: a newer one is there, or the account was erased."""
    name = one.identity.name
    if name in later_erased or replayer.accounts.get(name) is None:
        return True
    newest = ledger.newest_snapshot(name)
    return newest is not None and newest > (one.identity.incarnation, one.identity.number)


def _headers(message: Message) -> Headers:
    headers: list[tuple[str, Any]] = list(message.headers() or [])  # type: ignore[arg-type]  # always a list here
    return [(name, value or b"") for name, value in headers]
