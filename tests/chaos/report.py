"""What a run leaves behind: chaos.json and its last line."""

import json
import os
import platform
import re
import subprocess
from collections import defaultdict
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import Any, Final

import confluent_kafka

from tests.chaos.driver import Run

_ROOT: Final = Path(__file__).resolve().parents[2]
_PACKAGES: Final = ("account-health-stream", "faust-streaming", "confluent-kafka")


def last_line(run: Run) -> str:
    """Sum it up."""
    verdict = run.verdict
    return f"faults {run.faults} valid {run.valid} missing {verdict.missing} twice {verdict.twice}"


def write(run: Run, seed: int, path: Path) -> None:
    """Write all that is known of a run, each fault on a line of its own."""
    head = json.dumps(_content(run, seed), indent=1).removesuffix("\n}")
    faults = ",\n".join(f"  {json.dumps(one)}" for one in run.attempts)
    path.write_text(f'{head},\n "faults": [\n{faults}\n ]\n}}\n', encoding="utf-8")


def _content(run: Run, seed: int) -> dict[str, Any]:
    return {
        "result": last_line(run),
        "ok": run.ok,
        "asked": run.faults,
        "valid": run.valid,
        "failure": run.failure,
        "seed": seed,
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "seconds": round(run.seconds),
        "commit": _output("git", "rev-parse", "HEAD"),
        "changed_files": _output("git", "status", "--porcelain", "--untracked-files=no").splitlines(),
        "versions": {
            "python": platform.python_version(),
            **{name: version(name) for name in _PACKAGES},
            "librdkafka": confluent_kafka.libversion()[0],
            "kafka": _kafka_version(),
        },
        "machine": {
            "cores": os.cpu_count(),
            "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30),
            "system": platform.platform(terse=True),
        },
        "kinds": _kinds(run),
        "oracles": {
            "missing": run.verdict.missing,
            "twice": run.verdict.twice,
            "compared": dict(sorted(run.verdict.compared.items())),
            "applications": run.judged,
        },
    }


def _kinds(run: Run) -> dict[str, dict[str, Any]]:
    """Sum up each kind of fault."""
    of_kind: defaultdict[str, list[dict[str, Any]]] = defaultdict(list)
    for one in run.attempts:
        of_kind[one["kind"]].append(one)
    found = {}
    for kind, several in sorted(of_kind.items()):
        valid = [one for one in several if one["valid"]]
        recoveries = [one["recovery_seconds"] for one in valid]
        found[kind] = {
            "valid": len(valid),
            "not_valid": len(several) - len(valid),
            "records_outstanding_least": min((one["records_outstanding"] for one in valid), default=None),
            "recovery_seconds_median": round(median(recoveries), 2) if recoveries else None,
            "recovery_seconds_max": max(recoveries, default=None),
        }
    return found


def _kafka_version() -> str:
    pom = (_ROOT / "tests" / "kafka" / "pom.xml").read_text(encoding="utf-8")
    found = re.search(r"<kafka.version>(.*)</kafka.version>", pom)
    assert found is not None
    return found.group(1)


def _output(*command: str) -> str:
    return subprocess.run(command, cwd=_ROOT, check=True, capture_output=True, text=True).stdout.strip()
