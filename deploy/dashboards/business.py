"""For whoever answers for the accounts: tiers, risk, who was lost and who came back."""

from grafana_foundation_sdk.builders.dashboard import Dashboard, Row

from deploy.dashboards import portfolio
from deploy.dashboards.parts import (
    COUNT,
    JOB,
    SHARE,
    WIDTH,
    Limits,
    Query,
    alerts,
    bars,
    figure,
    graph,
    listing,
    page,
)

_SEGMENTS = "account_health_churn_event_segments_total"
_TIERS = "job_tier:account_health_tier_accounts:sum"
_LEVELS = "job_level:account_health_churn_accounts:sum"
_ACCOUNTS = "job:account_health_state_accounts:sum"
_CHANGES = "account_health_tier_changes_total"
_CHURN = "account_health_churn_events_total"
_REASONS = "account_health_churn_event_reasons_total"
_MONTH = "30d"


def build() -> Dashboard:
    """Build the dashboard."""
    board = page(
        "account-health-business",
        "Account health: accounts",
        "How the accounts are graded, what changes, who is at risk, and who was lost and came back.",
        "now-7d",
    )
    _now(board)
    _tiers(board)
    _risk(board)
    portfolio.add_rows(board)
    _lost_and_recovered(board)
    return board


def _now(board: Dashboard) -> None:
    board.with_row(Row("Now"))
    board.with_panel(
        figure(
            "Accounts",
            "Accounts that are known, also those that never ordered.",
            COUNT,
            Query(f"sum({_ACCOUNTS}{{{JOB}}})"),
        )
    )
    board.with_panel(
        figure("Key accounts", "Accounts in the highest tier.", COUNT, Query(f'sum({_TIERS}{{{JOB}, tier="key"}})'))
    )
    board.with_panel(
        figure(
            "At risk",
            "Share of all accounts whose risk of churn is medium or high.",
            SHARE,
            Query(f'sum({_LEVELS}{{{JOB}, level=~"medium|high"}}) / sum({_ACCOUNTS}{{{JOB}}})'),
        )
    )
    board.with_panel(
        figure(
            "Lost",
            "Accounts that were silent for so long that they count as lost.",
            COUNT,
            Query(f'sum({_LEVELS}{{{JOB}, level="lost"}})'),
        )
    )
    board.with_panel(
        figure(
            "Unrated",
            "Share of accounts of which too little is known to grade them.",
            SHARE,
            Query(f'sum({_TIERS}{{{JOB}, tier="unrated"}}) / sum({_ACCOUNTS}{{{JOB}}})'),
        )
    )
    board.with_panel(
        figure(
            "Tier changes, 24 hours",
            "Tier changes that were published within the last 24 hours.",
            COUNT,
            Query(f"sum(increase({_CHANGES}{{{JOB}}}[24h]))"),
        )
    )
    board.with_panel(alerts(WIDTH // 3))
    board.with_panel(
        bars(
            "Tiers",
            "Accounts in each tier at present.",
            COUNT,
            Query(f"sum by (tier) ({_TIERS}{{{JOB}}})", "{{tier}}"),
        )
    )
    board.with_panel(
        listing(
            "Policy in force",
            "Which policy each worker grades by, and the currency that it reports in. More than one version: a rollout "
            "that is under way, or has stopped halfway.",
            Query(f"max by (job, revision, version, currency) (account_health_policy_info{{{JOB}}})"),
            [],
            span=WIDTH // 3,
        )
    )


def _tiers(board: Dashboard) -> None:
    board.with_row(Row("Tiers"))
    board.with_panel(
        graph(
            "Accounts by tier",
            "How many accounts are in each tier.",
            COUNT,
            Query(f"sum by (tier) ({_TIERS}{{{JOB}}})", "{{tier}}"),
            stacked=True,
        )
    )
    board.with_panel(
        graph(
            "Tier changes by direction",
            "Tier changes published within the interval: entered (the first grade), promoted, demoted, withdrawn.",
            COUNT,
            Query(f"sum by (direction) (increase({_CHANGES}{{{JOB}}}[$__interval]))", "{{direction}}"),
            stacked=True,
            bars=True,
            interval="1h",
        )
    )
    board.with_panel(
        graph(
            "Tier changes by cause",
            "What moved them: their behaviour, time alone, a correction, the policy, or the portfolio.",
            COUNT,
            Query(f"sum by (cause) (increase({_CHANGES}{{{JOB}}}[$__interval]))", "{{cause}}"),
            stacked=True,
            bars=True,
            interval="1h",
        )
    )
    board.with_panel(
        graph(
            "Tiers lost within an hour",
            "Accounts demoted, or no longer graded, by cause. Many at once are rarely their own doing.",
            COUNT,
            Query(f"sum by (cause) (job_cause:account_health_tier_losses:increase1h{{{JOB}}})", "{{cause}}"),
            span=WIDTH // 2,
        )
    )
    board.with_panel(
        graph(
            "Changes that undid one",
            "Tier changes within 24 hours that undid a change of the last 30 days: noise.",
            COUNT,
            Query(f"sum(increase(account_health_tier_flaps_total{{{JOB}}}[24h]))", "undone"),
            span=WIDTH // 2,
        )
    )


def _risk(board: Dashboard) -> None:
    board.with_row(Row("Risk"))
    board.with_panel(
        graph(
            "Accounts by risk",
            "How many accounts are at each level of the risk of churn. Unproven: one order day, no rhythm to judge by.",
            COUNT,
            Query(f"sum by (level) ({_LEVELS}{{{JOB}}})", "{{level}}"),
            stacked=True,
            span=WIDTH // 2,
        )
    )
    board.with_panel(
        graph(
            "Churn events",
            "Churn events published within the interval: risks that changed, losses, recoveries.",
            COUNT,
            Query(f"sum by (type) (increase({_CHURN}{{{JOB}}}[$__interval]))", "{{type}}"),
            stacked=True,
            bars=True,
            interval="1h",
            span=WIDTH // 2,
        )
    )


def _lost_and_recovered(board: Dashboard) -> None:
    board.with_row(Row("Lost and recovered, a month"))
    for name, kind in (("Lost", "account.lost"), ("Recovered", "account.recovered")):
        selector = f'{{{JOB}, type="{kind}"}}'
        board.with_panel(
            figure(
                f"{name}, 30 days",
                f"Accounts that were {name.lower()} within the last 30 days.",
                COUNT,
                Query(f"sum(increase({_CHURN}{selector}[{_MONTH}]))"),
                span=WIDTH // 4,
            )
        )
        board.with_panel(
            figure(
                f"{name}, of all accounts",
                f"Accounts that were {name.lower()} within the last 30 days, as a share of all accounts.",
                SHARE,
                Query(f"sum(increase({_CHURN}{selector}[{_MONTH}])) / sum({_ACCOUNTS}{{{JOB}}})"),
                limits=Limits(0.02, 0.05) if kind == "account.lost" else None,
                span=WIDTH // 4,
            )
        )
    for name, kind in (("Lost", "account.lost"), ("Recovered", "account.recovered")):
        selector = f'{{{JOB}, type="{kind}"}}'
        board.with_panel(
            bars(
                f"{name}, 30 days, by reason",
                f"Reasons given for accounts {name.lower()} within 30 days; one may have several.",
                COUNT,
                Query(f"sum by (reason) (increase({_REASONS}{selector}[{_MONTH}]))", "{{reason}}"),
                span=WIDTH // 4,
            )
        )
        board.with_panel(
            bars(
                f"{name}, 30 days, by tier",
                f"Tiers of the accounts that were {name.lower()} within the last 30 days.",
                COUNT,
                Query(f"sum by (tier) (increase({_CHURN}{selector}[{_MONTH}]))", "{{tier}}"),
                span=WIDTH // 4,
            )
        )
    for name, kind in (("Lost", "account.lost"), ("Recovered", "account.recovered")):
        board.with_panel(
            bars(
                f"{name}, 30 days, by segment",
                "By the segments that the policy names, the rest together as other. Owners are too many for a series: "
                "the console has them.",
                COUNT,
                Query(
                    f'sum by (segment) (increase({_SEGMENTS}{{{JOB}, type="{kind}"}}[{_MONTH}]))',
                    "{{segment}}",
                ),
                span=WIDTH // 4,
            )
        )
    board.with_panel(
        graph(
            "Lost and recovered within 30 days",
            "At each moment, the accounts lost and recovered within the 30 days before it.",
            COUNT,
            Query(f'sum(increase({_CHURN}{{{JOB}, type="account.lost"}}[{_MONTH}]))', "lost"),
            Query(f'sum(increase({_CHURN}{{{JOB}, type="account.recovered"}}[{_MONTH}]))', "recovered"),
            span=WIDTH // 2,
            interval="1h",
        )
    )
    portfolio.add_month(board)
