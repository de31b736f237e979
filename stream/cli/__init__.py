"""The command line `account-health`: one module a command, which is imported when its command is asked for.

All of them together take a second to import, which no process that is started should wait for.
"""

from collections.abc import Iterator, Mapping
from importlib import import_module
from typing import Any, Final

import stamina
import typer
from typer.core import TyperGroup

_COMMANDS: Final[Mapping[str, tuple[str, str]]] = {
    "demo": ("demo", "demo"),
    "import": ("importing", "import_events"),
    "simulate": ("simulate", "simulate"),
    "replay": ("replay", "replay"),
    "backtest": ("backtest", "backtest"),
    "calibrate": ("calibrate", "calibrate"),
    "worker": ("worker", "worker"),
    "view": ("view", "view"),
    "serve": ("serve", "serve"),
    "deliver": ("deliver", "deliver"),
    "deliveries": ("deliveries", "app"),
    "topics": ("topics", "app"),
    "positions": ("positions", "app"),
    "audit": ("audit", "audit"),
    "dead-letters": ("dead_letters", "app"),
    "check": ("check", "check"),
    "produce": ("produce", "produce"),
    "explain": ("explain", "explain"),
    "tail": ("tail", "tail"),
    "reference": ("reference", "reference"),
}
"""Module and function of each, or the group of commands that stands there, in the order of `--help`."""
_HIDDEN: Final = frozenset({"reference"})


class _Loading(Mapping[str, Any]):
    """The commands by name, each imported by being looked up."""

    def __getitem__(self, name: str) -> Any:
        module, attribute = _COMMANDS[name]
        found = getattr(import_module(f"{__name__}.{module}"), attribute)
        one = typer.Typer(add_completion=False)
        if isinstance(found, typer.Typer):
            one.add_typer(found, name=name)
            group: Any = typer.main.get_command(one)
            return group.commands[name]
        one.command(name, hidden=name in _HIDDEN)(found)
        return typer.main.get_command(one)

    def __iter__(self) -> Iterator[str]:
        return iter(_COMMANDS)

    def __len__(self) -> int:
        return len(_COMMANDS)


class _Group(TyperGroup):
    def __init__(self, **attributes: Any) -> None:
        super().__init__(**{**attributes, "commands": _Loading()})

    def list_commands(self, ctx: Any) -> list[str]:
        del ctx
        return list(self.commands)


app = typer.Typer(
    name="account-health",
    cls=_Group,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_show_locals=False,
)


@app.callback()
def _about() -> None:
    """Event-driven account health: orders and support events in, tier changes and churn risks out."""
    # Whoever tries again says so itself, in the words of what it does.
    stamina.instrumentation.set_on_retry_hooks([])


def main() -> None:
    """Run the command line."""
    app()
