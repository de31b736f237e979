"""How the demo shows itself: the live screen, lines, the picture, and the figures behind them."""

import io
import re
from pathlib import Path

import pytest
from prometheus_client import generate_latest
from rich.cells import cell_len
from rich.console import Console

from models.events import InputTopic
from models.outputs import ChurnLevel, Tier
from models.reasons import Outcome, RefusalReason
from stream.demo.display import LineDisplay, LiveDisplay, display_for
from stream.demo.figures import ask, parse
from stream.demo.picture import write_picture
from stream.demo.screen import Screen
from stream.demo.story import Story
from stream.demo.view import Phase
from stream.figures import InputFigures, PartitionFigures
from stream.telemetry import Metrics
from stream.topics import TIER_CHANGES
from tests.demo.conftest import NAMES, tier_change, view_of


def _console(width: int, height: int) -> Console:
    return Console(file=io.StringIO(), force_terminal=True, color_system=None, width=width, height=height)


def _drawn(story: Story, phase: Phase, width: int, height: int) -> list[str]:
    console = _console(width, height)
    console.print(Screen(view_of(story, phase)))
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue().splitlines()


@pytest.mark.parametrize("phase", list(Phase))
@pytest.mark.parametrize(("width", "height"), [(80, 24), (112, 42), (200, 60)])
def test_the_screen_fits_into_the_terminal(story: Story, phase: Phase, width: int, height: int) -> None:
    """From the smallest usual terminal on, nothing is wider or higher than it, and the foot is there."""
    lines = _drawn(story, phase, width, height)

    assert len(lines) <= height
    assert max(map(cell_len, lines)) <= width
    assert "http://127.0.0.1:8080/metrics" in lines[-1]


def test_no_word_is_clipped_where_there_is_room(story: Story) -> None:
    """At the width of the picture names, tiers and reasons are whole."""
    text = "\n".join(_drawn(story, Phase.LIVE, 112, 42))

    assert "…" not in text
    assert all(name in text for name in NAMES)
    assert "● live 4 Mar 2026, a day passes every 4 s, an event is visible after 0.1 s" in text
    assert "▲ standard → growth  42.2 → 51.8  revenue +6.1" in text
    assert "dead letters  7: missing field 5, invalid json 2" in text


def test_the_picture_needs_nothing_from_elsewhere(story: Story, tmp_path: Path) -> None:
    """The SVG is small, names its text, and fetches no font."""
    path = tmp_path / "demo.svg"

    write_picture(view_of(story, Phase.LIVE), path)

    svg = path.read_text()
    assert "growth" in svg
    assert "url(" not in svg.replace("url(#", "")
    assert len(svg) < 200 * 1024


def test_a_pipe_gets_lines() -> None:
    """Whatever is no terminal gets lines, a terminal gets the screen."""
    assert isinstance(display_for(Console(file=io.StringIO())), LineDisplay)
    assert isinstance(display_for(_console(80, 24)), LiveDisplay)


def test_lines_tell_changes_once_it_is_live(story: Story) -> None:
    """The changes of the history are too many for lines; those of the live part are told one by one."""
    console = Console(file=io.StringIO(), width=40)
    display = LineDisplay(console)
    with display:
        display.show(view_of(story, Phase.HISTORY))
        display.show(view_of(story, Phase.HISTORY))
        story.take_profile(b'{"account_id": "ACC-7", "name": "Late"}')
        story.take(TIER_CHANGES, tier_change(7).model_dump_json().encode(), 20.0)
        display.show(view_of(story, Phase.LIVE))

    assert isinstance(console.file, io.StringIO)
    lines = console.file.getvalue().splitlines()
    assert len(lines) == 2
    assert lines[0].startswith("  12.5 s  history  40%")
    assert "Late" in lines[1]


def test_figures_are_those_of_the_worker() -> None:
    """What the worker exports is read back: sums over partitions, the clock that is furthest behind."""
    metrics = Metrics()
    metrics.count_events(InputTopic.ORDERS, {Outcome.APPLIED: 10, Outcome.DUPLICATE: 1})
    metrics.count_dead_letters(InputTopic.SUPPORT, {RefusalReason.INVALID_JSON: 2})
    metrics.count_snapshots(3)
    metrics.observe_end_to_end(InputTopic.ORDERS, [1000, 2000], 3000)
    for partition, clock_ms in ((0, 5000), (1, 4000)):
        inputs = {InputTopic.ORDERS: InputFigures(lag_records=4)}
        tiers, levels = {Tier.KEY: 2}, {ChurnLevel.LOW: 1}
        figures = PartitionFigures(
            clock_ms=clock_ms, due_accounts=1, snapshots_pending=2, tiers=tiers, churn_levels=levels, inputs=inputs
        )
        metrics.set_partition(partition, figures)

    found = parse(generate_latest(metrics.registry).decode())

    assert (found.events, found.lag_records, found.waiting, found.clock_ms) == (13, 8, 6, 4000)
    assert found.tiers["key"] == 4
    assert found.levels["low"] == 2
    assert found.refusals == {"invalid_json": 2}
    assert found.published == {"tier-changes": 0, "churn-risk": 0, "snapshots": 3, "dead-letters": 2}
    assert found.latency_seconds == 3.0


def test_a_partition_without_a_clock_leaves_the_date_open() -> None:
    """As long as one partition has seen nothing, how far the history is cannot be said."""
    metrics = Metrics()
    metrics.set_partition(0, PartitionFigures(clock_ms=5000))
    metrics.set_partition(1, PartitionFigures())

    assert parse(generate_latest(metrics.registry).decode()).clock_ms is None


def test_a_worker_that_does_not_answer_has_no_figures() -> None:
    """A port on which nobody listens is no error while the worker starts."""
    assert ask(1) is None


def test_the_published_picture_is_one_of_the_demo() -> None:
    """The picture of the documentation is small and whole."""
    svg = (Path(__file__).resolve().parents[2] / "docs" / "images" / "demo.svg").read_text()

    assert len(svg.encode()) < 200 * 1024
    assert "url(" not in svg.replace("url(#", "")
    assert re.search(r"Latest\W+tier\W+changes", svg.replace("&#160;", " "))
