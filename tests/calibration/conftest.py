"""Published histories as files of events, imported once."""

from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

from stream.importers.presets import Preset
from tests.importers.running import run_preset

EventsFile = Callable[[str], Path]
_FILES = {
    "CDNOW sample": (Preset.CDNOW, "CDNOW_sample.txt"),
    "AdventureWorks resellers": (Preset.ADVENTUREWORKS_RESELLERS, "adventureworks_resellers.csv.xz"),
}


@pytest.fixture(scope="session")
def events_file(data_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> EventsFile:
    """Give the events of a published history by its name."""
    folder = tmp_path_factory.mktemp("events")

    @cache
    def imported(name: str) -> Path:
        preset, file = _FILES[name]
        path = folder / f"{name}.jsonl"
        path.write_bytes(b"".join(line + b"\n" for line in run_preset(preset, data_dir / file).lines))
        return path

    return imported
