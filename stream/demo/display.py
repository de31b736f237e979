"""Where the demo shows itself: a live screen in a terminal, lines everywhere else."""

from types import TracebackType
from typing import Final, Protocol, Self

from rich.console import Console
from rich.live import Live

from stream.demo.plain import API_PATH, change_line, progress_line
from stream.demo.screen import Screen
from stream.demo.view import Phase, View

_LINE_EVERY_S: Final = 2.0


class Display(Protocol):
    """Shows one moment after the other."""

    def show(self, view: View) -> None:
        """Show one moment."""

    def __enter__(self) -> Self: ...
    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


class LiveDisplay:
    """A screen that is drawn again and again; its last state stays."""

    def __init__(self, console: Console) -> None:
        self._live = Live(console=console, auto_refresh=False, vertical_overflow="crop")

    def show(self, view: View) -> None:
        """Draw one moment."""
        self._live.update(Screen(view), refresh=True)

    def __enter__(self) -> Self:
        self._live.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live.__exit__(kind, error, trace)


class LineDisplay:
    """A line every few seconds; in the live part one for each change."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._due_s = 0.0
        self._told_served = False

    def show(self, view: View) -> None:
        """Print what is new."""
        for change in view.story.fresh():
            if view.phase is Phase.LIVE:
                self._print(change_line(change, view.story, view.currency))
        if view.served is not None and not self._told_served:
            self._told_served = True
            self._print(f"the console is at {view.served}/ and the API at {view.served}{API_PATH}")
        # In the live part the changes speak; the line says that all is well when there are none.
        if view.elapsed_s >= self._due_s:
            self._due_s = view.elapsed_s + _LINE_EVERY_S * (5 if view.phase is Phase.LIVE else 1)
            self._print(progress_line(view))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return

    def _print(self, line: str) -> None:
        self._console.print(line, markup=False, highlight=False, soft_wrap=True)
        self._console.file.flush()


def display_for(console: Console) -> Display:
    """Choose by where the console writes to; a terminal that cannot move its cursor gets lines too."""
    return LiveDisplay(console) if console.is_terminal and not console.is_dumb_terminal else LineDisplay(console)
