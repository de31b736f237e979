"""Controls: choosing and entering, with the browser's own widgets, which keyboards and screen readers know."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Final

from nicegui import events
from nicegui.element import Element

VALUES_MAX: Final = 50
_TEXT_CHARACTERS_MAX: Final = 2000
_SEARCH_AFTER_MS: Final = 250


class Pick(Element, component="assets/pick.js"):
    """Some of several values.

    Args:
        label: what is chosen.
        find: what the field is called that narrows a long list.
        options: value and text of each.
        chosen: values at first.
        on_pick: is told what is chosen now.
    """

    def __init__(
        self,
        label: str,
        find: str,
        options: Sequence[tuple[str, str]],
        *,
        chosen: Sequence[str],
        on_pick: Callable[[list[str]], Awaitable[None]],
    ) -> None:
        super().__init__()
        self.props["label"] = label
        self.props["find"] = find
        self.props["options"] = [{"value": value, "text": text} for value, text in options]
        self.props["chosen"] = list(chosen)
        known = {value for value, _ in options} | set(chosen)

        async def pick(event: events.GenericEventArguments) -> None:
            said = event.args if isinstance(event.args, list) else []
            values = [one for one in said if isinstance(one, str) and one in known][:VALUES_MAX]
            self.props["chosen"] = values
            self.update()
            await on_pick(values)

        self.on("pick", pick)

    def show(self, chosen: Sequence[str]) -> None:
        """Show other values as chosen."""
        self.props["chosen"] = list(chosen)
        self.update()


class Form(Element, component="assets/form.js"):
    """Fields, and a button that sends them.

    Args:
        label: what the form is for.
        submit: what the button says.
        fields: each with `name`, `label`, and where they apply `value`, `type`, `options` (value and text of each),
            `min`, `max`, `step`, `maxlength`, `required`, `hint`, `whole` (over the whole width).
        on_send: is given what was entered, by field, as text.
    """

    def __init__(
        self,
        label: str,
        submit: str,
        fields: Sequence[Mapping[str, Any]],
        on_send: Callable[[dict[str, str]], Awaitable[None]],
    ) -> None:
        super().__init__()
        self.props["label"] = label
        self.props["submit"] = submit
        self.props["fields"] = [dict(one) for one in fields]
        self.props["prefix"] = f"form-{self.id}-"
        names = {one["name"] for one in fields}
        busy = False

        async def send(event: events.GenericEventArguments) -> None:
            nonlocal busy
            if busy or not isinstance(event.args, dict):
                return
            busy = True
            self._set(busy=True)
            try:
                said = {name: str(event.args.get(name, ""))[:_TEXT_CHARACTERS_MAX].strip() for name in names}
                await on_send(said)
            finally:
                busy = False
                self._set(busy=False)

        self.on("send", send)

    def say(self, text: str, *, good: bool) -> None:
        """Say beside the button what became of it."""
        self._set(said=text, saidClasses="good" if good else "bad")

    def begin(self, fields: Sequence[Mapping[str, Any]]) -> None:
        """Show other values."""
        self._set(fields=[dict(one) for one in fields])

    def _set(self, **values: Any) -> None:
        if self.is_deleted:
            return
        for name, value in values.items():
            self.props[name] = value
        self.update()


class Search(Element, component="assets/search.js"):
    """A field that searches as somebody types: it asks a moment after the last key.

    Args:
        label: what is searched for.
        text: at first.
        on_search: is told what is searched for now.
    """

    def __init__(self, label: str, text: str, on_search: Callable[[str], Awaitable[None]]) -> None:
        super().__init__()
        self.props["label"] = label
        self.props["begin"] = text
        self.props["wait"] = _SEARCH_AFTER_MS

        async def search(event: events.GenericEventArguments) -> None:
            if isinstance(event.args, str):
                await on_search(event.args)

        self.on("search", search)
