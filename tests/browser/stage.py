"""A whole system with something to see: a broker, a worker, the view and what serves, over a simulated company."""

import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final, NamedTuple
from urllib.parse import quote

import httpx

from models.events import InputTopic
from stream.console import pages
from stream.console.frame import PAGES
from stream.console.gate import PREFIX
from stream.portfolio.files import CUT_POINTS_FILE
from stream.simulation import Simulation, SimulationSpec
from tests.support.broker import KafkaBroker
from tests.support.deployment import Deployment
from tests.support.polling import eventually
from tests.support.redis import RedisServer
from tests.support.sending import send
from tests.support.worker import WorkerProcess, run_command

READ_KEY: Final = "r" * 40
ADMIN_KEY: Final = "a" * 40
_CURRENCY: Final = "EUR"
_WEEK_MS: Final = 7 * 86_400_000
SHOWN: Final = "ACC-000007"
"""An account that has something to show."""
_PORT: Final = re.compile(r"the API on port (\d+)")

assert pages.__all__, "importing the pages puts them on their list"


class Company(NamedTuple):
    """A simulated company, with a history up to yesterday."""

    accounts: int
    days: int
    seed: int

    def write(self, folder: Path, weeks: int) -> list[Path]:
        """Write its events to files, in order of time: one for each of the last weeks, one for all before."""
        until = (datetime.now(UTC) - timedelta(days=1)).date()
        spec = SimulationSpec(until=until, accounts=self.accounts, days=self.days, currency=_CURRENCY)
        last_ms = max(one.produced_ms for one in Simulation(spec, self.seed).history())
        parts: list[list[bytes]] = [[] for _ in range(weeks + 1)]
        for one in Simulation(spec, self.seed).history():
            parts[max(0, weeks - (last_ms - one.produced_ms) // _WEEK_MS)].append(one.value)
        folder.mkdir(parents=True)
        paths = [folder / f"{number:02}.jsonl" for number in range(len(parts))]
        for path, values in zip(paths, parts, strict=True):
            path.write_bytes(b"".join(value + b"\n" for value in values))
        return paths


COMPANY: Final = Company(accounts=40, days=400, seed=7)
"""Large enough for every tier, and for names and owners of every kind."""


class Stage:
    """The system as the pages show it.

    Args:
        deployment: its topics and settings; its processes are started.
        open_house: what serves this machine without keys, as in the demo.
        locked_house: what serves whoever has a key.
    """

    def __init__(self, deployment: Deployment, open_house: WorkerProcess, locked_house: WorkerProcess) -> None:
        self.settings: Final = deployment.settings
        self.home: Final = _address(open_house)
        """Address of what serves without keys."""
        self.locked: Final = _address(locked_house)
        """Address of what asks for one."""
        self._events = 0

    def ask(self, path: str) -> dict[str, Any]:
        """Ask the API; nothing while it has no answer."""
        answer = httpx.get(f"{self.home}/api/v1/{path}", trust_env=False, timeout=30)
        return answer.json() if answer.is_success else {}

    def least(self, *tiers: str) -> dict[str, Any]:
        """Give the account with the least revenue of some tiers."""
        asked = "&".join(f"tier={one}" for one in tiers)
        found: dict[str, Any] = self.ask(f"accounts?{asked}&sort=revenue&descending=false&limit=1")["items"][0]
        return found

    def most_at_stake(self) -> str:
        """Name the key account with most to lose."""
        return str(self.ask("accounts?tier=key&sort=value_at_stake&limit=1")["items"][0]["account_id"])

    def wait_seen(self, account_id: str) -> None:
        """Wait until an account can be seen."""
        eventually(lambda: self.ask(f"accounts/{account_id}"), f"{account_id} can be seen")

    def path_of(self, page: str, account_id: str = SHOWN) -> str:
        """Give the full path of a page, by its name, and of whose it is where it is an account's."""
        path = next(one.path for one in PAGES if one.name == page)
        return PREFIX + path.replace("{account_id:path}", quote(account_id, safe=""))

    def send(self, topic: InputTopic, kind: str, account_id: str, **fields: Any) -> None:
        """Let something happen to an account now."""
        self._events += 1
        event = {"type": kind, "event_id": f"stage-{self._events}", "account_id": account_id}
        send(self.settings, topic, {**event, "occurred_at": datetime.now(UTC).isoformat(), **fields})

    def order(self, account_id: str, amount: str) -> None:
        """Let an account order now."""
        self.send(
            InputTopic.ORDERS,
            "order.completed",
            account_id,
            order_id=f"stage-{self._events}",
            amount=amount,
            currency=_CURRENCY,
        )


@contextmanager
def open_stage(
    kafka: KafkaBroker,
    redis: RedisServer,
    folder: Path,
    *,
    company: Company = COMPANY,
    weeks: int = 0,
) -> Iterator[Stage]:
    """Build it, with a company whose history ended yesterday; it is up when all of that can be seen.

    Accounts are compared as at the end of a replay: a worker that is given a history at once counts the portfolio a few
    times only, and what it grades by then depends on how fast the machine is.

    Args:
        kafka: a broker.
        redis: a server, which may hold other views.
        folder: for logs and events.
        company: that is simulated.
        weeks: how many of the last weeks come one after the other, so that all of them can be looked back upon.
    """
    files = company.write(folder / "history", weeks)
    run_command({}, "replay", *map(str, files), "--out", str(folder / "replay"))
    with ExitStack() as stack:
        deployment = stack.enter_context(
            Deployment(
                kafka.bootstrap_servers,
                folder,
                reporting_currency=_CURRENCY,
                cut_points_file=str(folder / "replay" / CUT_POINTS_FILE),
                census_interval_seconds="0",
                redis_url=redis.url,
                # a machine that is busy for a moment is no Redis that does not answer
                redis_timeout_ms="20000",
                api_port="0",
            )
        )
        deployment.create_topics()
        # All at once: each of them takes seconds to start, and none needs another for that.
        worker = deployment.worker().start()
        deployment.process("view", "view").start()
        open_house = deployment.process("open-house", "serve").start()
        locked_house = deployment.process(
            "locked-house", "serve", api_read_keys=f"reader:{READ_KEY}", api_admin_keys=f"editor:{ADMIN_KEY}"
        ).start()
        for file in files:
            deployment.produce(file, "--end-of-input")
            deployment.wait_settled(worker)
        made = Stage(deployment, open_house, locked_house)
        eventually(lambda: made.ask("status").get("accounts") == company.accounts, "all can be seen")
        yield made


def _address(serve: WorkerProcess) -> str:
    def port() -> str | None:
        assert serve.running, serve.log_tail
        found = _PORT.search(serve.log)
        return None if found is None else found[1]

    return f"http://127.0.0.1:{eventually(port, 'it listens')}"
