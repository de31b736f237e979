"""The demo in lines of text: for pipes and logs, and the summary at the end."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from rich.cells import cell_len

from models.outputs import ChurnEvent, ChurnLevel, Tier, TierChanged
from stream.demo import words
from stream.demo.story import OUTPUTS, Story
from stream.demo.view import Phase, View

API_PATH: Final = "/api/v1/portfolio"
"""What the demo points at, beside the console."""
_LATEST: Final = 5
_NAME_CELLS: Final = 31


@dataclass(frozen=True, slots=True)
class Timing:
    """How long the history took, in seconds since the start of the command."""

    first_event_s: float
    """When the first record was seen to be processed."""
    done_s: float
    """When all were."""
    events: int


def progress_line(view: View) -> str:
    """Give the demo's progress in a line."""
    seconds = f"{view.elapsed_s:6.1f} s  "
    match view.phase:
        case Phase.STARTING:
            return f"{seconds}starting the worker; metrics at {view.url}/metrics"
        case Phase.HISTORY:
            state = f"history {view.history_share:4.0%}"
        case Phase.LIVE:
            state = "live"
    return (
        f"{seconds}{state}  {words.day_of_ms(view.figures.clock_ms):>11}  {view.figures.events:,} events, "
        f"{view.events_per_second:,.0f} a second  {_counts(view.figures.tiers, Tier)}"
    )


def change_line(change: TierChanged | ChurnEvent, story: Story, currency: str) -> str:
    """Give a change in a line: when, who, from where to where, why."""
    name = words.plain(story.name(change.account_id))
    begin = f"{words.day(change.occurred_at):>11}  {name}{' ' * (_NAME_CELLS - cell_len(name))}  "
    if isinstance(change, TierChanged):
        move = f"tier {change.previous_tier or 'new'} → {change.tier}"
        scores = f"score {words.score(change.score_before)} → {words.score(change.score)}"
        return f"{begin}{move:<25}  {scores:<20}  {words.why_tier(change)}".rstrip()
    move = f"risk {change.previous_level or 'new'} → {change.level}"
    risk = f"{words.percent(change.risk)}, {words.money(change.value_at_stake, currency)} at stake"
    return f"{begin}{move:<25}  {risk}: {words.why_churn(change)}"


def summary(view: View, timing: Timing) -> Iterator[str]:
    """Yield the lines that sum up a history: what came in, what came out, how fast, and the latest changes."""
    story, figures = view.story, view.figures
    seconds = timing.done_s - timing.first_event_s
    speed = f"{timing.events / seconds:,.0f} events a second" if seconds > 0 else "at once"
    yield f"history         {timing.events:,} events of {view.accounts:,} accounts and {view.days:,} days"
    yield f"throughput      {speed}, done {timing.done_s:.1f} s after the start"
    if story.first_change_s is not None:
        yield f"first change    of a tier that an account already had, {story.first_change_s:.1f} s after the start"
    yield f"tiers           {_counts(figures.tiers, Tier)}"
    yield f"churn levels    {_counts(figures.levels, ChurnLevel)}"
    yield "published       " + ", ".join(f"{one.suffix} {story.counts[one.suffix]:,}" for one in OUTPUTS)
    refusals = ", ".join(f"{reason} {count}" for reason, count in sorted(figures.refusals.items()))
    yield f"dead letters    {refusals or 'none'}"
    yield "latest tier changes"
    yield from (f"  {change_line(one, story, view.currency)}" for one in story.tier_changes(_LATEST))
    yield "latest churn risks"
    yield from (f"  {change_line(one, story, view.currency)}" for one in story.churn_events(_LATEST))


def _counts(counts: Mapping[str, int], order: type[Tier] | type[ChurnLevel]) -> str:
    return ", ".join(f"{one} {counts.get(one, 0):,}" for one in order)
