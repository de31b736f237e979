"""A real Kafka broker for tests: one KRaft node run from Maven's jars, without Docker."""

import fcntl
import hashlib
import os
import random
import secrets
import shutil
import signal
import socket
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from tests.support.polling import eventually

_ROOT: Final = Path(__file__).resolve().parents[2]
_POM: Final = _ROOT / "tests" / "kafka" / "pom.xml"
_LIBRARIES: Final = _ROOT / "build" / "kafka-lib"
_COMPLETE: Final = ".complete"

_DOWNLOAD_TIMEOUT_S: Final = 600.0
_FORMAT_TIMEOUT_S: Final = 60.0
_TOOL_TIMEOUT_S: Final = 60.0
_START_TIMEOUT_S: Final = 90.0
_STOP_TIMEOUT_S: Final = 60.0

_JVM: Final = ("-Xms128m", "-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")

_PORTS: Final = range(20_000, 32_000)
"""Below Linux's range for outgoing connections: in it, a client that tries again and again to reach
a broker that is down connects to itself sooner or later, and the port is taken for its restart."""

_SETTINGS: Final[Mapping[str, str | int]] = {
    "process.roles": "broker,controller",
    "node.id": 1,
    "controller.listener.names": "CONTROLLER",
    "listener.security.protocol.map": "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT",
    # a topic nobody made is a mistake that a test has to see
    "auto.create.topics.enable": "false",
    "num.partitions": 4,
    # one node
    "default.replication.factor": 1,
    "offsets.topic.replication.factor": 1,
    "transaction.state.log.replication.factor": 1,
    "transaction.state.log.min.isr": 1,
    "share.coordinator.state.topic.replication.factor": 1,
    "share.coordinator.state.topic.min.isr": 1,
    # quick: few internal partitions to make, no waiting for members that do not come
    "offsets.topic.num.partitions": 4,
    "transaction.state.log.num.partitions": 4,
    "group.initial.rebalance.delay.ms": 0,
    "group.min.session.timeout.ms": 1000,
    "transaction.abort.timed.out.transaction.cleanup.interval.ms": 1000,
    # the session of a killed broker has to end before its successor is let in
    "broker.session.timeout.ms": 3000,
    "broker.heartbeat.interval.ms": 500,
    # records that were deleted are not back when the broker was killed soon after
    "log.flush.start.offset.checkpoint.interval.ms": 1000,
    # A broker begins with that half a minute after its start: what is killed before brings trimmed records back.
    "log.initial.task.delay.ms": 1000,
    # small
    "num.network.threads": 2,
    "num.io.threads": 4,
    "log.cleaner.dedupe.buffer.size": 8 * 1024 * 1024,
    "log.index.size.max.bytes": 1024 * 1024,
    # events carry times of years ago, by which they would be deleted at once
    "log.retention.ms": -1,
    "transaction.max.timeout.ms": 15 * 60 * 1000,
}


def missing_tools() -> list[str]:
    """Name the programs that are needed to run a broker and are not on PATH."""
    needed = ["java"] if _library_folder().joinpath(_COMPLETE).exists() else ["java", "mvn"]
    return [tool for tool in needed if shutil.which(tool) is None]


def _library_folder() -> Path:
    """One folder for each content of the pom, so that a changed pom is a new download."""
    return _LIBRARIES / hashlib.sha256(_POM.read_bytes()).hexdigest()[:12]


def _libraries() -> Path:
    """Download the jars unless they are there; parallel test runs wait for the first."""
    folder = _library_folder()
    if folder.joinpath(_COMPLETE).exists():
        return folder
    _LIBRARIES.mkdir(parents=True, exist_ok=True)
    with _LIBRARIES.joinpath("lock").open("w") as lock:
        # the kernel lets the lock go when its owner dies, however that happens
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.joinpath(_COMPLETE).exists():
            copy = "dependency:copy-dependencies"
            done = subprocess.run(
                ["mvn", "-q", "-B", "-f", str(_POM), copy, f"-DoutputDirectory={folder}"],
                check=False,
                capture_output=True,
                text=True,
                timeout=_DOWNLOAD_TIMEOUT_S,
            )
            if done.returncode != 0:
                raise RuntimeError(f"mvn could not download Kafka: {done.stdout[-2000:]}")
            folder.joinpath(_COMPLETE).touch()
    return folder


def free_port() -> int:
    """Find a port that nobody listens on, and no outgoing connection takes."""
    for port in random.sample(_PORTS, len(_PORTS)):
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise RuntimeError(f"no free port in {_PORTS}")


