"""Where the time of an event goes in our worker: wall time by stage, and processor time by thread.

The worker's own engine runs in this process, with its functions wrapped in timers; a profiler would make calls in
Python look dearer than those in C. What a stage calls is taken off it, so that the stages add up. With another thread
at work (polling, librdkafka's own), a stage's wall time holds its waits for the interpreter's lock too: the processor
time of the threads tells how much that is.

Of a release whose core is compiled the same stages are timed as far as they are called by name: what compiled modules
call of one another is part of the stage that they are called from.
"""

import asyncio
import inspect
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any, Final

from benchmarks.broker import PARTITIONS
from benchmarks.catalogue import ROOT, compile_core
from benchmarks.contenders.account_health import environment
from benchmarks.orders import Dataset, yesterday
from benchmarks.stand import Stand
from models.policy import Policy
from processors import account, partition, publish, recent
from processors.context import Context
from stream import handling, interpreter, records
from stream import task as tasks
from stream.app import build_app
from stream.engine import Engine
from stream.health import Health
from stream.monitor import Monitor
from stream.settings import load_settings
from stream.telemetry import Metrics
from stream.transactions import Transactions

_ORDERS: Final = 300_000
_ACCOUNTS: Final = 20_000
_PREFIX: Final = "stages."
_TIMEOUT_SECONDS: Final = 300
_TICKS: Final = os.sysconf("SC_CLK_TCK")
_LOOK_SECONDS: Final = 0.02

STAGES: Final[tuple[tuple[str, Any, str], ...]] = (
    ("deal", Engine, "_deal"),
    ("parse", handling, "parse"),
    ("process", tasks.PartitionTask, "process"),
    ("handle", tasks, "handle"),
    ("apply", partition.Partition, "apply"),
    ("unpack", partition, "unpack"),
    ("fingerprint", recent, "fingerprint"),
    ("evaluate", account, "evaluate"),
    ("settle", account, "settle"),
    ("plan the due day", partition, "plan"),
    ("publish: tier change", publish, "tier_change"),
    ("publish: churn", publish, "churn_change"),
    ("encode output", records, "encode"),
    ("make output record", tasks, "output_record"),
    ("describe for a snapshot", partition, "snapshot"),
    ("encode snapshot", partition, "encode"),
    ("make snapshot record", tasks, "snapshot_record"),
    ("take snapshots", tasks.PartitionTask, "publish_snapshots"),
    ("due accounts", tasks.PartitionTask, "tick"),
    ("pack", tasks.PartitionTask, "changes"),
    ("take as committed", tasks.PartitionTask, "committed"),
    ("produce", Transactions, "produce"),
    ("produce changelog", Transactions, "produce_all"),
    ("checkpoint", tasks, "encode"),
    ("commit (waiting)", Transactions, "commit"),
    ("metrics", Monitor, "committed"),
)
"""Name of each stage, and the function that is it: its owner and its name there."""


