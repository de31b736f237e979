"""The reliability diagram of a model as a picture."""

from pathlib import Path
from typing import Final

import matplotlib as mpl
from matplotlib.figure import Figure

from models.churn_model import ChurnModel

FORMATS: Final = (".svg", ".png", ".pdf")
_SIZE_INCHES: Final = (6.0, 6.0)


def write_plot(model: ChurnModel, path: Path) -> None:
    """Draw predicted against observed share of silent accounts; the same model gives the same SVG.

    Args:
        model: with a comparison.
        path: ends in one of `FORMATS`.

    Raises:
        OSError: if it cannot be written.
    """
    assert model.comparison is not None, "only what was compared can be drawn"
    bins = model.comparison.reliability
    with mpl.rc_context({"svg.hashsalt": model.version, "svg.fonttype": "none"}):
        figure = Figure(figsize=_SIZE_INCHES, layout="constrained")
        axes = figure.subplots()
        axes.plot([0, 1], [0, 1], linestyle="--", color="0.5", label="as predicted")
        axes.plot([one.predicted for one in bins], [one.observed for one in bins], marker="o", label="observed")
        for one in bins:
            axes.annotate(
                f"{one.accounts:,}", (one.predicted, one.observed), xytext=(6, -10), textcoords="offset points"
            )
        axes.set_xlim(0, 1)
        axes.set_ylim(0, 1)
        axes.set_aspect("equal")
        axes.set_xlabel(f"predicted risk of no order within {model.comparison.windows[0].horizon_days} days")
        axes.set_ylabel("share of accounts that did not order")
        axes.set_title(f"{model.parameters.kind}, model {model.version}: accounts in ten bins of risk")
        axes.legend(loc="upper left")
        # Without a date, which would make every file another one.
        figure.savefig(path, metadata={"Date": None} if path.suffix == ".svg" else None)
