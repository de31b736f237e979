"""Metrics: every label set is there from the start, bounded, and counted once."""

import json
from collections.abc import Callable

import pytest
from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from models.events import InputTopic
from models.outputs import Cause, ChurnLevel, ChurnReason, Direction, Tier
from models.reasons import Outcome, RefusalReason
from stream.figures import InputFigures, PartitionFigures
from stream.health import Health, Progress, Unready
from stream.telemetry import CHURN_EVENT_TYPES, CLOCKS, CUT_POINT_SOURCES, Metrics, RebalanceKind, TransactionResult
from stream.topics import TopicNames
from stream.vitals import Brokers, read_statistics

FIGURES = PartitionFigures(
    accounts=3,
    state_bytes=1500,
    clock_ms=1_700_000_000_500,
    due_accounts=1,
    snapshots_pending=2,
    tiers={Tier.KEY: 1, Tier.BASIC: 2},
    churn_levels={ChurnLevel.LOW: 3},
    inputs={InputTopic.ORDERS: InputFigures(lag_records=7, lag_seconds=1.5, buffered_bytes=900)},
)


PROCESS = "process_"
"""Begins the names of what every Prometheus client tells of its process."""


def _value(metrics: Metrics, name: str, **labels: str) -> float | None:
    return metrics.registry.get_sample_value(f"account_health_{name}", labels)


def test_counters_and_histograms_start_at_zero() -> None:
    """Every combination of known labels exists before anything happened, with the value 0."""
    metrics = Metrics()
    counted = [
        sample
        for family in metrics.registry.collect()
        if family.type in {"counter", "histogram"} and not family.name.startswith(PROCESS)
        for sample in family.samples
    ]
    topics = len(InputTopic)

    assert {sample.value for sample in counted} == {0}
    assert sum(s.name == "account_health_events_total" for s in counted) == topics * (len(Outcome) + 1)
    assert sum(s.name == "account_health_dead_letters_total" for s in counted) == topics * len(RefusalReason)
    assert sum(s.name == "account_health_tier_changes_total" for s in counted) == len(Direction) * len(Cause)


def test_names_follow_the_scheme_and_have_help() -> None:
    """Names begin with account_health_ or process_, counters end in _total, and each has a text."""
    for family in Metrics().registry.collect():
        name = f"{family.name}_total" if family.type == "counter" else family.name
        assert name.startswith(("account_health_", PROCESS))
        assert name.endswith("_total") == (family.type == "counter")
        assert family.documentation.endswith(".")


def test_labels_are_bounded() -> None:
    """No label can hold an account: each is one of a list, a partition or a version."""
    metrics = Metrics()
    metrics.set_partition(0, FIGURES)
    metrics.set_build("1.0")
    metrics.set_policy(3, "abc", "EUR")
    metrics.watch(_health({("orders", 0): Progress(3, 4)}), TopicNames())
    names = {label for family in metrics.registry.collect() for sample in family.samples for label in sample.labels}

    listed = {"topic", "outcome", "reason", "direction", "cause", "type", "level", "tier", "kind", "result"}
    listed |= {"clock", "segment", "source"}
    assert names <= listed | {"le", "partition", "version", "revision", "python", "currency"}


def test_a_refused_record_counts_as_an_event_too() -> None:
    """Events by outcome sum to the records read, dead letters among them."""
    metrics = Metrics()
    metrics.count_events(InputTopic.ORDERS, {Outcome.APPLIED: 5, Outcome.LATE: 2})
    metrics.count_dead_letters(InputTopic.ORDERS, {RefusalReason.TOO_LARGE: 1})

    assert _value(metrics, "events_total", topic="orders", outcome="applied") == 5
    assert _value(metrics, "events_total", topic="orders", outcome="dead_letter") == 1
    assert _value(metrics, "dead_letters_total", topic="orders", reason="too_large") == 1


def test_series_of_a_partition_go_with_it() -> None:
    """Sums are over the partitions held, and a partition given back leaves nothing behind."""
    metrics = Metrics()
    metrics.set_partition(0, FIGURES)
    metrics.set_partition(3, FIGURES)
    both = [_value(metrics, "tier_accounts", tier="basic"), _value(metrics, "assigned_partitions")]
    metrics.remove_partition(3)
    metrics.remove_partition(3)

    assert both == [4, 2]
    assert _value(metrics, "tier_accounts", tier="basic") == 2
    assert _value(metrics, "tier_accounts", tier="growth") == 0
    assert _value(metrics, "lag_records", topic="orders", partition="0") == 7
    assert _value(metrics, "clock_timestamp_seconds", partition="0") == 1_700_000_000.5
    assert b'partition="3"' not in generate_latest(metrics.registry)


