"""What a run of the benchmarks leaves behind: benchmarks/results/latest.json, a table and a plot."""

import json
import os
import platform
import subprocess
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import Any, Final
from xml.sax.saxutils import escape

from rich.console import Console
from rich.table import Table

from benchmarks.catalogue import ALL, CONTENDERS, ROOT
from benchmarks.throughput import Measurement

FOLDER: Final = ROOT / "benchmarks" / "results"
LATEST: Final = FOLDER / "latest.json"
PLOT: Final = FOLDER / "latest.svg"
RATIOS: Final = (
    ("account_health", "plain_faust"),
    ("account_health", "quix_streams"),
    ("account_health", "kafka_streams_eos"),
    ("account_health", "kafka_streams_alo"),
    ("account_health", "hand_written_loop"),
    ("account_health_compiled", "account_health"),
    ("account_health_compiled", "plain_faust"),
    ("account_health_compiled", "quix_streams"),
    ("account_health_compiled", "kafka_streams_eos"),
    ("transport_only", "count_only"),
)
_PEER_PACKAGES: Final = ("quixstreams", "faust-streaming")
_BAR, _LEFT, _RIGHT, _HEAD, _WIDTH = 26, 300, 110, 60, 860


def summary(measurements: Iterable[Measurement]) -> dict[str, Any]:
    """Give the median of each contender, the ratios, and every run."""
    runs: dict[str, list[Measurement]] = {}
    for one in measurements:
        runs.setdefault(one.contender, []).append(one)
    rates = {name: round(median(one.events_per_second for one in several)) for name, several in runs.items()}
    return {
        "events_per_second": rates,
        "ratios": {
            f"{one}/{other}": round(rates[one] / rates[other], 2)
            for one, other in RATIOS
            if one in rates and other in rates
        },
        "runs": {name: [_run_of(one) for one in several] for name, several in runs.items()},
    }


def _run_of(one: Measurement) -> dict[str, Any]:
    return {
        "events": one.events,
        "events_with_warm_up": one.events_with_warm_up,
        "seconds": round(one.seconds, 2),
        "events_per_second": round(one.events_per_second),
        "cpu_seconds": round(one.cpu_seconds, 1),
        "max_rss_mib": round(one.max_rss_mib),
        "checksums": None if one.checksums is None else one.checksums._asdict(),
    }


def circumstances(load_before: float, attempts: int) -> dict[str, Any]:
    """Tell when, where and with what was measured."""
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": _output("git", "rev-parse", "HEAD"),
        "attempts": attempts,
        "machine": {
            "cores": os.cpu_count(),
            "processor": _processor(),
            "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30),
            "system": platform.platform(terse=True),
            "load_before": round(load_before, 2),
        },
        "versions": _versions(),
    }


def write(content: Mapping[str, Any]) -> None:
    """Write the results file and the plot; what this run did not measure stays as an earlier run left it."""
    FOLDER.mkdir(exist_ok=True)
    held = json.loads(LATEST.read_text(encoding="utf-8")) if LATEST.exists() else {}
    merged = {**held, **content}
    LATEST.write_text(json.dumps(merged, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    PLOT.write_text(plot(merged), encoding="utf-8")


def latest_rate(contender: str) -> int:
    """Give a contender's rate of the last run that measured it.

    Raises:
        RuntimeError: if none did.
    """
    held = json.loads(LATEST.read_text(encoding="utf-8")) if LATEST.exists() else {}
    try:
        return int(held["events_per_second"][contender])
    except KeyError:
        raise RuntimeError(f"{contender} was never measured: run its throughput first") from None


def show(content: Mapping[str, Any]) -> None:
    """Print the table of contenders."""
    rates = content["events_per_second"]
    table = Table(title="events per second, median of the runs")
    for title in ("contender", "events/s", "of ours", "µs CPU/event", "max RSS MiB", "runs"):
        table.add_column(title, justify="left" if title == "contender" else "right")
    ours = rates.get("account_health")
    for contender in sorted((one for one in ALL if one.name in rates), key=lambda one: -rates[one.name]):
        runs = content["runs"][contender.name]
        cpu = median(one["cpu_seconds"] / one["events_with_warm_up"] * 1e6 for one in runs)
        table.add_row(
            contender.title,
            f"{rates[contender.name]:,}",
            f"{ours / rates[contender.name]:.2f}" if ours else "",
            f"{cpu:.1f}",
            f"{max(one['max_rss_mib'] for one in runs):,}",
            ", ".join(f"{one['events_per_second']:,}" for one in runs),
        )
    Console().print(table)


def plot(content: Mapping[str, Any]) -> str:
    """Draw the contenders as bars, as SVG."""
    rates = content["events_per_second"]
    shown = sorted((one for one in ALL if one.name in rates), key=lambda one: -rates[one.name])
    most = max(rates.values())
    machine, height = content["machine"], _HEAD + _BAR * len(shown) + 20
    heading = f"events per second, {machine['cores']} cores shared with the broker, {content['date'][:10]}"
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" role="img"',
        'font-family="sans-serif" font-size="13">',
        f"<title>{escape(heading)}</title>",
        f'<rect width="{_WIDTH}" height="{height}" fill="#ffffff"/>',
        f'<text x="16" y="30" font-size="16" fill="#1f2933">{escape(heading)}</text>',
    ]
    for row, one in enumerate(shown):
        top = _HEAD + row * _BAR
        length = (_WIDTH - _LEFT - _RIGHT) * rates[one.name] / most
        colour = "#0b6e4f" if one.is_ours else "#9aa5b1"
        parts += [
            f'<text x="{_LEFT - 10}" y="{top + 16}" text-anchor="end" fill="#1f2933">{escape(one.title)}</text>',
            f'<rect x="{_LEFT}" y="{top + 3}" width="{length:.1f}" height="{_BAR - 8}" fill="{colour}"/>',
            f'<text x="{_LEFT + length + 6:.1f}" y="{top + 16}" fill="#1f2933">{rates[one.name]:,}</text>',
        ]
    return "\n".join([*parts, "</svg>", ""])


def _versions() -> dict[str, str]:
    found = {"python": platform.python_version()}
    for name in ("account-health-stream", "faust-streaming", "confluent-kafka", "msgspec", "pydantic"):
        found[name] = version(name)
    for path in sorted(CONTENDERS.glob("*.requirements.txt")):
        for line in path.read_text(encoding="utf-8").splitlines():
            name, _, pinned = line.partition("==")
            if name in _PEER_PACKAGES:
                found[f"{name} (peer)"] = pinned
    found["kafka broker"] = _property(ROOT / "tests" / "kafka" / "pom.xml")
    found["kafka-streams"] = _property(ROOT / "benchmarks" / "kafka_streams" / "pom.xml")
    found["java"] = _output("java", "--version").splitlines()[0]
    return found


def _property(pom: Path) -> str:
    return pom.read_text(encoding="utf-8").partition("<kafka.version>")[2].partition("<")[0]


def _processor() -> str:
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    return next((line.partition(": ")[2] for line in lines if line.startswith("model name")), platform.machine())


def _output(*command: str) -> str:
    return subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout.strip()
