"""What every account's tier changes have to add up to."""

from collections.abc import Iterable, Mapping
from typing import Any


def that_do_not_add_up(tier_changes: Mapping[str, Iterable[dict[str, Any]]]) -> list[str]:
    """Name the changes whose deltas are not the score's change since the account's change before, to the hundredth."""
    found = []
    for account_id, changes in tier_changes.items():
        score_before: float | None = None
        points_before: dict[str, int] = {}
        for one in changes:
            deltas = {part["name"]: part["delta_hundredths"] for part in one["components"]}
            points = {part["name"]: part["points_hundredths"] for part in one["components"]}
            change = round(100 * (one["score"] or 0)) - round(100 * (score_before or 0))
            expected = {name: value - points_before.get(name, 0) for name, value in points.items()}
            same = one["score_before"] == score_before and one["score_delta_hundredths"] == change
            if not same or sum(deltas.values()) != change or deltas != expected:
                found.append(f"{account_id}/{one['sequence']}")
            score_before, points_before = one["score"], points
    return found
