"""What the parts of a policy share: their base, and the ranges of their numbers."""

from decimal import Decimal
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field


class Section(BaseModel):
    """Base of every part of a policy: immutable, unknown keys refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


Days = Annotated[int, Field(ge=1, le=3650)]
Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
Score = Annotated[float, Field(ge=0, le=100, allow_inf_nan=False)]
Weight = Annotated[int, Field(ge=0, le=1000)]
LogOdds = Annotated[float, Field(ge=-10, le=10, allow_inf_nan=False)]
# Normalised, so that 1.1 and 1.10 mean the same policy.
Money = Annotated[Decimal, Field(ge=0, le=10**12), AfterValidator(Decimal.normalize)]
