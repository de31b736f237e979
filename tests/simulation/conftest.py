"""One simulated history that most tests look at."""

from datetime import date

import pytest

from stream.simulation import LabelledRecord, Simulation, SimulationSpec, Truth


@pytest.fixture(scope="session")
def spec() -> SimulationSpec:
    """The company of the defaults, with more faults, so that every kind of them is there."""
    return SimulationSpec(until=date(2026, 6, 30), malformed_share=0.02, conflict_share=0.01)


@pytest.fixture(scope="session")
def simulation(spec: SimulationSpec) -> Simulation:
    """The company of one seed."""
    return Simulation(spec, seed=7)


@pytest.fixture(scope="session")
def history(simulation: Simulation) -> list[LabelledRecord]:
    """All that it sent."""
    return list(simulation.labelled_history())


@pytest.fixture(scope="session")
def truth(simulation: Simulation, history: list[LabelledRecord]) -> Truth:
    """The truth about it."""
    truth = Truth(simulation.spec, simulation.seed)
    for labelled in history:
        truth.note(labelled)
    return truth