def test_latencies_are_observed_for_each_record() -> None:
    """A batch counts as many observations as records; a producer's clock ahead of ours counts as 0."""
    metrics = Metrics()
    metrics.observe_end_to_end(InputTopic.ORDERS, [900, 960, 1060], committed_ms=1000)
    metrics.observe_end_to_end(InputTopic.ORDERS, [], committed_ms=1000)

    def at_most(bound: str) -> float | None:
        return _value(metrics, "end_to_end_seconds_bucket", topic="orders", le=bound)

    assert [at_most("0.01"), at_most("0.05"), at_most("0.1"), at_most("+Inf")] == [1, 2, 3, 3]
    assert _value(metrics, "end_to_end_seconds_sum", topic="orders") == 0.14


def test_a_batch_is_observed_as_a_whole_and_for_each_event() -> None:
    """Time for an event is the batch's divided by its events, and an empty batch has none."""
    metrics = Metrics()
    metrics.observe_batch(0.2, events=100)
    metrics.observe_batch(0.001, events=0)

    assert _value(metrics, "batch_processing_seconds_count") == 2
    assert _value(metrics, "event_processing_seconds_count") == 100
    assert _value(metrics, "event_processing_seconds_sum") == 0.2


def test_only_a_commit_moves_the_time_of_the_last_commit() -> None:
    """Aborted transactions are counted and timed, and leave the last commit where it was."""
    metrics = Metrics()
    metrics.observe_transaction(TransactionResult.COMMITTED, 0.012, ended_ms=5000)
    metrics.observe_transaction(TransactionResult.ABORTED, 0.5, ended_ms=9000)

    assert _value(metrics, "last_commit_timestamp_seconds") == 5
    assert _value(metrics, "transactions_total", result="aborted") == 1
    assert _value(metrics, "transaction_end_seconds_count", result="committed") == 1


def test_a_churn_event_counts_once_for_each_of_its_reasons() -> None:
    """Reasons are counted apart from events, and an event without any is counted too."""
    metrics = Metrics()
    metrics.count_churn_reasons({("account.lost", ChurnReason.OVERDUE): 2, ("account.recovered", None): 1})

    def counted(kind: str, reason: str) -> float | None:
        return _value(metrics, "churn_event_reasons_total", type=kind, reason=reason)

    assert [counted("account.lost", "overdue"), counted("account.recovered", "none")] == [2, 1]
    assert {counted(kind, "complaint") for kind in CHURN_EVENT_TYPES} == {0}


def test_segments_that_the_policy_names_have_series() -> None:
    """From the start, at 0; all others, of which there may be any number, are counted as one."""
    metrics = Metrics()
    metrics.set_segments(["retail", "public"])
    metrics.count_churn_segments({("account.lost", "retail"): 2, ("account.lost", None): 1})

    def lost(segment: str) -> float | None:
        return _value(metrics, "churn_event_segments_total", type="account.lost", segment=segment)

    assert [lost("retail"), lost("public"), lost("other"), lost("wholesale")] == [2, 0, 1, None]


def test_the_clock_that_is_followed_is_shown_among_all() -> None:
    """Every clock has a series, so that an alert can ask for one that is not followed."""
    metrics = Metrics()
    metrics.set_clock("event")

    assert {clock: _value(metrics, "clock_info", clock=clock) for clock in CLOCKS} == {"live": 0, "event": 1}


def test_where_the_cut_points_come_from_is_shown_among_all() -> None:
    """Those of a file stay as old as they are, and an alert on their age has to know it."""
    metrics = Metrics()
    metrics.set_cut_point_source("file")

    found = {source: _value(metrics, "portfolio_info", source=source) for source in CUT_POINT_SOURCES}
    assert found == {"census": 0, "file": 1}


def _health(progress: dict[tuple[str, int], Progress], clock: Callable[[], float] = lambda: 5.0) -> Health:
    health = Health(60, clock)
    health.report(progress)
    return health


