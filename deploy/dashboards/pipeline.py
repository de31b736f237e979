"""For whoever runs it: whether what comes in is processed, in time, and whole."""

from grafana_foundation_sdk.builders.dashboard import Dashboard, Row
from grafana_foundation_sdk.models import units

from deploy.dashboards.parts import (
    COUNT,
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

_OF = 'job=~"$job", instance=~"$instance"'
_JOB = 'job=~"$job"'
_VIEW = 'job=~"$view"'
_DELIVERY = 'job=~"$delivery"'
_LAG_LIMITS = Limits(60, 300)
_LATENCY_LIMITS = Limits(None, 1)


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
    _partitions(board)
    _kafka(board)
    _view(board)
    _deliveries(board)
    return board


def _now(board: Dashboard) -> None:
    board.with_row(Row("Now"))
    board.with_panel(
        figure(
            "Workers ready",
            "Workers that are in their group, restored, and not about to stop.",
            COUNT,
            Query(f"sum(1 - max by (job, instance) (account_health_unready{{{_OF}}}))"),
            limits=Limits(None, 1),
            below=True,
        )
    )
    board.with_panel(
        figure(
            "Records",
            "Records processed and committed, a second.",
            units.RecordsPerSecond,
            Query(f"sum(job_topic_outcome:account_health_events:rate5m{{{_JOB}}})"),
        )
    )
    board.with_panel(
        figure(
            "Lag",
            "How long the oldest record that is not processed has waited, over all inputs.",
            SECONDS,
            Query(f"max(job_topic:account_health_lag_seconds:max{{{_JOB}}})"),
            limits=_LAG_LIMITS,
        )
    )
    board.with_panel(
        figure(
            "Later than a second",
            "Share of orders within ten minutes whose effects came more than a second after their timestamp.",
            SHARE,
            Query(f'max(job_topic:account_health_end_to_end_seconds:slow_ratio10m{{{_JOB}, topic="orders"}})'),
            limits=Limits(0.01, 0.05),
        )
    )
    board.with_panel(
        figure(
            "Dead letters, 10 minutes",
            "Records that were refused within ten minutes.",
            COUNT,
            Query(f"sum(job_topic_reason:account_health_dead_letters:increase10m{{{_JOB}}})"),
            limits=Limits(1, 10),
        )
    )
    board.with_panel(
        figure(
            "Aborted, 15 minutes",
            "Transactions that were aborted within a quarter of an hour; one may be when partitions move.",
            COUNT,
            Query(f'sum(increase(account_health_transactions_total{{{_OF}, result="aborted"}}[15m]))'),
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
            Query(f"sum by (topic) (rate(account_health_events_total{{{_OF}}}[{RATE}]))", "{{topic}}"),
            stacked=True,
        )
    )
    board.with_panel(
        graph(
            "Records by outcome",
            "What became of the records; docs/metrics.md explains each outcome.",
            units.RecordsPerSecond,
            Query(f"sum by (outcome) (rate(account_health_events_total{{{_OF}}}[{RATE}]))", "{{outcome}}"),
            stacked=True,
        )
    )
    board.with_panel(
        graph(
            "Published",
            "What was published, a second.",
            units.RecordsPerSecond,
            Query(f"sum(rate(account_health_tier_changes_total{{{_OF}}}[{RATE}]))", "tier changes"),
            Query(f"sum(rate(account_health_churn_events_total{{{_OF}}}[{RATE}]))", "churn events"),
            Query(f"sum(rate(account_health_snapshots_total{{{_OF}}}[{RATE}]))", "snapshots"),
            Query(f"sum(rate(account_health_dead_letters_total{{{_OF}}}[{RATE}]))", "dead letters"),
        )
    )


def _lag(board: Dashboard) -> None:
    board.with_row(Row("Lag"))
    board.with_panel(
        graph(
            "Lag in seconds",
            "How long the oldest record that is not processed has waited. An alert begins at the line.",
            SECONDS,
            Query(f"max by (topic) (account_health_lag_seconds{{{_OF}}})", "{{topic}}"),
            limits=_LAG_LIMITS,
        )
    )
    board.with_panel(
        graph(
            "Lag in records",
            "Records of an input that are not processed.",
            COUNT,
            Query(f"sum by (topic) (job_topic:account_health_lag_records:sum{{{_JOB}}})", "{{topic}}"),
        )
    )
    board.with_panel(
        graph(
            "Lag by partition",
            "The ten furthest behind. One alone: an account that dominates it; all: too few workers.",
            SECONDS,
            Query(
                f"topk(10, max by (topic, partition) (account_health_lag_seconds{{{_OF}}}))",
                "{{topic}} [{{partition}}]",
            ),
            limits=_LAG_LIMITS,
        )
    )
    board.with_panel(
        graph(
            "Standing still",
            "How long records have waited while nothing was processed. The worker is restarted at 120 s.",
            SECONDS,
            Query(f"max by (topic) (account_health_stuck_seconds{{{_OF}}})", "{{topic}}"),
            limits=Limits(30, 60),
        )
    )
    board.with_panel(
        graph(
            "Clock behind",
            "How far the slowest clock is behind the wall clock. An event clock stands at its latest event.",
            SECONDS,
            Query(
                f"max by (job) (time() - account_health_clock_timestamp_seconds{{{_OF}}})",
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
            Query(f"sum by (job) (account_health_due_accounts{{{_OF}}})", "{{job}}"),
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
            Query(quantile(0.5, end_to_end, _OF, "topic"), "{{topic}} median"),
            Query(quantile(0.99, end_to_end, _OF, "topic"), "{{topic}} 99 %"),
            limits=_LATENCY_LIMITS,
        )
    )
    board.with_panel(
        heat(
            "Latency of orders",
            "How many orders took how long, from the producer's timestamp to the commit.",
            SECONDS,
            Query(
                f'sum by (le) (increase({end_to_end}_bucket{{{_OF}, topic="orders"}}[{RATE}]))',
                "{{le}}",
            ),
        )
    )
    board.with_panel(
        graph(
            "Processing",
            "The slowest hundredth of events, and of batches: without waiting and without committing.",
            SECONDS,
            Query(quantile(0.99, "account_health_event_processing_seconds", _OF), "an event, 99 %"),
            Query(quantile(0.99, "account_health_batch_processing_seconds", _OF), "a batch, 99 %"),
        )
    )


def _transactions(board: Dashboard) -> None:
    board.with_row(Row("Transactions"))
    board.with_panel(
        graph(
            "Transactions",
            "Transactions by how they ended, a second.",
            units.RecordsPerSecond,
            Query(f"sum by (result) (rate(account_health_transactions_total{{{_OF}}}[{RATE}]))", "{{result}}"),
        )
    )
    board.with_panel(
        graph(
            "Commit",
            "How long commits take: the median over all workers, and the slowest hundredth of each.",
            SECONDS,
            Query(quantile(0.5, "account_health_transaction_end_seconds", f'{_OF}, result="committed"'), "median"),
            Query(f"job_instance:account_health_transaction_end_seconds:p99_5m{{{_OF}}}", "{{instance}} 99 %"),
            limits=_LATENCY_LIMITS,
        )
    )
    board.with_panel(
        graph(
            "Since the last commit",
            "Time since a worker last committed. It grows where nothing comes in, too.",
            SECONDS,
            Query(
                f"time() - max by (instance) (account_health_last_commit_timestamp_seconds{{{_OF}}})",
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
                f"sum by (reason) (increase(account_health_dead_letters_total{{{_OF}}}[$__interval]))",
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
                f"topk(10, sum by (topic, reason) (increase(account_health_dead_letters_total{{{_OF}}}[24h])))",
                "{{topic}}: {{reason}}",
            ),
        )
    )
    board.with_panel(
        graph(
            "Snapshots",
            "Accounts that wait for their snapshot, over all partitions.",
            COUNT,
            Query(f"sum by (job) (account_health_snapshots_pending{{{_OF}}})", "{{job}} waiting"),
            span=WIDTH // 6,
        )
    )
    board.with_panel(
        graph(
            "Snapshots held back",
            "How long they have been held back, for catching up; an alert begins at ten minutes.",
            SECONDS,
            Query(f"max by (job) (account_health_snapshots_held_seconds{{{_OF}}})", "{{job}}"),
            limits=Limits(None, 600),
            span=WIDTH // 6,
        )
    )


def _partitions(board: Dashboard) -> None:
    board.with_row(Row("Partitions"))
    board.with_panel(
        graph(
            "Partitions held",
            "Partitions that each worker holds.",
            COUNT,
            Query(f"sum by (instance) (account_health_assigned_partitions{{{_OF}}})", "{{instance}}"),
            stacked=True,
        )
    )
    board.with_panel(
        graph(
            "Rebalances",
            "Rebalances that gave a worker partitions, or took some, within the interval.",
            COUNT,
            Query(
                f"sum by (kind) (increase(account_health_rebalances_total{{{_OF}}}[$__interval]))",
                "{{kind}}",
            ),
            bars=True,
            stacked=True,
            interval="5m",
        )
    )
    board.with_panel(
        graph(
            "Restoring",
            "Partitions that are being restored, and records read for it a second, counted when a partition is open.",
            COUNT,
            Query(f"sum(account_health_restoring_partitions{{{_OF}}})", "partitions"),
            Query(f"sum(rate(account_health_restored_records_total{{{_OF}}}[{RATE}]))", "records a second"),
        )
    )
    board.with_panel(
        graph(
            "Time to restore",
            "The slowest tenth of the partitions restored since the workers were started.",
            SECONDS,
            # Too rare for a rate: mostly there would be none.
            Query(
                f"histogram_quantile(0.9, sum by (job, le) (account_health_restore_seconds_bucket{{{_OF}}}))",
                "{{job}} 90 %",
            ),
            limits=Limits(None, 300),
        )
    )
    board.with_panel(
        graph(
            "State",
            "Size of the accounts' packed states. They are held in memory.",
            units.BytesIEC,
            Query(f"sum by (job) (account_health_state_bytes{{{_OF}}})", "{{job}}"),
        )
    )
    board.with_panel(
        graph(
            "Bytes of an account",
            "Mean size of an account's packed state.",
            units.BytesIEC,
            Query(
                f"sum by (job) (account_health_state_bytes{{{_OF}}}) "
                f"/ sum by (job) (account_health_state_accounts{{{_OF}}})",
                "{{job}}",
            ),
        )
    )


def _kafka(board: Dashboard) -> None:
    board.with_row(Row("Kafka, as the workers see it"))
    board.with_panel(
        graph(
            "Brokers reached",
            "Brokers that a worker is connected to: leaders of its partitions, and its group's coordinator.",
            COUNT,
            Query(f"min by (instance) (account_health_connected_brokers{{{_OF}}})", "{{instance}}"),
        )
    )
    board.with_panel(
        graph(
            "Round trip",
            "From a request to the answer of the slowest broker, on average. A fetch waits there for records.",
            SECONDS,
            Query(f"max by (instance) (account_health_broker_round_trip_seconds{{{_OF}}})", "{{instance}}"),
        )
    )
    board.with_panel(
        graph(
            "Requests that timed out",
            "Requests to brokers within the interval that were not answered in time.",
            COUNT,
            Query(
                f"sum by (instance) (increase(account_health_broker_request_timeouts_total{{{_OF}}}[$__interval]))",
                "{{instance}}",
            ),
            bars=True,
            interval="5m",
        )
    )


def _view(board: Dashboard) -> None:
    board.with_row(Row("The view in Redis"))
    board.with_panel(
        graph(
            "View behind",
            "Age of the newest that the view holds of a topic, while newer records wait.",
            SECONDS,
            Query(f"max by (job, topic) (account_health_view_lag_seconds{{{_VIEW}}})", "{{job}} {{topic}}"),
            limits=_LAG_LIMITS,
        )
    )
    board.with_panel(
        graph(
            "Taken into the view",
            "Records that the view took in, by what became of them, a second.",
            units.RecordsPerSecond,
            Query(
                f"sum by (kind, outcome) (rate(account_health_view_records_total{{{_VIEW}}}[{RATE}]))",
                "{{kind}} {{outcome}}",
            ),
            stacked=True,
        )
    )
    board.with_panel(
        graph(
            "Time to write to Redis",
            "How long a batch takes: the median, and the slowest hundredth.",
            SECONDS,
            Query(quantile(0.5, "account_health_view_write_seconds", _VIEW), "median"),
            Query(quantile(0.99, "account_health_view_write_seconds", _VIEW), "99 %"),
        )
    )
    board.with_panel(
        graph(
            "View not written",
            "Times within the interval that the view could not be written at once, by reason.",
            COUNT,
            Query(
                f"sum by (reason) (increase(account_health_view_failures_total{{{_VIEW}}}[$__interval]))",
                "{{reason}}",
            ),
            stacked=True,
            bars=True,
            interval="5m",
        )
    )
    board.with_panel(
        graph(
            "Accounts in the view",
            "Accounts that the view holds, beside those in the workers' state.",
            COUNT,
            Query(f"max by (job) (account_health_view_accounts{{{_VIEW}}})", "{{job}}"),
            Query(f"sum(job:account_health_state_accounts:sum{{{_JOB}}})", "state"),
        )
    )
    board.with_panel(
        graph(
            "Complete",
            "1 when the view holds every account, 0 while it is built.",
            units.NoUnit,
            Query(f"max by (job) (account_health_view_built{{{_VIEW}}})", "{{job}}"),
        )
    )


def _deliveries(board: Dashboard) -> None:
    board.with_row(Row("Deliveries"))
    board.with_panel(
        graph(
            "Deliveries behind",
            "Age of the oldest event that a destination has not taken; an alert begins at ten minutes.",
            SECONDS,
            Query(
                f"max by (destination) (account_health_delivery_lag_seconds{{{_DELIVERY}}})",
                "{{destination}}",
            ),
            limits=Limits(None, 600),
        )
    )
    board.with_panel(
        graph(
            "Requests",
            "Requests to destinations by how they ended, a second.",
            units.RequestsPerSecond,
            Query(
                f"sum by (destination, outcome) (rate(account_health_delivery_attempts_total{{{_DELIVERY}}}[{RATE}]))",
                "{{destination}} {{outcome}}",
            ),
            stacked=True,
        )
    )
    board.with_panel(
        graph(
            "Time of a request",
            "The slowest tenth of the requests to each destination.",
            SECONDS,
            Query(
                quantile(0.9, "account_health_delivery_attempt_seconds", _DELIVERY, "destination"),
                "{{destination}} 90 %",
            ),
        )
    )
    board.with_panel(
        graph(
            "From publication to acceptance",
            "The median and the slowest hundredth of what each destination took.",
            SECONDS,
            Query(
                quantile(0.5, "account_health_delivery_end_to_end_seconds", _DELIVERY, "destination"),
                "{{destination}} median",
            ),
            Query(
                quantile(0.99, "account_health_delivery_end_to_end_seconds", _DELIVERY, "destination"),
                "{{destination}} 99 %",
            ),
        )
    )
    board.with_panel(
        graph(
            "Given up",
            "Deliveries that were given up within the interval, by destination and reason.",
            COUNT,
            Query(
                "sum by (destination, reason) "
                f"(increase(account_health_delivery_failures_total{{{_DELIVERY}}}[$__interval]))",
                "{{destination}} {{reason}}",
            ),
            stacked=True,
            bars=True,
            interval="5m",
        )
    )
    board.with_panel(
        graph(
            "Accounts that wait for a redrive",
            "Accounts whose events are held back because an earlier one was given up.",
            COUNT,
            Query(
                f"max by (destination) (account_health_delivery_waiting_accounts{{{_DELIVERY}}})",
                "{{destination}}",
            ),
            limits=Limits(1, None),
        )
    )
