"""Faust agents over our transport that only count the records of a batch: what the transport leaves for the work.

Group, fetching, buffering, merging of the three inputs, dealing, Faust's stream and agent; no processing, nothing
produced, nothing committed. It reads the orders again and again, as one pass is over too soon.
"""

import asyncio
import os
import sys
import time
from typing import Any, Final

from benchmarks.contenders.account_health import environment
from benchmarks.contenders.measured import Stopwatch, Task, task_from_arguments
from models.events import InputTopic
from models.policy import Policy
from processors.context import Context
from stream import interpreter
from stream.app import build_app
from stream.engine import Batch, Engine
from stream.health import Health
from stream.monitor import Monitor
from stream.settings import Settings, load_settings
from stream.telemetry import Metrics

_ORDERS: Final = "orders"


class CountingEngine(Engine):
    """Counts where the engine would process."""

    def __init__(self, settings: Settings, watch: Stopwatch) -> None:
        policy = Policy(reporting_currency="EUR")
        metrics, health = Metrics(), Health(settings.stuck_deadline_seconds)
        monitor = Monitor(metrics, health, policy, settings.topics)
        super().__init__(settings, Context(policy), monitor, lambda: time.time_ns() // 1_000_000)
        self._watch = watch

    async def process(self, batch: Batch) -> None:
        """Count, and begin again at the end."""
        task, started = batch.task, time.perf_counter()
        if self._watch.count(sum(len(run.messages) for run in batch.runs)):
            self._watch.report()
            # The group is left to its timeout: nothing was committed.
            os._exit(0)
        self._batches.took(time.perf_counter() - started, sum(len(run.messages) for run in batch.runs))
        task.busy = False
        self._resume(task)
        self._news.set()

    def on_end(self, topic: InputTopic, partition: int) -> None:
        """Begin again when a partition is read to its end."""
        super().on_end(topic, partition)
        task = self._tasks.get(partition)
        if topic is InputTopic.ORDERS and task is not None:
            self._poller.reset(partition, task.epoch, {topic: 0})


async def main(task: Task) -> None:
    """Count until enough is counted."""
    settings = load_settings(environment(task.bootstrap_servers, task.topic.removesuffix(_ORDERS), task.run))
    interpreter.tune()
    engine = CountingEngine(settings, Stopwatch(task))
    await engine.connect()
    app: Any = build_app(settings, engine)
    await app.start()
    await engine.start()
    print(await engine.failure, file=sys.stderr, flush=True)
    # The threads of the clients would keep an ordinary exit waiting.
    os._exit(1)


if __name__ == "__main__":
    asyncio.run(main(task_from_arguments()))
