"""Which histories, which days, which horizons; and what has to be reached."""

from datetime import date
from typing import Final, NamedTuple

from stream.importers.presets import Preset


class Set(NamedTuple):
    """A published history."""

    name: str
    title: str
    preset: Preset
    file: str
    currency: str


class Reference(NamedTuple):
    """What was reached elsewhere by a simple model, and what is required here."""

    auc: float
    brier: float
    auc_required: float
    brier_required: float


class Case(NamedTuple):
    """Predict at the end of a day, from nothing after it, who will not order within the horizon."""

    set: Set
    cut: date
    horizon_days: int
    reference: Reference | None = None

    @property
    def key(self) -> str:
        """Name of the case within its set."""
        return f"{self.cut}/{self.horizon_days}"


CDNOW_MASTER: Final = Set("cdnow_master", "CDNOW master", Preset.CDNOW, "CDNOW_master.txt", "USD")
CDNOW_SAMPLE: Final = Set("cdnow_sample", "CDNOW sample", Preset.CDNOW, "CDNOW_sample.txt", "USD")
ONLINE_RETAIL: Final = Set("online_retail", "Online Retail", Preset.ONLINE_RETAIL, "online_retail.csv.xz", "GBP")
RESELLERS: Final = Set(
    "resellers",
    "AdventureWorks resellers",
    Preset.ADVENTUREWORKS_RESELLERS,
    "adventureworks_resellers.csv.xz",
    "USD",
)
SETS: Final = (CDNOW_MASTER, CDNOW_SAMPLE, ONLINE_RETAIL, RESELLERS)

PUBLISHED: Final = (
    Case(CDNOW_MASTER, date(1997, 12, 31), 181, Reference(0.807, 0.128, 0.800, 0.131)),
    Case(CDNOW_SAMPLE, date(1997, 9, 30), 273, Reference(0.771, 0.162, 0.765, 0.164)),
    Case(ONLINE_RETAIL, date(2011, 9, 9), 91, Reference(0.736, 0.209, 0.730, 0.217)),
    Case(RESELLERS, date(2019, 11, 30), 183, Reference(0.964, 0.064, 0.935, 0.130)),
)
CALIBRATION_ERROR_MAX: Final = {CDNOW_MASTER.name: 0.03}
"""Required of the published case of a set."""
BELOW_RECENCY_MAX: Final = 0.01
"""A model may rank accounts worse than recency alone by so much."""

FURTHER: Final = (
    *(Case(CDNOW_MASTER, cut, 91) for cut in (date(1997, 6, 30), date(1997, 9, 30), date(1997, 12, 31))),
    *(Case(CDNOW_MASTER, date(1998, month, 28), 91) for month in (1, 2, 3)),
    Case(CDNOW_MASTER, date(1997, 10, 31), 181),
    Case(CDNOW_MASTER, date(1998, 2, 28), 120),
    *(Case(CDNOW_SAMPLE, cut, 91) for cut in (date(1997, 6, 30), date(1997, 9, 30), date(1997, 12, 31))),
    Case(CDNOW_SAMPLE, date(1998, 3, 31), 91),
    Case(CDNOW_SAMPLE, date(1997, 6, 30), 273),
    Case(CDNOW_SAMPLE, date(1997, 12, 31), 181),
    *(Case(ONLINE_RETAIL, date(2011, month, 30), 91) for month in (4, 5, 6, 7, 8)),
    *(Case(ONLINE_RETAIL, date(2011, month, 30), 60) for month in (4, 6, 8, 9)),
    *(Case(RESELLERS, date(2018, month, 30), 183) for month in (6, 9, 12)),
    *(Case(RESELLERS, date(2019, month, 30), 183) for month in (3, 6, 9)),
    *(Case(RESELLERS, date(2018, month, 30), 91) for month in (6, 9, 12)),
    *(Case(RESELLERS, date(2019, month, 30), 91) for month in (3, 6, 9, 11)),
    Case(RESELLERS, date(2020, 2, 29), 91),
    # What happened in the windows was little, or unlike what came: whoever is clever here loses.
    *(Case(RESELLERS, date(2018, month, day), 120) for month, day in ((7, 22), (8, 15), (8, 21), (9, 5))),
    *(Case(RESELLERS, date(2018, 1, day), 60) for day in (8, 23)),
    *(Case(RESELLERS, date(2019, 7, day), 240) for day in (2, 17)),
)
