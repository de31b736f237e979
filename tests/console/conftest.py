"""What the tests of the console share: the process that serves it, over a filled view, with keys and without."""

import itertools
from collections.abc import Iterator

import pytest

from tests.serving.conftest import ADMIN_KEY, READ_KEY, Api, serving
from tests.support.portfolio import accounts, fill
from tests.support.redis import RedisServer

_numbers = itertools.count()


@pytest.fixture(scope="session")
def console_view(shared_redis: RedisServer) -> str:
    """An application with a view of 200 accounts, some of which have scripts for names, and 90 changes."""
    name = f"console-{next(_numbers)}"
    fill(shared_redis, name, accounts(200), changes=90)
    return name


@pytest.fixture(scope="session")
def open_console(
    shared_redis: RedisServer, console_view: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Api]:
    """The console without keys, for this machine."""
    with serving(shared_redis, console_view, tmp_path_factory.mktemp("open"), {}) as made:
        yield made


@pytest.fixture(scope="session")
def locked_console(
    shared_redis: RedisServer, console_view: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Api]:
    """The console with a key that may read and one that may change, and room for few pages."""
    changed = {
        "api_read_keys": f"crm:{READ_KEY}",
        "api_admin_keys": f"boss:{ADMIN_KEY}",
        "console_pages": "12",
        "log_level": "debug",
    }
    with serving(shared_redis, console_view, tmp_path_factory.mktemp("locked"), changed) as made:
        yield made
