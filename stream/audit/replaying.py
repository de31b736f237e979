"""One partition replayed: the recorded steps through the core, compared with what the worker wrote."""

from typing import Final, assert_never

from models.codec import StateFormatError, unpack
from models.events import InputTopic
from models.portfolio import PortfolioFormatError
from models.state import AccountState
from models.wire import Refusal
from processors.partition import Changes, Partition
from stream.audit.changelog import Transaction, Written, check_tiles
from stream.audit.judges import Judges
from stream.audit.ledger import DEAD_LETTER, SEQUENCED, Expected, Ledger, digest_of, identify
from stream.audit.report import Fault, PartitionReport
from stream.checkpoint import (
    UNSETTLED,
    CensusStep,
    Checkpoint,
    CheckpointError,
    CutPointsStep,
    OpenStep,
    PublishStep,
    ReadStep,
    TickStep,
    decode_mark,
    encode_mark,
    fingerprint,
)
from stream.cluster import Cluster
from stream.handling import Place, Terms, handle
from stream.inputs import timestamp_ms
from stream.reading import PartitionReader
from stream.records import Origin, OutRecord, dead_letter_record, output_record, snapshot_record
from stream.settings import Settings, env_name
from stream.topics import SPEC_OF_INPUT, Cleanup, event_source

_COMPACTED: Final = "the state topic was compacted: what was before is gone"
_BASE_TRANSACTIONS: Final = 2
"""Taken as they are from a compacted log. One is not enough: of an account that the first of them and the next
changed, compaction may have left only the later record."""


class HoleError(LookupError):
    """A transaction cannot be replayed; the text says why, without what is special to it."""


