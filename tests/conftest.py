"""What every test can ask for: brokers, published data, reproducible randomness."""

import os
import random
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import hypothesis
import pytest
from xdist.scheduler import LoadScopeScheduling

from stream.embedded import EmbeddedBroker
from tests.support.broker import KafkaBroker, missing_tools
from tests.support.missing import missing
from tests.support.redis import RedisServer, require_redis_server

# `--hypothesis-profile thorough` looks harder. No deadline, and none for drawing examples: the machine may be busy.
hypothesis.settings.register_profile(
    "default",
    max_examples=50,
    deadline=None,
    print_blob=True,
    suppress_health_check=[hypothesis.HealthCheck.too_slow],
)
hypothesis.settings.register_profile("thorough", hypothesis.settings.get_profile("default"), max_examples=2000)
hypothesis.settings.load_profile("default")


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """Choose the seed here, before hypothesis reads the option, so that the header can show it."""
    # Who starts tests in the background leaves Ctrl-C ignored, and so would all programs that they start.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    if config.getoption("hypothesis_seed", None) is None:
        config.option.hypothesis_seed = str(random.SystemRandom().randrange(2**32))


_HERE: Final = Path(__file__).parent
_LONGEST: Final = ("chaos", "calibration", "browser", "monitoring", "delivery", "integration", "core")
"""Folders that take long begin first, so that no process is left alone with one at the end."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with what takes long."""
    ranks = {name: rank for rank, name in enumerate(_LONGEST)}
    items.sort(key=lambda item: ranks.get(item.path.parent.name, len(ranks)))


class _ByWhatIsShared(LoadScopeScheduling):  # type: ignore[misc]  # a library without types
    """Gives a process all tests of a file; of a folder, when that has fixtures of its own."""

    def _split_scope(self, nodeid: str) -> str:
        file = Path(nodeid.partition("::")[0])
        is_shared = file.parent.name != _HERE.name and (_HERE.parent / file.parent / "conftest.py").exists()
        return str(file.parent if is_shared else file)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> _ByWhatIsShared:
    """Deal tests to processes."""
    return _ByWhatIsShared(config, log)


def pytest_report_header(config: pytest.Config) -> list[str]:
    """Say what has to be repeated for the same run."""
    data = os.environ.get("ACCOUNT_HEALTH_DATA", "unset, tests on published data are skipped")
    return [
        f"repeat with: --hypothesis-seed={config.getoption('hypothesis_seed')}",
        f"ACCOUNT_HEALTH_DATA: {data}",
    ]


@pytest.fixture(scope="session")
def kafka_tools() -> None:
    """What a broker needs to run; whoever starts one of its own asks for this."""
    if tools := missing_tools():
        missing(f"no Kafka broker without {' and '.join(tools)}: apt-get install openjdk-17-jre-headless maven")


@pytest.fixture(scope="session")
def kafka(kafka_tools: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[KafkaBroker]:
    """A real broker, shared by the run: use topics, groups and transactional ids of your own."""
    del kafka_tools
    with KafkaBroker(tmp_path_factory.mktemp("kafka")) as broker:
        yield broker


@pytest.fixture(scope="session")
def shared_redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """A real Redis, shared by the run: use an application id of your own."""
    require_redis_server()
    with RedisServer(tmp_path_factory.mktemp("redis")) as server:
        yield server


@pytest.fixture
def own_redis(tmp_path: Path) -> Iterator[RedisServer]:
    """A real Redis of one test's own, to be killed."""
    require_redis_server()
    with RedisServer(tmp_path / "redis") as server:
        yield server


@pytest.fixture
def embedded_broker() -> Iterator[EmbeddedBroker]:
    """A fresh embedded broker: not for tests of a guarantee, see its docstring."""
    with EmbeddedBroker() as broker:
        yield broker


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """Folder of the published histories; a file that is missing in it fails the test."""
    configured = os.environ.get("ACCOUNT_HEALTH_DATA")
    if not configured:
        # The histories are others' and large: a newcomer has none. The gate names their folder.
        pytest.skip("ACCOUNT_HEALTH_DATA is unset: it names the folder of the published histories")
    folder = Path(configured)
    if not folder.is_dir():
        pytest.fail(f"ACCOUNT_HEALTH_DATA={configured} is no folder", pytrace=False)
    return folder
