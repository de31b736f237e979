"""The churn model: a fitted rule from an account's order days to the risk that it does not order again.

One JSON file, written by `account-health calibrate`. It is checked as a whole, unknown keys are refused and every
error is listed at once. The `version` is the hash of what the model says, not of how it was found.

All kinds look at the days with an order only: how many, the first, the last, and how many of them are recent. None of
them lets the risk fall while an account is silent; parameters that would are refused.
"""

import hashlib
import json
from datetime import date
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic_core import PydanticCustomError

RECENT_DAYS: Final = (90, 180)
"""Lengths in days of the two windows in which a logistic model counts order days."""
HORIZON_DAYS_MAX: Final = 3650
_MODEL_BYTES_MAX: Final = 1_048_576
_VERSION_HEX_DIGITS: Final = 12
_UNCALIBRATED_SUFFIX: Final = "-uncalibrated"
_VALUE_CHARACTERS_MAX: Final = 100
# Rounding may leave a sum of two fitted weights below 0 by as much.
_SIGN_TOLERANCE: Final = 1e-9


class ChurnModelError(ValueError):
    """A model that cannot be used; its text lists every error, one a line."""


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


Weight = Annotated[float, Field(ge=-1000, le=1000)]
Rising = Annotated[float, Field(ge=0, le=1000)]
Falling = Annotated[float, Field(ge=-1000, le=0)]
Shape = Annotated[float, Field(ge=1e-6, le=1e6)]
Metric = Annotated[float, Field(ge=0)]
Share = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=0)]
Text = Annotated[str, Field(min_length=1, max_length=200)]


class Recency(_Section):
    """Recency alone, what every other kind has to beat: log-odds = intercept + slope × ln(1 + silence)."""

    kind: Literal["recency"] = "recency"
    intercept: Weight
    slope: Rising


class ReturnCurve(_Section):
    """The chance to order again within the horizon, under BG/NBD or MBG/NBD.

    P(alive) × (1 − ((α + T) / (α + T + h))^(r + x)), with x order days after the first, T days since the first and h
    days of horizon. The log-odds of its complement are then taken as shift + scale × log-odds, fitted on what became of
    accounts (Platt scaling); 0 and 1 leave the curve as it is.

    Sources: Fader, Hardie & Lee (2005), "Counting Your Customers" the Easy Way, Marketing Science 24(2), 275-284;
    Batislam, Denizel & Filiztekin (2007), Empirical validation and comparison of models for customer base analysis,
    International Journal of Research in Marketing 24(3), 201-209.
    """

    kind: Literal["bg_nbd", "mbg_nbd"]
    r: Shape
    alpha_days: Annotated[float, Field(ge=1e-3, le=1e9)]
    a: Shape
    b: Shape
    shift: Weight = 0.0
    scale: Annotated[float, Field(gt=0, le=10)] = 1.0


class Logistic(_Section):
    """Log-odds linear in what the order days tell, with n order days, silence s, age T since the first and own gap g.

    intercept + log_orders × ln n + log_silence × ln(1 + s) + log_age × ln(1 + T) + log_overdue × ln(1 + s / g)
    + Σ recent_weights × min(recent order days, recent_most)
    """

    kind: Literal["logistic"] = "logistic"
    intercept: Weight
    log_orders: Falling
    log_silence: Rising
    log_age: Weight
    log_overdue: Rising
    recent_weights: tuple[Falling, Falling]
    """For each order day of the last 90 and of the last 180 days."""
    recent_most: tuple[Annotated[int, Field(ge=1, le=180)], Annotated[int, Field(ge=1, le=180)]]
    """More recent order days count as so many: beyond them the model has seen too few accounts."""

    @model_validator(mode="after")
    def _never_falls_in_silence(self) -> Self:
        if self.log_silence + self.log_age < -_SIGN_TOLERANCE:
            raise PydanticCustomError("falls", "log_silence + log_age should not be below 0: the risk would fall")
        return self


Parameters = Annotated[Recency | ReturnCurve | Logistic, Field(discriminator="kind")]


class LabelWindow(_Section):
    """A cut, whose features are from before its end, and the days after it, in which an order was awaited."""

    cut: date
    horizon_days: Annotated[int, Field(ge=1, le=HORIZON_DAYS_MAX)]
    accounts: Count
    silent: Count
    """How many of them did not order within the horizon."""


