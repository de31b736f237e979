"""`python -m benchmarks`: everything, three alternating times; with `--quick` the throughput table, once.

`--only` names contenders or scenarios; `--scale` makes the inputs smaller, to try something.
"""

import argparse
import os
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from typing import Any, Final

from benchmarks import console, evaluation, growth, latency, page, restore, results, stages, throughput, turn, view
from benchmarks.catalogue import ALL, Contender
from benchmarks.stand import Stand, stand
from benchmarks.throughput import Measurement

_ATTEMPTS: Final = 3

Scenario = Callable[[Stand, float, int], Any]
"""From the stand, the scale and the top rate to what goes into the results under its name."""
SCENARIOS: Final[dict[str, Scenario]] = {
    "evaluation": evaluation.scenario,
    "stages": stages.scenario,
    "stages_compiled": stages.scenario_compiled,
    "latency": latency.scenario,
    "latency_compiled": latency.scenario_compiled,
    "restore": restore.scenario,
    "day_turn": turn.scenario,
    "commits": growth.commits,
    "ten_times_accounts": growth.ten_times_accounts,
    "view": view.scenario,
    "page": page.scenario,
    "console": console.scenario,
}

OF_COMPILED: Final = dict.fromkeys(("stages_compiled", "latency_compiled"), "account_health_compiled")
"""Whose top rate the scenarios go by that run another one than these sources."""


def main() -> int:
    """Run what was asked for, and write each result as soon as it is there; 1 if a scenario failed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--only", default="", help="contenders and scenarios, with commas")
    parser.add_argument("--scale", type=float, default=1.0)
    parser.add_argument("--attempts", type=int)
    parser.add_argument("--dry", action="store_true", help="write no results file")
    asked = parser.parse_args()
    only = set(filter(None, asked.only.split(",")))
    unknown = only - {one.name for one in ALL} - SCENARIOS.keys()
    if unknown:
        parser.error(f"not known: {', '.join(sorted(unknown))}")
    contenders = [one for one in ALL if not only or one.name in only]
    scenarios = [name for name in SCENARIOS if name in only or not (only or asked.quick)]
    attempts = asked.attempts or (1 if asked.quick else _ATTEMPTS)
    circumstances = results.circumstances(os.getloadavg()[0], attempts)
    # The circumstances at the top are those of the throughput; another measurement may be of another day.
    keep: Callable[[dict[str, Any]], None] = (lambda _: None) if asked.dry else results.write
    failed = []
    with stand() as ready:
        content: dict[str, Any] = {}
        if contenders:
            content = circumstances | results.summary(_measure(ready, contenders, asked.scale, attempts))
            results.show(content)
            keep(content)
        rates = {name: _top_rate(content, OF_COMPILED.get(name, "account_health")) for name in scenarios}
        for name in scenarios:
            started = time.monotonic()
            try:
                found = SCENARIOS[name](ready, asked.scale, rates[name])
            except Exception:  # noqa: BLE001  # an hour's other measurements are worth having
                traceback.print_exc()
                failed.append(name)
                continue
            print(f"{name}, {time.monotonic() - started:.0f} s: {found}", flush=True)
            keep({name: {**found, "measured": {**circumstances, "attempts": 1}}})
    if failed:
        print(f"failed: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


def _measure(ready: Stand, contenders: Sequence[Contender], scale: float, attempts: int) -> list[Measurement]:
    for one in contenders:
        # Downloads and compilation come before the first measurement.
        one.command()
    inputs = throughput.prepare(
        ready, contenders, max(1, round(throughput.ACCOUNTS * scale)), round(throughput.ORDERS * scale)
    )
    return list(throughput.alternate(ready, contenders, inputs, attempts, _tell))


def _tell(one: Measurement) -> None:
    print(
        f"{one.contender:24} {one.events_per_second:>10,.0f} events/s in {one.seconds:.1f} s, "
        f"{one.cpu_seconds:.1f} s CPU, {one.max_rss_mib:,.0f} MiB",
        flush=True,
    )


def _top_rate(content: dict[str, Any], contender: str) -> int:
    """Give the rate of one of ours, measured now or before."""
    if contender in content.get("events_per_second", {}):
        return int(content["events_per_second"][contender])
    return results.latest_rate(contender)


if __name__ == "__main__":
    sys.exit(main())
