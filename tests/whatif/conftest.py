"""What the tests of other policies share: a history."""

from datetime import date
from pathlib import Path

import pytest

from stream.simulation import Simulation, SimulationSpec
from stream.simulation.export import write_history


@pytest.fixture(scope="session")
def events(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """A year of a simulated company."""
    folder = tmp_path_factory.mktemp("history")
    write_history(Simulation(SimulationSpec(until=date(2025, 12, 31), days=365, accounts=150), seed=7), folder)
    return [folder / f"{name}.jsonl" for name in ("profiles", "orders", "support")]
