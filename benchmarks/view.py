"""The Redis view and the API with a million accounts: time to build it, its memory, and how fast the API answers.

Snapshots and changes are those of a simulated company, as a replay publishes them, under other ids and owners. The API
is asked at a steady rate, whether it keeps up or not, while snapshots go on changing.
"""

import asyncio
import random
import shutil
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import median, quantiles
from typing import Any, Final, NamedTuple
from urllib.parse import quote

import httpx
import msgspec
from confluent_kafka import Producer

from benchmarks.asking import Asked, ask_steadily
from benchmarks.broker import PARTITIONS
from benchmarks.stand import Stand
from stream.settings import Settings
from stream.topics import SNAPSHOTS, TIER_CHANGES
from tests.support.polling import eventually
from tests.support.redis import RedisServer
from tests.support.worker import WorkerProcess, run_command

ACCOUNTS: Final = 1_000_000
REQUESTS_PER_SECOND: Final = 200
SNAPSHOTS_PER_SECOND: Final = 100
ASKED_SECONDS: Final = 60.0
_TEMPLATE_ACCOUNTS: Final = 1000
_OWNERS: Final = 5000
_QUEUE_RECORDS: Final = 100_000
_POLLED_EVERY: Final = 2000
_SEED: Final = 7
_WEIGHTS_TRIED: Final = (20, 40, 50, 60, 70)
_BUILD_SECONDS_MAX: Final = 3600.0
_REDIS_LISTPACK: Final = ("--hash-max-listpack-value", "4096")


class Template(NamedTuple):
    """What a replay published of one account; ids are cut out."""

    account_id: bytes
    owner: bytes
    snapshot: bytes
    change: bytes | None


def scenario(stand: Stand, scale: float, rate: int) -> dict[str, Any]:
    """Measure the build, the memory and the answers."""
    del rate
    accounts = max(1000, round(ACCOUNTS * scale))
    prefix = "view."
    settings = stand.settings(prefix, "view")
    stand.make_our_topics(prefix, PARTITIONS)
    templates = _templates(stand.folder)
    _publish(settings, templates, accounts)
    found: dict[str, Any] = {"accounts": accounts}
    for name, arguments in (("as_it_comes", ()), ("with_listpacks", _REDIS_LISTPACK)):
        with RedisServer(stand.folder / name, *arguments) as server:
            variables = _variables(stand, server, prefix)
            started = time.monotonic()
            run_command(variables, "view", "--once", timeout_s=_BUILD_SECONDS_MAX)
            seconds = time.monotonic() - started
            found[name] = {"build_seconds": round(seconds, 1), "accounts_per_second": round(accounts / seconds)}
            with server.client() as client:
                found[name]["redis_mib"] = round(client.info("memory")["used_memory"] / 2**20)
                found[name]["redis_bytes_an_account"] = round(client.info("memory")["used_memory"] / accounts)
            if name == "as_it_comes":
                found["api"] = _served(stand, variables, settings, templates, accounts)
    return found


def _served(
    stand: Stand, variables: dict[str, str], settings: Settings, templates: Sequence[Template], accounts: int
) -> dict[str, Any]:
    """Ask the API for a while."""
    view = WorkerProcess(variables, stand.folder, "view", "view").start().wait_ready(_BUILD_SECONDS_MAX)
    serve = WorkerProcess(variables, stand.folder, "serve", "serve").start().wait_ready()
    try:
        # All changes of the whole portfolio are taken in first: it is measured as it is in everyday use.
        eventually(lambda: _lag(view) == 0, "the view is up to date", timeout_s=_BUILD_SECONDS_MAX, interval_s=1)
        port = eventually(lambda: _port(serve), "the API listens")
        chance = random.Random(_SEED)
        targets = list(_targets(chance, templates, accounts, round(REQUESTS_PER_SECOND * ASKED_SECONDS)))
        changes = _changes(settings, templates, accounts)
        answers = asyncio.run(ask_steadily(port, targets, REQUESTS_PER_SECOND, changes))
        return {
            "requests_per_second": REQUESTS_PER_SECOND,
            "snapshots_per_second": SNAPSHOTS_PER_SECOND,
            "seconds": ASKED_SECONDS,
            **_summary(answers),
            "lag_records_after": round(_lag(view)),
            "what_if": _tried(port),
        }
    finally:
        view.kill()
        serve.kill()


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


