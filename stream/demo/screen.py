"""The demo's screen, drawn with rich."""

from collections.abc import Mapping
from typing import Final

from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from models.outputs import ChurnEvent, ChurnLevel, Direction, Tier, TierChanged
from stream.demo import words
from stream.demo.plain import API_PATH
from stream.demo.story import Story
from stream.demo.view import Phase, View
from stream.topics import CHURN_RISK, TIER_CHANGES

_TIER_STYLES: Final = {
    Tier.KEY: "bold magenta",
    Tier.GROWTH: "green",
    Tier.STANDARD: "cyan",
    Tier.BASIC: "yellow",
    Tier.UNRATED: "bright_black",
}
_LEVEL_STYLES: Final = {
    ChurnLevel.LOST: "bold red",
    ChurnLevel.HIGH: "red",
    ChurnLevel.MEDIUM: "yellow",
    ChurnLevel.LOW: "green",
    ChurnLevel.UNPROVEN: "cyan",
    ChurnLevel.NONE: "bright_black",
}
_LEVEL_WORDS: Final = {
    ChurnLevel.UNPROVEN: "one order",
    ChurnLevel.NONE: "no order",
}
_DIRECTIONS: Final = {
    Direction.PROMOTED: ("▲", "green"),
    Direction.DEMOTED: ("▼", "red"),
    Direction.WITHDRAWN: ("▼", "red"),
    Direction.ENTERED: ("●", "blue"),
}
_BAR_CELLS: Final = 30
_FIXED_ROWS: Final = 21
"""Rows of the screen that are not changes: borders, headings, the portfolio, the foot; and one to spare."""
_CHANGES_MIN: Final = 2
_CHANGES_MAX: Final = 12
_REASONS_SHOWN: Final = 2
_REFUSALS_SHOWN: Final = 3


