"""What the worker says of itself on /metrics, as the demo shows it."""

import http.client
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from prometheus_client.parser import text_string_to_metric_families

from stream.telemetry import PREFIX
from stream.topics import CHURN_RISK, DEAD_LETTERS, SNAPSHOTS, TIER_CHANGES

_TIMEOUT_S: Final = 5.0
_MS_PER_SECOND: Final = 1000
_METRIC_OF_OUTPUT: Final = {
    TIER_CHANGES.suffix: "tier_changes_total",
    CHURN_RISK.suffix: "churn_events_total",
    SNAPSHOTS.suffix: "snapshots_total",
    DEAD_LETTERS.suffix: "dead_letters_total",
}


@dataclass(frozen=True, slots=True)
class Figures:
    """One look at /metrics, all partitions and inputs together."""

    events: int = 0
    """Records that were processed and committed, refused ones included."""
    lag_records: int = 0
    waiting: int = 0
    """Accounts whose due day has come, or whose snapshot is not published yet."""
    clock_ms: int | None = None
    """The clock of the partition that is furthest behind; None before each has one."""
    counted_ms: int = 0
    """Beginning of the day that the portfolio was last counted on; 0 before the first."""
    tiers: Mapping[str, int] = field(default_factory=dict)
    """Accounts by tier."""
    levels: Mapping[str, int] = field(default_factory=dict)
    """Accounts by churn level."""
    refusals: Mapping[str, int] = field(default_factory=dict)
    """Dead letters by reason; only the reasons that occurred."""
    published: Mapping[str, int] = field(default_factory=dict)
    """Records of each output, by the suffix of its topic's name."""
    latency_seconds: float = 0.0
    """From sending to commit, summed over all events."""


def parse(text: str) -> Figures:
    """Read an exposition."""
    totals: dict[str, float] = defaultdict(float)
    by_label: dict[str, dict[str, int]] = {"tier_accounts": {}, "churn_accounts": {}, "dead_letters_total": {}}
    labels = {"tier_accounts": "tier", "churn_accounts": "level", "dead_letters_total": "reason"}
    clocks: list[float] = []
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            name = sample.name.removeprefix(PREFIX)
            totals[name] += sample.value
            if name == "clock_timestamp_seconds":
                clocks.append(sample.value)
            elif name in labels:
                found, value = by_label[name], sample.labels[labels[name]]
                found[value] = found.get(value, 0) + int(sample.value)
    known = bool(clocks) and len(clocks) == totals["assigned_partitions"]
    return Figures(
        events=int(totals["events_total"]),
        lag_records=int(totals["lag_records"]),
        waiting=int(totals["due_accounts"] + totals["snapshots_pending"]),
        clock_ms=round(min(clocks) * _MS_PER_SECOND) if known else None,
        counted_ms=round(totals["portfolio_as_of_timestamp_seconds"] * _MS_PER_SECOND),
        tiers=by_label["tier_accounts"],
        levels=by_label["churn_accounts"],
        refusals={reason: count for reason, count in by_label["dead_letters_total"].items() if count},
        published={suffix: int(totals[metric]) for suffix, metric in _METRIC_OF_OUTPUT.items()},
        latency_seconds=totals["end_to_end_seconds_sum"],
    )


def ask(port: int) -> Figures | None:
    """Ask the worker on this machine; None while it does not answer."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=_TIMEOUT_S)
    try:
        connection.request("GET", "/metrics")
        answer = connection.getresponse()
        body = answer.read()
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()
    return parse(body.decode()) if answer.status == http.client.OK else None
