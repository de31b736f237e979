"""What the tests of the console share: a browser, and a system that has something to show."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser

from tests.browser.stage import Stage, open_stage
from tests.support.broker import KafkaBroker
from tests.support.browser import Tab, browser, require_chromium
from tests.support.redis import RedisServer


# As long as Playwright runs, no other test may run an event loop in this thread: the folder is a package, so that
# pytest ends this with its last test.
@pytest.fixture(scope="package")
def chromium() -> Iterator[Browser]:
    """A browser without a window."""
    with browser(require_chromium()) as launched:
        yield launched


@pytest.fixture(scope="package")
def stage(
    chromium: Browser, kafka: KafkaBroker, shared_redis: RedisServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Stage]:
    """A system over a simulated company, for all tests of this folder: each has accounts of its own to change."""
    del chromium  # asked for first: without a browser nothing is worth starting
    with open_stage(kafka, shared_redis, tmp_path_factory.mktemp("stage")) as opened:
        yield opened


@pytest.fixture
def tab(chromium: Browser, stage: Stage) -> Iterator[Tab]:
    """A fresh tab on what serves without keys."""
    made = Tab(chromium, stage.home)
    yield made
    made.close()


@pytest.fixture
def locked_tab(chromium: Browser, stage: Stage) -> Iterator[Tab]:
    """A fresh tab on what asks for a key."""
    made = Tab(chromium, stage.locked)
    yield made
    made.close()
