"""Rows about what the workers hold, and how they reach Kafka."""

from grafana_foundation_sdk.builders.dashboard import Dashboard, Row
from grafana_foundation_sdk.models import units

from deploy.dashboards.parts import (
    COUNT,
    OF,
    RATE,
    SECONDS,
    Limits,
    Query,
    graph,
)


def add_rows(board: Dashboard) -> None:
    """Add the rows to a dashboard."""
    _partitions(board)
    _kafka(board)


def _partitions(board: Dashboard) -> None:
    board.with_row(Row("Partitions"))
    board.with_panel(
        graph(
            "Partitions held",
            "Partitions that each worker holds.",
            COUNT,
            Query(f"sum by (instance) (account_health_assigned_partitions{{{OF}}})", "{{instance}}"),
            stacked=True,
        )
    )
    board.with_panel(
        graph(
            "Rebalances",
            "Rebalances that gave a worker partitions, or took some, within the interval.",
            COUNT,
            Query(
                f"sum by (kind) (increase(account_health_rebalances_total{{{OF}}}[$__interval]))",
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
            Query(f"sum(account_health_restoring_partitions{{{OF}}})", "partitions"),
            Query(f"sum(rate(account_health_restored_records_total{{{OF}}}[{RATE}]))", "records a second"),
        )
    )
    board.with_panel(
        graph(
            "Time to restore",
            "The slowest tenth of the partitions restored since the workers were started.",
            SECONDS,
            # Too rare for a rate: mostly there would be none.
            Query(
                f"histogram_quantile(0.9, sum by (job, le) (account_health_restore_seconds_bucket{{{OF}}}))",
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
            Query(f"sum by (job) (account_health_state_bytes{{{OF}}})", "{{job}}"),
        )
    )
    board.with_panel(
        graph(
            "Bytes of an account",
            "Mean size of an account's packed state.",
            units.BytesIEC,
            Query(
                f"sum by (job) (account_health_state_bytes{{{OF}}}) "
                f"/ sum by (job) (account_health_state_accounts{{{OF}}})",
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
            Query(f"min by (instance) (account_health_connected_brokers{{{OF}}})", "{{instance}}"),
        )
    )
    board.with_panel(
        graph(
            "Round trip",
            "From a request to the answer of the slowest broker, on average. A fetch waits there for records.",
            SECONDS,
            Query(f"max by (instance) (account_health_broker_round_trip_seconds{{{OF}}})", "{{instance}}"),
        )
    )
    board.with_panel(
        graph(
            "Requests that timed out",
            "Requests to brokers within the interval that were not answered in time.",
            COUNT,
            Query(
                f"sum by (instance) (increase(account_health_broker_request_timeouts_total{{{OF}}}[$__interval]))",
                "{{instance}}",
            ),
            bars=True,
            interval="5m",
        )
    )
