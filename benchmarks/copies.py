"""Any number of accounts in a view: what a replay published of a simulated company, under other ids and owners."""

import asyncio
import random
import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final, NamedTuple, Self

import msgspec
from confluent_kafka import Producer

from benchmarks.broker import PARTITIONS
from benchmarks.stand import Stand
from stream.settings import Settings
from stream.topics import SNAPSHOTS, TIER_CHANGES
from tests.support.polling import eventually
from tests.support.redis import RedisServer
from tests.support.worker import WorkerProcess, run_command

SNAPSHOTS_PER_SECOND: Final = 100
"""That change while the view is asked."""
BUILD_SECONDS_MAX: Final = 3600.0
_TEMPLATE_ACCOUNTS: Final = 1000
_ACCOUNTS_AN_OWNER: Final = 200
_QUEUE_RECORDS: Final = 100_000
_POLLED_EVERY: Final = 2000
_SEED: Final = 7


class Template(NamedTuple):
    """What a replay published of one account."""

    account_id: bytes
    owner: bytes
    snapshot: bytes
    change: bytes | None


class Copies:
    """Accounts by number, from 0.

    Args:
        templates: that they are copies of, in turn.
        accounts: how many.
        settings: whose topics they are published to.
    """

    def __init__(self, templates: Sequence[Template], accounts: int, settings: Settings) -> None:
        self.accounts: Final = accounts
        self.owners: Final = max(1, accounts // _ACCOUNTS_AN_OWNER)
        self.beginnings: Final = [msgspec.json.decode(one.snapshot)["name"].split()[0][:4] for one in templates]
        """First letters of names."""
        self._templates = templates
        self._snapshots = settings.topics.of(SNAPSHOTS)
        self._changes = settings.topics.of(TIER_CHANGES)
        self._bootstrap_servers = settings.bootstrap_servers

    @classmethod
    def make(cls, stand: Stand, prefix: str, accounts: int) -> Self:
        """Let a company live, and make topics of the copies of its accounts."""
        stand.make_our_topics(prefix, PARTITIONS)
        made = cls(_templates(stand.folder), accounts, stand.settings(prefix, "copies"))
        made._publish()
        return made

    @property
    def changed(self) -> int:
        """How many of them have changed their tier."""
        return sum(self._template(number).change is not None for number in range(self.accounts))

    def account_id(self, number: int) -> str:
        """Give the id of an account."""
        return _id(number).decode()

    def owner(self, number: int) -> str:
        """Give the name of an account's owner."""
        return f"Owner {number % self.owners}"

    async def change(self) -> None:
        """Publish newer snapshots at a steady rate, until cancelled."""
        producer, chance, published = self._producer(), random.Random(_SEED), 0
        started = time.monotonic()
        while True:
            while published < (time.monotonic() - started) * SNAPSHOTS_PER_SECOND:
                published += 1
                number = chance.randrange(self.accounts)
                body = msgspec.json.decode(self._snapshot(number))
                body["revision"] += published
                body["score"] = round(chance.uniform(0, 100), 2)
                producer.produce(self._snapshots, msgspec.json.encode(body), _id(number))
            producer.poll(0)
            await asyncio.sleep(0.05)

    def _publish(self) -> None:
        producer = self._producer()
        for number in range(self.accounts):
            producer.produce(self._snapshots, self._snapshot(number), _id(number))
            template = self._template(number)
            if template.change is not None:
                producer.produce(self._changes, template.change.replace(template.account_id, _id(number)), _id(number))
            if number % _POLLED_EVERY == 0:
                producer.poll(0)
                while len(producer) > _QUEUE_RECORDS // 2:
                    producer.poll(0.05)
        if producer.flush(600):
            raise RuntimeError("the snapshots were not published")

    def _template(self, number: int) -> Template:
        return self._templates[number % len(self._templates)]

    def _snapshot(self, number: int) -> bytes:
        template = self._template(number)
        said = template.snapshot.replace(template.account_id, _id(number))
        return said.replace(b'"owner":"%s"' % template.owner, b'"owner":"%s"' % self.owner(number).encode())

    def _producer(self) -> Producer:
        return Producer(
            {
                "bootstrap.servers": self._bootstrap_servers,
                "partitioner": "murmur2_random",
                "compression.type": "lz4",
                "linger.ms": 20,
                "queue.buffering.max.messages": _QUEUE_RECORDS * 2,
                "queue.buffering.max.kbytes": 1_048_576,
            }
        )


class Served(NamedTuple):
    """The view, and what answers from it."""

    view: WorkerProcess
    serve: WorkerProcess
    port: int

    def lag(self) -> float:
        """Count the records that the view has not taken in."""
        return sum(
            value for (name, _), value in self.view.metrics().items() if name == "account_health_view_lag_records"
        )

    def cpu_seconds(self) -> float:
        """Give the time that the process that answers has computed."""
        return self.serve.metrics()["process_cpu_seconds_total", frozenset()]


@contextmanager
def served(stand: Stand, variables: dict[str, str]) -> Iterator[Served]:
    """Serve a view that is built, once it is up to date: it is measured as it is in everyday use."""
    view = WorkerProcess(variables, stand.folder, "view", "view").start().wait_ready(BUILD_SECONDS_MAX)
    serve = WorkerProcess(variables, stand.folder, "serve", "serve").start().wait_ready()
    try:
        made = Served(view, serve, eventually(lambda: _port(serve), "the API listens"))
        eventually(lambda: made.lag() == 0, "the view is up to date", timeout_s=BUILD_SECONDS_MAX, interval_s=1)
        yield made
    finally:
        view.kill()
        serve.kill()


def variables_of(stand: Stand, server: RedisServer, prefix: str) -> dict[str, str]:
    """Give the settings of a view in a Redis, with no limit of requests that would be met."""
    return {
        "ACCOUNT_HEALTH_BOOTSTRAP_SERVERS": stand.bootstrap_servers,
        "ACCOUNT_HEALTH_TOPIC_PREFIX": prefix,
        "ACCOUNT_HEALTH_APPLICATION_ID": "view",
        "ACCOUNT_HEALTH_REDIS_URL": server.url,
        "ACCOUNT_HEALTH_API_PORT": "0",
        "ACCOUNT_HEALTH_API_REQUESTS_PER_SECOND": "10000",
    }


def _port(serve: WorkerProcess) -> int | None:
    _, found, rest = serve.log.partition("the API on port ")
    return int(rest.split()[0]) if found else None


def _id(number: int) -> bytes:
    return b"ACC-%08d" % number


def _templates(folder: Path) -> list[Template]:
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
