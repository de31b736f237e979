"""One worker: what it does, what it holds, and what it costs."""

from grafana_foundation_sdk.builders.dashboard import Dashboard, Row
from grafana_foundation_sdk.models import units

from deploy.dashboards.parts import (
    BYTES,
    COUNT,
    GREEN,
    OF,
    RATE,
    RED,
    SECONDS,
    SHARE,
    WIDTH,
    Limits,
    Query,
    figure,
    graph,
    listing,
    page,
    quantile,
    states,
)


def build() -> Dashboard:
    """Build the dashboard."""
    board = page(
        "account-health-worker",
        "Account health: one worker",
        "What one worker does, what it holds, and what it costs.",
        "now-1h",
        one_instance=True,
    )
    _now(board)
    _work(board)
    _partitions(board)
    _process(board)
    return board


def _now(board: Dashboard) -> None:
    board.with_row(Row("Now"))
    board.with_panel(
        figure(
            "Ready",
            "1 when it is in its group, restored, and not about to stop.",
            units.NoUnit,
            Query(f"1 - max(account_health_unready{{{OF}}})"),
            limits=Limits(None, 1),
            below=True,
        )
    )
    board.with_panel(
        figure(
            "Up for", "Time since it was started.", SECONDS, Query(f"time() - max(process_start_time_seconds{{{OF}}})")
        )
    )
    board.with_panel(
        figure(
            "Starts, 24 hours",
            "How often it was started again within 24 hours.",
            COUNT,
            Query(f"max(changes(process_start_time_seconds{{{OF}}}[24h]))"),
            limits=Limits(2, 10),
        )
    )
    board.with_panel(
        figure(
            "Partitions", "Partitions that it holds.", COUNT, Query(f"sum(account_health_assigned_partitions{{{OF}}})")
        )
    )
    board.with_panel(
        figure("Accounts", "Accounts that it holds.", COUNT, Query(f"sum(account_health_state_accounts{{{OF}}})"))
    )
    board.with_panel(
        figure(
            "Files",
            "Open files and connections, as a share of what the system allows it.",
            SHARE,
            Query(f"max(process_open_fds{{{OF}}} / process_max_fds{{{OF}}})"),
            limits=Limits(0.7, 0.9),
        )
    )
    board.with_panel(
        states(
            "Not ready because",
            "Reasons why it was not ready: not in its group, restoring partitions, about to stop.",
            {0: ("no", GREEN), 1: ("yes", RED)},
            Query(f"max by (reason) (account_health_unready{{{OF}}})", "{{reason}}"),
            span=WIDTH // 2,
        )
    )
    board.with_panel(
        listing(
            "What runs",
            "Release, Python, and the clock that is followed.",
            Query(
                f"account_health_build_info{{{OF}}} * on (job, instance) group_left (clock) "
                "(account_health_clock_info == 1)"
            ),
            [],
            span=WIDTH // 4,
        )
    )
    board.with_panel(
        listing(
            "Policy in force",
            "The policy that it grades by, and the currency that it reports in.",
            Query(f"account_health_policy_info{{{OF}}}"),
            ["job", "instance"],
            span=WIDTH // 4,
        )
    )


def _work(board: Dashboard) -> None:
    board.with_row(Row("Work"))
    board.with_panel(
        graph(
            "Records by input",
            "Records that it has processed and committed, a second.",
            units.RecordsPerSecond,
            Query(f"sum by (topic) (rate(account_health_events_total{{{OF}}}[{RATE}]))", "{{topic}}"),
            stacked=True,
        )
    )
    board.with_panel(
        graph(
            "Time of an event",
            "How long it processes one event: the median, and the slowest hundredth.",
            SECONDS,
            Query(
                quantile(0.5, "account_health_event_processing_seconds", OF),
                "median",
            ),
            Query(
                quantile(0.99, "account_health_event_processing_seconds", OF),
                "99 %",
            ),
        )
    )
    board.with_panel(
        graph(
            "What its time goes into",
            "Share of its time in which it processes events, or ends a transaction, when nothing is processed.",
            SHARE,
            Query(f"sum(rate(account_health_batch_processing_seconds_sum{{{OF}}}[{RATE}]))", "processing"),
            Query(
                f"sum by (result) (rate(account_health_transaction_end_seconds_sum{{{OF}}}[{RATE}]))",
                "{{result}}",
            ),
            stacked=True,
            limits=Limits(0.8, 0.95),
        )
    )
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
            "Since the last commit",
            "It grows where nothing comes in, too.",
            SECONDS,
            Query(f"time() - max(account_health_last_commit_timestamp_seconds{{{OF}}})", "since the last commit"),
        )
    )
    board.with_panel(
        graph(
            "Clock ticks",
            "How often time alone moved accounts, a second.",
            units.RecordsPerSecond,
            Query(f"sum(rate(account_health_clock_ticks_total{{{OF}}}[{RATE}]))", "ticks"),
        )
    )


def _partitions(board: Dashboard) -> None:
    board.with_row(Row("Its partitions"))
    board.with_panel(
        graph(
            "Lag in seconds",
            "How long the oldest record that is not processed has waited.",
            SECONDS,
            Query(f"account_health_lag_seconds{{{OF}}}", "{{topic}} [{{partition}}]"),
            limits=Limits(60, 300),
        )
    )
    board.with_panel(
        graph(
            "Standing still",
            "How long records have waited while nothing was processed. It is restarted at 120 s.",
            SECONDS,
            Query(f"account_health_stuck_seconds{{{OF}}}", "{{topic}} [{{partition}}]"),
            limits=Limits(30, 60),
        )
    )
    board.with_panel(
        graph(
            "Buffered",
            "Fetched bytes that are not processed yet.",
            BYTES,
            Query(f"sum by (topic) (account_health_buffered_bytes{{{OF}}})", "{{topic}}"),
            stacked=True,
        )
    )
    board.with_panel(
        graph(
            "Accounts by partition",
            "Accounts in the state of each partition.",
            COUNT,
            Query(f"account_health_state_accounts{{{OF}}}", "[{{partition}}]"),
            stacked=True,
        )
    )
    board.with_panel(
        graph(
            "Due accounts",
            "Accounts whose day has come, or that a new policy has still to reach.",
            COUNT,
            Query(f"account_health_due_accounts{{{OF}}}", "[{{partition}}]"),
        )
    )
    board.with_panel(
        graph(
            "Snapshots waiting",
            "Accounts that changed since their last snapshot.",
            COUNT,
            Query(f"account_health_snapshots_pending{{{OF}}}", "[{{partition}}]"),
        )
    )


def _process(board: Dashboard) -> None:
    board.with_row(Row("Its process"))
    board.with_panel(
        graph(
            "CPU",
            "Processor time, in cores.",
            units.Short,
            Query(f"rate(process_cpu_seconds_total{{{OF}}}[{RATE}])", "cores"),
        )
    )
    board.with_panel(
        graph(
            "Memory",
            "Memory in use, and how much of it the accounts' packed states are.",
            BYTES,
            Query(f"process_resident_memory_bytes{{{OF}}}", "in use"),
            Query(f"sum(account_health_state_bytes{{{OF}}})", "packed states"),
        )
    )
    board.with_panel(
        graph(
            "Round trip to Kafka",
            "From a request to the answer of the slowest broker, on average. A fetch waits there for records.",
            SECONDS,
            Query(f"account_health_broker_round_trip_seconds{{{OF}}}", "round trip"),
        )
    )
