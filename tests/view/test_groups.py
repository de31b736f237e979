"""What Prometheus is told of the portfolio: the totals of the view, bounded."""

from datetime import UTC, datetime

from prometheus_client import CollectorRegistry

from models.outputs import ChurnLevel, ChurnReason, Tier
from stream.view.groups import OTHER, SEGMENTS_MAX, Groups
from stream.view.totals import Total


def _registered(totals: dict[str, dict[str, Total]]) -> CollectorRegistry:
    groups, registry = Groups("v_"), CollectorRegistry()
    registry.register(groups)
    groups.take(totals)
    return registry


def test_money_is_in_major_units() -> None:
    """As many minor units make one as the currency of the view has."""
    totals = {"currency": {"EUR:2": Total(2, 5)}, "tier": {"key": Total(2, 123_456, 999, 150)}}
    labels = {"dimension": "tier", "value": "key"}
    registry = _registered(totals)

    assert registry.get_sample_value("v_group_accounts", labels) == 2
    assert registry.get_sample_value("v_group_revenue", labels) == 1234.56
    assert registry.get_sample_value("v_group_value_at_stake", labels) == 9.99
    assert registry.get_sample_value("v_group_value_lost", labels) == 1.5


def test_what_is_known_beforehand_is_there_from_the_start() -> None:
    """Every tier and level has its series at 0, also in an empty view."""
    registry = _registered({})

    for dimension, values in (("tier", Tier), ("churn_level", ChurnLevel)):
        for value in values:
            assert registry.get_sample_value("v_group_accounts", {"dimension": dimension, "value": value}) == 0


def test_segments_are_bounded() -> None:
    """Those with the most revenue have series of their own, the rest is one; also a segment that is called so."""
    segments = {f"s{number}": Total(1, number, 2 * number) for number in range(SEGMENTS_MAX + 5)}
    registry = _registered({"segment": {**segments, OTHER: Total(1, 10_000, 7)}, "owner": {"Ann": Total(1, 1)}})
    (family,) = (one for one in registry.collect() if one.name == "v_group_revenue")
    found = {s.labels["value"]: s.value for s in family.samples if s.labels["dimension"] == "segment"}

    assert len(found) == SEGMENTS_MAX
    assert sum(found.values()) == sum(one.revenue for one in segments.values()) + 10_000
    assert found[OTHER] == sum(range(6)) + 10_000
    assert {s.labels["dimension"] for s in family.samples} & {"owner", "region"} == set()


def test_totals_that_change_later_do_not_change_what_was_taken() -> None:
    """A scrape happens on another thread than the one that counts."""
    tier = {"key": Total(1, 100)}
    registry = _registered({"tier": tier})
    tier["key"].accounts = 5

    assert registry.get_sample_value("v_group_accounts", {"dimension": "tier", "value": "key"}) == 1


def test_the_latest_month_is_shown_by_reason_and_segment() -> None:
    """Every reason has a series from the start; a segment that has none of its own is other, and no owner is told."""
    parts = {
        "2026-02:lost:reason:overdue": Total(9),
        "2026-03:lost:reason:overdue": Total(2),
        "2026-03:lost:reason:-": Total(1),
        "2026-03:lost:segment:retail": Total(1),
        "2026-03:lost:segment:gone: north": Total(2),
        "2026-03:recovered:owner:Ann": Total(1),
    }
    whole = {"2026-02:lost": Total(9), "2026-03:lost": Total(3)}
    registry = _registered({"segment": {"retail": Total(1)}, "months": whole, "months_by": parts})
    (family,) = (one for one in registry.collect() if one.name == "v_month_churn_accounts")
    found = {tuple(one.labels.values()): one.value for one in family.samples}

    assert {key: value for key, value in found.items() if value} == {
        ("lost", "reason", "overdue"): 2,
        ("lost", "reason", "-"): 1,
        ("lost", "segment", "retail"): 1,
        ("lost", "segment", OTHER): 2,
    }
    assert {("recovered", "reason", one.value) for one in ChurnReason} <= found.keys()
    assert registry.get_sample_value("v_month_start_timestamp_seconds") == datetime(2026, 3, 1, tzinfo=UTC).timestamp()
