"""The contenders: how each is installed, started and checked."""

import hashlib
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final, NamedTuple

from benchmarks import checks
from benchmarks.checks import ReadState

ROOT: Final = Path(__file__).resolve().parents[1]
FOLDER: Final = ROOT / "build" / "bench"
CONTENDERS: Final = ROOT / "benchmarks" / "contenders"
_KAFKA_STREAMS: Final = ROOT / "benchmarks" / "kafka_streams"
_JAVA: Final = ("java", "-Xms2g", "-Xmx2g", "-XX:+UseParallelGC")
_COMMIT_MS: Final = 1000
"""As all others: ours commits once a second, too, as long as it is behind."""


class Contender(NamedTuple):
    """One contender."""

    name: str
    title: str
    command: Callable[[], list[str]]
    """Installs what it needs, and gives the beginning of its command line."""
    read_state: ReadState | None
    """None for one that only counts."""
    changelog: str = "{run}-state"
    changes: str | None = "{run}-tier-changes"
    makes_topics: bool = False
    """Whether it makes its changelog itself."""
    every: int = 1
    """It gets the orders of each `every`-th account: so many that it runs long enough, and not for an hour."""
    replayed: bool = False
    """Whether it gets them with the timestamps of a topic that is read again from its beginning."""
    passes: int = 1
    """How often it reads the orders, if that is all that it does."""
    is_ours: bool = False


def _python(module: str) -> list[str]:
    return [sys.executable, "-m", f"benchmarks.contenders.{module}"]


def _own_python(module: str) -> list[str]:
    """Give the command of a contender with an environment of its own, made from its pinned requirements."""
    requirements = CONTENDERS / f"{module}.requirements.txt"
    digest = hashlib.sha256(requirements.read_bytes()).hexdigest()[:12]
    folder = FOLDER / "environments" / f"{module}-{digest}"
    python = folder / "bin" / "python"
    done = folder / ".installed"
    if not done.exists():
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(folder)], check=True)
        install = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps"]
        subprocess.run([*install, "-r", str(requirements)], check=True)
        done.touch()
    return [str(python), "-m", f"benchmarks.contenders.{module}"]


def compile_kafka_streams() -> Path:
    """Compile the Java contender; returns the folder with its classes and jars."""
    target = FOLDER / "kafka-streams"
    sources = sorted(path for path in _KAFKA_STREAMS.rglob("*") if path.is_file())
    digest = hashlib.sha256(b"".join(path.read_bytes() for path in sources)).hexdigest()
    done = target / ".compiled"
    if not done.exists() or done.read_text(encoding="utf-8") != digest:
        maven = ["mvn", "-q", "-B", "-f", str(_KAFKA_STREAMS / "pom.xml")]
        goals = ["clean", "compile", "dependency:copy-dependencies", f"-DoutputDirectory={target / 'lib'}"]
        subprocess.run([*maven, *goals], check=True, timeout=600)
        done.write_text(digest, encoding="utf-8")
    return target


def compile_core() -> Path:
    """Install a wheel of this release with a compiled core; returns the folder with its packages."""
    sources = [path for name in ("models", "processors", "stream") for path in sorted((ROOT / name).rglob("*.py"))]
    sources.append(ROOT / "hatch_build.py")
    digest = hashlib.sha256(b"".join(path.read_bytes() for path in sources)).hexdigest()[:12]
    folder = FOLDER / "compiled" / digest
    done = folder / ".installed"
    if not done.exists():
        install = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--upgrade"]
        switched = {**os.environ, "ACCOUNT_HEALTH_COMPILE": "1"}
        subprocess.run(
            [*install, "--no-deps", "--no-build-isolation", "--target", str(folder), str(ROOT)],
            check=True,
            env=switched,
        )
        done.touch()
    return folder


def _compiled_core() -> list[str]:
    compile_core()
    return _python("account_health_compiled")


def _kafka_streams(guarantee: str, store: str = "memory") -> list[str]:
    target = compile_kafka_streams()
    return [
        *(*_JAVA, "-cp", f"{target / 'classes'}:{target / 'lib'}/*", "benchmarks.Contender"),
        *("--guarantee", guarantee, "--commit-interval-ms", str(_COMMIT_MS), "--store", store),
    ]


ALL: Final = (
    Contender("count_only", "librdkafka, counting only", lambda: _python("count_only"), None, passes=12),
    Contender("transport_only", "our transport, counting only", lambda: _python("transport_only"), None, passes=9),
    Contender(
        "account_health",
        "account-health worker, exactly once",
        lambda: _python("account_health"),
        checks.read_our_state,
        changelog="{prefix}state",
        changes=None,
        is_ours=True,
        every=8,
    ),
    Contender(
        "account_health_compiled",
        "the same worker, its core compiled",
        _compiled_core,
        checks.read_our_state,
        changelog="{prefix}state",
        changes=None,
        is_ours=True,
        every=4,
    ),
    Contender(
        "account_health_rebuild",
        "the same worker, rebuilding: 400 days pass",
        lambda: _python("account_health"),
        checks.read_our_state,
        changelog="{prefix}state",
        changes=None,
        is_ours=True,
        every=20,
        replayed=True,
    ),
    Contender(
        "hand_written_loop",
        "hand-written librdkafka loop, at least once",
        lambda: _python("hand_written_loop"),
        checks.read_python_state,
    ),
    Contender(
        "kafka_streams_eos",
        "Kafka Streams, exactly once",
        lambda: _kafka_streams("exactly_once_v2"),
        checks.read_java_state,
        changelog="{run}-accounts-changelog",
        makes_topics=True,
    ),
    Contender(
        "kafka_streams_alo",
        "Kafka Streams, at least once",
        lambda: _kafka_streams("at_least_once"),
        checks.read_java_state,
        changelog="{run}-accounts-changelog",
        makes_topics=True,
    ),
    Contender(
        "quix_streams",
        "Quix Streams, at least once",
        lambda: _own_python("quix_streams"),
        checks.read_python_state,
        changelog="changelog__{run}--{topic}--default",
        makes_topics=True,
        every=4,
    ),
    Contender(
        "plain_faust",
        "plain Faust, at least once",
        lambda: _own_python("plain_faust"),
        checks.read_python_state,
        changelog="{run}-accounts-changelog",
        makes_topics=True,
        every=30,
    ),
)
