"""One application on a real broker: its topics, its workers, and what they published."""

import json
import subprocess
import threading
import uuid
import zlib
from collections import defaultdict
from collections.abc import Callable, Container, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Final, NamedTuple, Self

from confluent_kafka import Message
from kafka.admin import KafkaAdminClient, MemberToRemove

from stream.administration import Administration
from stream.replay import CHURN_RISK_FILE, SNAPSHOTS_FILE, TIER_CHANGES_FILE
from stream.settings import Settings, load_settings
from stream.topics import group_id
from tests.support.cuts import write_cuts
from tests.support.polling import eventually
from tests.support.topics import StateView, latest, read_topic, text_of
from tests.support.worker import WorkerProcess, run_command, started_command

PARTITIONS: Final = 4
_SHOWN: Final = 3
_TRICKLE_SECONDS: Final = 0.004
"""Between two events that trickle in."""
_SENT_S: Final = 60.0

Body = dict[str, Any]


class Published(NamedTuple):
    """What became of each account: its tier changes and churn events in order, and its last snapshot."""

    tier_changes: dict[str, list[Body]]
    churn_events: dict[str, list[Body]]
    snapshots: dict[str, Body | None]

    def of(self, accounts: Container[str]) -> Self:
        """Keep some accounts."""
        return type(self)(*(_kept(found, accounts) for found in self))


class History(NamedTuple):
    """A file of events of `orders`, and what its replay published."""

    path: Path
    replayed: Published

    def part(self, parts: int, folder: Path) -> Self:
        """Keep the events of one account in so many, all of their time; accounts do not know of each other."""
        path = folder / f"one-in-{parts}.jsonl"
        accounts: set[str] = set()
        with self.path.open("rb") as whole, path.open("wb") as part:
            for line in whole:
                account_id: str = json.loads(line)["account_id"]
                if zlib.crc32(account_id.encode()) % parts == 0:
                    accounts.add(account_id)
                    part.write(line)
        return type(self)(path, self.replayed.of(accounts))


class Deployment:
    """Topics and workers under names of their own; leaving the context ends the workers and prints their logs."""

    def __init__(self, bootstrap_servers: str, folder: Path, **changed: str) -> None:
        name = f"t{uuid.uuid4().hex[:12]}"
        self.folder: Final = folder
        self.variables: Final = {
            "ACCOUNT_HEALTH_BOOTSTRAP_SERVERS": bootstrap_servers,
            "ACCOUNT_HEALTH_APPLICATION_ID": name,
            "ACCOUNT_HEALTH_TOPIC_PREFIX": f"{name}.",
            "ACCOUNT_HEALTH_PARTITIONS": str(PARTITIONS),
            "ACCOUNT_HEALTH_REPORTING_CURRENCY": "GBP",
            "ACCOUNT_HEALTH_CLOCK": "event",
            # as `replayed`; empty for a portfolio that is counted
            "ACCOUNT_HEALTH_CUT_POINTS_FILE": str(write_cuts(folder)),
            # the shortest that is allowed, so that a test need not wait for what a silent worker held
            "ACCOUNT_HEALTH_SESSION_TIMEOUT_MS": "6000",
            "ACCOUNT_HEALTH_SNAPSHOT_INTERVAL_MS": "0",
            # a machine that is busy for a second must not change in what order the inputs are merged
            "ACCOUNT_HEALTH_MAX_TASK_IDLE_MS": "30000",
            # no fewer commits behind a backlog: what a test disturbs is to be in the middle of its work
            "ACCOUNT_HEALTH_CATCH_UP_COMMIT_INTERVAL_MS": changed.get("commit_interval_ms", "200"),
            **{f"ACCOUNT_HEALTH_{name.upper()}": value for name, value in changed.items()},
        }
        self.settings: Final[Settings] = load_settings(self.variables)
        self._workers: list[WorkerProcess] = []
        self._view: StateView | None = None

    @property
    def view(self) -> StateView:
        """The state topic, read as far as it was asked for."""
        if self._view is None:
            self._view = StateView(self.settings)
        return self._view

    def create_topics(self) -> Self:
        """Make all topics."""
        with Administration(self.settings) as administration:
            administration.create()
        return self

    def worker(self, instance_id: str = "worker-0", **changed: str) -> WorkerProcess:
        """Prepare a worker, with settings of its own if need be; it is not started."""
        variables = {**self.variables, **{f"ACCOUNT_HEALTH_{name.upper()}": value for name, value in changed.items()}}
        worker = WorkerProcess(variables, self.folder, instance_id)
        self._workers.append(worker)
        return worker

    def process(self, name: str, *arguments: str, **changed: str) -> WorkerProcess:
        """Prepare another command that serves until it is stopped; it is not started."""
        variables = {**self.variables, **{f"ACCOUNT_HEALTH_{name.upper()}": value for name, value in changed.items()}}
        process = WorkerProcess(variables, self.folder, name, *arguments)
        self._workers.append(process)
        return process

    def dismiss(self, *workers: WorkerProcess) -> None:
        """Let workers that have ended leave the group at once, and not when their sessions end."""
        admin = KafkaAdminClient(bootstrap_servers=self.settings.bootstrap_servers)
        try:
            group = group_id(self.settings.application_id)
            admin.remove_group_members(group, [MemberToRemove(group_instance_id=one.instance_id) for one in workers])
        finally:
            admin.close()

    def produce(self, *arguments: Path | str) -> None:
        """Send files of events with `account-health produce`."""
        run_command(self.variables, "produce", *map(str, arguments))

    @contextmanager
    def trickling(self, path: Path, *arguments: str) -> Iterator[Callable[[], bool]]:
        """Send a file of events with `account-health produce`: 200 a second, at the end of the context the rest.

        Gives what tells whether there are any left: however long what happens meanwhile takes, records keep coming.
        """
        hurry, sent = threading.Event(), threading.Event()

        def feed(pipe: IO[bytes]) -> None:
            with suppress(BrokenPipeError), pipe, path.open("rb") as lines:
                for line in lines:
                    pipe.write(line)
                    if not hurry.is_set():
                        pipe.flush()
                        hurry.wait(_TRICKLE_SECONDS)
            sent.set()

        with started_command(self.variables, "produce", "/dev/stdin", *arguments, stdin=subprocess.PIPE) as process:
            assert process.stdin is not None
            feeding = threading.Thread(target=feed, args=(process.stdin,), name="trickle", daemon=True)
            feeding.start()
            yield lambda: not sent.is_set()
            hurry.set()
            feeding.join(_SENT_S)
            assert process.wait(_SENT_S) == 0

    def wait_settled(self, *workers: WorkerProcess, timeout_s: float = 90.0) -> None:
        """Wait until all input is processed and all snapshots are published; the workers must not end before."""

        def settled() -> bool:
            for worker in workers:
                assert worker.running, f"{worker.instance_id} ended"
            return self.view.is_settled()

        eventually(settled, "all input is processed", timeout_s=timeout_s, interval_s=0.1)

    def published(self) -> Published:
        """Read what a read-committed subscriber finds."""
        names = self.settings.topics
        found = latest(read_topic(self.settings, names.snapshots))
        return Published(
            _by_account(map(_body, read_topic(self.settings, names.tier_changes))),
            _by_account(map(_body, read_topic(self.settings, names.churn_risk))),
            {key: None if one.value() is None else _body(one) for key, one in found.items()},
        )

    def dead_letters(self) -> list[Message]:
        """Read the dead letters, in the order of each partition."""
        return read_topic(self.settings, self.settings.topics.dead_letters)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for worker in self._workers:
            worker.kill()
            print(f"--- {worker.instance_id} ---\n{worker.log_tail}")  # noqa: T201  # shown when the test has failed
        if self._view is not None:
            self._view.close()


