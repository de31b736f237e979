"""What becomes of our worker's speed with more partitions, and with ten times the accounts."""

import time
from typing import Any, Final

from benchmarks.broker import PARTITIONS
from benchmarks.contenders.account_health import Progress
from benchmarks.orders import Dataset, yesterday
from benchmarks.stand import Stand
from benchmarks.throughput import ACCOUNTS
from benchmarks.workers import Worker

PARTITION_COUNTS: Final = (4, 16, 32)
_ORDERS: Final = 300_000
_WARM_UP_SHARE: Final = 0.2
_LOOK_SECONDS: Final = 0.1
_COMMITTED: Final = 'result="committed"'


def commits(stand: Stand, scale: float, rate: int) -> dict[str, Any]:
    """Measure which share of the time commits take, with each number of partitions."""
    del rate
    accounts = max(1, round(ACCOUNTS * scale))
    return {
        f"{count}_partitions": _worked(stand, f"commits-{count}", count, accounts, round(_ORDERS * scale))
        for count in PARTITION_COUNTS
    }


def ten_times_accounts(stand: Stand, scale: float, rate: int) -> dict[str, Any]:
    """Measure the rate with ten times the accounts of the throughput table."""
    accounts = max(1, round(10 * ACCOUNTS * scale))
    result = _worked(stand, "ten-times", PARTITIONS, accounts, round(2 * _ORDERS * scale))
    return {"accounts": accounts, **result, "of_the_rate_with_a_tenth": round(result["events_per_second"] / rate, 2)}


def _worked(stand: Stand, name: str, partitions: int, accounts: int, orders: int) -> dict[str, Any]:
    prefix = f"{name}."
    stand.fill(prefix, Dataset(accounts, orders, yesterday()), partitions)
    stand.make_our_topics(prefix, partitions)
    progress = Progress(stand.bootstrap_servers, f"{prefix}orders", name)
    with Worker(stand.bootstrap_servers, prefix, name) as worker:
        worker.wait_until_ready()
        first = _until(worker, progress, round(orders * _WARM_UP_SHARE))
        started = time.monotonic()
        commits_before, seconds_before = _commits(worker)
        last = _until(worker, progress, orders)
        seconds = time.monotonic() - started
        commits_after, seconds_after = _commits(worker)
    stand.topics.remove(one for one in stand.topics.names() if one.startswith(prefix))
    count = commits_after - commits_before
    return {
        "events_per_second": round((last - first) / seconds),
        "seconds": round(seconds, 1),
        "commit_share": round((seconds_after - seconds_before) / seconds, 3),
        "commit_milliseconds": round((seconds_after - seconds_before) / count * 1000, 1) if count else None,
    }


def _commits(worker: Worker) -> tuple[float, float]:
    return (
        worker.metric("transaction_end_seconds_count", _COMMITTED),
        worker.metric("transaction_end_seconds_sum", _COMMITTED),
    )


def _until(worker: Worker, progress: Progress, orders: int) -> int:
    while (done := progress.committed()) < orders:
        worker.check()
        time.sleep(_LOOK_SECONDS)
    return done
