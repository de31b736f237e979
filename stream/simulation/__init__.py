"""A believable business-to-business company, fully determined by its seed.

`Simulation(spec, seed).history()` is its past, as files or a demo need it; `.live(moment)` goes on.
"""

from stream.simulation.company import LabelledRecord, SimulatedRecord, Simulation
from stream.simulation.delivery import Mark
from stream.simulation.life import ChurnCause
from stream.simulation.persona import Persona, SizeClass
from stream.simulation.spec import SimulationSpec
from stream.simulation.truth import Truth

__all__ = [
    "ChurnCause",
    "LabelledRecord",
    "Mark",
    "Persona",
    "SimulatedRecord",
    "Simulation",
    "SimulationSpec",
    "SizeClass",
    "Truth",
]
