"""Rows about what takes published events elsewhere: the view, the API over it, deliveries."""

from grafana_foundation_sdk.builders.dashboard import Dashboard, Row
from grafana_foundation_sdk.models import units

from deploy.dashboards.parts import (
    COUNT,
    JOB,
    LAG_LIMITS,
    LATENCY_LIMITS,
    RATE,
    SECONDS,
    Limits,
    Query,
    graph,
    quantile,
)

_VIEW = 'job=~"$view"'
_API = 'job=~"$api"'
_DELIVERY = 'job=~"$delivery"'


def add_rows(board: Dashboard) -> None:
    """Add the rows to a dashboard."""
    _view(board)
    _api(board)
    _deliveries(board)


def _view(board: Dashboard) -> None:
    board.with_row(Row("The view in Redis"))
    board.with_panel(
        graph(
            "View behind",
            "Age of the newest that the view holds of a topic, while newer records wait.",
            SECONDS,
            Query(f"max by (job, topic) (account_health_view_lag_seconds{{{_VIEW}}})", "{{job}} {{topic}}"),
            limits=LAG_LIMITS,
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
            Query(f"sum(job:account_health_state_accounts:sum{{{JOB}}})", "state"),
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


def _api(board: Dashboard) -> None:
    board.with_row(Row("The API"))
    board.with_panel(
        graph(
            "Requests to the API",
            "Requests by the class of their answer, a second. 5xx are errors of ours.",
            units.RequestsPerSecond,
            Query(f"sum by (status) (rate(account_health_api_requests_total{{{_API}}}[{RATE}]))", "{{status}}"),
            stacked=True,
        )
    )
    selector = f'{_API}, route!~"/api/v1/(changes/live|what-if)"'
    board.with_panel(
        graph(
            "Time to answer",
            "The median and the slowest hundredth of the requests; streams of changes and trials are left out.",
            SECONDS,
            Query(quantile(0.5, "account_health_api_request_seconds", selector), "median"),
            Query(quantile(0.99, "account_health_api_request_seconds", selector), "99 %"),
            limits=LATENCY_LIMITS,
        )
    )
    board.with_panel(
        graph(
            "Not let in, edits, live clients",
            "Requests not let in and edits of profiles within the interval; connections to the live changes.",
            COUNT,
            Query(f"sum by (reason) (increase(account_health_api_denials_total{{{_API}}}[$__interval]))", "{{reason}}"),
            Query(
                f"sum by (result) (increase(account_health_profile_edits_total{{{_API}}}[$__interval]))",
                "edit {{result}}",
            ),
            Query(f"sum(account_health_api_live_clients{{{_API}}})", "live clients"),
            interval="1m",
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
