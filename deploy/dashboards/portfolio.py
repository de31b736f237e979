"""Rows about the portfolio: what is at stake, how the revenue is concentrated, what the accounts are compared with."""

from grafana_foundation_sdk.builders.dashboard import Dashboard, Row
from grafana_foundation_sdk.models import units

from deploy.dashboards.parts import COUNT, JOB, SECONDS, SHARE, WIDTH, Limits, Query, bars, figure, graph

_VIEW = 'job=~"$view"'
_STAKE = "account_health_view_group_value_at_stake"
_LOST = "account_health_view_group_value_lost"
_TURNED = "account_health_view_month_churn_accounts"
_GROUP_ACCOUNTS = "account_health_view_group_accounts"
_GROUP_REVENUE = "account_health_view_group_revenue"
_DAY = 86_400


def add_rows(board: Dashboard) -> None:
    """Add the rows to a dashboard."""
    _stake(board)
    _concentration(board)


def add_month(board: Dashboard) -> None:
    """Add panels about the calendar month: who was lost and who came back in it."""
    for dimension, text in (
        ("reason", "By the reasons of the event; one account may have several."),
        ("segment", "By the segments with the most revenue, the rest together as other."),
    ):
        board.with_panel(
            bars(
                f"Lost and recovered in the latest month, by {dimension}",
                f"The calendar month (UTC) of the latest loss or return, as far as it has come. {text}",
                COUNT,
                Query(
                    f'sum by (direction, value) ({_TURNED}{{{_VIEW}, dimension="{dimension}"}} > 0)',
                    "{{direction}} {{value}}",
                ),
                span=WIDTH // 2,
            )
        )


def _by(metric: str, dimension: str) -> str:
    return f'sum by (value) ({metric}{{{_VIEW}, dimension="{dimension}"}})'


def _stake(board: Dashboard) -> None:
    board.with_row(Row("Value at stake, in the reporting currency"))
    board.with_panel(
        figure(
            "At stake",
            "What the risks of all accounts that are not lost put at stake: risk times a year's profit.",
            COUNT,
            Query(f'sum({_STAKE}{{{_VIEW}, dimension="churn_level", value!="lost"}})'),
            span=WIDTH // 6,
        )
    )
    board.with_panel(
        figure(
            "Lost with lost accounts",
            "What a year with the lost accounts was worth when they were lost.",
            COUNT,
            Query(f'sum({_LOST}{{{_VIEW}, dimension="churn_level"}})'),
            span=WIDTH // 6,
        )
    )
    board.with_panel(
        graph(
            "Value at stake by risk",
            "What is at stake at each level of the risk of churn.",
            COUNT,
            Query(_by(_STAKE, "churn_level"), "{{value}}"),
            stacked=True,
        )
    )
    board.with_panel(
        bars(
            "Value at stake by tier",
            "What is at stake in each tier.",
            COUNT,
            Query(_by(_STAKE, "tier"), "{{value}}"),
            span=WIDTH // 6,
        )
    )
    board.with_panel(
        bars(
            "Value at stake by segment",
            "What is at stake in the segments with the most revenue; the rest together as other.",
            COUNT,
            Query(f"topk(10, {_by(_STAKE, 'segment')})", "{{value}}"),
            span=WIDTH // 6,
        )
    )


def _concentration(board: Dashboard) -> None:
    board.with_row(Row("Concentration and classes"))
    board.with_panel(
        graph(
            "Concentration of the revenue",
            "Share of a year's revenue that the largest account and the largest fifth bring; the Gini index.",
            SHARE,
            Query(
                f"max by (job, measure) (account_health_portfolio_concentration_ratio{{{JOB}}})",
                "{{job}} {{measure}}",
            ),
        )
    )
    board.with_panel(
        bars(
            "Accounts by class",
            "Of revenue and of profit. A: those that bring 80 % of it; B: up to 95 %; C: the rest.",
            COUNT,
            Query(f"max by (by, class) (account_health_portfolio_class_accounts{{{JOB}}})", "{{by}} {{class}}"),
            span=WIDTH // 6,
        )
    )
    board.with_panel(
        bars(
            "Revenue by class",
            "A year's revenue of each class, in the reporting currency.",
            COUNT,
            Query(_by(_GROUP_REVENUE, "abc_revenue"), "{{value}}"),
            span=WIDTH // 6,
        )
    )
    board.with_panel(
        bars(
            "Revenue by segment",
            "A year's revenue of the largest segments, in the reporting currency.",
            COUNT,
            Query(f"topk(10, {_by(_GROUP_REVENUE, 'segment')})", "{{value}}"),
            span=WIDTH // 6,
        )
    )
    board.with_panel(
        bars(
            "Accounts by phase",
            "Phases of an account's life.",
            COUNT,
            Query(_by(_GROUP_ACCOUNTS, "lifecycle"), "{{value}}"),
            span=WIDTH // 6,
        )
    )
    board.with_panel(
        figure(
            "Age of the portfolio",
            "Since the beginning of the day that the cut points are of, which accounts are compared with. They are "
            "drawn anew daily.",
            SECONDS,
            Query(f"time() - max(account_health_portfolio_as_of_timestamp_seconds{{{JOB}}})"),
            limits=Limits(2 * _DAY, 3 * _DAY),
            span=WIDTH // 3,
        )
    )
    board.with_panel(
        figure(
            "Version of the portfolio",
            "The latest cut points that a worker goes by.",
            units.NoUnit,
            Query(f"max(account_health_portfolio_version{{{JOB}}})"),
            span=WIDTH // 3,
        )
    )
    board.with_panel(
        figure(
            "Versions apart",
            "How many versions the worker that is furthest behind is behind the one that is furthest ahead.",
            COUNT,
            Query(
                f"max(max by (job) (account_health_portfolio_version{{{JOB}}}) "
                f"- min by (job) (account_health_portfolio_version{{{JOB}}}))"
            ),
            limits=Limits(1, 2),
            span=WIDTH // 3,
        )
    )