class KafkaBroker:
    """One node, broker and controller at once, on free ports of 127.0.0.1, data in `folder`.

    Settings given as `overrides` win over the ones above, e.g. `{"message.max.bytes": 4_000_000}`.
    `jvm` are the options of its Java machine. The process ends with the test process, even when that is killed.
    """

    def __init__(
        self, folder: Path, overrides: Mapping[str, str | int] | None = None, *, jvm: Sequence[str] = _JVM
    ) -> None:
        self._folder = folder
        self._jvm = tuple(jvm)
        self._port = free_port()
        controller = free_port()
        self._settings = {
            **_SETTINGS,
            "controller.quorum.voters": f"1@127.0.0.1:{controller}",
            "listeners": f"PLAINTEXT://127.0.0.1:{self._port},CONTROLLER://127.0.0.1:{controller}",
            "advertised.listeners": f"PLAINTEXT://127.0.0.1:{self._port}",
            "log.dirs": str(folder / "data"),
            **(overrides or {}),
        }
        self._process: subprocess.Popen[bytes] | None = None
        self._watchdog: subprocess.Popen[bytes] | None = None

    @property
    def bootstrap_servers(self) -> str:
        """Address for clients, as host:port; the same after a restart."""
        return f"127.0.0.1:{self._port}"

    @property
    def log_file(self) -> Path:
        """What the broker wrote, over all its starts."""
        return self._folder / "broker.log"

    @property
    def pid(self) -> int:
        """Id of the running process. Raises RuntimeError when there is none."""
        if self._process is None:
            raise RuntimeError("the broker is not running")
        return self._process.pid

    def start(self) -> None:
        """Start on the data of the last run, or on none, and wait until records are served."""
        if self._process is not None:
            raise RuntimeError("the broker is running already")
        java = ["java", *self._jvm, "-cp", f"{_libraries()}/*"]
        properties = self._folder / "server.properties"
        if not properties.exists():
            self._format(java, properties)
        with self.log_file.open("ab") as log:
            self._process = subprocess.Popen(
                [*java, "kafka.Kafka", str(properties)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                # an interrupt from the keyboard is for the tests, which then stop the broker
                start_new_session=True,
            )
        self._watchdog = guard(self._process.pid)
        try:
            eventually(self._is_ready, "the broker serves", timeout_s=_START_TIMEOUT_S)
        except BaseException:
            self.kill()
            raise

    def stop(self) -> None:
        """End the process as an operator would, with SIGTERM; harmless when there is none."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """End the process at once, with SIGKILL; harmless when there is none."""
        self._end(signal.SIGKILL)

    def pause(self) -> None:
        """Let it answer nobody, connections staying open, until `resume`."""
        os.kill(self.pid, signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on after `pause`."""
        os.kill(self.pid, signal.SIGCONT)

    def restart(self) -> None:
        """Stop it if it runs, and start it on the same data and port."""
        self.stop()
        self.start()

    def run_tool(self, main: str, *arguments: str) -> str:
        """Run one of Kafka's tools, by the class that its shell script starts; return what it printed."""
        java = ["java", *self._jvm, "-cp", f"{_libraries()}/*"]
        done = subprocess.run(
            [*java, main, *arguments], check=False, capture_output=True, text=True, timeout=_TOOL_TIMEOUT_S
        )
        if done.returncode != 0:
            raise RuntimeError(f"{main} {' '.join(arguments)}: {done.stdout}{done.stderr}")
        return done.stdout

    def create_topics(self, *names: str, partitions: int = 4, config: Mapping[str, str] | None = None) -> None:
        """Create topics and wait until they can be written to."""
        admin = self._admin()
        new = [NewTopic(name, partitions, 1, config=dict(config or {})) for name in names]
        for created in admin.create_topics(new).values():
            created.result(_START_TIMEOUT_S)
        eventually(lambda: self._has_leaders(set(names)), f"topics {', '.join(names)} have leaders")

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    def _format(self, java: list[str], properties: Path) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        draft = properties.with_suffix(".draft")
        draft.write_text("".join(f"{key}={value}\n" for key, value in self._settings.items()))
        # 22 characters of base64, the first of which may not look like a flag
        cluster_id = f"A{secrets.token_urlsafe(16)[1:]}"
        storage = [*java, "kafka.tools.StorageTool", "format", "-t", cluster_id, "-c", str(draft)]
        done = subprocess.run(storage, check=False, capture_output=True, text=True, timeout=_FORMAT_TIMEOUT_S)
        if done.returncode != 0:
            raise RuntimeError(f"Kafka could not format its folder: {done.stdout}{done.stderr}")
        draft.rename(properties)

    def _admin(self) -> AdminClient:
        return AdminClient(
            {
                "bootstrap.servers": self.bootstrap_servers,
                "log_level": 0,
                "reconnect.backoff.ms": 50,
                "reconnect.backoff.max.ms": 100,
            }
        )

    def _is_ready(self) -> bool:
        if self._process is not None and self._process.poll() is not None:
            tail = self.log_file.read_text(errors="replace")[-4000:]
            raise RuntimeError(f"the broker ended while it started:\n{tail}")
        return self._has_leaders(set())

    def _has_leaders(self, names: set[str]) -> bool:
        """Tell whether there are a broker, the named topics, and a leader of each partition."""
        try:
            found = self._admin().list_topics(timeout=1)
        except KafkaException:
            return False
        partitions = [p for topic in found.topics.values() for p in topic.partitions.values()]
        return (
            bool(found.brokers)
            and names <= found.topics.keys()
            and all(partition.leader >= 0 for partition in partitions)
        )

    def _end(self, how: signal.Signals) -> None:
        if self._process is None:
            return
        process, self._process = self._process, None
        process.send_signal(how)
        try:
            process.wait(_STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise
        finally:
            # only now: had the tests died meanwhile, the broker would have had to end
            if self._watchdog is not None:
                self._watchdog.kill()
                self._watchdog.communicate()
                self._watchdog = None


def guard(pid: int) -> subprocess.Popen[bytes]:
    """Start a watchdog: a process that kills the given one when this one is gone.

    It reads from a pipe that nobody writes to, which ends when this process does, however that
    happens. (The kernel's own signal for this, PR_SET_PDEATHSIG, fires when the starting thread
    ends, and setting it runs Python between fork and exec.)
    """
    return subprocess.Popen(
        ["/bin/sh", "-c", f"cat; kill -KILL {pid}"],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
