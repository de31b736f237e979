"""What if: other weights and bounds, tried on the accounts as they are. Changes nothing."""

from typing import Any, Final

from nicegui.element import Element
from pydantic import ValidationError

from models.outputs import Tier
from models.policy import Policy
from stream.console.controls import Form
from stream.console.frame import View, page
from stream.console.parts import Rows, account_cell, badge, badge_cell, node
from stream.serving.admission import TRIAL_COST
from stream.serving.errors import ServingError, TrialRefusedError
from stream.serving.trial import PolicyTrial, TrialResult

_TIERS: Final = ("key", "growth", "standard")
_CONFIDENCES: Final = ("confidence_min", "key_confidence_min")


@page("/what-if", "what_if")
async def what_if(view: View) -> None:
    """Build the page."""
    node("h1", view.words("what_if.title"))
    node("p", view.words("what_if.hint"), "soft")
    shown = node("div", None, "stack")
    await view.section(
        "what_if.policy",
        read=view.shared.services.trials.held,
        draw=lambda held: _Trying(view, held, shown).draw(),
        every_seconds=None,
    )
    # Made before the form, which fills it, and shown after it.
    shown.move(target_index=-1)


def fields_of(policy: Policy) -> dict[str, float]:
    """Give what can be changed, by the name of its field, as it is in a policy."""
    tiers, weights = policy.tiers, policy.scorecard.weights
    found: dict[str, float] = {f"weights.{name}": value for name, value in weights.model_dump().items()}
    for tier in _TIERS:
        bound = getattr(tiers, tier)
        found |= {f"tiers.{tier}.enter": bound.enter, f"tiers.{tier}.leave": bound.leave}
    return found | {f"tiers.{name}": getattr(tiers, name) for name in _CONFIDENCES}


def trial_of_fields(held: dict[str, float], said: dict[str, str]) -> PolicyTrial:
    """Make a trial of what was entered, where it is not as it was.

    Raises:
        ValidationError: if something is out of its range.
        ValueError: if something is no number.

    >>> trial_of_fields({"weights.revenue": 30, "tiers.key.enter": 71}, {"weights.revenue": "40"}).weights.revenue
    40
    """
    asked: dict[str, Any] = {}
    for name, before in held.items():
        text = said.get(name, "").replace(",", ".")
        value = float(text) if text else float(before)
        if value != before:
            *path, last = name.split(".")
            place = asked
            for one in path:
                place = place.setdefault(one, {})
            place[last] = int(value) if value.is_integer() else value
    return PolicyTrial.model_validate(asked)


class _Trying:
    """The form, and what the last trial said."""

    def __init__(self, view: View, held: Policy, shown: Element) -> None:
        self._view = view
        self._held = fields_of(held)
        self._shown = shown
        self._form: Form | None = None

    def draw(self) -> None:
        """Draw the form with the policy in force."""
        words = self._view.words
        said = {name: f"{value:g}" for name, value in self._held.items()}
        self._form = Form(words("what_if.policy"), words("what_if.try"), self._fields(said), self._send)

    def _fields(self, said: dict[str, str]) -> list[dict[str, Any]]:
        return [
            {
                "name": name,
                "label": _label(self._view, name),
                "type": "number",
                "value": said[name],
                "min": 0,
                "max": 1 if name.endswith("_min") else 100,
                "step": 0.01 if name.endswith("_min") else 1,
                "required": True,
            }
            for name in self._held
        ]

    async def _send(self, said: dict[str, str]) -> None:
        assert self._form is not None
        view, services = self._view, self._view.shared.services
        self._form.begin(self._fields(said))
        try:
            asked = trial_of_fields(self._held, said)
            if (against := view.error_of_asking(TRIAL_COST)) is not None:
                self._form.say(against, good=False)
                return
            found = await services.trials.run(asked)
        except TrialRefusedError as error:
            self._form.say(_refused(view, [part for part, _ in error.problems]), good=False)
        except ValidationError as error:
            self._form.say(_refused(view, [".".join(map(str, one["loc"])) for one in error.errors()]), good=False)
        except ValueError:
            self._form.say(view.words("what_if.no_number"), good=False)
        except ServingError as error:
            self._form.say(view.error_text(error), good=False)
        else:
            self._form.say(_summary(view, found), good=True)
            self._show(found)

    def _show(self, found: TrialResult) -> None:
        if self._shown.is_deleted:
            return
        self._shown.clear()
        with self._shown:
            with node("section", None, "card"):
                node("h2", self._view.words("what_if.moves"))
                _moves(self._view, found)
            with node("section", None, "card"):
                node("h2", self._view.words("what_if.largest"))
                _largest(self._view, found)
            with node("section", None, "card"):
                node("h2", self._view.words("what_if.limits"))
                _limits(self._view, found)


