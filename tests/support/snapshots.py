"""Snapshots and changes of accounts, made without the core: for whoever reads them."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from models.outputs import AccountLost, AccountRecovered, ChurnRiskChanged, TierChanged
from models.snapshots import ChurnFigures, Lifetime, ProfileFigures, Snapshot, SupportFigures

BEGIN: Final = datetime(2026, 1, 5, 12, tzinfo=UTC)


def snapshot(account_id: str, revision: int = 1, **said: Any) -> bytes:
    """Make a snapshot as it is on the topic.

    `said` are fields; those of the churn, the classes and the profile may be named as themselves, and `revenue` is that
    of 365 days.
    """
    revenue = said.pop("revenue", "100.00")
    window = {
        "revenue": revenue,
        "profit": said.pop("profit", None),
        "service_cost": "0.00",
        "orders": said.pop("orders", 1),
        "profit_coverage": None,
    }
    names = {
        "churn": ("risk", "level", "value_at_stake", "value_lost", "lost_on", "reasons"),
        "classes": ("abc_revenue", "abc_profit", "xyz", "rfm", "account_types"),
        "profile": ("segment", "owner", "region", "industry", "ratings", "override", "version", "budget"),
    }
    parts = {part: {name: said.pop(name) for name in fields if name in said} for part, fields in names.items()}
    whole = {
        "account_id": account_id,
        "incarnation": 0,
        "name": f"Account {account_id}",
        "currency": "EUR",
        "as_of": BEGIN + timedelta(hours=revision),
        "revision": revision,
        "tier": "standard",
        "score": 50.0,
        "confidence": 1.0,
        "components": [],
        "windows": {"30": window, "90": window, "365": window},
        "lifetime": _filled(Lifetime, {"orders": 1, "revenue": revenue, "last_order": "2026-01-05"}),
        "classes": parts["classes"],
        "lifecycle": "steady",
        "churn": _filled(
            ChurnFigures,
            {"risk": 0.5, "level": "low", "horizon_days": 90, "reasons": [], "value_at_stake": "10.00"}
            | parts["churn"],
        ),
        "portfolio": {},
        "support": _filled(SupportFigures, {"open": 0, "severe": 0, "breaches_90d": 0}),
        "actions": [],
        "policy_version": "p1",
        "model_version": "m1",
        "profile": None,
    }
    if parts["profile"]:
        whole["profile"] = _filled(ProfileFigures, {"version": 1, "ratings": {}} | parts["profile"])
    return Snapshot.model_validate(_filled(Snapshot, whole | said)).model_dump_json().encode()


def tier_change(account_id: str, sequence: int, *, incarnation: int = 0, tier: str = "growth", **said: Any) -> bytes:
    """Make a tier change as it is on the topic."""
    whole = _common(account_id, sequence, incarnation) | {
        "previous_tier": "standard",
        "tier": tier,
        "direction": "promoted",
        "flap": False,
        "cause": "behaviour",
        "score_before": 40.0,
        "score": 60.0,
        "score_delta_hundredths": 2000,
        "confidence": 1.0,
        "components": [],
        "windows": {},
        "classes": {},
    }
    return TierChanged.model_validate(_filled(TierChanged, whole | said)).model_dump_json().encode()


def churn_change(
    account_id: str, sequence: int, *, incarnation: int = 0, lost: Any = False, recovered: Any = False, **said: Any
) -> bytes:
    """Make a churn event as it is on the topic."""
    model = AccountLost if lost else AccountRecovered if recovered else ChurnRiskChanged
    whole = _common(account_id, sequence, incarnation) | {
        "cause": "time",
        "previous_level": "low",
        "level": "lost" if lost else "low" if recovered else "high",
        "risk": 0.9,
        "horizon_days": 90,
        "reasons": ["overdue"],
        "value_at_stake": "90.00",
        "tier": "standard",
    }
    return model.model_validate(_filled(model, whole | said)).model_dump_json().encode()


def body(value: bytes) -> Any:
    """Read what is on a topic."""
    return json.loads(value)


def _common(account_id: str, sequence: int, incarnation: int) -> dict[str, Any]:
    return {
        "account_id": account_id,
        "sequence": sequence,
        "incarnation": incarnation,
        "occurred_at": BEGIN + timedelta(hours=sequence),
        "trigger_event_id": f"e{sequence}",
        "policy_version": "p1",
        "model_version": "m1",
        "portfolio_version": None,
    }


def _filled(model: Any, said: dict[str, Any]) -> dict[str, Any]:
    """Give all that a model asks for: what is not said is null."""
    return {name: None for name, one in model.model_fields.items() if one.is_required()} | said
