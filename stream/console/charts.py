"""Charts, drawn as SVG: they follow the theme by their classes, and say in words what they show."""

from collections.abc import Callable, Sequence
from datetime import date
from typing import Final, NamedTuple

from nicegui.element import Element

from stream.console.parts import node

_WIDTH: Final = 640
_LEFT, _RIGHT, _TOP, _BOTTOM = 44, 12, 12, 24
_TEXT_ROOM: Final = 90
"""Between two places that are written, so that their texts do not touch."""


class Line(NamedTuple):
    """A line of values, one for each place on the horizontal axis; a gap where one is None."""

    values: Sequence[float | None]
    classes: str = ""
    titles: Sequence[str] = ()
    """What a pointer over each point is told."""


class Band(NamedTuple):
    """A part of the height that means something: a tier for example."""

    low: float
    high: float
    text: str
    classes: str


def line_chart(  # noqa: PLR0913  # a chart has that many properties, all by name
    *,
    label: str,
    places: Sequence[float],
    place_texts: Sequence[str],
    lines: Sequence[Line],
    low: float,
    high: float,
    value_text: Callable[[float], str],
    bands: Sequence[Band] = (),
    height: int = 220,
) -> Element:
    """Draw lines over a common axis.

    Args:
        label: what the chart shows, in words, for whoever does not see it.
        places: on the horizontal axis, ascending; any unit.
        place_texts: of the places; the first, a middle one and the last are written.
        lines: to draw.
        low: of the vertical axis.
        high: of the same.
        value_text: writes a value on the vertical axis.
        bands: behind the lines.
        height: in the units of the drawing, which is 640 wide.
    """
    across = _scale(places[0], places[-1], _LEFT, _WIDTH - _RIGHT)
    up = _scale(low, high, height - _BOTTOM, _TOP)
    svg = node("svg", None, "chart", viewBox=f"0 0 {_WIDTH} {height}", role="img", aria_label=label)
    with svg:
        for band in bands:
            top, bottom = up(band.high), up(band.low)
            node("rect", None, band.classes, x=_LEFT, y=top, width=_WIDTH - _LEFT - _RIGHT, height=bottom - top)
            node("text", band.text, x=_WIDTH - _RIGHT - 6, y=top + 14, text_anchor="end")
        for value in (low, (low + high) / 2, high):
            y = up(value)
            node("line", None, "axis", x1=_LEFT, x2=_WIDTH - _RIGHT, y1=y, y2=y)
            node("text", value_text(value), x=_LEFT - 8, y=y + 4, text_anchor="end")
        for at, anchor in _written([across(one) for one in places]):
            node("text", place_texts[at], x=across(places[at]), y=height - 6, text_anchor=anchor)
        for line in lines:
            _draw_line(line, [across(one) for one in places], up)
    return svg


def day_places(days: Sequence[date]) -> list[float]:
    """Give days as places on an axis."""
    return [float(one.toordinal()) for one in days]


def share_bar(share: float, classes: str = "") -> Element:
    """Draw a share from 0 to 1 as a bar; the number stands beside it in words."""
    svg = node("svg", None, f"share {classes}", viewBox="0 0 100 8", preserveAspectRatio="none", aria_hidden="true")
    with svg:
        node("rect", None, "share-ground", x=0, y=0, width=100, height=8, rx=2)
        node("rect", None, "share-bar", x=0, y=0, width=round(min(1.0, max(0.0, share)) * 100, 2), height=8, rx=2)
    return svg


def _draw_line(line: Line, places: Sequence[float], up: Callable[[float], float]) -> None:
    runs: list[list[str]] = [[]]
    for x, value in zip(places, line.values, strict=True):
        if value is None:
            runs.append([])
        else:
            runs[-1].append(f"{x:.1f},{up(value):.1f}")
    for run in runs:
        if len(run) > 1:
            node("polyline", None, f"line {line.classes}", points=" ".join(run))
    for at, (x, value) in enumerate(zip(places, line.values, strict=True)):
        if value is not None:
            with node("circle", None, f"point {line.classes}", cx=round(x, 1), cy=round(up(value), 1), r=3):
                if at < len(line.titles):
                    node("title", line.titles[at])


def _scale(low: float, high: float, first: float, last: float) -> Callable[[float], float]:
    width = (high - low) or 1.0
    return lambda value: first + (value - low) / width * (last - first)


def _written(places: Sequence[float]) -> list[tuple[int, str]]:
    """Give which places are written, and which side of the text is there: the ends, and the middle if it has room.

    >>> _written([44.0, 300.0, 628.0]), _written([44.0, 600.0, 628.0]), _written([44.0])
    ([(0, 'start'), (1, 'middle'), (2, 'end')], [(0, 'start'), (2, 'end')], [(0, 'start')])
    """
    last, middle = len(places) - 1, len(places) // 2
    if last == 0:
        return [(0, "start")]
    has_room = min(places[middle] - places[0], places[last] - places[middle]) >= _TEXT_ROOM
    return [(0, "start"), *([(middle, "middle")] if has_room else []), (last, "end")]
