"""The results that a run leaves, and those that are committed."""

import json
from typing import Any, Final

import pytest

from benchmarks import results
from benchmarks.catalogue import ALL
from benchmarks.throughput import Measurement

DOCUMENTED: Final = (
    "plain_faust",
    "quix_streams",
    "kafka_streams_alo",
    "kafka_streams_eos",
    "hand_written_loop",
    "account_health",
    "transport_only",
    "count_only",
)


def _committed() -> dict[str, Any]:
    content: dict[str, Any] = json.loads(results.LATEST.read_text(encoding="utf-8"))
    return content


@pytest.mark.parametrize("name", DOCUMENTED)
def test_each_documented_contender_is_measured(name: str) -> None:
    """A reader of the file finds each rate under its name."""
    assert _committed()["events_per_second"][name] > 0


@pytest.mark.parametrize("key", ["date", "machine", "commit", "versions", "ratios", "runs", "attempts"])
def test_the_circumstances_are_told(key: str) -> None:
    """When, where, of what and with what."""
    assert _committed()[key]


def test_peers_did_the_same_work() -> None:
    """Runs on the same orders left the same checksums."""
    seen: dict[str, set[str]] = {}
    every = {one.name: one.every for one in ALL}
    for name, runs in _committed()["runs"].items():
        for run in runs:
            if run["checksums"] is not None:
                seen.setdefault(f"{every[name]}", set()).add(run["checksums"]["windows"])

    assert {orders: len(checksums) for orders, checksums in seen.items()} == dict.fromkeys(seen, 1)


def test_the_median_counts() -> None:
    """Of three runs the middle one, and ratios of those."""
    runs = [Measurement("account_health", rate, rate, 1.0, 1.0, 1.0, None) for rate in (100, 900, 300)]
    runs.append(Measurement("plain_faust", 100, 100, 1.0, 1.0, 1.0, None))

    found = results.summary(runs)

    assert found["events_per_second"] == {"account_health": 300, "plain_faust": 100}
    assert found["ratios"] == {"account_health/plain_faust": 3.0}


def test_the_plot_shows_each_contender() -> None:
    """A bar with its figure for each."""
    content = {
        "events_per_second": {one.name: 1000 + number for number, one in enumerate(ALL)},
        "machine": {"cores": 2},
        "date": "2026-01-01T00:00:00+00:00",
    }

    drawn = results.plot(content)

    assert all(f"{1000 + number:,}" in drawn for number in range(len(ALL)))
    assert all(one.title in drawn for one in ALL)
