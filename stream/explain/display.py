"""A dossier on a terminal."""

from collections.abc import Iterable
from typing import Final

from rich.console import Console, Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from models.outputs import ComponentChange, OutputEvent, TierChanged
from models.snapshots import Snapshot
from stream.explain.dossier import Dossier
from stream.terminal import LEVEL_STYLES, TIER_STYLES, moment_text, plain

_CHANGES_SHOWN: Final = 50


def show(dossier: Dossier, console: Console) -> None:
    """Print a dossier: where the account stands and why, what it brought, how it came here, what to do."""
    one = dossier.snapshot
    console.print(_head(one))
    console.print(_components(one))
    console.print(_windows(one))
    console.print(_facts(one))
    console.print(_history(dossier.changes))
    console.print(_actions(one))


def _head(one: Snapshot) -> RenderableType:
    line = Text()
    line.append(one.tier, TIER_STYLES.get(one.tier, ""))
    line.append(f"  score {_number(one.score)}  confidence {one.confidence:.0%}  {one.lifecycle}  churn ")
    line.append(one.churn.level, LEVEL_STYLES.get(one.churn.level, ""))
    if one.churn.risk is not None:
        line.append(f" {one.churn.risk:.1%} within {one.churn.horizon_days} days")
    notes = []
    if one.override_until is not None:
        reason = one.profile.override.reason if one.profile is not None and one.profile.override is not None else ""
        notes.append(f"set by hand until {one.override_until}: {plain(reason)}")
    if one.veto is not None:
        notes.append(f"held down by: {plain(one.veto)}")
    if one.scorecard is not None:
        notes.append(f"scorecard: {plain(one.scorecard)}")
    notes.append(f"as of {moment_text(one.as_of)}, policy {one.policy_version}, model {one.model_version}")
    title = plain(one.account_id if one.name is None else f"{one.name} ({one.account_id})")
    return Panel(Group(line, Text("\n".join(notes), style="dim")), title=title, title_align="left")


def _components(one: Snapshot) -> Table:
    table = Table("component", title="Score", title_justify="left")
    for name in ("score", "weight", "points"):
        table.add_column(name, justify="right")
    table.add_column("made of")
    for part in one.components:
        made_of = ", ".join(f"{name} {value:.2f}" for name, value in part.parts.items() if value is not None)
        missing = [name for name, value in part.parts.items() if value is None]
        text = Text(made_of)
        if missing:
            text.append(f"{'; ' if made_of else ''}not known: {', '.join(missing)}", "dim")
        table.add_row(part.name, _number(part.score), str(part.weight), f"{part.points:.2f}", text)
    table.add_section()
    table.add_row("", "", "", _number(one.score), "")
    return table


def _windows(one: Snapshot) -> Table:
    table = Table("days", title=f"Windows, {one.currency}", title_justify="left")
    for name in ("orders", "revenue", "profit", "of it support", "cost known of"):
        table.add_column(name, justify="right")
    for days, window in one.windows.items():
        coverage = "–" if window.profit_coverage is None else f"{window.profit_coverage:.0%}"
        table.add_row(days, str(window.orders), window.revenue, window.profit or "–", window.service_cost, coverage)
    life = one.lifetime
    span = "no order" if life.first_order is None else f"{life.first_order} to {life.last_order}"
    table.add_row("all", str(life.orders), life.revenue, life.profit or "–", "", "", end_section=True)
    table.caption = span
    return table


def _facts(one: Snapshot) -> Table:
    table = Table(show_header=False, box=None, padding=(0, 2, 0, 0))
    classes, portfolio = one.classes, one.portfolio
    rfm = None if classes.rfm is None else f"{classes.rfm.r}-{classes.rfm.f}-{classes.rfm.m} {classes.rfm.segment}"
    found = [f"revenue {classes.abc_revenue}", f"profit {classes.abc_profit}", f"regularity {classes.xyz}"]
    table.add_row("classes", ", ".join(text for text in found if not text.endswith("None")) or "–")
    table.add_row("RFM", rfm or "–")
    table.add_row("types", ", ".join(classes.account_types) or "–")
    if portfolio.revenue_rank is not None:
        share = "" if portfolio.revenue_share is None else f", {portfolio.revenue_share:.2%} of the revenue"
        table.add_row("portfolio", f"rank {portfolio.revenue_rank} by revenue{share}")
    table.add_row("reasons", ", ".join(one.churn.reasons) or "–")
    table.add_row("at stake", f"{one.churn.value_at_stake or '–'} {one.currency}")
    if one.churn.lost_on is not None:
        table.add_row("lost", f"on {one.churn.lost_on}, worth {one.churn.value_lost} {one.currency} a year")
    support = one.support
    satisfaction = "–" if support.satisfaction is None else f"{support.satisfaction:.0f} of 100"
    text = f"{support.open} open, {support.severe} severe, {support.breaches_90d} missed deadlines"
    table.add_row("support", f"{text}, satisfaction {satisfaction}")
    return table


def _history(changes: list[OutputEvent]) -> RenderableType:
    if not changes:
        return Text("no change was published, or none is kept any longer", style="dim")
    table = Table("when", "from", "to", "cause", "what did it", title="History", title_justify="left")
    for one in changes[-_CHANGES_SHOWN:]:
        trigger = "" if one.trigger_event_id is None else f" ({plain(one.trigger_event_id)})"
        if isinstance(one, TierChanged):
            score = f"score {_number(one.score_before)} → {_number(one.score)}: {_deltas(one.components)}"
            before = one.previous_tier or "–"
            row = (Text(before, TIER_STYLES.get(before, "")), Text(one.tier, TIER_STYLES.get(one.tier, "")), score)
        else:
            risk = "" if one.risk is None else f"risk {one.risk:.1%}, "
            text = f"{risk}silent {one.silent_days} days: {', '.join(one.reasons) or '–'}"
            before = one.previous_level or "–"
            row = (Text(before, LEVEL_STYLES.get(before, "")), Text(one.level, LEVEL_STYLES.get(one.level, "")), text)
        table.add_row(moment_text(one.occurred_at), row[0], row[1], f"{one.cause}{trigger}", row[2])
    if (more := len(changes) - _CHANGES_SHOWN) > 0:
        table.caption = f"and {more} before"
    return table


def _deltas(components: Iterable[ComponentChange]) -> str:
    moved = sorted((one for one in components if one.delta_hundredths), key=lambda one: -abs(one.delta_hundredths))
    return ", ".join(f"{one.name} {one.delta_hundredths / 100:+.2f}" for one in moved) or "–"


def _actions(one: Snapshot) -> RenderableType:
    if not one.actions:
        return Text("nothing recommended", style="dim")
    table = Table("do", "because of", title="Recommended", title_justify="left")
    for action in one.actions:
        table.add_row(action.name, ", ".join(action.reasons) or "–")
    return table


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}"
