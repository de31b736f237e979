"""The page that shows the results."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from validation.cases import BELOW_RECENCY_MAX, FURTHER, PUBLISHED

RESULTS: Final = Path(__file__).parent / "results.json"
PAGE: Final = Path(__file__).resolve().parents[1] / "docs" / "validation.md"

_KINDS: Final = {"recency": "recency", "bg_nbd": "BG/NBD", "mbg_nbd": "MBG/NBD", "logistic": "logistic"}
_PROTOCOLS: Final = {
    "later_windows": "later windows",
    "cross_validation": "cross-validation",
    "cross_validation_shifted": "cross-validation, shifted",
}

Results = Mapping[str, Mapping[str, Mapping[str, Any]]]


def render(results: Results) -> str:
    """Write the page."""
    return "\n".join([*_INTRODUCTION, *_published(results), "", *_BETWEEN, *_further(results), "", *_end(results), ""])


def below(results: Results) -> list[str]:
    """Name the cases in which a model ranks accounts worse than recency alone by more than is allowed."""
    return [
        f"{case.set.title} {case.cut}, {case.horizon_days} days"
        for case in (*PUBLISHED, *FURTHER)
        if results[case.set.name][case.key]["auc_over_recency"] < -BELOW_RECENCY_MAX
    ]


_INTRODUCTION: Final = (
    "# How well churn is predicted",
    "",
    "<!-- Written by `make validate`. -->",
    "",
    "Each published history is [imported](importing.md), a [churn model](churn.md) is calibrated on what was known",
    "at the end of a day, and its risks are compared with who ordered in the horizon after it. Nothing after the day",
    "is looked at. `make validate` does it again, in a few minutes; `ACCOUNT_HEALTH_DATA` names the folder of the",
    "histories.",
    "",
    "| figure | what it is |",
    "| --- | --- |",
    "| AUC | chance that of two accounts, one of which stayed silent, that one had the higher risk |",
    "| Brier | mean square of risk less outcome |",
    "| ECE | mean distance between predicted and observed share, over ten bins of risk |",
    "| recency | AUC of days since the last order, alone |",
    "| base rate | Brier score of giving everyone the share that stayed silent |",
    "",
    "## Published cases",
    "",
    "*Elsewhere*: AUC and Brier score of the best simple model that was found for the case before this one.",
    "Risks are those in the snapshots of `account-health replay --until DAY --model MODEL`.",
    "",
)
_BETWEEN: Final = (
    "## Other days and horizons",
    "",
    "Ends of months and quarters, and horizons that the histories hold. The rules by which a model is chosen were",
    "tried on these four histories: of another one they have not seen anything.",
    "",
)


def _published(results: Results) -> list[str]:
    columns = ("history", "as of", "days", "accounts", "model", "AUC", "Brier", "ECE", "recency", "base rate")
    lines = _head(*columns, "elsewhere")
    for case in PUBLISHED:
        found, reference = results[case.set.name][case.key], case.reference
        assert reference is not None
        lines.append(
            f"| {case.set.title} | {case.cut} | {case.horizon_days} | {found['accounts']:,} "
            f"| {_KINDS[found['model']]} | **{found['auc']:.3f}** | **{found['brier']:.3f}** "
            f"| {found['calibration_error']:.3f} | {found['recency_auc']:.3f} | {found['base_rate_brier']:.3f} "
            f"| {reference.auc:.3f} / {reference.brier:.3f} |"
        )
    return lines


def _head(*columns: str) -> list[str]:
    return [f"| {' | '.join(columns)} |", f"|{' --- |' * len(columns)}"]


def _further(results: Results) -> list[str]:
    lines = _head("history", "as of", "days", "model", "chosen by", "AUC", "over recency", "Brier", "base rate", "ECE")
    for case in FURTHER:
        found = results[case.set.name][case.key]
        lines.append(
            f"| {case.set.title} | {case.cut} | {case.horizon_days} | {_KINDS[found['model']]} "
            f"| {_PROTOCOLS[found['protocol']]} | {found['auc']:.3f} | {found['auc_over_recency']:+.3f} "
            f"| {found['brier']:.3f} | {found['base_rate_brier']:.3f} | {found['calibration_error']:.3f} |"
        )
    return lines


def _end(results: Results) -> list[str]:
    named = below(results)
    if not named:
        return [f"Nowhere does a model rank accounts worse than recency alone by more than {BELOW_RECENCY_MAX} of AUC."]
    return [
        f"A model ranks accounts worse than recency alone by more than {BELOW_RECENCY_MAX} of AUC in:",
        "",
        *(f"- {one}" for one in named),
    ]