class Replayer:
    """Replays one partition.

    Args:
        place: which one.
        cluster: the topics.
        judges: what accounts were judged by.
        settings: of the workers.
        ledger: where to note what should be there.
        report: where to note what is not.
    """

    def __init__(  # noqa: PLR0913, PLR0917  # one of each
        self,
        place: Place,
        cluster: Cluster,
        judges: Judges,
        settings: Settings,
        ledger: Ledger,
        report: PartitionReport,
    ) -> None:
        self.accounts = Partition(judges.present)
        self.last: Checkpoint | None = None
        """The checkpoint that was reached."""
        self._place = place
        self._judges = judges
        # Of the cut points that accounts are compared with.
        self._version = 0
        self._settings = settings
        self._names = settings.topics
        self._source = event_source(settings.application_id)
        self._ledger = ledger
        self._report = report
        self._live: bool | None = None
        self._base_left = 0
        # Whether it is known which accounts still wait for a new policy.
        self._settled = True
        self._erased = False
        self._readers: dict[InputTopic, PartitionReader] = {}
        self._starts = {
            topic: cluster.range_of(self._names.of_input(topic), place.partition).start for topic in InputTopic
        }

    def close(self) -> None:
        """Stop reading inputs."""
        for reader in self._readers.values():
            reader.close()

    def take(self, transaction: Transaction) -> None:
        """Replay the next transaction, or take it as it is where that cannot be done."""
        self._report.transactions += 1
        checkpoint = transaction.checkpoint
        self._erased = self._erased or bool(transaction.writes.erased)
        opening = next((step for step in checkpoint.steps if isinstance(step, OpenStep)), None)
        if self.last is None and (opening is None or not opening.fresh):
            self._base_left = _BASE_TRANSACTIONS
        if self.last is None and opening is not None and opening.fresh:
            self._check_beginning(checkpoint)
        check_tiles(transaction, self.last, self._report)
        try:
            self._check_replayable(checkpoint, opening)
            outputs = self._replay(transaction)
        except HoleError as error:
            self.accounts.abort()
            self._adopt(transaction)
            self._report.taken[str(error)] += 1
        else:
            for output in outputs:
                self._expect(output, transaction.written_ms)
            self._compare(transaction)
        self._base_left = max(0, self._base_left - 1)
        self.last = checkpoint

    def allow_later(self, name: str, written: Written) -> None:
        """Allow the outputs that led from an account as it is here to a record that was written later."""
        since = self.accounts.get(name)
        try:
            self._allow(name, since, None if written.value is None else unpack(written.value))
        except StateFormatError as error:
            self._report.fault(Fault.STATE, f"{name}: the record at offset {written.offset} is {error}")

    def allow_dead_letters(self, topic: InputTopic, from_offset: int, to_offset: int) -> None:
        """Allow the dead letters of records that were not processed again."""
        name = f"{self._names.of_input(topic)}/{self._place.partition}"
        self._ledger.allow(DEAD_LETTER, name, None, from_offset - 1, to_offset - 1)

    def _check_beginning(self, checkpoint: Checkpoint) -> None:
        begun = {topic: held.next_offset for topic, held in checkpoint.inputs.items()}
        for step in reversed(checkpoint.steps):
            if isinstance(step, ReadStep):
                begun[step.topic] = step.from_offset
        for topic, offset in begun.items():
            # A log's start only ever moves on: what is there now was there then.
            if offset > self._starts[topic]:
                text = f"{topic}: offsets {self._starts[topic]} to {offset - 1} were never read (the first checkpoint)"
                self._report.fault(Fault.GAP, text)

    def _check_replayable(self, checkpoint: Checkpoint, opening: OpenStep | None) -> None:
        if self._base_left:
            raise HoleError(_COMPACTED)
        if not self._judges.know(checkpoint.policy_in_force):
            raise HoleError(
                f"the policy of revision {checkpoint.policy_revision}, version {checkpoint.policy_in_force}, was in "
                "force: give it with --policy FILE"
            )
        if self.last is not None and self.last.portfolio_version != self._version:
            raise HoleError("the cut points in force are gone from the state topic")
        secret = self._judges.present.erasure_secret
        if self._erased and checkpoint.erasure_fingerprint != fingerprint(secret):
            raise HoleError(
                f"accounts were erased under another secret: give the workers' {env_name('erasure_secret')}"
            )
        if not self._settled and opening is None:
            raise HoleError("a change of policy was under way, and how far it had come is not known")
        for topic, held in checkpoint.inputs.items():
            if held.topic_id != self._place.topic_ids[topic]:
                raise HoleError(f"the topic {self._names.of_input(topic)} was made anew")

    def _replay(self, transaction: Transaction) -> list[OutRecord]:
        checkpoint = transaction.checkpoint
        self.accounts.context = self._judges.context(checkpoint.policy_in_force, self._version)
        outputs: list[OutRecord] = []
        for step in checkpoint.steps:
            match step:
                case OpenStep():
                    self._settled = True
                    self.accounts.settled()
                    if self.last is not None and self.last.policy_version != checkpoint.policy_in_force:
                        self.accounts.refresh()
                case ReadStep():
                    self._read(step, outputs)
                case TickStep(now_ms=now_ms, limit=limit):
                    for _, done in self.accounts.tick(now_ms, limit):
                        outputs += [output_record(one, self._names, self._source, None) for one in done.outputs]
                case PublishStep(accounts=names, clock_ms=clock_ms):
                    self.accounts.clock_ms = max(self.accounts.clock_ms, clock_ms)
                    self._publish(names, transaction, outputs)
                case CutPointsStep(version=version):
                    self._take_cuts(transaction)
                    if self._version != version:
                        raise HoleError("cut points that were adopted are gone from the state topic")
                    self.accounts.context = self._judges.context(checkpoint.policy_in_force, version)
                case CensusStep():
                    # What was counted is published elsewhere, and changes no account.
                    pass
                case _ as never:
                    assert_never(never)
        return outputs

    def _take_cuts(self, transaction: Transaction) -> None:
        """Note the cut points that a transaction wrote; every partition must have the same ones of a version."""
        if (written := transaction.writes.cuts) is None:
            return
        try:
            self._version, same = self._judges.take_cuts(written)
        except PortfolioFormatError as error:
            text = f"the cut points with the checkpoint at offset {transaction.offset} cannot be read: {error}"
            self._report.fault(Fault.STATE, text)
            return
        if not same:
            text = f"cut points {self._version} with the checkpoint at offset {transaction.offset} differ from others'"
            self._report.fault(Fault.STATE, text)

    def _read(self, step: ReadStep, outputs: list[OutRecord]) -> None:
        name, partition = self._names.of_input(step.topic), self._place.partition
        if step.from_offset < self._starts[step.topic]:
            raise HoleError(f"{name} keeps nothing before offset {self._starts[step.topic]}")
        reader = self._readers.get(step.topic)
        if reader is None:
            reader = PartitionReader(self._settings, name, partition, step.from_offset)
            self._readers[step.topic] = reader
        reader.seek(step.from_offset)
        messages = list(reader.until(step.to_offset))
        if len(messages) != step.records:
            if SPEC_OF_INPUT[step.topic].cleanup is Cleanup.DELETE:
                self._report.fault(
                    Fault.INPUT,
                    f"{name} holds {len(messages)} records at offsets {step.from_offset} to {step.to_offset - 1}, "
                    f"of which {step.records} were read",
                )
            raise HoleError(f"{name} was compacted: records that were read are gone")
        self._live = step.wall_ms > 0
        self.accounts.clock_ms = max(self.accounts.clock_ms, step.clock_ms)
        terms = Terms(step.wall_ms, step.latest_ms)
        for message in messages:
            origin = Origin(name, partition, message.offset() or 0, timestamp_ms(message))
            result = handle(self.accounts, step.topic, message, terms, self._place)
            if isinstance(result, Refusal):
                outputs.append(dead_letter_record(message.key(), message.value(), result, origin, self._names))
            else:
                outputs += [output_record(one, self._names, self._source, origin) for one in result.outputs]
        self._report.records += len(messages)

    def _publish(self, names: list[str], transaction: Transaction, outputs: list[OutRecord]) -> None:
        for name in names:
            state = self.accounts.get(name)
            if state is None:
                text = f"{name}: the checkpoint at offset {transaction.offset} tells of a snapshot; no step led to it"
                self._report.fault(Fault.STATE, text)
                continue
            if state.portfolio_version != self.accounts.context.portfolio_version:
                done = self.accounts.advance(name)
                outputs += [output_record(one, self._names, self._source, None) for one in done.outputs]
            described = self.accounts.take_snapshot(name)
            if described is not None:
                outputs.append(snapshot_record(described, self._names, self._source))

    def _expect(self, output: OutRecord, written_ms: int) -> None:
        identity = identify(self._names, output.topic, output.key, output.value, output.headers)
        digest = digest_of(output.key, output.value, output.headers)
        if self._ledger.expect(self._place.partition, Expected(identity, digest, written_ms, output.key)):
            self._report.outputs += 1

    def _compare(self, transaction: Transaction) -> None:
        """Compare every state that the transaction wrote, then go on from those, so that each fault is told once."""
        report, writes, changes = self._report, transaction.writes, self.accounts.changes()
        for name, offset in writes.doubled:
            report.fault(Fault.STATE, f"{name}: the record at offset {offset} belongs to no transaction of a worker")
        wrong = [name for name in {**changes.states, **writes.states} if not self._same(name, transaction, changes)]
        marks = {name: encode_mark(mark) for name, mark in changes.erased.items()}
        for name in {**marks, **writes.erased}:
            written = writes.erased.get(name)
            if written is None or written.value != marks.get(name):
                report.fault(Fault.STATE, f"the erasure mark {name} of the checkpoint at {transaction.offset} differs")
        report.states += len(changes.states) + len(marks)
        self.accounts.commit(changes)
        self._check_clock(transaction)
        for name in wrong:
            if name in writes.states:
                self._restore(name, writes.states[name])

    def _same(self, name: str, transaction: Transaction, changes: Changes) -> bool:
        written = transaction.writes.states.get(name)
        report = self._report
        if written is None:
            text = f"{name}: the transaction of the checkpoint at offset {transaction.offset} wrote no record of it"
            report.fault(Fault.STATE, text)
        elif name not in changes.states:
            report.fault(Fault.STATE, f"{name}: no step led to the record at offset {written.offset}")
        elif changes.states[name] != written.value:
            told = _difference(changes.states[name], written.value)
            report.fault(Fault.STATE, f"{name}: the record at offset {written.offset} differs in {told}")
        else:
            return True
        return False

    def _check_clock(self, transaction: Transaction) -> None:
        checkpoint, reached_ms = transaction.checkpoint, self.accounts.clock_ms
        # The live clock moves on while nothing is due, which no step tells.
        silent = self._live is not False and checkpoint.clock_ms > reached_ms
        if checkpoint.clock_ms != reached_ms and not silent:
            self._report.fault(
                Fault.CHECKPOINT,
                f"the checkpoint at offset {transaction.offset} says that the clock is {checkpoint.clock_ms}, "
                f"its steps lead to {reached_ms}",
            )
        self.accounts.set_clock(checkpoint.clock_ms)
        settled = self.accounts.stale_count() == 0 or self.last is None
        expected = checkpoint.policy_in_force if settled else UNSETTLED
        if checkpoint.policy_version != expected:
            self._report.fault(
                Fault.CHECKPOINT,
                f"the checkpoint at offset {transaction.offset} says that all accounts were evaluated under policy "
                f"{checkpoint.policy_version}, its steps lead to {expected}",
            )

    def _adopt(self, transaction: Transaction) -> None:
        """Take a transaction as it is: its states are the base of what follows, its outputs are not judged."""
        checkpoint = transaction.checkpoint
        if self.last is None:
            for topic, held in checkpoint.inputs.items():
                self.allow_dead_letters(topic, 0, held.next_offset)
        for step in checkpoint.steps:
            if isinstance(step, ReadStep):
                self.allow_dead_letters(step.topic, step.from_offset, step.to_offset)
                self._live = step.wall_ms > 0
        self._take_cuts(transaction)
        for name, written in transaction.writes.states.items():
            self.allow_later(name, written)
            self._restore(name, written)
        for key, written in transaction.writes.erased.items():
            try:
                self.accounts.restore_erased(key, decode_mark(written.value or b""))
            except CheckpointError as error:
                self._report.fault(Fault.STATE, f"the erasure mark at offset {written.offset} cannot be read: {error}")
        self.accounts.set_clock(checkpoint.clock_ms)
        self.accounts.settled()
        self._settled = checkpoint.policy_version == checkpoint.policy_in_force

    def _restore(self, name: str, written: Written) -> None:
        try:
            self.accounts.restore(name, written.value)
        except StateFormatError as error:
            self._report.fault(Fault.STATE, f"{name}: the record at offset {written.offset} cannot be read: {error}")

    def _allow(self, name: str, since: AccountState | None, state: AccountState | None) -> None:
        if state is None:
            for kind in SEQUENCED:
                low = 0 if since is None else _number(since, kind)
                self._ledger.allow(kind, name, None if since is None else since.incarnation, low)
            return
        first = 0 if since is None else since.incarnation
        for kind in SEQUENCED:
            for incarnation in range(first, state.incarnation + 1):
                low = _number(since, kind) if since is not None and incarnation == first else 0
                high = _number(state, kind) if incarnation == state.incarnation else None
                self._ledger.allow(kind, name, incarnation, low, high)


def _number(state: AccountState, kind: str) -> int:
    numbers = (state.tier_sequence, state.churn_sequence, state.published_revision)
    return dict(zip(SEQUENCED, numbers, strict=True))[kind]


def _difference(expected: bytes | None, found: bytes | None) -> str:
    """Name the fields in which two packed states differ, not what they hold."""
    if expected is None or found is None:
        return "whether the account was erased"
    try:
        one, other = unpack(expected), unpack(found)
    except StateFormatError as error:
        return f"its form: {error}"
    names = [name for name in one.__struct_fields__ if getattr(one, name) != getattr(other, name)]
    return ", ".join(names) or "its bytes"