Deploy = Callable[..., Deployment]
"""Makes one with its topics; arguments are settings."""


def replayed(files: Iterable[Path], out: Path, *options: str) -> Published:
    """Run `account-health replay` with the cut points of a deployment, and read what it wrote."""
    cuts = write_cuts(out.parent)
    run_command({}, "replay", *map(str, files), "--out", str(out), "--cut-points", str(cuts), *options)
    return published_by_replay(out)


def published_by_replay(out: Path) -> Published:
    """Read what a replay wrote."""
    return Published(
        _by_account(_lines(out / TIER_CHANGES_FILE)),
        _by_account(_lines(out / CHURN_RISK_FILE)),
        {one["account_id"]: one for one in _lines(out / SNAPSHOTS_FILE)},
    )


def differences(expected: Published, found: Published) -> str:
    """Say in what two are not equal, for a few accounts; nothing when they are.

    `as_of` and `revision` of a snapshot are left out: a worker publishes none for a difference in them alone.
    """
    said: list[str] = []
    kinds: Iterable[tuple[str, dict[str, Any], dict[str, Any]]] = zip(Published._fields, expected, found, strict=True)
    for kind, wanted, got in kinds:
        pairs = {name: (_timeless(wanted.get(name)), _timeless(got.get(name))) for name in sorted({*wanted, *got})}
        unequal = [name for name, (one, other) in pairs.items() if one != other]
        if unequal:
            said.append(f"{kind}: {len(unequal)} of {len(wanted)} accounts differ, {len(got)} were found")
        said.extend(f"{name}: {_first_difference(*pairs[name])}" for name in unequal[:_SHOWN])
    return "\n".join(said)


def _kept(found: dict[str, Any], accounts: Container[str]) -> dict[str, Any]:
    return {name: one for name, one in found.items() if name in accounts}


def _timeless(found: Any) -> Any:
    if isinstance(found, dict):
        return {name: value for name, value in found.items() if name not in {"as_of", "revision"}}
    return found


def _first_difference(wanted: Any, got: Any) -> str:
    """Say where two JSON values differ first."""
    if isinstance(wanted, dict) and isinstance(got, dict):
        for name in [*wanted, *(one for one in got if one not in wanted)]:
            if wanted.get(name) != got.get(name):
                return f"{name}: {_first_difference(wanted.get(name), got.get(name))}"
    if isinstance(wanted, list) and isinstance(got, list):
        for index, (one, other) in enumerate(zip(wanted, got, strict=False)):
            if one != other:
                return f"[{index}]: {_first_difference(one, other)}"
        return f"{len(got)} instead of {len(wanted)}"
    return f"{got!r} instead of {wanted!r}"


def _body(message: Message) -> Body:
    body: Body = json.loads(text_of(message))
    return body


def _lines(path: Path) -> list[Body]:
    with path.open("rb") as file:
        return [json.loads(line) for line in file]


def _by_account(bodies: Iterable[Body]) -> dict[str, list[Body]]:
    found: defaultdict[str, list[Body]] = defaultdict(list)
    for body in bodies:
        found[body["account_id"]].append(body)
    return dict(found)


def gaps(events: Mapping[str, list[Body]]) -> list[str]:
    """Name the accounts whose sequence numbers do not go 1, 2, 3 and so on."""
    numbers = {name: [one["sequence"] for one in found] for name, found in events.items()}
    return [name for name, found in numbers.items() if found != list(range(1, len(found) + 1))]