class Screen:
    """One moment of the demo, fitted to the height of the terminal."""

    def __init__(self, view: View) -> None:
        self._view = view

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Give the parts, from the top down."""
        rows = (options.height or console.height) - _FIXED_ROWS
        count = max(_CHANGES_MIN, min(_CHANGES_MAX, rows // 2))
        story = self._view.story
        yield _head(self._view)
        yield _portfolio(self._view)
        yield _tier_changes(story, count)
        yield _churn_events(story, count, self._view.currency)
        yield _foot(self._view)


def _head(view: View) -> RenderableType:
    match view.phase:
        case Phase.STARTING:
            state = Text.assemble(("starting ", "bold yellow"), "an embedded broker, a worker, a company")
        case Phase.HISTORY:
            state = Text.assemble(("history ", "bold yellow"), _history_words(view))
        case Phase.LIVE:
            state = Text.assemble(("● live ", "bold green"), _live_words(view))
    speed = Text.assemble(
        (f"{view.figures.events:,}", "bold"), " events, ", (f"{view.events_per_second:,.0f}", "bold"), " a second"
    )
    grid = Table.grid(expand=True)
    grid.add_column(ratio=1)
    grid.add_column(justify="right", no_wrap=True)
    grid.add_row(state, speed)
    bar = ProgressBar(total=1.0, completed=view.history_share, complete_style="green", finished_style="green")
    body: RenderableType = grid if view.phase is Phase.LIVE else Group(grid, bar)
    return _panel(
        f"Account health · {view.accounts:,} simulated accounts, {view.days:,} days of orders and support", body
    )


def _history_words(view: View) -> str:
    return f"{words.day_of_ms(view.figures.clock_ms)}, {view.history_share:.0%} of it processed"


def _live_words(view: View) -> str:
    seen = "" if view.latency_seconds is None else f", an event is visible after {view.latency_seconds:.1f} s"
    today = words.day_of_ms(view.figures.clock_ms)
    return f"{today}, a day passes every {view.seconds_per_day:.3g} s{seen}"


def _portfolio(view: View) -> RenderableType:
    tiers = [(tier.value, style, view.figures.tiers.get(tier, 0)) for tier, style in _TIER_STYLES.items()]
    levels = [
        (_LEVEL_WORDS.get(level, level.value), style, view.figures.levels.get(level, 0))
        for level, style in _LEVEL_STYLES.items()
    ]
    grid = Table.grid(expand=True)
    grid.add_column(ratio=1)
    grid.add_column(ratio=1)
    height = max(len(tiers), len(levels)) + 2
    grid.add_row(
        _panel("Accounts by tier", _bars(tiers), height),
        _panel("Accounts by churn risk", _bars(levels), height),
    )
    return grid


def _panel(title: str, body: RenderableType, height: int | None = None) -> Panel:
    return Panel(body, title=f"[bold]{title}[/bold]", title_align="left", border_style="blue", height=height)


def _bars(counts: list[tuple[str, str, int]]) -> Table:
    grid = Table.grid(padding=(0, 1, 0, 0))
    grid.add_column(no_wrap=True, min_width=10)
    grid.add_column(justify="right", no_wrap=True, min_width=5)
    grid.add_column(no_wrap=True)
    largest = max((count for _, _, count in counts), default=0) or 1
    for label, style, count in counts:
        cells = max(round(count / largest * _BAR_CELLS), 1 if count else 0)
        grid.add_row(Text(label, style), f"{count:,}", Text("━" * cells, style))
    return grid


def _changes() -> Table:
    table = Table(box=None, expand=True, pad_edge=False, padding=(0, 2, 0, 0), header_style="bright_black")
    table.add_column("day", no_wrap=True, justify="right", min_width=6)
    table.add_column("account", no_wrap=True, overflow="ellipsis", min_width=12)
    return table


def _tier_changes(story: Story, count: int) -> Panel:
    table = _changes()
    table.add_column("tier", no_wrap=True)
    table.add_column("score", no_wrap=True, justify="right")
    table.add_column("what moved it most, in points", no_wrap=True, overflow="ellipsis", ratio=1)
    changes = story.tier_changes(count)
    for change in changes:
        table.add_row(
            words.short_day(change.occurred_at),
            Text(words.plain(story.name(change.account_id))),
            _tier_move(change),
            f"{words.score(change.score_before)} → {words.score(change.score)}",
            Text(words.why_tier(change)),
        )
    _fill(table, count - len(changes))
    return _panel(f"Latest tier changes, of {story.counts[TIER_CHANGES.suffix]:,}", table)


def _tier_move(change: TierChanged) -> Text:
    mark, style = _DIRECTIONS[change.direction]
    before = change.previous_tier
    return Text.assemble(
        (f"{mark} ", style),
        ("new", "bright_black") if before is None else (before.value, _TIER_STYLES[before]),
        (" → ", style),
        (change.tier.value, _TIER_STYLES[change.tier]),
    )


def _churn_events(story: Story, count: int, currency: str) -> Panel:
    table = _changes()
    table.add_column("churn risk", no_wrap=True)
    table.add_column("", no_wrap=True, justify="right")
    table.add_column("why", no_wrap=True, overflow="ellipsis", ratio=1)
    table.add_column("at stake", no_wrap=True, justify="right")
    events = story.churn_events(count)
    for event in events:
        table.add_row(
            words.short_day(event.occurred_at),
            Text(words.plain(story.name(event.account_id))),
            _level_move(event),
            words.percent(event.risk),
            Text(words.why_churn(event, _REASONS_SHOWN)),
            words.money(event.value_at_stake, currency),
        )
    _fill(table, count - len(events))
    return _panel(f"Latest churn risks, of {story.counts[CHURN_RISK.suffix]:,}", table)


def _level_move(event: ChurnEvent) -> Text:
    before = event.previous_level
    return Text.assemble(
        ("new", "bright_black") if before is None else (before.value, _LEVEL_STYLES[before]),
        " → ",
        (event.level.value, _LEVEL_STYLES[event.level]),
    )


def _fill(table: Table, rows: int) -> None:
    # The screen must not jump while it fills.
    for _ in range(rows):
        table.add_row()


def _foot(view: View) -> RenderableType:
    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_column(style="bright_black", no_wrap=True)
    grid.add_column(no_wrap=True, overflow="ellipsis")
    grid.add_row(" dead letters", Text(_refusal_words(view.figures.refusals)))
    if view.served is not None:
        grid.add_row(" console", Text.assemble((f"{view.served}/", "bold green"), f"  API {view.served}{API_PATH}"))
    grid.add_row(" worker", Text(f"{view.url}/metrics  {view.url}/readyz  Ctrl-C ends the demo"))
    return grid


def _refusal_words(refusals: Mapping[str, int]) -> str:
    ranked = sorted(refusals.items(), key=lambda one: (-one[1], one[0]))
    shown = [f"{reason.replace('_', ' ')} {count}" for reason, count in ranked[:_REFUSALS_SHOWN]]
    rest = sum(count for _, count in ranked[_REFUSALS_SHOWN:])
    return (
        f"{sum(refusals.values()):,}"
        + (": " if ranked else "")
        + ", ".join([*shown, *([f"others {rest}"] * (rest > 0))])
    )
