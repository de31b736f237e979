"""For whoever runs it: whether what comes in is processed, in time, and whole."""

from grafana_foundation_sdk.builders.dashboard import Dashboard, Row
from grafana_foundation_sdk.models import units

from deploy.dashboards import cluster, sinks
from deploy.dashboards.parts import (
    COUNT,
    JOB,
    LAG_LIMITS,
    LATENCY_LIMITS,
    OF,
    RATE,
    SECONDS,
    SHARE,
    WIDTH,
    Limits,
    Query,
    alerts,
    bars,
    figure,
    graph,
    heat,
    page,
    quantile,
)


def build() -> Dashboard:
    """Build the dashboard."""
    board = page(
        "account-health-pipeline",
        "Account health: pipeline",
        "Throughput, lag, latency, transactions, restoring, dead letters and snapshots, over all workers.",
        "now-3h",
    )
    _now(board)
    _throughput(board)
    _lag(board)
    _latency(board)
    _transactions(board)
    _refusals(board)
    cluster.add_rows(board)
    sinks.add_rows(board)
    return board


def _now(board: Dashboard) -> None:
    board.with_row(Row("Now"))
    board.with_panel(
        figure(
            "Workers ready",
            "Workers that are in their group, restored, and not about to stop.",
            COUNT,
            Query(f"sum(1 - max by (job, instance) (account_health_unready{{{OF}}}))"),
            limits=Limits(None, 1),
            below=True,
        )
    )
    board.with_panel(
        figure(
            "Records",
            "Records processed and committed, a second.",
            units.RecordsPerSecond,
            Query(f"sum(job_topic_outcome:account_health_events:rate5m{{{JOB}}})"),
        )
    )
    board.with_panel(
        figure(
            "Lag",
            "How long the oldest record that is not processed has waited, over all inputs.",
            SECONDS,
            Query(f"max(job_topic:account_health_lag_seconds:max{{{JOB}}})"),
            limits=LAG_LIMITS,
        )
    )
    board.with_panel(
        figure(
            "Later than a second",
            "Share of orders within ten minutes whose effects came more than a second after their timestamp.",
            SHARE,
            Query(f'max(job_topic:account_health_end_to_end_seconds:slow_ratio10m{{{JOB}, topic="orders"}})'),
            limits=Limits(0.01, 0.05),
        )
    )
    board.with_panel(
        figure(
            "Dead letters, 10 minutes",
            "Records that were refused within ten minutes.",
            COUNT,
            Query(f"sum(job_topic_reason:account_health_dead_letters:increase10m{{{JOB}}})"),
            limits=Limits(1, 10),
        )
    )
    board.with_panel(
        figure(
            "Aborted, 15 minutes",
            "Transactions that were aborted within a quarter of an hour; one may be when partitions move.",
            COUNT,
            Query(f'sum(increase(account_health_transactions_total{{{OF}, result="aborted"}}[15m]))'),
            limits=Limits(1, 2),
        )
    )
    board.with_panel(alerts(WIDTH, height=6))


def _throughput(board: Dashboard) -> None:
    board.with_row(Row("Throughput"))
    board.with_panel(
        graph(
            "Records by input",
            "Records of each input that were processed and committed, a second.",
            units.RecordsPerSecond,
            Query(f"sum by (topic) (rate(account_health_events_total{{{OF}}}[{RATE}]))", "{{topic}}"),
            stacked=True,
        )
    )
    board.with_panel(
        graph(
            "Records by outcome",
            "What became of the records; docs/metrics.md explains each outcome.",
            units.RecordsPerSecond,
            Query(f"sum by (outcome) (rate(account_health_events_total{{{OF}}}[{RATE}]))", "{{outcome}}"),
            stacked=True,
        )
    )
    board.with_panel(
        graph(
            "Published",
            "What was published, a second.",
            units.RecordsPerSecond,
            Query(f"sum(rate(account_health_tier_changes_total{{{OF}}}[{RATE}]))", "tier changes"),
            Query(f"sum(rate(account_health_churn_events_total{{{OF}}}[{RATE}]))", "churn events"),
            Query(f"sum(rate(account_health_snapshots_total{{{OF}}}[{RATE}]))", "snapshots"),
            Query(f"sum(rate(account_health_dead_letters_total{{{OF}}}[{RATE}]))", "dead letters"),
        )
    )