class FittedOn(_Section):
    """The history that a model was fitted on."""

    files: Annotated[tuple[Text, ...], Field(max_length=1000)]
    """Names of the files of events, without their folders."""
    events: Count
    """Orders and cancellations that were read."""
    accounts: Count
    first_order: date
    until: date
    """The last day that counted."""
    time_zone: Text
    windows: Annotated[tuple[LabelWindow, ...], Field(max_length=1000)]
    """What the winner learned from in the end."""


class Candidate(_Section):
    """How well one kind did on accounts or time that it had not seen."""

    kind: Text
    auc: Share
    brier: Share
    log_loss: Metric
    calibration_error: Share
    """Expected calibration error over ten bins of equal width."""


class ReliabilityBin(_Section):
    """Accounts of similar predicted risk, and what became of them."""

    accounts: Count
    predicted: Share
    observed: Share


class Comparison(_Section):
    """How the candidates were compared."""

    protocol: Literal["later_windows", "cross_validation", "cross_validation_shifted"]
    windows: Annotated[tuple[LabelWindow, ...], Field(max_length=1000)]
    """The windows on which they were judged; the figures of a candidate are means over them."""
    candidates: Annotated[tuple[Candidate, ...], Field(max_length=20)]
    reliability: Annotated[tuple[ReliabilityBin, ...], Field(max_length=20)]
    """Of the winner."""


class ChurnModel(_Section):
    """A model with what is known about it."""

    format: Literal[1] = 1
    calibrated: bool
    """Whether the parameters were fitted; else they are declared judgement."""
    horizon_days: Annotated[int, Field(ge=1, le=HORIZON_DAYS_MAX)]
    """The risk is that of no order within as many days."""
    portfolio_gap_days: Annotated[float, Field(ge=1, le=HORIZON_DAYS_MAX)]
    """Mean gap between order days that an account's own is shrunk to, with the weight of one gap."""
    parameters: Parameters
    fitted_on: FittedOn | None = None
    comparison: Comparison | None = None

    @model_validator(mode="after")
    def _evidence(self) -> Self:
        if self.calibrated and self.fitted_on is None:
            raise PydanticCustomError("evidence", "a calibrated model should say what it was fitted on")
        return self

    @property
    def history_days_needed(self) -> int:
        """How many days an account must remember one by one for this model."""
        return RECENT_DAYS[-1] if self.parameters.kind == "logistic" else 1

    @cached_property
    def version(self) -> str:
        """Twelve hexadecimal digits of the SHA-256 of what the model says; it tells when that is not calibrated."""
        meaning = json.dumps(self.model_dump(mode="json", exclude={"fitted_on", "comparison"}), sort_keys=True)
        digits = hashlib.sha256(meaning.encode()).hexdigest()[:_VERSION_HEX_DIGITS]
        return digits if self.calibrated else digits + _UNCALIBRATED_SUFFIX

    def to_json(self) -> str:
        """Write the file's text; the same model gives the same bytes."""
        return self.model_dump_json(indent=2) + "\n"


def read_churn_model(text: str | bytes) -> ChurnModel:
    """Check a model that was read from a file.

    Raises:
        ChurnModelError: with every error, one a line, each with the key, its value and what is allowed.
    """
    try:
        return ChurnModel.model_validate_json(text)
    except ValidationError as error:
        lines = [
            f"{'.'.join(str(part) for part in one['loc']) or 'model'} = {_shortened(one['input'])}: {one['msg']}"
            for one in error.errors(include_url=False, include_context=False)
        ]
        raise ChurnModelError("\n".join(lines)) from error


def load_churn_model(path: Path) -> ChurnModel:
    """Read and check a model file.

    Raises:
        ChurnModelError: if the file cannot be read, is too large, is not JSON, or holds an error.
    """
    try:
        with path.open("rb") as file:
            text = file.read(_MODEL_BYTES_MAX + 1)
    except OSError as error:
        raise ChurnModelError(f"{path}: {error.strerror}") from error
    if len(text) > _MODEL_BYTES_MAX:
        raise ChurnModelError(f"{path}: more than {_MODEL_BYTES_MAX} bytes, which no model has")
    try:
        return read_churn_model(text)
    except ChurnModelError as error:
        raise ChurnModelError("\n".join(f"{path}: {line}" for line in str(error).splitlines())) from error


def _shortened(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= _VALUE_CHARACTERS_MAX else text[: _VALUE_CHARACTERS_MAX - 1] + "…"
