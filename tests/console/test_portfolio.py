"""The portfolio's months: none is left out between two that are shown."""

import pytest

from stream.console.pages.portfolio import with_quiet_months
from stream.serving.results import ChurnMonth, Turns

NOBODY = Turns(accounts=0, value_at_stake="0", by_reason=(), by_segment=(), by_owner=())
SOMEBODY = NOBODY.model_copy(update={"accounts": 3})


@pytest.mark.parametrize(
    ("turned", "shown"),
    [
        ([], []),
        (["2026-02"], ["2026-02"]),
        (["2026-02", "2026-03"], ["2026-02", "2026-03"]),
        (["2025-11", "2026-02"], ["2025-11", "2025-12", "2026-01", "2026-02"]),
    ],
)
def test_a_month_in_which_nothing_happened_is_shown_too(turned: list[str], shown: list[str]) -> None:
    """With zeros; without it two months that are far apart would look like neighbours."""
    found = with_quiet_months([ChurnMonth(month=one, lost=SOMEBODY, recovered=NOBODY) for one in turned])

    assert [one.month for one in found] == shown
    assert [one.lost.accounts for one in found] == [3 if one in turned else 0 for one in shown]
