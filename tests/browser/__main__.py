"""`python -m tests.browser` takes the pictures of the console that the documents show, of a simulated company.

An account's page is that of the key account with most at stake. The company is the same each time; only its history
ends on another day.
"""

import argparse
import tempfile
from pathlib import Path
from typing import Final, NamedTuple

from playwright.sync_api import Browser

from tests.browser.stage import Company, Stage, open_stage
from tests.support.broker import KafkaBroker
from tests.support.browser import DESK, Scheme, Tab, browser, find_chromium
from tests.support.redis import RedisServer

_FOLDER: Final = Path(__file__).resolve().parents[2] / "docs" / "images"
_COMPANY: Final = Company(accounts=300, days=730, seed=1)
_WEEKS: Final = 26
"""As many as the page of an account looks back upon."""
_SCALE: Final = 1.5


class Picture(NamedTuple):
    """One picture, and the page that it is of."""

    file: str
    page: str
    scheme: Scheme = "light"


PICTURES: Final = (
    Picture("console-today.png", "today"),
    Picture("console-account.png", "account"),
    Picture("console-portfolio.png", "portfolio", "dark"),
)


def main() -> None:
    """Take them all, or those that are named."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("files", nargs="*", help="names of pictures; all by default")
    wanted = parser.parse_args().files
    program = find_chromium()
    if program is None:
        parser.error("no browser: apt-get install chromium")
    with (
        tempfile.TemporaryDirectory() as name,
        KafkaBroker(Path(name, "kafka")) as kafka,
        RedisServer(Path(name, "redis")) as redis,
        open_stage(kafka, redis, Path(name, "stage"), company=_COMPANY, weeks=_WEEKS) as stage,
        browser(program) as launched,
    ):
        for picture in PICTURES:
            if not wanted or picture.file in wanted:
                _take(launched, stage, picture)


def _take(launched: Browser, stage: Stage, picture: Picture) -> None:
    tab = Tab(launched, stage.home, device_scale_factor=_SCALE)
    tab.dress(picture.scheme, DESK)
    tab.visit(stage.path_of(picture.page, stage.most_at_stake()))
    tab.page.screenshot(path=_FOLDER / picture.file, animations="disabled")
    tab.close()


if __name__ == "__main__":
    main()
