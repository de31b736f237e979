"""The demo from beginning to end: starts everything, watches it, and stops it again."""

import shutil
import tempfile
import time
from collections.abc import Iterable
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from confluent_kafka import KafkaException

from models.fields import epoch_ms
from stream.demo.child import Child, free_port, ours
from stream.demo.display import Display
from stream.demo.feeder import Feeder
from stream.demo.figures import Figures, ask
from stream.demo.options import DemoError, Options
from stream.demo.picture import write_picture
from stream.demo.plain import Timing, summary
from stream.demo.reader import OutputReader
from stream.demo.serving import Serving
from stream.demo.story import OUTPUTS, Story
from stream.demo.view import Meter, Phase, View
from stream.embedded import EmbeddedBroker
from stream.settings import load_settings

LOG_FILE: Final = "worker.log"
_POLL_S: Final = 0.1
_LOOK_EVERY_S: Final = 0.25
_STUCK_S: Final = 60.0
_SETTLE_S: Final = 15.0
_PICTURE_AFTER_S: Final = 20.0


class Demo:
    """One run of the demo; everything it starts ends with it.

    Args:
        options: what was asked for.
        started: when the command began, on the monotonic clock.

    Raises:
        PolicyError: if the policy file cannot be used.
        ValueError: if no company can be that old.
    """

    def __init__(self, options: Options, started: float) -> None:
        self.timing: Timing | None = None
        """How long the history took; None until it is done."""
        self.ended = False
        """Whether it ended by itself: its company is as far ahead as it may be."""
        self._options = options
        self._started = started
        self._now = datetime.now(UTC)
        self._currency = options.policy().reporting_currency
        self._company = options.company(self._now, self._currency)
        self._begin_ms = epoch_ms(self._now) - options.days * 86_400_000
        self._port = free_port()
        # It stays when the demo fails: the log is in it.
        self._folder = Path(tempfile.mkdtemp(prefix="account-health-demo-"))
        self._story = Story()
        self._figures = Figures()
        self._meter = Meter()
        self._first_event_s: float | None = None
        self._moved_s = 0.0
        self._live_since_s: float | None = None
        self._serving: Serving | None = None

    @property
    def log_file(self) -> Path:
        """The worker's log."""
        return self._folder / LOG_FILE

    def run(self, display: Display) -> None:
        """Run until the history is done (`once`), until the company may live no further, or until interrupted.

        Raises:
            DemoError: if something does not work; the log stays.
            KeyboardInterrupt: as it comes.
        """
        try:
            self._run(display)
        except KafkaException as error:
            raise DemoError(f"the embedded broker: {error.args[0]}") from error

    def summary(self) -> Iterable[str]:
        """Give the lines that sum up the history, once it is done."""
        return () if self.timing is None else summary(self._view(), self.timing)

    def clean_up(self) -> None:
        """Remove the log."""
        shutil.rmtree(self._folder, ignore_errors=True)

    def _run(self, display: Display) -> None:
        with ExitStack() as stack:
            broker = stack.enter_context(EmbeddedBroker())
            variables = self._options.variables(broker.bootstrap_servers, self._port)
            settings = load_settings(variables)
            reader = OutputReader(settings, self._story)
            stack.callback(reader.close)
            child = Child(ours("worker"), variables, self.log_file)
            feeder = Feeder(settings, self._company, self._now, self._options.hours_per_second)
            self._serving = Serving(variables, self._folder)
            # The worker ends first, and the broker when no client is left.
            stack.callback(feeder.stop)
            stack.callback(self._serving.stop)
            stack.callback(child.stop)
            child.start()
            feeder.start()
            stack.enter_context(display)
            self._watch(display, reader, child, feeder)

    def _elapsed_s(self) -> float:
        return time.monotonic() - self._started

    def _watch(self, display: Display, reader: OutputReader, child: Child, feeder: Feeder) -> None:
        look_s = 0.0
        while True:
            reader.poll(_POLL_S, self._elapsed_s())
            if child.exit_code is not None:
                raise DemoError(f"the worker ended with exit code {child.exit_code}: {child.last_words()}")
            if self._serving is not None and (failure := self._serving.failure()) is not None:
                raise DemoError(failure)
            if feeder.failure is not None:
                raise DemoError(f"the events could not be sent: {feeder.failure}")
            if self._elapsed_s() < look_s:
                continue
            look_s = self._elapsed_s() + _LOOK_EVERY_S
            self._look(feeder)
            if self.timing is None and self._is_history_done(feeder):
                self._history_done(feeder)
                if self._options.once:
                    display.show(self._view())
                    return
            display.show(self._view())
            if self._is_over(feeder):
                return

    def _look(self, feeder: Feeder) -> None:
        figures = ask(self._port)
        now_s = self._elapsed_s()
        if figures is not None:
            if figures.events > self._figures.events:
                self._moved_s = now_s
                self._first_event_s = self._first_event_s or now_s
            self._figures = figures
            self._meter.add(now_s, figures)
            feeder.processed, feeder.counted_ms = figures.events, figures.counted_ms
        waiting = feeder.history_records is None or figures is None or figures.events < feeder.history_records
        if self.timing is None and waiting and now_s - self._moved_s > _STUCK_S:
            raise DemoError(f"nothing was processed for {_STUCK_S:.0f} s")

    def _is_history_done(self, feeder: Feeder) -> bool:
        """Tell whether all inputs are processed and committed, and all that was published has been read here."""
        figures = self._figures
        if feeder.history_records is None or figures.events < feeder.history_records:
            return False
        read = {suffix: self._story.counts[suffix] for suffix in figures.published}
        if figures.lag_records == 0 and figures.waiting == 0 and read == figures.published:
            return True
        if self._elapsed_s() - self._moved_s > _SETTLE_S:
            raise DemoError(
                f"all is processed, but the worker says that {figures.lag_records} records and {figures.waiting} "
                f"accounts wait and that it published {figures.published}, of which {read} were read"
            )
        return False

    def _history_done(self, feeder: Feeder) -> None:
        empty = [one.suffix for one in OUTPUTS if not self._story.counts[one.suffix]]
        if empty:
            raise DemoError(f"nothing was published to {', '.join(empty)}: try more accounts or more days")
        now_s = self._elapsed_s()
        self.timing = Timing(self._first_event_s or now_s, now_s, feeder.history_records or 0)
        self._live_since_s = now_s
        if not self._options.once:
            assert self._serving is not None
            # Not before: until then, what there is to see changes by the second, and the machine is busy.
            self._serving.start()
            feeder.go_live()

    def _is_over(self, feeder: Feeder) -> bool:
        if feeder.ended:
            self.ended = True
            return True
        picture_file = self._options.picture_file
        if picture_file is None or self._live_since_s is None:
            return False
        if self._elapsed_s() - self._live_since_s < _PICTURE_AFTER_S:
            return False
        write_picture(self._view(), picture_file)
        return True

    def _view(self) -> View:
        clock_ms = self._figures.clock_ms
        if self.timing is not None:
            phase, share = Phase.LIVE, 1.0
        elif self._figures.events == 0:
            phase, share = Phase.STARTING, 0.0
        else:
            phase = Phase.HISTORY
            lived_ms = 0 if clock_ms is None else clock_ms - self._begin_ms
            share = min(1.0, max(0.0, lived_ms / (epoch_ms(self._now) - self._begin_ms)))
        return View(
            phase=phase,
            elapsed_s=self._elapsed_s(),
            history_share=share,
            events_per_second=self._meter.events_per_second,
            latency_seconds=self._meter.latency_seconds,
            figures=self._figures,
            story=self._story,
            accounts=self._options.accounts,
            days=self._options.days,
            hours_per_second=self._options.hours_per_second,
            currency=self._currency,
            url=f"http://127.0.0.1:{self._port}",
            served=None if self._serving is None else self._serving.url,
        )
