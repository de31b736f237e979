"""The risks of a churn model at a day, from files of events: what a comparison with what happened afterwards needs."""

from collections.abc import Sequence
from datetime import date
from pathlib import Path

from models.churn_model import ChurnModel
from processors.context import Context
from processors.return_model import probability
from stream.calibration.candidates import log_odds
from stream.calibration.history import read_history


def account_risks(paths: Sequence[Path], until: date, model: ChurnModel, context: Context) -> dict[str, float]:
    """Predict every account that had ordered by the end of a day; nothing after it is looked at.

    The risk is that of no order within the model's horizon, before support signals.

    Args:
        paths: files of events, as of `replay`.
        until: the day.
        model: the churn model.
        context: whose time zone says which day an order belongs to.

    Raises:
        FileError: if a file cannot be read.
        CalibrationError: if no order is in the files up to that day.
    """
    history = read_history(paths, context, latest_ms=0, until=until).history
    features = history.features(history.until_day)
    return {
        history.account_ids[account]: probability(value)
        for account, value in zip(features.accounts.tolist(), log_odds(model, features).tolist(), strict=True)
    }
