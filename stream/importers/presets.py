"""The public data sets that can be imported by name."""

from collections.abc import Mapping as Accounts
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum, unique
from importlib.resources import files
from pathlib import Path
from typing import Final

from models.fields import from_epoch_ms
from stream.importers.engine import import_mapped
from stream.importers.errors import SourceError
from stream.importers.facts import CdnowFacts, FactsMaker, OnlineRetailFacts, ResellerFacts
from stream.importers.incidents import import_incidents
from stream.importers.mapping import Mapping, read_mapping
from stream.importers.outbox import Outbox
from stream.importers.profiles import import_profiles
from stream.importers.source import WHITESPACE, Dialect, Progress, Table, first_cells


@unique
class Preset(StrEnum):
    """A public data set."""

    ONLINE_RETAIL = "online-retail"
    CDNOW = "cdnow"
    ADVENTUREWORKS_RESELLERS = "adventureworks-resellers"
    INCIDENTS = "incidents"


@dataclass(frozen=True, slots=True)
class Extras:
    """What single presets take beside the file."""

    profiles: Path | None = None
    """Names of the AdventureWorks resellers."""
    accounts: Accounts[str, str] | None = None
    """The account of each caller of the incidents."""
    shift: timedelta = timedelta()
    """Moves the times of the incidents."""


_CDNOW_MASTER_COLUMNS: Final = 4
_CDNOW_SAMPLE_COLUMNS: Final = 5


def preset_mapping(name: str) -> Mapping:
    """Return a shipped mapping: `online_retail`, `cdnow_master`, `cdnow_sample` or `adventureworks_resellers`."""
    resource = files("stream.importers") / "presets" / f"{name}.toml"
    return read_mapping(resource.read_text(encoding="utf-8"), resource.name)


def import_preset(preset: Preset, path: Path, outbox: Outbox, extras: Extras, progress: Progress | None = None) -> None:
    """Import a file of a public data set.

    Raises:
        SourceError: if the file is not of that set, or cannot be read to its end.
    """
    match preset:
        case Preset.ONLINE_RETAIL:
            mapping = preset_mapping("online_retail")
            _import_with_facts(path, mapping, outbox, OnlineRetailFacts, progress)
        case Preset.CDNOW:
            _import_with_facts(path, _cdnow_mapping(path), outbox, CdnowFacts, progress)
        case Preset.ADVENTUREWORKS_RESELLERS:
            mapping = preset_mapping("adventureworks_resellers")
            _import_with_facts(path, mapping, outbox, ResellerFacts, progress)
            if extras.profiles is not None:
                first_orders = {
                    account: from_epoch_ms(moment) for account, moment in outbox.summary.first_ms_by_account.items()
                }
                import_profiles(extras.profiles, outbox, first_orders)
        case Preset.INCIDENTS:
            import_incidents(path, outbox, accounts=extras.accounts, shift=extras.shift, progress=progress)


def _import_with_facts(
    path: Path, mapping: Mapping, outbox: Outbox, facts: FactsMaker, progress: Progress | None
) -> None:
    table = Table(path, mapping.file.dialect)
    # Before the facts look for their columns: what is missing is then said once, for all.
    table.index_of(mapping.columns)
    import_mapped(table, mapping, outbox, facts=facts(table.columns), progress=progress)


def _cdnow_mapping(path: Path) -> Mapping:
    """Tell the master set from its sample by the number of columns."""
    match len(first_cells(path, Dialect(WHITESPACE))):
        case count if count == _CDNOW_MASTER_COLUMNS:
            return preset_mapping("cdnow_master")
        case count if count == _CDNOW_SAMPLE_COLUMNS:
            return preset_mapping("cdnow_sample")
        case count:
            raise SourceError(
                f"{path}: {count} columns; the master set has {_CDNOW_MASTER_COLUMNS},"
                f" its sample {_CDNOW_SAMPLE_COLUMNS}"
            )
