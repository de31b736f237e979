"""How long a worker takes to be ready on a state of many accounts, and how much memory it then holds.

Each account has 20 order days. The changelog is written as workers write it: once an account, which is what compaction
leaves, and five times, which is what it finds before.
"""

import time
from typing import Any, Final

from benchmarks.broker import PARTITIONS
from benchmarks.changelog import ORDER_DAYS, Changelog, states, write
from benchmarks.stand import Stand
from benchmarks.throughput import rss_mib
from benchmarks.workers import Worker
from models.policy import Policy
from models.state import AccountState
from processors.context import Context

ACCOUNTS: Final = (100_000, 1_000_000)
RECORDS_AN_ACCOUNT: Final = (1, 5)
_DUE_IN_DAYS: Final = 7
_NOT_COMPACTED: Final = {"min.compaction.lag.ms": "86400000"}
_SETTLE_SECONDS: Final = 3.0


def scenario(stand: Stand, scale: float, rate: int) -> dict[str, Any]:
    """Restore each size from each kind of changelog."""
    del rate
    results: dict[str, Any] = {"order_days": ORDER_DAYS}
    policy = Policy(reporting_currency="EUR")
    templates = list(states(Context(policy), _DUE_IN_DAYS))
    for accounts in ACCOUNTS:
        for records in RECORDS_AN_ACCOUNT:
            count = round(accounts * scale)
            results[f"{accounts}_accounts_{records}_records"] = _restored(stand, policy, templates, count, records)
    return results


def _restored(
    stand: Stand, policy: Policy, templates: list[AccountState], accounts: int, records: int
) -> dict[str, Any]:
    prefix = f"restore-{accounts}-{records}."
    stand.make_our_topics(prefix, PARTITIONS, _NOT_COMPACTED)
    settings = stand.settings(prefix, "restore")
    written_bytes = write(settings, policy, Changelog(templates, accounts, records, time.time_ns() // 1_000_000))
    with Worker(stand.bootstrap_servers, prefix, f"restore-{accounts}-{records}") as worker:
        ready_seconds = worker.wait_until_ready()
        time.sleep(_SETTLE_SECONDS)
        found = worker.metric("state_accounts")
        if found != accounts:
            raise RuntimeError(f"{found:.0f} of {accounts} accounts were restored")
        memory_mib = rss_mib(worker.pid)
        packed_bytes = worker.metric("state_bytes")
    stand.topics.remove(name for name in stand.topics.names() if name.startswith(prefix))
    return {
        "seconds_from_start_to_ready": round(ready_seconds, 2),
        "records_per_second": round(accounts * records / ready_seconds),
        "rss_mib": round(memory_mib),
        "state_mib": round(packed_bytes / 2**20),
        "changelog_mib": round(written_bytes / 2**20),
    }
