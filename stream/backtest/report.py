"""The comparison as a page of its own: one HTML file with its plots in it, to be sent by mail."""

import io
from importlib.resources import files
from typing import TYPE_CHECKING, Any, Final

from stream.backtest.comparison import TIERS, Comparison, Foretold

if TYPE_CHECKING:
    from matplotlib.typing import RcKeyType

_ROWS_MAX: Final = 500
"""Accounts and alerts listed in the page; the JSON file has all."""
_OLD_COLOUR: Final = "#8a94a6"
_NEW_COLOUR: Final = "#3b82f6"
_INK: Final = "#123456"
"""Stands for the colour of the page's text, which is another one in the dark."""
_INKED: Final[tuple["RcKeyType", ...]] = (
    "text.color",
    "axes.edgecolor",
    "axes.labelcolor",
    "xtick.color",
    "ytick.color",
)


def html(comparison: Comparison, old_name: str, new_name: str) -> str:
    """Write the page.

    Args:
        comparison: what is different.
        old_name: of the policy in force, for people.
        new_name: of the policy tried.
    """
    # Neither is needed by a worker, and both take their time to load.
    from jinja2 import Environment  # noqa: PLC0415

    template = files("stream.backtest").joinpath("report.html.jinja").read_text(encoding="utf-8")
    page = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True).from_string(template)
    matrix = {(old, new): count for old, new, count in comparison.tier_matrix}
    return page.render(
        one=comparison,
        old_name=old_name,
        new_name=new_name,
        tiers=TIERS,
        matrix=matrix,
        rows_max=_ROWS_MAX,
        tiers_plot=_tiers_plot(comparison, old_name, new_name),
        forecast_plot=_forecast_plot(comparison, old_name, new_name),
    )


def _tiers_plot(comparison: Comparison, old_name: str, new_name: str) -> str:
    def draw(axes: Any) -> None:
        places = range(len(TIERS))
        for offset, side, name, colour in (
            (-0.2, comparison.old, old_name, _OLD_COLOUR),
            (0.2, comparison.new, new_name, _NEW_COLOUR),
        ):
            counts = [side.tiers.get(tier, 0) for tier in TIERS]
            bars = axes.bar([place + offset for place in places], counts, 0.38, label=name, color=colour)
            axes.bar_label(bars, fontsize=8)
        axes.set_xticks(list(places), TIERS)
        axes.set_ylabel("accounts")
        axes.legend(frameon=False)

    return _svg(draw)


def _forecast_plot(comparison: Comparison, old_name: str, new_name: str) -> str:
    def draw(axes: Any) -> None:
        for side, name, colour in (
            (comparison.old, old_name, _OLD_COLOUR),
            (comparison.new, new_name, _NEW_COLOUR),
        ):
            points = [(one, *rates) for one in side.foretold if (rates := _rates(one)) is not None]
            axes.plot([one[1] for one in points], [one[2] for one in points], "o-", label=name, color=colour)
            for one, recall, precision in points:
                axes.annotate(one.level, (recall, precision), textcoords="offset points", xytext=(6, 4), fontsize=8)
        axes.set_xlim(0, 1.02)
        axes.set_ylim(0, 1.02)
        axes.set_xlabel("recall: share of the departures that an alert foretold")
        axes.set_ylabel("precision: share of alerts that were right")
        axes.legend(frameon=False, loc="lower left")

    return _svg(draw)


def _rates(one: Foretold) -> tuple[float, float] | None:
    return None if one.recall is None or one.precision is None else (one.recall, one.precision)


def _svg(draw: Any) -> str:
    from matplotlib import rc_context  # noqa: PLC0415  # see `html`
    from matplotlib.figure import Figure  # noqa: PLC0415

    # Texts as texts, and the same bytes for the same figures.
    style: dict[RcKeyType, str] = {"svg.fonttype": "none", "svg.hashsalt": "account-health"}
    style |= dict.fromkeys(_INKED, _INK)
    with rc_context(style):
        figure = Figure(figsize=(6.4, 3.6), layout="constrained")
        axes = figure.add_subplot()
        figure.patch.set_visible(False)
        axes.patch.set_visible(False)
        axes.spines[["top", "right"]].set_visible(False)
        draw(axes)
        target = io.StringIO()
        figure.savefig(target, format="svg", metadata={"Date": None, "Creator": None})
    text = target.getvalue()
    return text[text.index("<svg") :].replace(_INK, "currentColor")
