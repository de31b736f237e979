"""What the tests of the console share: a browser, and a system that has something to show."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser

from tests.support.browser import browser, require_chromium


# Of this folder alone: as long as Playwright runs, no other test may run an event loop in this thread.
@pytest.fixture(scope="package")
def chromium() -> Iterator[Browser]:
    """A browser without a window."""
    with browser(require_chromium()) as launched:
        yield launched
