"""From an order being given to a producer until the page of its account, open in a browser, shows another text.

The browser, what serves it, the view, Redis, the worker and the broker share the machine. Orders come at random
moments, so that none of them keeps step with what looks for changes. The portfolio is not counted anew: nothing but
the order changes the page.
"""

import random
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from itertools import count
from statistics import quantiles
from typing import Any, Final

import msgspec
from confluent_kafka import Producer
from playwright.sync_api import Page

from benchmarks.stand import Stand
from models.events import InputTopic
from stream.settings import Settings
from tests.browser.stage import Company, Stage, open_stage
from tests.support.browser import Tab, browser, find_chromium
from tests.support.redis import RedisServer

ORDERS: Final = 100
BESIDE_PER_SECOND: Final = 100
_ORDERS_A_PAGE: Final = 10
_COMPANY: Final = Company(accounts=300, days=400, seed=7)
_PAUSE_SECONDS: Final = (1.1, 2.1)
"""Least and most between two orders. An account has one snapshot a second at most."""
_SEED: Final = 7

_TEXT: Final = """() => {
    const main = document.querySelector('main').cloneNode(true);
    main.querySelectorAll('.stamp').forEach((one) => one.remove());
    return main.textContent;
}"""
_CHANGED: Final = f"(before) => ({_TEXT})() !== before"


def scenario(stand: Stand, scale: float, rate: int) -> dict[str, Any]:
    """Measure on a quiet system, and beside orders of other accounts."""
    del rate
    program = find_chromium()
    if program is None:
        raise RuntimeError("no browser: apt-get install chromium")
    orders = max(_ORDERS_A_PAGE, round(ORDERS * scale))
    with (
        RedisServer(stand.folder / "redis") as redis,
        open_stage(stand.broker, redis, stand.folder / "stage", company=_COMPANY) as stage,
        browser(program) as launched,
    ):
        ordering = _Orders(stage.settings)
        tab = Tab(launched, stage.home)
        found: dict[str, Any] = {"orders": orders, "quiet": _measure(tab, stage, ordering, orders)}
        with _beside(stage.settings):
            found["beside"] = {"per_second": BESIDE_PER_SECOND, **_measure(tab, stage, ordering, orders)}
        tab.close()
        ordering.close()
    return found


class _Orders:
    """Orders of accounts, one at a time, as soon as it can."""

    def __init__(self, settings: Settings) -> None:
        self._topic = settings.topics.of_input(InputTopic.ORDERS)
        self._numbers = count()
        self._producer = Producer(
            {"bootstrap.servers": settings.bootstrap_servers, "partitioner": "murmur2_random", "linger.ms": 0}
        )

    def send(self, account_id: str) -> None:
        """Give an order to the producer."""
        number = next(self._numbers)
        event = {
            "type": "order.completed",
            "event_id": f"page-{account_id}-{number}",
            "order_id": f"page-{account_id}-{number}",
            "account_id": account_id,
            "occurred_at": datetime.now(UTC),
            "amount": f"{1000 + number}.00",
            "currency": "EUR",
        }
        self._producer.produce(self._topic, msgspec.json.encode(event), account_id)
        self._producer.poll(0)

    def close(self) -> None:
        """End the client."""
        self._producer.flush()
        self._producer.close()


def _measure(tab: Tab, stage: Stage, orders: _Orders, times: int) -> dict[str, float]:
    chance = random.Random(_SEED)
    seconds = [one for number in range(times // _ORDERS_A_PAGE) for one in _watched(tab, stage, orders, chance, number)]
    cuts = quantiles(seconds, n=20)
    return {
        "p50_ms": round(cuts[9] * 1000),
        "p95_ms": round(cuts[18] * 1000),
        "max_ms": round(max(seconds) * 1000),
    }


def _watched(tab: Tab, stage: Stage, orders: _Orders, chance: random.Random, number: int) -> Iterator[float]:
    """Open an account's page, and yield how long each of a few orders took to be seen on it."""
    account_id = f"ACC-{number + 1:06d}"
    tab.visit(stage.path_of("account", account_id))
    for _ in range(_ORDERS_A_PAGE):
        tab.page.wait_for_timeout(chance.uniform(*_PAUSE_SECONDS) * 1000)
        yield _seen(tab.page, orders, account_id)


def _seen(page: Page, orders: _Orders, account_id: str) -> float:
    before = page.evaluate(_TEXT)
    started = time.monotonic()
    orders.send(account_id)
    page.wait_for_function(_CHANGED, arg=before, polling="raf")
    return time.monotonic() - started


@contextmanager
def _beside(settings: Settings) -> Iterator[None]:
    """Let accounts that nobody looks at order all the while."""
    orders, ended, chance = _Orders(settings), threading.Event(), random.Random(_SEED)

    def send() -> None:
        while not ended.wait(1 / BESIDE_PER_SECOND):
            orders.send(f"ACC-{chance.randrange(ORDERS, _COMPANY.accounts):06d}")

    thread = threading.Thread(target=send, daemon=True)
    thread.start()
    yield
    ended.set()
    thread.join()
    orders.close()
