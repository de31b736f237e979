"""How well churn is predicted on published histories: what is committed, and what can be run in the time of a test.

`make validate` runs all of it.
"""

import json
import lzma
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, Final

import pytest

from validation import page
from validation.cases import (
    BELOW_RECENCY_MAX,
    CALIBRATION_ERROR_MAX,
    CDNOW_SAMPLE,
    FURTHER,
    ONLINE_RETAIL,
    PUBLISHED,
    RESELLERS,
    Case,
    Set,
)
from validation.measuring import import_set, run_case

RESULTS: Final[dict[str, dict[str, dict[str, Any]]]] = json.loads(page.RESULTS.read_text(encoding="utf-8"))
# Other releases of NumPy and SciPy add up in another order.
TOLERANCE: Final = 0.002


def _name(case: Case) -> str:
    return f"{case.set.name} {case.key}"


Events = Callable[[Set], Path]


@pytest.fixture(scope="module")
def events(data_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Events:
    """Each history, imported once; of Online Retail a quarter of the customers."""
    folder = tmp_path_factory.mktemp("histories")

    @cache
    def imported(which: Set) -> Path:
        if which is not ONLINE_RETAIL:
            return import_set(which, data_dir, folder)
        quarter = which._replace(file="quarter.csv")
        with lzma.open(data_dir / which.file, "rt", encoding="utf-8") as source:
            header, *lines = source
        chosen = [line for line in lines if (customer := line.rsplit(",", 2)[1]) and float(customer) % 4 == 0]
        (folder / quarter.file).write_text("".join([header, *chosen]), encoding="utf-8")
        return import_set(quarter, folder, folder)

    return imported


@pytest.mark.parametrize("case", PUBLISHED, ids=_name)
def test_what_is_required_is_reached(case: Case) -> None:
    """On each published case, by the risks that a replay publishes."""
    found, required = RESULTS[case.set.name][case.key], case.reference
    assert required is not None

    assert found["auc"] >= required.auc_required
    assert found["brier"] <= required.brier_required
    assert found["auc_over_recency"] >= -BELOW_RECENCY_MAX
    assert found["calibration_error"] <= CALIBRATION_ERROR_MAX.get(case.set.name, 1)


@pytest.mark.parametrize("case", FURTHER, ids=_name)
def test_recency_alone_is_never_much_better(case: Case) -> None:
    """On no other day or horizon that was tried."""
    assert RESULTS[case.set.name][case.key]["auc_over_recency"] >= -BELOW_RECENCY_MAX


def test_the_results_are_those_of_all_cases() -> None:
    """Neither one that is no longer run nor one that was never run."""
    expected = {(case.set.name, case.key) for case in (*PUBLISHED, *FURTHER)}

    assert {(name, key) for name, cases in RESULTS.items() for key in cases} == expected


def test_the_page_shows_the_results() -> None:
    """docs/validation.md is written from results.json by `make validate`."""
    assert page.PAGE.read_text(encoding="utf-8") == page.render(RESULTS)


@pytest.mark.parametrize("case", [one for one in PUBLISHED if one.set in {CDNOW_SAMPLE, RESELLERS}], ids=_name)
def test_committed_results_are_reproduced(case: Case, events: Events, tmp_path: Path) -> None:
    """Import, calibrate, predict and replay give the figures of the page."""
    found = run_case(case, events(case.set), tmp_path)
    committed = RESULTS[case.set.name][case.key]

    assert {name: found[name] for name in ("accounts", "model", "protocol")} == {
        name: committed[name] for name in ("accounts", "model", "protocol")
    }
    for name in ("auc", "brier", "log_loss", "calibration_error", "recency_auc", "silent_share"):
        assert found[name] == pytest.approx(committed[name], abs=TOLERANCE), name


def test_a_quarter_of_online_retail_is_predicted_well(events: Events) -> None:
    """A fourth of the customers teach enough to be clearly better than recency alone, and than giving all one risk."""
    [case] = [one for one in PUBLISHED if one.set is ONLINE_RETAIL]

    found = run_case(case, events(ONLINE_RETAIL))

    assert found["accounts"] > 800
    assert found["auc_over_recency"] >= 0.03
    assert found["brier"] <= found["base_rate_brier"] - 0.015
