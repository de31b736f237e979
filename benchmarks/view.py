"""The Redis view and the API with a million accounts: time to build it, its memory, and how fast the API answers.

The API is asked at a steady rate, whether it keeps up or not, while snapshots go on changing.
"""

import asyncio
import random
import time
from collections.abc import Iterator, Sequence
from statistics import median, quantiles
from typing import Any, Final
from urllib.parse import quote

import httpx

from benchmarks.asking import Asked, ask_steadily
from benchmarks.copies import BUILD_SECONDS_MAX, SNAPSHOTS_PER_SECOND, Copies, served, variables_of
from benchmarks.stand import Stand
from tests.support.redis import RedisServer
from tests.support.worker import run_command

ACCOUNTS: Final = 1_000_000
REQUESTS_PER_SECOND: Final = 200
ASKED_SECONDS: Final = 60.0
_SEED: Final = 7
_WEIGHTS_TRIED: Final = (20, 40, 50, 60, 70)


def scenario(stand: Stand, scale: float, rate: int) -> dict[str, Any]:
    """Measure the build, the memory and the answers."""
    del rate
    prefix = "view."
    copies = Copies.make(stand, prefix, max(1000, round(ACCOUNTS * scale)))
    with RedisServer(stand.folder / "redis") as server:
        variables = variables_of(stand, server, prefix)
        started = time.monotonic()
        run_command(variables, "view", "--once", timeout_s=BUILD_SECONDS_MAX)
        seconds = time.monotonic() - started
        return {
            "accounts": copies.accounts,
            "build_seconds": round(seconds, 1),
            "accounts_per_second": round(copies.accounts / seconds),
            "built": _memory(server, copies),
            # The changes of the whole portfolio have been taken in when it is asked.
            "api": _asked(stand, variables, copies),
            "after_changes": {"changed": copies.changed, **_memory(server, copies)},
        }


def _memory(server: RedisServer, copies: Copies) -> dict[str, int]:
    """Ask Redis what the view takes."""
    with server.client() as client:
        used = client.info("memory")["used_memory"]
    return {"redis_mib": round(used / 2**20), "redis_bytes_an_account": round(used / copies.accounts)}


def _asked(stand: Stand, variables: dict[str, str], copies: Copies) -> dict[str, Any]:
    """Ask the API for a while."""
    with served(stand, variables) as serving:
        chance = random.Random(_SEED)
        targets = list(_targets(chance, copies, round(REQUESTS_PER_SECOND * ASKED_SECONDS)))
        before = serving.cpu_seconds()
        answers = asyncio.run(ask_steadily(serving.port, targets, REQUESTS_PER_SECOND, copies.change()))
        return {
            "requests_per_second": REQUESTS_PER_SECOND,
            "snapshots_per_second": SNAPSHOTS_PER_SECOND,
            "seconds": ASKED_SECONDS,
            **_summary(answers),
            "cpu_ms_a_request": round((serving.cpu_seconds() - before) * 1000 / len(targets), 2),
            "lag_records_after": round(serving.lag()),
            "what_if": _tried(serving.port),
        }


def _tried(port: int) -> dict[str, Any]:
    """Try another policy some times, one after the other."""
    seconds = []
    with httpx.Client(base_url=f"http://127.0.0.1:{port}/api/v1", timeout=60, trust_env=False) as client:
        for weight in _WEIGHTS_TRIED:
            started = time.monotonic()
            response = client.post("/what-if", json={"weights": {"revenue": weight}})
            response.raise_for_status()
            seconds.append(time.monotonic() - started)
    found = response.json()
    return {"median_ms": round(median(seconds) * 1000), "looked_at": found["looked_at"]}


def _summary(answers: Sequence[Asked]) -> dict[str, Any]:
    """Sum up latencies in milliseconds, of all and by kind."""
    kinds = sorted({one.kind for one in answers})
    return {
        "requests": len(answers),
        "failed": sum(not one.succeeded for one in answers),
        **_percentiles([one.seconds for one in answers]),
        "by_kind": {kind: _percentiles([one.seconds for one in answers if one.kind == kind]) for kind in kinds},
    }


def _percentiles(seconds: Sequence[float]) -> dict[str, float]:
    cuts = quantiles(seconds, n=100)
    return {
        "p50_ms": round(cuts[49] * 1000, 1),
        "p95_ms": round(cuts[94] * 1000, 1),
        "p99_ms": round(cuts[98] * 1000, 1),
    }


def _targets(chance: random.Random, copies: Copies, count: int) -> Iterator[tuple[str, str]]:
    """Give what a console and its people ask: kind and target."""
    kinds = ("account", "list", "filtered", "owner", "search", "portfolio", "win_back", "changes")
    for kind in chance.choices(kinds, (30, 20, 15, 10, 10, 5, 5, 5), k=count):
        sort = chance.choice(("revenue", "score", "risk", "value_at_stake"))
        match kind:
            case "account":
                yield kind, f"/accounts/{copies.account_id(chance.randrange(copies.accounts))}"
            case "list":
                tier, level = chance.choice(("key", "growth", "basic")), chance.choice(("low", "high", "lost"))
                yield (
                    kind,
                    chance.choice((f"/accounts?sort={sort}", f"/accounts?sort={sort}&tier={tier}&churn_level={level}")),
                )
            case "filtered":
                lifecycle = chance.choice(("declining", "dormant", "steady", "lost"))
                yield kind, f"/accounts?sort={sort}&lifecycle={lifecycle}&segment={quote('public sector')}"
            case "owner":
                yield kind, f"/accounts?sort={sort}&owner={quote(copies.owner(chance.randrange(copies.owners)))}"
            case "search":
                yield kind, f"/accounts?search={quote(chance.choice(copies.beginnings))}"
            case "portfolio":
                yield kind, "/portfolio"
            case "win_back":
                yield kind, "/win-back"
            case _:
                yield kind, "/changes?limit=50"
