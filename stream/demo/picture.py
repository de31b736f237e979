"""A picture of the screen, for a page that shows what the demo is."""

import io
import re
from pathlib import Path
from typing import Final

from rich.console import Console

from stream.demo.screen import Screen
from stream.demo.view import View

_COLUMNS: Final = 112
_ROWS: Final = 42
_TITLE: Final = "account-health demo"
_ID: Final = "account-health-demo"
_FONTS: Final = "ui-monospace, SFMono-Regular, Menlo, Consolas, 'DejaVu Sans Mono', monospace"


def write_picture(view: View, file: Path) -> None:
    """Draw one moment as an SVG that needs nothing from elsewhere, fonts included.

    Raises:
        OSError: if the file cannot be written.
    """
    console = Console(
        record=True,
        file=io.StringIO(),
        force_terminal=True,
        color_system="truecolor",
        width=_COLUMNS,
        height=_ROWS,
        legacy_windows=False,
    )
    console.print(Screen(view))
    svg = console.export_svg(title=_TITLE, unique_id=_ID)
    svg = re.sub(r"@font-face \{.*?\}\s*", "", svg, flags=re.DOTALL).replace("Fira Code, monospace", _FONTS)
    file.write_text(re.sub(r"[ \t]+$", "", svg, flags=re.MULTILINE), encoding="utf-8")
