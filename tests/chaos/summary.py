"""Several runs as one result, without each fault: `python -m tests.chaos.summary chaos-*.json --out FILE`."""

import argparse
import json
from collections import Counter
from pathlib import Path
from typing import Any


def sum_up(runs: list[dict[str, Any]]) -> dict[str, Any]:
    """Add up what runs of `make chaos` found, and keep of each what it ran on and how its kinds of faults fared."""
    kinds: Counter[str] = Counter()
    compared: Counter[str] = Counter()
    for run in runs:
        kinds.update({kind: one["valid"] for kind, one in run["kinds"].items()})
        compared.update(run["oracles"]["compared"])
    return {
        "ok": all(run["ok"] for run in runs),
        "asked": sum(run["asked"] for run in runs),
        "valid": sum(run["valid"] for run in runs),
        "missing": sum(run["oracles"]["missing"] for run in runs),
        "twice": sum(run["oracles"]["twice"] for run in runs),
        "compared": dict(sorted(compared.items())),
        "kinds": dict(sorted(kinds.items())),
        "runs": [{name: value for name, value in run.items() if name != "faults"} for run in runs],
    }


def _main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("results", type=Path, nargs="+", help="what runs wrote")
    parser.add_argument("--out", type=Path, required=True)
    chosen = parser.parse_args()
    runs = [json.loads(path.read_text(encoding="utf-8")) for path in chosen.results]
    chosen.out.write_text(json.dumps(sum_up(runs), indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    _main()