def _lag(board: Dashboard) -> None:
    board.with_row(Row("Lag"))
    board.with_panel(
        graph(
            "Lag in seconds",
            "How long the oldest record that is not processed has waited. An alert begins at the line.",
            SECONDS,
            Query(f"max by (topic) (account_health_lag_seconds{{{OF}}})", "{{topic}}"),
            limits=LAG_LIMITS,
        )
    )
    board.with_panel(
        graph(
            "Lag in records",
            "Records of an input that are not processed.",
            COUNT,
            Query(f"sum by (topic) (job_topic:account_health_lag_records:sum{{{JOB}}})", "{{topic}}"),
        )
    )
    board.with_panel(
        graph(
            "Lag by partition",
            "The ten furthest behind. One alone: an account that dominates it; all: too few workers.",
            SECONDS,
            Query(
                f"topk(10, max by (topic, partition) (account_health_lag_seconds{{{OF}}}))",
                "{{topic}} [{{partition}}]",
            ),
            limits=LAG_LIMITS,
        )
    )
    board.with_panel(
        graph(
            "Standing still",
            "How long records have waited while nothing was processed. The worker is restarted at 120 s.",
            SECONDS,
            Query(f"max by (topic) (account_health_stuck_seconds{{{OF}}})", "{{topic}}"),
            limits=Limits(30, 60),
        )
    )
    board.with_panel(
        graph(
            "Clock behind",
            "How far the slowest clock is behind the wall clock. An event clock stands at its latest event.",
            SECONDS,
            Query(
                f"max by (job) (time() - account_health_clock_timestamp_seconds{{{OF}}})",
                "{{job}}",
            ),
            limits=Limits(None, 600),
        )
    )
    board.with_panel(
        graph(
            "Due accounts",
            "Accounts whose day has come, or that a new policy has still to reach.",
            COUNT,
            Query(f"sum by (job) (account_health_due_accounts{{{OF}}})", "{{job}}"),
        )
    )


def _latency(board: Dashboard) -> None:
    board.with_row(Row("Latency"))
    end_to_end = "account_health_end_to_end_seconds"
    board.with_panel(
        graph(
            "From a record's timestamp to its effects",
            "The median and the slowest hundredth, from the producer's timestamp to the commit.",
            SECONDS,
            Query(quantile(0.5, end_to_end, OF, "topic"), "{{topic}} median"),
            Query(quantile(0.99, end_to_end, OF, "topic"), "{{topic}} 99 %"),
            limits=LATENCY_LIMITS,
        )
    )
    board.with_panel(
        heat(
            "Latency of orders",
            "How many orders took how long, from the producer's timestamp to the commit.",
            SECONDS,
            Query(
                f'sum by (le) (increase({end_to_end}_bucket{{{OF}, topic="orders"}}[{RATE}]))',
                "{{le}}",
            ),
        )
    )
    board.with_panel(
        graph(
            "Processing",
            "The slowest hundredth of events, and of batches: without waiting and without committing.",
            SECONDS,
            Query(quantile(0.99, "account_health_event_processing_seconds", OF), "an event, 99 %"),
            Query(quantile(0.99, "account_health_batch_processing_seconds", OF), "a batch, 99 %"),
        )
    )


def _transactions(board: Dashboard) -> None:
    board.with_row(Row("Transactions"))
    board.with_panel(
        graph(
            "Transactions",
            "Transactions by how they ended, a second.",
            units.RecordsPerSecond,
            Query(f"sum by (result) (rate(account_health_transactions_total{{{OF}}}[{RATE}]))", "{{result}}"),
        )
    )
    board.with_panel(
        graph(
            "Commit",
            "How long commits take: the median over all workers, and the slowest hundredth of each.",
            SECONDS,
            Query(quantile(0.5, "account_health_transaction_end_seconds", f'{OF}, result="committed"'), "median"),
            Query(f"job_instance:account_health_transaction_end_seconds:p99_5m{{{OF}}}", "{{instance}} 99 %"),
            limits=LATENCY_LIMITS,
        )
    )
    board.with_panel(
        graph(
            "Since the last commit",
            "Time since a worker last committed. It grows where nothing comes in, too.",
            SECONDS,
            Query(
                f"time() - max by (instance) (account_health_last_commit_timestamp_seconds{{{OF}}})",
                "{{instance}}",
            ),
        )
    )


def _refusals(board: Dashboard) -> None:
    board.with_row(Row("Dead letters and snapshots"))
    board.with_panel(
        graph(
            "Dead letters by reason",
            "Records that were refused within the interval, by reason.",
            COUNT,
            Query(
                f"sum by (reason) (increase(account_health_dead_letters_total{{{OF}}}[$__interval]))",
                "{{reason}}",
            ),
            stacked=True,
            bars=True,
            interval="5m",
        )
    )
    board.with_panel(
        bars(
            "Dead letters, 24 hours",
            "Records that were refused within the last 24 hours, by input and reason; the ten most frequent.",
            COUNT,
            Query(
                f"topk(10, sum by (topic, reason) (increase(account_health_dead_letters_total{{{OF}}}[24h])))",
                "{{topic}}: {{reason}}",
            ),
        )
    )
    board.with_panel(
        graph(
            "Snapshots",
            "Accounts that wait for their snapshot, over all partitions.",
            COUNT,
            Query(f"sum by (job) (account_health_snapshots_pending{{{OF}}})", "{{job}} waiting"),
            span=WIDTH // 6,
        )
    )
    board.with_panel(
        graph(
            "Snapshots held back",
            "How long they have been held back, for catching up; an alert begins at ten minutes.",
            SECONDS,
            Query(f"max by (job) (account_health_snapshots_held_seconds{{{OF}}})", "{{job}}"),
            limits=Limits(None, 600),
            span=WIDTH // 6,
        )
    )
