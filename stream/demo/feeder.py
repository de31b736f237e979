"""The company's records on their way to the broker: the history at once, then its life, sped up."""

import itertools
import threading
import time
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Final

from confluent_kafka import KafkaException

from models.events import ClockAdvanced, InputTopic
from models.fields import EPOCH, epoch_ms, from_epoch_ms
from stream.demo.options import AHEAD_DAYS_MAX
from stream.embedded import PARTITIONS
from stream.files import Line
from stream.handling import partition_of
from stream.sending import Sender, SendingError
from stream.settings import Settings
from stream.simulation import SimulatedRecord, Simulation

_UNREAD_BYTES_MAX: Final = 2_500_000
"""Of one partition of an input: the embedded broker drops the oldest records from 5 MiB on, read or not."""
_RECORD_BYTES: Final = 100
"""What a record takes beyond its value, at most: key, lengths, and the head of a batch of its own."""
_WAIT_S: Final = 0.05
_DAY_MS: Final = 86_400_000
_COUNTED_EVERY_MS: Final = 30 * _DAY_MS
_COUNTED_WITHIN_MS: Final = 180 * _DAY_MS
_COUNT_WAIT_S: Final = 1.5
"""How long a count of the portfolio is waited for, at most."""
_MS_PER_HOUR: Final = 3_600_000


class Feeder:
    """Sends a company's records from a thread of its own.

    The history goes out as fast as it is read: never more unread than the embedded broker keeps. In its last half-year
    it comes to rest every thirty days, at one midnight of all partitions, until the portfolio is counted: a worker that
    is given years in seconds compares accounts with those of long ago, and calls half of them key accounts.

    Its end is a record that nobody can read, so that there is a dead letter to look at, and the present moment for
    every partition. From `go_live` on, the same company goes on, and every simulated midnight is told to all
    partitions: the day on which an account becomes overdue comes without any event of its own.

    Args:
        settings: of the worker.
        company: whose records.
        now: where the history ends and the live part begins.
        hours_per_second: simulated hours that pass in a second of the live part.
    """

    def __init__(self, settings: Settings, company: Simulation, now: datetime, hours_per_second: float) -> None:
        self.history_records: int | None = None
        """Records of the history, in all topics together; None until all are delivered."""
        self.processed = 0
        """Records that the worker has committed, as the demo last heard."""
        self.counted_ms = 0
        """The day that the portfolio was last counted on, as the demo last heard."""
        self.failure: str | None = None
        """Why nothing more is sent; None while all is well."""
        self.ended = False
        """Whether the company has lived as far ahead as events may be dated."""
        self._settings = settings
        self._company = company
        self._now = now
        self._ms_per_second = hours_per_second * _MS_PER_HOUR
        # One company for both parts: making it anew up to the present moment takes as long as its history.
        self._records = company.live(EPOCH)
        self._live = threading.Event()
        self._stopping = threading.Event()
        self._unread_bytes: Counter[tuple[InputTopic, int]] = Counter()
        self._partitions: dict[bytes, int] = {}
        self._thread = threading.Thread(target=self._run, name="feeder", daemon=True)

    def start(self) -> None:
        """Begin with the history."""
        self._thread.start()

    def go_live(self) -> None:
        """Go on with what the company does from now on."""
        self._live.set()

    def stop(self) -> None:
        """Send nothing more; returns when the client is closed."""
        self._stopping.set()
        self._live.set()
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        try:
            sender = Sender(self._settings)
        except (SendingError, KafkaException) as error:
            self.failure = str(error)
            return
        try:
            self._send_history(sender)
            self._live.wait()
            if not self._stopping.is_set():
                self._send_life(sender)
        except KafkaException as error:
            self.failure = str(error)
        finally:
            sender.close()

    def _send_history(self, sender: Sender) -> None:
        now_ms = epoch_ms(self._now)
        rest_ms = _rest_after(now_ms - _COUNTED_WITHIN_MS)
        for record in self._records:
            if self._stopping.is_set():
                return
            if record.produced_ms >= rest_ms:
                if self._unread_bytes:
                    self._rest(sender, rest_ms)
                rest_ms = _rest_after(record.produced_ms)
            if record.produced_ms >= now_ms:
                # The first of the live part waits for its turn.
                self._records = itertools.chain((record,), self._records)
                break
            self._send(sender, record)
        key = next(self._company.personas()).account_id
        sender.send(Line(0, 0, b'{"type": "order.completed", "event_id": "cut off', InputTopic.ORDERS, key, None))
        self._send_clock(sender, now_ms)
        sender.flush()
        self._note_failures(sender)
        self.history_records = sender.delivered

    def _send_life(self, sender: Sender) -> None:
        start_ms = epoch_ms(self._now)
        started = time.monotonic()
        midnight_ms = (start_ms // _DAY_MS + 1) * _DAY_MS
        end_ms = epoch_ms(datetime.now(UTC) + timedelta(days=AHEAD_DAYS_MAX - 1))
        for record in self._records:
            while midnight_ms <= record.produced_ms:
                self._wait_until(sender, started + (midnight_ms - start_ms) / self._ms_per_second)
                if self._stopping.is_set():
                    return
                self._send_clock(sender, midnight_ms)
                midnight_ms += _DAY_MS
            self._wait_until(sender, started + (record.produced_ms - start_ms) / self._ms_per_second)
            if self._stopping.is_set():
                return
            if record.produced_ms >= end_ms:
                self.ended = True
                return
            self._send(sender, record)
            self._note_failures(sender)

    def _wait_until(self, sender: Sender, moment: float) -> None:
        while (left := moment - time.monotonic()) > 0 and not self._stopping.is_set():
            sender.wait(min(left, _WAIT_S))

    def _send(self, sender: Sender, record: SimulatedRecord) -> None:
        sender.send(Line(0, 0, record.value, record.topic, record.key.decode(), record.produced_ms))
        place = record.topic, self._partition_of(record.key)
        self._unread_bytes[place] += len(record.value) + _RECORD_BYTES
        if self._unread_bytes[place] > _UNREAD_BYTES_MAX:
            self._let_read(sender)

    def _rest(self, sender: Sender, moment_ms: int) -> None:
        """Let all be processed, and the portfolio be counted as of a midnight."""
        self._send_clock(sender, moment_ms)
        self._let_read(sender)
        deadline = time.monotonic() + _COUNT_WAIT_S
        while self.counted_ms < moment_ms and time.monotonic() < deadline and not self._stopping.wait(_WAIT_S):
            pass

    def _let_read(self, sender: Sender) -> None:
        sender.flush()
        while self.processed < sender.delivered and not self._stopping.wait(_WAIT_S):
            pass
        self._unread_bytes.clear()

    def _partition_of(self, key: bytes) -> int:
        if (partition := self._partitions.get(key)) is None:
            partition = self._partitions[key] = partition_of(key, PARTITIONS)
        return partition

    def _note_failures(self, sender: Sender) -> None:
        if sender.failed:
            self.failure = f"{sender.failed} records were not delivered: {sender.first_failure}"

    @staticmethod
    def _send_clock(sender: Sender, moment_ms: int) -> None:
        event = ClockAdvanced(event_id=f"clock-{moment_ms}", occurred_at=from_epoch_ms(moment_ms))
        sender.send(Line(0, 0, event.model_dump_json().encode(), InputTopic.ORDERS, None, moment_ms))


def _rest_after(moment_ms: int) -> int:
    """Give the midnight of the next rest."""
    return (moment_ms // _COUNTED_EVERY_MS + 1) * _COUNTED_EVERY_MS