def test_what_the_probes_know_is_asked_at_each_scrape() -> None:
    """A worker that has got stuck, and reports nothing any more, is seen to wait longer and longer."""
    metrics, names, now = Metrics(), TopicNames(), [100.0]
    orders, support = (names.of_input(one) for one in (InputTopic.ORDERS, InputTopic.SUPPORT))
    health = _health({(orders, 3): Progress(7, 9), (support, 3): Progress(9, 9)}, lambda: now[0])
    metrics.watch(health, names)
    now[0] = 142.0

    def waited(topic: InputTopic) -> float | None:
        return _value(metrics, "stuck_seconds", topic=topic, partition="3")

    assert [waited(InputTopic.ORDERS), waited(InputTopic.SUPPORT)] == [42, 0]


def test_every_reason_not_to_be_ready_is_shown() -> None:
    """Also those that do not hold, at 0."""
    metrics, health = Metrics(), Health(60)
    metrics.watch(health, TopicNames())

    def unready() -> set[str]:
        return {reason for reason in Unready if _value(metrics, "unready", reason=reason)}

    before = unready()
    health.set_assigned([0, 1])
    health.set_restoring([1])

    assert (before, unready()) == ({"not_assigned"}, {"restoring"})
    assert _value(metrics, "restoring_partitions") == 1


def _statistics(**states: str) -> str:
    brokers = {
        name: {"state": state, "source": "learned", "req_timeouts": 2, "rtt": {"avg": 1500}}
        for name, state in states.items()
    }
    brokers["localhost:9092/bootstrap"] = {
        "state": "DOWN",
        "source": "configured",
        "req_timeouts": 1,
        "rtt": {"avg": 9},
    }
    return json.dumps({"name": "client", "brokers": brokers})


@pytest.mark.parametrize(
    ("statistics", "expected"),
    [
        (_statistics(), Brokers(0, 0.0, 1)),
        (_statistics(one="UP", two="UPDATE"), Brokers(2, 0.0015, 5)),
        (_statistics(one="UP", two="CONNECT", three="DOWN"), Brokers(1, 0.0015, 7)),
        (_statistics(one="TRY_CONNECT", never_needed="INIT"), Brokers(0, 0.0, 5)),
    ],
)
def test_brokers_are_read_from_the_clients_statistics(statistics: str, expected: Brokers) -> None:
    """Only those of the cluster count, and of them only those that are connected."""
    assert read_statistics(statistics) == expected


def test_timeouts_of_the_brokers_are_counted_on() -> None:
    """The client tells how many there were since its start; the counter grows by what is new."""
    metrics = Metrics()
    for timeouts in (2, 2, 5):
        metrics.set_brokers(Brokers(1, 0.001, timeouts))

    assert _value(metrics, "broker_request_timeouts_total") == 5
    assert _value(metrics, "connected_brokers") == 1


def test_how_many_brokers_are_reached_is_unknown_at_first() -> None:
    """Before the client has told, there is no series: 0 would look like an outage."""
    assert _value(Metrics(), "connected_brokers") is None


def test_what_is_exposed_can_be_parsed() -> None:
    """Prometheus' own parser reads everything after every method was used."""
    metrics = Metrics()
    metrics.set_partition(0, FIGURES)
    metrics.set_build("1.0")
    metrics.set_policy(3, "abc", "EUR")
    metrics.count_clock_ticks(2)
    metrics.count_tier_changes({(Direction.PROMOTED, Cause.BEHAVIOUR): 1})
    metrics.count_tier_flaps(1)
    metrics.count_churn_events({("account.lost", ChurnLevel.LOST, Tier.KEY): 1})
    metrics.count_snapshots(4)
    metrics.observe_restore(0.5, 1000)
    metrics.count_rebalance(RebalanceKind.LOST)

    families = text_string_to_metric_families(generate_latest(metrics.registry).decode())
    values = {(sample.name, *sample.labels.values()): sample.value for family in families for sample in family.samples}

    assert values["account_health_rebalances_total", "lost"] == 1
    assert values["account_health_churn_events_total", "lost", "key", "account.lost"] == 1
    assert values["account_health_restored_records_total",] == 1000
    assert values["account_health_snapshots_total",] == 4
