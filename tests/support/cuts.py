"""Cut points of a made-up portfolio: a worker and a replay that are given them come to the same result."""

from pathlib import Path
from typing import Final

import numpy as np

from models.codec import NO_BUDGET
from models.policy import Classes
from models.portfolio import cut_points_to_json
from processors.portfolio.census import ROW, Counted, take
from processors.portfolio.cutting import cut_points
from processors.scorecard import PARTS
from stream.portfolio.files import CUT_POINTS_FILE

_ACCOUNTS: Final = 400
_LAST_DAY: Final = 20_000
_KNOWN: Final = ("revenue", "growth", "tenure", "regularity")


def made_up_census() -> Counted:
    """Count four hundred accounts, of which the largest brings two thousand times as much as the least."""
    numbers = np.arange(_ACCOUNTS)
    table = np.zeros(_ACCOUNTS, ROW)
    table["revenue_minor"] = np.geomspace(1_000, 2_000_000, _ACCOUNTS).astype(np.int64)
    table["profit_minor"] = table["revenue_minor"] // 5 - 20_000
    table["budget_minor"] = NO_BUDGET
    table["orders"] = table["order_days"] = 2 + numbers % 20
    table["last_order_day"] = _LAST_DAY - numbers % 200
    table["first_order_day"] = table["last_order_day"] - 30 * (table["order_days"] - 1)
    table["support_events"] = numbers % 7 == 0
    table["parts"] = sum(1 << PARTS.index(name) for name in _KNOWN)
    return take(table.tobytes(), _LAST_DAY)


MADE_UP: Final = cut_points([made_up_census()], 1, Classes())


def write_cuts(folder: Path) -> Path:
    """Write them into a folder, which is made if need be."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"made-up-{CUT_POINTS_FILE}"
    path.write_bytes(cut_points_to_json(MADE_UP))
    return path
