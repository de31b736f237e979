"""A policy that is tried beside the live one, on the same events: as docs/operating.md says how."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from confluent_kafka.admin import AdminClient

from models.policy import load_policy
from processors.context import Context
from stream.replay import Replay
from tests.operators.staged import Event, event, order
from tests.support.cuts import MADE_UP
from tests.support.deployment import Deploy, Deployment, Published, differences, published_by_replay
from tests.support.topics import read_topic
from tests.support.worker import Sample, WorkerProcess

LIVE: Final = 'reporting_currency = "GBP"\n'
TRIED: Final = LIVE + "revision = 2\n[tiers.key]\nenter = 60\nleave = 55\n[churn]\nmedium = 0.4\n"
ACCOUNTS: Final = 40
COUNTED: Final = ("events", "tier_changes", "churn_events", "snapshots", "dead_letters", "transactions")


def test_a_tried_policy_touches_nothing_of_the_live_one(deploy: Deploy, tmp_path: Path) -> None:
    """It reads the live inputs from their beginning and publishes what its own replay does, to topics of its own.

    What is live keeps every record, position and count while the other catches up, and then is as if it were alone.
    """
    halves = [_file(tmp_path / "first.jsonl", _orders(0, 40)), _file(tmp_path / "second.jsonl", _orders(40, 80))]
    live = deploy()
    live.produce(halves[0])
    worker = live.worker().start()
    live.wait_settled(worker)
    held, counted, topics = _records(live), _counts(worker), _topics(live)

    policy = tmp_path / "tried.toml"
    policy.write_text(TRIED, encoding="utf-8")
    shadow = deploy(input_topic_prefix=live.settings.topic_prefix, policy_file=str(policy), reporting_currency="")
    trying = shadow.worker("shadow").start()
    shadow.wait_settled(trying)
    assert (_records(live), _counts(worker)) == (held, counted)

    live.produce(halves[1], "--end-of-input")
    live.wait_settled(worker)
    shadow.wait_settled(trying)
    alone = _replayed(halves, tmp_path / "alone", _write(tmp_path / "live.toml", LIVE))
    expected = _replayed(halves, tmp_path / "expected", policy)
    assert differences(alone, live.published()) == ""
    assert differences(expected, shadow.published()) == ""
    assert differences(alone, expected) != ""
    assert _read_counts(trying) == _read_counts(worker)
    own = {name.removeprefix(shadow.settings.topic_prefix) for name in _topics(shadow)}
    assert {"state", "tier-changes", "churn-risk", "snapshots"} < own
    assert own.isdisjoint({"orders", "support", "profiles"})
    assert _topics(live) == topics


def _orders(first_day: int, last_day: int) -> list[Event]:
    """Let every account order every few days, some of them for half of the time only, and one record be refused."""
    found = [
        order(f"A-{number}", day, str(10 + number * number))
        for day in range(first_day, last_day)
        for number in range(ACCOUNTS)
        if day % (3 + number // 4) == 0 and (number % 3 or day < 20)
    ]
    return [*found, event("A-1", first_day, "order.completed")]


def _file(path: Path, events: Sequence[Event]) -> Path:
    path.write_text("".join(f"{json.dumps(one)}\n" for one in events), encoding="utf-8")
    return path


def _write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def _replayed(files: Sequence[Path], out: Path, policy: Path) -> Published:
    context = Context(load_policy(policy), cuts=MADE_UP)
    Replay(context, int(datetime(2030, 1, 1, tzinfo=UTC).timestamp() * 1000)).run(files, out, lambda _: None)
    return published_by_replay(out)


def _records(deployment: Deployment) -> list[tuple[object, ...]]:
    """Read all that stands in the topics of an application, its inputs with them."""
    settings, names = deployment.settings, deployment.settings.topics
    topics = (names.orders, names.state, names.tier_changes, names.churn_risk, names.snapshots, names.dead_letters)
    return [
        (one.topic(), one.partition(), one.offset(), one.key(), one.value(), tuple(one.headers() or ()))
        for topic in topics
        for one in sorted(read_topic(settings, topic), key=lambda one: (one.partition() or 0, one.offset() or 0))
    ]


def _counts(worker: WorkerProcess) -> dict[Sample, float]:
    """Give what a worker has read and published."""
    names = {f"account_health_{name}_total" for name in COUNTED}
    return {sample: value for sample, value in worker.metrics().items() if sample[0] in names}


def _read_counts(worker: WorkerProcess) -> dict[Sample, float]:
    return {sample: value for sample, value in _counts(worker).items() if sample[0] == "account_health_events_total"}


def _topics(deployment: Deployment) -> set[str]:
    """Name the topics under the prefix of an application."""
    admin = AdminClient({"bootstrap.servers": deployment.settings.bootstrap_servers})
    return {name for name in admin.list_topics(timeout=30).topics if name.startswith(deployment.settings.topic_prefix)}