def _targets(
    chance: random.Random, templates: Sequence[Template], accounts: int, count: int
) -> Iterator[tuple[str, str]]:
    """Give what a console and its people ask: kind and target."""
    words = [msgspec.json.decode(one.snapshot)["name"].split()[0][:4] for one in templates]
    kinds = ("account", "list", "filtered", "owner", "search", "portfolio", "win_back", "changes")
    for kind in chance.choices(kinds, (30, 20, 15, 10, 10, 5, 5, 5), k=count):
        sort = chance.choice(("revenue", "score", "risk", "value_at_stake"))
        match kind:
            case "account":
                yield kind, f"/accounts/{_id(chance.randrange(accounts)).decode()}"
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
                yield kind, f"/accounts?sort={sort}&owner={quote(f'Owner {chance.randrange(_OWNERS)}')}"
            case "search":
                yield kind, f"/accounts?search={quote(chance.choice(words))}"
            case "portfolio":
                yield kind, "/portfolio"
            case "win_back":
                yield kind, "/win-back"
            case _:
                yield kind, "/changes?limit=50"


def _templates(folder: Path) -> list[Template]:
    """Let a company live, and take what was published of its accounts."""
    company, out = folder / "company", folder / "replayed"
    run_command({}, "simulate", "--out", str(company), "--accounts", str(_TEMPLATE_ACCOUNTS), "--days", "400")
    files = [str(company / f"{name}.jsonl") for name in ("orders", "support", "profiles")]
    run_command({}, "replay", *files, "--out", str(out), timeout_s=600)
    changes = {}
    for line in (out / "tier-changes.jsonl").read_bytes().splitlines():
        changes[msgspec.json.decode(line)["account_id"]] = line
    found = []
    for line in (out / "snapshots.jsonl").read_bytes().splitlines():
        body = msgspec.json.decode(line)
        owner = (body["profile"] or {}).get("owner")
        if owner is not None:
            found.append(Template(body["account_id"].encode(), owner.encode(), line, changes.get(body["account_id"])))
    shutil.rmtree(company)
    shutil.rmtree(out)
    return found


def _id(number: int) -> bytes:
    return b"ACC-%08d" % number


def _snapshot(template: Template, number: int) -> bytes:
    owned = b'"owner":"%s"' % template.owner
    said = template.snapshot.replace(template.account_id, _id(number))
    return said.replace(owned, b'"owner":"Owner %d"' % (number % _OWNERS))


def _publish(settings: Settings, templates: Sequence[Template], accounts: int) -> None:
    producer = _producer(settings)
    snapshots, changes = settings.topics.of(SNAPSHOTS), settings.topics.of(TIER_CHANGES)
    for number in range(accounts):
        template = templates[number % len(templates)]
        producer.produce(snapshots, _snapshot(template, number), _id(number))
        if template.change is not None:
            producer.produce(changes, template.change.replace(template.account_id, _id(number)), _id(number))
        if number % _POLLED_EVERY == 0:
            producer.poll(0)
            while len(producer) > _QUEUE_RECORDS // 2:
                producer.poll(0.05)
    if producer.flush(600):
        raise RuntimeError("the snapshots were not published")


async def _changes(settings: Settings, templates: Sequence[Template], accounts: int) -> None:
    """Publish newer snapshots at a steady rate, until cancelled."""
    producer, chance, published = _producer(settings), random.Random(_SEED), 0
    started = time.monotonic()
    while True:
        while published < (time.monotonic() - started) * SNAPSHOTS_PER_SECOND:
            published += 1
            number = chance.randrange(accounts)
            body = msgspec.json.decode(_snapshot(templates[number % len(templates)], number))
            body["revision"] += published
            body["score"] = round(chance.uniform(0, 100), 2)
            producer.produce(settings.topics.of(SNAPSHOTS), msgspec.json.encode(body), _id(number))
        producer.poll(0)
        await asyncio.sleep(0.05)


def _producer(settings: Settings) -> Producer:
    return Producer(
        {
            "bootstrap.servers": settings.bootstrap_servers,
            "partitioner": "murmur2_random",
            "compression.type": "lz4",
            "linger.ms": 20,
            "queue.buffering.max.messages": _QUEUE_RECORDS * 2,
            "queue.buffering.max.kbytes": 1_048_576,
        }
    )


def _variables(stand: Stand, server: RedisServer, prefix: str) -> dict[str, str]:
    return {
        "ACCOUNT_HEALTH_BOOTSTRAP_SERVERS": stand.bootstrap_servers,
        "ACCOUNT_HEALTH_TOPIC_PREFIX": prefix,
        "ACCOUNT_HEALTH_APPLICATION_ID": "view",
        "ACCOUNT_HEALTH_REDIS_URL": server.url,
        "ACCOUNT_HEALTH_API_PORT": "0",
        "ACCOUNT_HEALTH_API_REQUESTS_PER_SECOND": "10000",
    }


def _lag(view: WorkerProcess) -> float:
    """Count the records that wait."""
    return sum(value for (name, _), value in view.metrics().items() if name == "account_health_view_lag_records")


def _port(serve: WorkerProcess) -> int | None:
    _, found, rest = serve.log.partition("the API on port ")
    return int(rest.split()[0]) if found else None
