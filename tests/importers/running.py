"""Running an importer and looking at what came out."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from models.events import TOPIC_OF_TYPE
from models.wire import Refusal, parse
from stream.importers.engine import import_mapped
from stream.importers.mapping import Mapping, read_mapping
from stream.importers.outbox import Outbox
from stream.importers.presets import Extras, Preset, import_preset
from stream.importers.source import Table
from stream.importers.summary import Summary

NO_EXTRAS = Extras()


@dataclass(frozen=True)
class Imported:
    """What an import made."""

    lines: list[bytes]
    """The events as they are written."""
    reject_lines: list[bytes]
    summary: Summary

    @property
    def events(self) -> list[dict[str, Any]]:
        """The events, read back."""
        return [msgspec.json.decode(line) for line in self.lines]

    @property
    def rejects(self) -> list[tuple[int, str]]:
        """Line and reason of each rejected row."""
        entries = [msgspec.json.decode(line) for line in self.reject_lines]
        return [(entry["line"], entry["reason"]) for entry in entries]

    def refusals(self) -> list[Refusal]:
        """What a worker would refuse of the events."""
        parsed = [
            parse(TOPIC_OF_TYPE[event["type"]], event["account_id"].encode(), line)
            for event, line in zip(self.events, self.lines, strict=True)
        ]
        return [one for one in parsed if isinstance(one, Refusal)]


def run_preset(preset: Preset, path: Path, extras: Extras = NO_EXTRAS) -> Imported:
    """Import a file of a public data set."""
    return _run(lambda outbox: import_preset(preset, path, outbox, extras))


def run_mapping(mapping: Mapping | str, path: Path) -> Imported:
    """Import a file by a mapping, or by its text."""
    chosen = read_mapping(mapping, "mapping") if isinstance(mapping, str) else mapping
    return _run(lambda outbox: import_mapped(Table(path, chosen.file.dialect), chosen, outbox))


def _run(importer: Callable[[Outbox], None]) -> Imported:
    with Outbox() as outbox:
        importer(outbox)
        return Imported(list(outbox.events), list(outbox.rejects), outbox.summary)


def write(folder: Path, text: str, name: str = "source.csv") -> Path:
    """Write a source file, with the spaces that make a table readable taken out around its commas."""
    lines = [",".join(cell.strip() for cell in line.split(",")) for line in text.strip().splitlines()]
    path = folder / name
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path
