"""How long the console's list of 100,000 accounts takes at the server: opened, turned, ordered, filtered and searched.

A browser asks one thing after another, while snapshots go on changing. What is opened counts from the request until
the last byte of the page is there, what is asked over an open page from the frame that asks on its WebSocket to the
one that brings the accounts: without what the browser does before and after.
"""

import asyncio
import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from statistics import quantiles
from threading import Thread
from typing import Any, Final

from playwright.sync_api import WebSocket

from benchmarks.copies import BUILD_SECONDS_MAX, SNAPSHOTS_PER_SECOND, Copies, served, variables_of
from benchmarks.stand import Stand
from models.outputs import ChurnLevel, Lifecycle, Tier
from stream.console.gate import PREFIX
from tests.support.browser import Tab, browser, find_chromium
from tests.support.redis import RedisServer
from tests.support.worker import run_command

ACCOUNTS: Final = 100_000
REQUESTS: Final = 300
_KINDS: Final = ("open", "next", "sort", "filter", "search")
_SORTS: Final = ("Score", "Risk", "At stake", "Revenue, 365 days", "Account")
_FILTERS: Final = {"Tier": len(Tier), "Risk": len(ChurnLevel), "Lifecycle": len(Lifecycle), "Owner": 50}
"""Filters by what they are called on the page, and how many values each has."""
_TIMEOUT_MS: Final = 30_000
_SEED: Final = 7

_CLICK_SORT: Final = (
    "(name) => [...document.querySelectorAll('th button')].find((b) => b.innerText.startsWith(name)).click()"
)
_CLICK_NEXT: Final = "() => [...document.querySelectorAll('nav.pages button')].at(-1).click()"
_TICK: Final = """async ([name, at]) => {
    const pick = [...document.querySelectorAll('.pick button')].find((b) => b.innerText.startsWith(name));
    pick.click();
    await new Promise(requestAnimationFrame);
    const boxes = pick.parentElement.querySelectorAll('input[type=checkbox]');
    boxes[at % boxes.length].click();
}"""
_TYPE: Final = """(text) => {
    const field = document.querySelector('.search input');
    field.value = text;
    field.dispatchEvent(new Event('input'));
}"""


def scenario(stand: Stand, scale: float, rate: int) -> dict[str, Any]:
    """Measure, with a view that is up to date."""
    del rate
    program = find_chromium()
    if program is None:
        raise RuntimeError("no browser: apt-get install chromium")
    prefix = "console."
    copies = Copies.make(stand, prefix, max(1000, round(ACCOUNTS * scale)))
    with RedisServer(stand.folder / "console") as server:
        variables = variables_of(stand, server, prefix)
        run_command(variables, "view", "--once", timeout_s=BUILD_SECONDS_MAX)
        with served(stand, variables) as serving, browser(program) as launched, _beside(copies):
            tab = Tab(launched, f"http://127.0.0.1:{serving.port}")
            seconds = _asked(tab, copies, max(2, round(REQUESTS * scale) // len(_KINDS)))
            if tab.complaints:
                raise RuntimeError(f"the console complains: {tab.complaints[0]}")
            tab.close()
    return {
        "accounts": copies.accounts,
        "snapshots_per_second": SNAPSHOTS_PER_SECOND,
        "requests": sum(map(len, seconds.values())),
        **_summary([one for several in seconds.values() for one in several]),
        "by_kind": {kind: _summary(several) for kind, several in seconds.items()},
    }


def _asked(tab: Tab, copies: Copies, rounds: int) -> dict[str, list[float]]:
    """Ask for each kind of thing in turn, and give how long each took."""
    page, chance = tab.page, random.Random(_SEED)
    socket: list[WebSocket] = []
    page.on("websocket", lambda opened: socket.append(opened))  # noqa: PLW0108  # Playwright marks what it is given
    seconds: dict[str, list[float]] = {kind: [] for kind in _KINDS}
    for number in range(rounds):
        socket.clear()
        tier, sort = chance.choice(list(Tier)), chance.choice(("revenue", "score", "risk"))
        seconds["open"].append(_opened(tab, f"{PREFIX}/accounts?sort={sort}" + (f"&tier={tier}" if number % 2 else "")))
        filter_name = chance.choice(list(_FILTERS))
        acts: dict[str, tuple[str, Any]] = {
            "next": (_CLICK_NEXT, None),
            "sort": (_CLICK_SORT, chance.choice(_SORTS)),
            "filter": (_TICK, [filter_name, chance.randrange(_FILTERS[filter_name])]),
            "search": (_TYPE, chance.choice(copies.beginnings)),
        }
        for kind, (script, argument) in acts.items():
            seconds[kind].append(_answered(socket[-1], partial(page.evaluate, script, argument)))
    return seconds


def _opened(tab: Tab, path: str) -> float:
    with tab.page.expect_response(lambda one: one.url.endswith(path)) as found:
        tab.visit(path)
    timing = found.value.request.timing
    return (timing["responseEnd"] - timing["requestStart"]) / 1000


def _answered(socket: WebSocket, act: Callable[[], object]) -> float:
    """Do something on the page, and give how long it took until accounts came for it."""
    asked: list[float] = []

    def note(frame: str | bytes) -> None:
        if _says(frame, '"event"'):
            asked.append(time.monotonic())

    socket.on("framesent", note)
    with socket.expect_event(
        "framereceived", lambda frame: bool(asked) and _says(frame, '"rows"'), timeout=_TIMEOUT_MS
    ):
        act()
    ended = time.monotonic()
    socket.remove_listener("framesent", note)
    return ended - asked[0]


def _says(frame: str | bytes, text: str) -> bool:
    return text in frame if isinstance(frame, str) else text.encode() in frame


def _summary(seconds: list[float]) -> dict[str, float]:
    cuts = quantiles(seconds, n=20)
    return {
        "p50_ms": round(cuts[9] * 1000),
        "p95_ms": round(cuts[18] * 1000),
        "max_ms": round(max(seconds) * 1000),
    }


@contextmanager
def _beside(copies: Copies) -> Iterator[None]:
    """Let snapshots change all the while."""
    loop = asyncio.new_event_loop()
    task = loop.create_task(copies.change())

    def run() -> None:
        try:
            loop.run_until_complete(task)
        except asyncio.CancelledError:
            loop.close()

    thread = Thread(target=run, daemon=True)
    thread.start()
    yield
    loop.call_soon_threadsafe(task.cancel)
    thread.join()