class Timers:
    """Exclusive wall time of each stage, on one thread."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self.calls: dict[str, int] = {}
        # What the stages inside took, for each stage that is running, outermost first.
        self._inside: list[float] = []

    def install(self) -> None:
        """Wrap the functions of all stages that this release has and calls by their names."""
        for name, owner, attribute in STAGES:
            function = getattr(owner, attribute, None)
            if function is not None and not _is_compiled(owner):
                wrap = self._wrapped_waiting if inspect.iscoroutinefunction(function) else self._wrapped
                setattr(owner, attribute, wrap(name, function))

    def clear(self) -> None:
        """Begin again, behind a warm-up."""
        self.seconds.clear()
        self.calls.clear()

    def _wrapped(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        inside, clock = self._inside, time.perf_counter

        def timed(*args: Any, **kwargs: Any) -> Any:
            inside.append(0.0)
            started = clock()
            try:
                return function(*args, **kwargs)
            finally:
                self._took(name, clock() - started)

        return timed

    def _wrapped_waiting(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """Time a coroutine. Others run while it waits: nothing is taken off it, and it is taken off nothing."""

        async def timed(*args: Any, **kwargs: Any) -> Any:
            started = time.perf_counter()
            try:
                return await function(*args, **kwargs)
            finally:
                self.seconds[name] = self.seconds.get(name, 0.0) + time.perf_counter() - started
                self.calls[name] = self.calls.get(name, 0) + 1

        return timed

    def _took(self, name: str, seconds: float) -> None:
        inside = self._inside
        own = seconds - inside.pop()
        if inside:
            inside[-1] += seconds
        self.seconds[name] = self.seconds.get(name, 0.0) + own
        self.calls[name] = self.calls.get(name, 0) + 1


def _is_compiled(owner: ModuleType | type) -> bool:
    module = owner if isinstance(owner, ModuleType) else sys.modules[owner.__module__]
    return not (module.__file__ or "").endswith(".py")


def scenario(stand: Stand, scale: float, rate: int) -> dict[str, Any]:
    """Profile the worker over a part of the orders, in a process of its own."""
    del rate
    return _profiled(stand, scale, ROOT)


def scenario_compiled(stand: Stand, scale: float, rate: int) -> dict[str, Any]:
    """Profile it with the core compiled."""
    del rate
    return _profiled(stand, scale, compile_core())


def _profiled(stand: Stand, scale: float, release: Path) -> dict[str, Any]:
    dataset = Dataset(max(1, round(_ACCOUNTS * scale)), round(_ORDERS * scale), yesterday())
    stand.topics.remove({f"{_PREFIX}orders"})
    stand.fill(_PREFIX, dataset, PARTITIONS)
    stand.make_our_topics(_PREFIX, PARTITIONS)
    command = [sys.executable, "-m", "benchmarks.stages", stand.bootstrap_servers, str(dataset.orders)]
    # The packages of the release come first, and what it has not, the benchmarks, from here.
    done = subprocess.run(
        command,
        cwd=release,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        check=False,
        capture_output=True,
        text=True,
        timeout=_TIMEOUT_SECONDS,
    )
    if done.returncode != 0:
        raise RuntimeError(f"the profile ended with {done.returncode}: {done.stdout}{done.stderr}")
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result


async def profile(bootstrap_servers: str, orders: int) -> dict[str, Any]:
    """Run the worker's engine over the orders; the first fifth is a warm-up."""
    timers = Timers()
    timers.install()
    settings = load_settings(environment(bootstrap_servers, _PREFIX, "stages"))
    policy = Policy(reporting_currency="EUR")
    metrics, health = Metrics(), Health(settings.stuck_deadline_seconds)
    monitor = Monitor(metrics, health, policy, settings.topics)
    interpreter.tune()
    engine = Engine(settings, Context(policy), monitor, lambda: time.time_ns() // 1_000_000)
    await engine.connect()
    app: Any = build_app(settings, engine)
    await app.start()
    await engine.start()
    first = await _until(engine, orders // 5)
    timers.clear()
    started, threads_before = time.perf_counter(), _threads()
    last = await _until(engine, orders)
    seconds, threads = time.perf_counter() - started, _threads()
    events = last - first
    stages = {
        name: {
            "microseconds_per_event": round(took / events * 1e6, 2),
            "calls_per_event": round(timers.calls[name] / events, 4),
        }
        for name, took in sorted(timers.seconds.items(), key=lambda item: -item[1])
    }
    spent = {name: threads[name] - threads_before.get(name, 0.0) for name in threads}
    return {
        "events": events,
        "microseconds_per_event": round(seconds / events * 1e6, 1),
        "stages": stages,
        "threads_cpu_microseconds_per_event": {
            name: round(took / events * 1e6, 1)
            for name, took in sorted(spent.items(), key=lambda item: -item[1])
            if took > 0
        },
    }


async def _until(engine: Engine, events: int) -> int:
    while not engine.failure.done():
        done = _processed(engine)
        if done >= events:
            return done
        await asyncio.sleep(_LOOK_SECONDS)
    print(engine.failure.result(), file=sys.stderr, flush=True)
    # Not an exception, which would have to wait for the threads of the clients.
    os._exit(1)


def _processed(engine: Engine) -> int:
    return sum(sum(task.positions.values()) for task in engine._tasks.values())  # noqa: SLF001  # a look from outside


def _threads() -> dict[str, float]:
    """Processor seconds of the threads, added up by name; the main thread is the event loop."""
    seconds: dict[str, float] = {}
    for folder in Path("/proc/self/task").iterdir():
        name, _, rest = (folder / "stat").read_text(encoding="ascii").partition("(")[2].rpartition(")")
        fields = rest.split()
        shown = "event loop" if int(folder.name) == os.getpid() else name
        seconds[shown] = seconds.get(shown, 0.0) + (int(fields[11]) + int(fields[12])) / _TICKS
    return seconds


async def _main(bootstrap_servers: str, orders: int) -> None:
    print(json.dumps(await profile(bootstrap_servers, orders)), flush=True)
    # The loop's own end would wait for the threads of the clients.
    os._exit(0)


if __name__ == "__main__":
    asyncio.run(_main(sys.argv[1], int(sys.argv[2])))
