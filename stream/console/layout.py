"""What surrounds every page: landmarks, navigation, choices of language and theme, and the banner."""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from nicegui import ui

from stream.console.gate import PREFIX
from stream.console.parts import node
from stream.console.pulse import Condition, Pulse
from stream.console.words import Language, Words
from stream.serving.security import LOCAL

if TYPE_CHECKING:
    from stream.console.frame import View

THEMES: Final = ("auto", "light", "dark")
STYLE: Final = f"{PREFIX}/assets/console.css"
_YEAR_SECONDS: Final = 365 * 24 * 3600
_LANGUAGES: Final[Mapping[str, str]] = {Language.ENGLISH: "English", Language.CHINESE: "中文"}


class Banner:
    """Says when what is shown is not all, not new, or not there; says nothing when all is well."""

    def __init__(self, words: Words) -> None:
        self._words = words
        self._label = ui.label("").classes("banner")
        self._label.props["role"] = "alert"
        self._told: str | None = None

    def tell(self, pulse: Pulse) -> None:
        """Say how it is now."""
        condition, status = pulse.condition, pulse.status
        percent = 0 if status is None else int(status.progress * 100)
        text = "" if condition is Condition.CURRENT else self._words(f"banner.{condition}", percent=percent)
        if text == self._told:
            return
        self._told = text
        self._label.set_text(text)
        self._label.set_visibility(bool(text))


@contextmanager
def draw_frame(view: "View", names: Sequence[str], paths: Mapping[str, str]) -> Iterator[Banner]:
    """Draw the frame, and let the page be built in it."""
    words = view.words
    ui.page_title(f"{words('nav.' + view.name)} · account-health")
    ui.add_head_html(
        f'<link rel="stylesheet" href="{STYLE}">'
        f"<script>document.documentElement.lang={json.dumps(words.language.value)};"
        f"document.documentElement.dataset.theme={json.dumps(view.theme)}</script>"
    )
    ui.dark_mode({"light": False, "dark": True}.get(view.theme))
    around = ui.context.client.content.parent_slot
    if around is not None:
        # The machinery puts all of a page into a `main`: ours is the one that begins behind the navigation.
        around.parent.props["role"] = "none"
    with node("div", None, "shell"):
        node("a", words("frame.skip"), "skip", href="#main")
        with node("header", None, "top"):
            with node("div", None, "brand"):
                node("span", "◆", "brand-sign", aria_hidden="true")
                node("span", "account-health")
            _navigation(view, names, paths)
            _choices(view)
        with node("main", None, "main", id="main", tabindex="-1"):
            yield Banner(words)
        node("footer", words("frame.footer"), "foot")


def _navigation(view: "View", names: Sequence[str], paths: Mapping[str, str]) -> None:
    with node("nav", None, "nav", aria_label=view.words("frame.navigation")):
        for name in names:
            here = "page" if name == view.name else None
            node("a", view.words(f"nav.{name}"), href=paths[name], aria_current=here)


def _choices(view: "View") -> None:
    words = view.words
    with node("div", None, "choices"):
        _choice("account-health-language", words("frame.language"), words.language.value, _LANGUAGES)
        themes = {one: words(f"theme.{one}") for one in THEMES}
        _choice("account-health-theme", words("frame.theme"), view.theme, themes)
        if view.principal != LOCAL:
            with node("form", None, method="post", action=f"{PREFIX}/sign-out"):
                node("span", view.principal.name, "who")
                node("button", words("frame.sign_out"), "quiet", type="submit")


def _choice(cookie: str, label: str, chosen: str, options: Mapping[str, str]) -> None:
    """Let something be chosen that a cookie holds; it is no secret, and the page is loaded again with it."""
    script = (
        f"(event) => {{ document.cookie = {json.dumps(cookie)} + '=' + event.target.value"
        f" + '; path={PREFIX}; max-age={_YEAR_SECONDS}; samesite=strict'; location.reload(); }}"
    )
    select = node("select", None, "quiet", aria_label=label)
    with select:
        for value, text in options.items():
            node("option", text, value=value, selected=value == chosen or None)
    select.on("change", js_handler=script)