def _label(view: View, name: str) -> str:
    words, (section, *rest) = view.words, name.split(".")
    if section == "weights":
        return words("what_if.weight", name=words.name("component", rest[0]))
    if len(rest) > 1:
        return words(f"what_if.{rest[1]}", tier=words.name("tier", rest[0]))
    return words(f"what_if.{rest[0]}")


def _refused(view: View, parts: list[str]) -> str:
    known = {name for name in parts if name.count(".") == 1 and name.startswith("tiers.") and name[6:] in _TIERS}
    names = [view.words.name("tier", name[6:]) for name in sorted(known)]
    return view.words("what_if.refused", names=view.words("tell.comma").join(names) or "–")


def _summary(view: View, found: TrialResult) -> str:
    words, formats = view.words, view.formats
    return words(
        "what_if.summary" if found.whole else "what_if.summary_estimated",
        changed=formats.integer(found.changed),
        accounts=formats.integer(found.accounts),
        looked_at=formats.integer(found.looked_at),
    )


def _moves(view: View, found: TrialResult) -> None:
    words, formats = view.words, view.formats
    node("p", _summary(view, found))
    counts = {(one.before, one.after): one.accounts for one in found.moves}
    caption = words("what_if.moves")
    with node("div", None, "rows", tabindex="0", role="region", aria_label=caption), node("table"):
        node("caption", caption, "unseen")
        with node("thead"), node("tr"):
            node("th", words("what_if.from_to"), scope="col")
            for after in Tier:
                node("th", words.name("tier", after), "cell-number", scope="col")
            node("th", words("what_if.before"), "cell-number", scope="col")
        with node("tbody"):
            for before in Tier:
                with node("tr"):
                    with node("th", None, scope="row"):
                        badge("tier", before, words.name("tier", before))
                    for after in Tier:
                        moved = counts.get((before, after), 0)
                        text = "·" if before is after else formats.integer(moved)
                        node("td", text, "cell-number strong" if moved else "cell-number soft")
                    node("td", formats.integer(found.tiers_before[before]), "cell-number")
            with node("tr"):
                node("th", words("what_if.after"), scope="row")
                for after in Tier:
                    node("td", formats.integer(found.tiers_after[after]), "cell-number strong")
                node("td", formats.integer(found.accounts), "cell-number")
    if found.newest is not None:
        view.stamp(found.newest)


def _largest(view: View, found: TrialResult) -> None:
    words, formats = view.words, view.formats
    columns: list[dict[str, Any]] = [
        {"name": "name", "label": words("accounts.column.name"), "kind": "account"},
        {"name": "before", "label": words("what_if.before"), "kind": "badge"},
        {"name": "after", "label": words("what_if.after"), "kind": "badge"},
        {"name": "score", "label": words("accounts.column.score"), "kind": "number"},
        {"name": "revenue", "label": words("accounts.column.revenue"), "kind": "number", "wide": True},
        {"name": "why", "label": words("what_if.why"), "kind": "text", "wide": True},
        {"name": "owner", "label": words("dimension.owner"), "kind": "text", "wide": True},
    ]
    table = Rows(columns, caption=words("what_if.largest"), empty=words("what_if.nobody"))
    table.show(
        [
            {
                "key": one.account_id,
                "name": account_cell(one.account_id, one.name),
                "before": badge_cell("tier", one.before, words.name("tier", one.before)),
                "after": badge_cell("tier", one.after, words.name("tier", one.after)),
                "score": f"{formats.decimal(one.score_before)} → {formats.decimal(one.score_after)}",
                "revenue": formats.money(one.revenue, found.currency, whole=True),
                "why": words(f"what_if.because.{one.why}"),
                "owner": one.owner or "",
            }
            for one in found.largest
        ]
    )


def _limits(view: View, found: TrialResult) -> None:
    words = view.words
    with node("ul"):
        for one in found.limits:
            node("li", words(f"what_if.limit.{one}"))
    if found.unsettled:
        node("p", words("what_if.unsettled", number=view.formats.integer(found.unsettled)), "hint")
    node("p", words("what_if.backtest"), "hint")
    node("pre", found.command, "code")
    if found.policy_changes:
        node("pre", found.policy_changes, "code")
