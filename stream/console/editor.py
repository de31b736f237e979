"""Editing a profile: the form, and what becomes of it, in words."""

from typing import Any, Final

from pydantic import ValidationError

from models.events import Ratings
from models.outputs import Tier
from models.snapshots import Snapshot
from stream.console.controls import Form
from stream.console.frame import View
from stream.serving.editing import ProfileEdit
from stream.serving.errors import EditConflictError, EditUnavailableError, ServingError, ViewUnavailableError
from stream.serving.telemetry import EditResult

_TEXT_CHARACTERS_MAX: Final = 200
_RATINGS: Final = tuple(Ratings.model_fields)


class Editor:
    """The form, made from a snapshot whose version the edit names."""

    def __init__(self, view: View, snapshot: Snapshot) -> None:
        self._view = view
        self._held = snapshot
        self._published: int | None = None
        words = view.words
        self._form = Form(words("edit.title"), words("edit.submit"), _fields(view, snapshot), self._send)

    def take(self, snapshot: Snapshot) -> None:
        """Take in what the page read: once it has what was published here, the next edit is made from it.

        A version of somebody else's is left for the edit to find out, as the fields hold what was entered.
        """
        version = 0 if snapshot.profile is None else snapshot.profile.version
        if self._published is None or version != self._published:
            return
        self._held, self._published = snapshot, None
        self._form.begin(_fields(self._view, snapshot))
        self._form.say(self._view.words("edit.taken", version=version), good=True)

    async def _send(self, said: dict[str, str]) -> None:
        text, published = await _publish(self._view, self._held, said)
        self._form.say(text, good=published is not None)
        self._published = published or self._published


async def _publish(view: View, held: Snapshot, said: dict[str, str]) -> tuple[str, int | None]:
    """Publish what was entered; give what to say, and the version, if it was published."""
    words, services = view.words, view.shared.services
    error = words("error.may_not") if not view.may_edit else view.error_of_asking()
    if error is not None:
        return error, None
    try:
        edit = ProfileEdit.model_validate(edit_of(held, said))
        if not edit.model_fields_set & {"owner", "ratings", "override"}:
            return words("edit.nothing"), None
    except ValidationError as refused:
        names = sorted({str(one["loc"][-1]) for one in refused.errors(include_input=False, include_url=False)})
        listed = words("tell.comma").join(_label(view, one) for one in names)
        return words("edit.refused", fields=listed), None
    try:
        receipt = await services.editor.edit(edit, view.principal.name)
    except ServingError as failed:
        result = EditResult.REFUSED
        if isinstance(failed, EditConflictError):
            result = EditResult.CONFLICT
        elif isinstance(failed, EditUnavailableError | ViewUnavailableError):
            result = EditResult.UNAVAILABLE
        services.metrics.count_edit(result)
        return view.error_text(failed), None
    services.metrics.count_edit(EditResult.PUBLISHED)
    return words("edit.published", version=receipt.profile_version), receipt.profile_version


def edit_of(held: Snapshot, said: dict[str, str]) -> dict[str, Any]:
    """Give the edit that what was entered makes of a profile: only what is not as it was is named."""
    profile = held.profile
    edit: dict[str, Any] = {
        "account_id": held.account_id,
        "version_read": 0 if profile is None else profile.version,
        "by": said["by"] or None,
        "reason": said["reason"],
    }
    owner = None if profile is None else profile.owner
    if (said["owner"] or None) != owner:
        edit["owner"] = said["owner"] or None
    ratings = {}
    for name in _RATINGS:
        one = None if profile is None else profile.ratings.get(name)
        if said[name] != _rating_text(None if one is None else one.value):
            ratings[name] = {"value": said[name]} if said[name] else None
    if ratings:
        edit["ratings"] = ratings
    override = None if profile is None else profile.override
    before = ("", "", "") if override is None else (override.tier, override.reason, override.until.isoformat())
    now = (said["tier"], said["override_reason"], said["until"]) if said["tier"] else ("", "", "")
    if now != before:
        edit["override"] = {"tier": now[0], "reason": now[1], "until": now[2]} if said["tier"] else None
    return edit


def _fields(view: View, snapshot: Snapshot) -> list[dict[str, Any]]:
    words, profile = view.words, snapshot.profile
    override = None if profile is None else profile.override
    tiers = [{"value": "", "text": words("edit.no_override")}]
    tiers += [{"value": one.value, "text": words.name("tier", one)} for one in Tier if one is not Tier.UNRATED]
    fields: list[dict[str, Any]] = [
        {"name": "owner", "value": "" if profile is None else profile.owner or "", "maxlength": _TEXT_CHARACTERS_MAX}
    ]
    for name in _RATINGS:
        one = None if profile is None else profile.ratings.get(name)
        text = _rating_text(None if one is None else one.value)
        hint = "" if one is None else words("edit.rated", day=view.formats.day(one.rated_at))
        fields.append(
            {"name": name, "type": "number", "min": 0, "max": 100, "step": "any", "value": text, "hint": hint}
        )
    fields += [
        {"name": "tier", "options": tiers, "value": "" if override is None else override.tier.value},
        {
            "name": "until",
            "type": "date",
            "min": view.formats.today().isoformat(),
            "value": "" if override is None else override.until.isoformat(),
        },
        {"name": "override_reason", "value": "" if override is None else override.reason},
        {"name": "by", "maxlength": _TEXT_CHARACTERS_MAX},
        {"name": "reason", "required": True, "maxlength": _TEXT_CHARACTERS_MAX, "whole": True},
    ]
    return [{"label": _label(view, one["name"]), **one} for one in fields]


def _label(view: View, name: str) -> str:
    return view.words.name("part" if name in _RATINGS and name != "competitive_pressure" else "edit.field", name)


def _rating_text(value: float | None) -> str:
    return "" if value is None else f"{value:g}"
