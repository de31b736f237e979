"""Events per second of every contender on the same orders, each run in a process of its own, with its checksums."""

import contextlib
import json
import os
import subprocess
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

from benchmarks import checks
from benchmarks.broker import PARTITIONS
from benchmarks.catalogue import ROOT, Contender
from benchmarks.checks import Checksums
from benchmarks.orders import Dataset, yesterday
from benchmarks.stand import Stand

ACCOUNTS: Final = 20_000
ORDERS: Final = 3_300_000
_WARM_UP_SHARE: Final = 0.2
_RUN_TIMEOUT_SECONDS: Final = 300.0
_MIB: Final = 1024
_LOOK_SECONDS: Final = 0.25
_SHOWN_CHARACTERS: Final = 3000


class Input(NamedTuple):
    """Orders in a topic, and what doing the work once more says of them."""

    prefix: str
    dataset: Dataset
    events: int
    checksums: Checksums

    @property
    def topic(self) -> str:
        """Full name of the topic."""
        return f"{self.prefix}orders"


class Measurement(NamedTuple):
    """One run of one contender."""

    contender: str
    events: int
    """Behind the warm-up."""
    events_with_warm_up: int
    seconds: float
    cpu_seconds: float
    """Of all its processes, from the start, without the broker."""
    max_rss_mib: float
    """Of the process that takes most."""
    checksums: Checksums | None

    @property
    def events_per_second(self) -> float:
        """The figure."""
        return self.events / self.seconds


Inputs = dict[tuple[int, bool], Input]
"""Inputs by which accounts they hold and whether they are replayed."""


class NotTheSameWorkError(RuntimeError):
    """A contender whose outputs differ from what the orders ask for: its speed means nothing."""


def prepare(stand: Stand, contenders: Iterable[Contender], accounts: int, orders: int) -> Inputs:
    """Write the orders for contenders, each kind of input to a topic of its own."""
    inputs = {}
    for every, replayed in sorted({(one.every, one.replayed) for one in contenders}):
        dataset = Dataset(accounts, orders, yesterday(), every, replayed)
        prefix = f"bench-{every}{'-replayed' if replayed else ''}."
        stand.fill(prefix, dataset, PARTITIONS)
        checksums = checks.expected(dataset)
        events = sum(1 for _ in checks.read(stand.bootstrap_servers, f"{prefix}orders"))
        inputs[every, replayed] = Input(prefix, dataset, events, checksums)
    return inputs


def alternate(
    stand: Stand,
    contenders: Sequence[Contender],
    inputs: Inputs,
    attempts: int,
    tell: Callable[[Measurement], None],
) -> Iterator[Measurement]:
    """Run all contenders several times, forwards and backwards in turn, so that none always follows the same one."""
    for attempt in range(attempts):
        for contender in contenders if attempt % 2 == 0 else reversed(contenders):
            measurement = run(
                stand,
                contender,
                inputs[contender.every, contender.replayed],
                f"{contender.name.replace('_', '-')}-{attempt}",
            )
            tell(measurement)
            yield measurement


def run(stand: Stand, contender: Contender, given: Input, name: str) -> Measurement:
    """Run a contender once and check what it wrote.

    Raises:
        NotTheSameWorkError: if that is not what the orders ask for.
    """
    if contender.is_ours or contender.read_state is None:
        stand.make_our_topics(given.prefix, PARTITIONS)
    if not contender.is_ours and contender.read_state is not None:
        stand.topics.create(f"{name}-tier-changes")
        if not contender.makes_topics:
            stand.topics.create(f"{name}-state", config={"cleanup.policy": "compact"})
    events = given.events * contender.passes
    command = [
        *contender.command(),
        *("--bootstrap-servers", stand.bootstrap_servers, "--topic", given.topic, "--run", name),
        *("--events", str(events), "--warm-up", str(int(events * _WARM_UP_SHARE))),
        *("--folder", str(stand.folder / name)),
    ]
    result, cpu_seconds, max_rss_mib = _run(command)
    checksums = _checked(stand, contender, given, name)
    stand.topics.remove(topic for topic in stand.topics.names() if name in topic)
    return Measurement(contender.name, result["events"], events, result["seconds"], cpu_seconds, max_rss_mib, checksums)


def _run(command: list[str]) -> tuple[dict[str, Any], float, float]:
    process = subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    assert process.stdout is not None
    assert process.stderr is not None
    deadline = threading.Timer(_RUN_TIMEOUT_SECONDS, process.kill)
    deadline.start()
    # Both pipes have to be read at once, or a contender that complains a lot would wait for us.
    complaints: list[str] = []
    reader = threading.Thread(target=complaints.extend, args=(process.stderr,), daemon=True)
    reader.start()
    memory = _Memory(process.pid)
    try:
        lines = process.stdout.readlines()
        _, status, usage = os.wait4(process.pid, 0)
    finally:
        deadline.cancel()
        memory.stop()
    process.returncode = os.waitstatus_to_exitcode(status)
    reader.join(1)
    results = [line for line in lines if line.startswith("{")]
    if process.returncode != 0 or len(results) != 1:
        shown = "".join([*lines, *complaints])[-_SHOWN_CHARACTERS:]
        raise RuntimeError(f"{' '.join(command)}\nended with {process.returncode}:\n{shown}")
    result: dict[str, Any] = json.loads(results[0])
    return result, usage.ru_utime + usage.ru_stime, memory.max_mib


class _Memory:
    """Watches a process and its children.

    What the kernel reports when a process ends includes what it was before it became another program: this one.
    """

    def __init__(self, pid: int) -> None:
        self.max_mib = 0.0
        self._pid = pid
        self._stopped = threading.Event()
        threading.Thread(target=self._watch, daemon=True).start()

    def stop(self) -> None:
        """Stop watching."""
        self._stopped.set()

    def _watch(self) -> None:
        while not self._stopped.wait(_LOOK_SECONDS):
            # A process may end while it is looked at.
            with contextlib.suppress(OSError):
                children = Path(f"/proc/{self._pid}/task/{self._pid}/children").read_text(encoding="ascii").split()
                for pid in (self._pid, *map(int, children)):
                    self.max_mib = max(self.max_mib, rss_mib(pid, "VmHWM"))


def rss_mib(pid: int, line: str = "VmRSS") -> float:
    """Give the resident memory of a process: now, or with `VmHWM` the most so far."""
    for one in Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines():
        name, _, value = one.partition(":")
        if name == line:
            return int(value.split()[0]) / _MIB
    return 0.0


def _checked(stand: Stand, contender: Contender, given: Input, name: str) -> Checksums | None:
    if contender.read_state is None:
        return None
    names = {"run": name, "prefix": given.prefix, "topic": given.topic}
    changes = None if contender.changes is None else contender.changes.format(**names)
    changelog = contender.changelog.format(**names)
    found = checks.found(stand.bootstrap_servers, changelog, contender.read_state, changes, given.dataset.as_of_day)
    wanted = given.checksums
    if contender.changes is None:
        wanted = wanted._replace(changes=None, change_count=None)
    if found != wanted:
        raise NotTheSameWorkError(f"{contender.title}: {found}, but the orders ask for {wanted}")
    return found
