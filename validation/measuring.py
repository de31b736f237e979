"""From a published file to how well its future was predicted."""

from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any, Final, NamedTuple

import msgspec
import numpy as np

from models.churn_model import ChurnModel
from models.policy import Policy
from processors.context import Context, day_of_date
from stream.calibration.calibrating import Source, calibrate
from stream.calibration.history import Flags, read_history
from stream.calibration.predicting import account_risks
from stream.calibration.scores import auc, scores
from stream.importers.outbox import Outbox
from stream.importers.presets import Extras, import_preset
from stream.replay import SNAPSHOTS_FILE, Replay
from validation.cases import Case, Set

_DECIMALS: Final = 4
_RISK_STEP: Final = 0.5e-4 + 1e-9
"""A published risk has four decimals."""


def import_set(which: Set, data: Path, folder: Path) -> Path:
    """Import a published file; gives the file of events."""
    path = folder / f"{which.name}.jsonl"
    with Outbox() as outbox:
        import_preset(which.preset, data / which.file, outbox, Extras())
        with path.open("wb") as events:
            events.writelines(line + b"\n" for line in outbox.events)
    return path


def fit(case: Case, events: Path) -> ChurnModel:
    """Calibrate on what was known at the cut."""
    reading = read_history([events], context_of(case.set), 0, case.cut)
    return calibrate(reading.history, case.horizon_days, Source([events.name], reading.events, "UTC"))


def context_of(which: Set, model: ChurnModel | None = None) -> Context:
    """Judge by the default policy in the currency of the set."""
    return Context(Policy(reporting_currency=which.currency), model=model)


def replayed_risks(case: Case, events: Path, model: ChurnModel, folder: Path) -> dict[str, float]:
    """Take the risks from the snapshots of a replay up to the cut, as a worker would have published them."""
    Replay(context_of(case.set, model), 0, case.cut).run([events], folder, lambda _: None)
    lines = (folder / SNAPSHOTS_FILE).read_bytes().splitlines()
    snapshots = [msgspec.json.decode(line) for line in lines]
    return {one["account_id"]: float(one["churn"]["risk"]) for one in snapshots if one["churn"]["risk"] is not None}


class Outcome(NamedTuple):
    """What became of the accounts that had ordered by the cut."""

    account_ids: list[str]
    silent: Flags
    recency_auc: float
    """Of days since the last order, alone."""


def outcome_of(case: Case, events: Path) -> Outcome:
    """Look at who really ordered in the horizon after the cut."""
    horizon = timedelta(days=case.horizon_days)
    history = read_history([events], context_of(case.set), 0, case.cut + horizon).history
    features = history.features(day_of_date(case.cut))
    silent = history.silent(features, case.horizon_days)
    ids = [history.account_ids[one] for one in features.accounts]
    return Outcome(ids, silent, auc(silent, features.silence.astype(np.float64)))


def scored(outcome: Outcome, risks: Mapping[str, float]) -> dict[str, float]:
    """Score the risks of all accounts."""
    assert risks.keys() == set(outcome.account_ids), "every account that had ordered is predicted, and no other"
    found = scores(outcome.silent, np.array([risks[one] for one in outcome.account_ids]))
    return _rounded({**found._asdict(), "auc_over_recency": found.auc - outcome.recency_auc})


def run_case(case: Case, events: Path, folder: Path | None = None) -> dict[str, Any]:
    """Calibrate, predict and score; with a folder the risks are those that a replay publishes."""
    model = fit(case, events)
    assert model.comparison is not None
    outcome = outcome_of(case, events)
    share = float(outcome.silent.mean())
    risks = account_risks([events], case.cut, model, context_of(case.set))
    if folder is not None:
        published = replayed_risks(case, events, model, folder)
        assert published.keys() == risks.keys()
        assert all(abs(published[one] - risks[one]) <= _RISK_STEP for one in risks), "a replay gives the same risks"
        risks = published
    return {
        "accounts": len(outcome.account_ids),
        "model": model.parameters.kind,
        "protocol": model.comparison.protocol,
        **_rounded({"silent_share": share, "base_rate_brier": share * (1 - share), "recency_auc": outcome.recency_auc}),
        **scored(outcome, risks),
    }


def _rounded(figures: Mapping[str, float]) -> dict[str, float]:
    return {name: round(value, _DECIMALS) for name, value in figures.items()}
