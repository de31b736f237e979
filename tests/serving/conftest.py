"""What the tests of the read side share: a filled view, and the API over it."""

import itertools
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final

import httpx
import pytest

from tests.support.polling import eventually
from tests.support.portfolio import accounts, fill
from tests.support.redis import RedisServer
from tests.support.worker import WorkerProcess

READ_KEY: Final = "r" * 40
ADMIN_KEY: Final = "a" * 40
KEYS: Final = {"api_read_keys": f"crm:{READ_KEY}", "api_admin_keys": f"boss:{ADMIN_KEY}"}
_PORT: Final = re.compile(r"the API on port (\d+)")
_numbers = itertools.count()


class Api:
    """The API as a process of its own."""

    def __init__(self, process: WorkerProcess) -> None:
        self.process: Final = process
        self.port: Final = eventually(self._find_port, "the API listens")
        self.url: Final = f"http://127.0.0.1:{self.port}"

    def client(self, key: str | None = None, **headers: str) -> httpx.Client:
        """Make a client, with a key or without."""
        said = {"Authorization": f"Bearer {key}"} if key is not None else {}
        return httpx.Client(base_url=f"{self.url}/api/v1", headers={**said, **headers}, timeout=30, trust_env=False)

    def _find_port(self) -> int | None:
        assert self.process.running, self.process.log_tail
        match = _PORT.search(self.process.log)
        return None if match is None else int(match[1])


Serve = Callable[..., Api]
"""Starts one; arguments are settings."""


@pytest.fixture(scope="session")
def application_id(shared_redis: RedisServer) -> str:
    """An application with a view of 400 accounts and 90 changes."""
    name = f"serving-{next(_numbers)}"
    fill(shared_redis, name, accounts(400), changes=90)
    return name


@pytest.fixture
def serve(shared_redis: RedisServer, application_id: str, tmp_path: Path) -> Iterator[Serve]:
    """Start the API over the view."""
    with ExitStack() as stack:
        yield lambda **changed: stack.enter_context(serving(shared_redis, application_id, tmp_path, changed))


@pytest.fixture(scope="module")
def api(shared_redis: RedisServer, application_id: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    """The API over the view, without keys."""
    with serving(shared_redis, application_id, tmp_path_factory.mktemp("api"), {}) as made:
        yield made


@pytest.fixture(scope="session")
def locked(shared_redis: RedisServer, application_id: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    """The API with keys, on every address of this machine."""
    changed = {**KEYS, "api_host": "0.0.0.0", "log_level": "debug"}
    with serving(shared_redis, application_id, tmp_path_factory.mktemp("locked"), changed) as made:
        yield made


@contextmanager
def serving(server: RedisServer, application_id: str, folder: Path, changed: Mapping[str, str]) -> Iterator[Api]:
    """Run the API over a view, with some settings changed."""
    variables = {
        "redis_url": server.url,
        "application_id": application_id,
        "api_port": "0",
        "api_requests_per_second": "10000",
        # a machine that is busy for a moment is no Redis that does not answer
        "redis_timeout_ms": "20000",
        **changed,
    }
    process = WorkerProcess(
        {f"ACCOUNT_HEALTH_{name.upper()}": value for name, value in variables.items()},
        folder,
        f"serve-{next(_numbers)}",
        "serve",
    )
    try:
        yield Api(process.start())
    finally:
        process.kill()
        print(f"--- serve ---\n{process.log_tail}")  # noqa: T201  # shown when the test has failed
