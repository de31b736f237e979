"""Parts that pages are put together from. What is said in them is text, wherever it came from, and never markup."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Literal
from urllib.parse import quote, urlsplit

from nicegui import ui
from nicegui.element import Element
from nicegui.elements.mixins.text_element import TextElement

Kind = Literal["text", "number", "badge", "account", "day"]
_ASSETS: Final = Path(__file__).with_name("assets")
ICONS: Final[Mapping[tuple[str, str], str]] = {
    ("tier", "key"): "◆",
    ("tier", "growth"): "▲",
    ("tier", "standard"): "●",
    ("tier", "basic"): "▽",
    ("tier", "unrated"): "○",
    ("churn_level", "none"): "·",
    ("churn_level", "unproven"): "○",
    ("churn_level", "low"): "✓",
    ("churn_level", "medium"): "!",
    ("churn_level", "high"): "‼",
    ("churn_level", "lost"): "✕",
}
"""The sign of a tier and of a level: who does not see its colour sees that."""


def node(tag: str, text: str | None = None, classes: str = "", **attributes: object) -> Element:
    """Make an element of the page.

    Args:
        tag: of HTML or SVG.
        text: that it shows.
        classes: of the style.
        attributes: of the tag, with `_` for `-` and without a leading one: `aria_label`, `_for`. None leaves one out.
    """
    made = ui.element(tag) if text is None else TextElement(tag=tag, text=text)
    if classes:
        made.classes(classes)
    for name, value in attributes.items():
        if value is not None:
            made.props[name.removeprefix("_").replace("_", "-")] = value
    return made


def link(text: str, href: str, classes: str = "") -> Element:
    """Make a link: to a page of ours by its full path, or to a site by http or https; any other address is text."""
    if not (href.startswith("/") and not href.startswith("//")) and urlsplit(href).scheme not in {"http", "https"}:
        return node("span", text, classes)
    outside = {} if href.startswith("/") else {"target": "_blank", "rel": "noopener noreferrer"}
    return node("a", text, classes, href=href, **outside)


def account_path(account_id: str) -> str:
    """Give the path of an account's page, whatever its id is made of."""
    return f"/console/accounts/{quote(account_id, safe='')}"


def badge(kind: str, value: str, text: str) -> Element:
    """Show a tier or a level: by colour, sign and word."""
    made = node("span", None, f"badge badge-{kind}-{value}")
    with made:
        node("span", ICONS.get((kind, value), "•"), "badge-icon", aria_hidden="true")
        node("span", text)
    return made


def badge_cell(kind: str, value: str, text: str) -> dict[str, str]:
    """Give a table's cell that shows a tier or a level."""
    return {"text": text, "icon": ICONS.get((kind, value), "•"), "style": f"badge-{kind}-{value}"}


def account_cell(account_id: str, name: str | None) -> dict[str, str]:
    """Give a table's cell that leads to an account: its name, and its id below."""
    return {"text": name or account_id, "detail": account_id if name else "", "href": account_path(account_id)}


class Rows(Element, component="assets/rows.js"):
    """A table whose rows change in place: the row that somebody is at stays where it was.

    Args:
        columns: each with `name`, `label`, `kind`, and `sort` where it can be ordered by; `wide` marks those that a
            narrow screen leaves out.
        caption: what the table is of, for screen readers.
        empty: what it says when it has no rows.
        sorted_by: name and direction (`ascending`, `descending`) of the order.
    """

    def __init__(
        self,
        columns: Sequence[Mapping[str, Any]],
        *,
        caption: str,
        empty: str,
        sorted_by: tuple[str, str] | None = None,
    ) -> None:
        super().__init__()
        self.props["columns"] = [dict(one) for one in columns]
        self.props["caption"] = caption
        self.props["empty"] = empty
        self.props["sorted"] = list(sorted_by or ("", ""))
        self.props["rows"] = []

    def show(self, rows: Sequence[Mapping[str, Any]], *, sorted_by: tuple[str, str] | None = None) -> None:
        """Show rows: each with `key`, which must be its own, and a cell for each column by its name."""
        self.props["rows"] = [dict(one) for one in rows]
        if sorted_by is not None:
            self.props["sorted"] = list(sorted_by)
        self.update()
