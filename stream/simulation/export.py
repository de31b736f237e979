"""Writes a simulated history to files: one a topic, and the truth about them."""

from contextlib import ExitStack
from pathlib import Path
from typing import Final

import msgspec

from models.events import InputTopic
from stream.simulation.company import Simulation
from stream.simulation.happening import encode
from stream.simulation.truth import Truth

TRUTH_FILE: Final = "truth.json"
TRUTH_ACCOUNTS_FILE: Final = "truth.jsonl"
_JSON_INDENT: Final = 2


def file_of(topic: InputTopic) -> str:
    """Name of the file of a topic's records.

    >>> file_of(InputTopic.ORDERS)
    'orders.jsonl'
    """
    return f"{topic}.jsonl"


def holds_other_data(directory: Path) -> bool:
    """Tell whether a directory has files of the same names that no simulation wrote."""
    names = [*(file_of(topic) for topic in InputTopic), TRUTH_ACCOUNTS_FILE]
    return not (directory / TRUTH_FILE).exists() and any((directory / name).exists() for name in names)


def write_history(simulation: Simulation, directory: Path) -> Truth:
    """Write a history and its truth, replacing an earlier one, and return the truth.

    Files take their names only when all are whole. Raises OSError.
    """
    directory.mkdir(parents=True, exist_ok=True)
    truth = Truth(simulation.spec, simulation.seed)
    paths = {topic: directory / file_of(topic) for topic in InputTopic}
    truth_path, accounts_path = directory / TRUTH_FILE, directory / TRUTH_ACCOUNTS_FILE
    with ExitStack() as stack:
        files = {topic: stack.enter_context(_part(path).open("wb")) for topic, path in paths.items()}
        for labelled in simulation.labelled_history():
            truth.note(labelled)
            files[labelled.record.topic].write(labelled.record.value + b"\n")
    with _part(accounts_path).open("wb") as file:
        file.writelines(encode(line) + b"\n" for line in truth.account_lines())
    summary = msgspec.json.format(encode(truth.summary()), indent=_JSON_INDENT)
    _part(truth_path).write_bytes(summary + b"\n")
    # The summary first: it tells the next run that the other files are a simulation's.
    for path in (truth_path, accounts_path, *paths.values()):
        _part(path).replace(path)
    return truth


def _part(path: Path) -> Path:
    return path.with_name(f"{path.name}.part")
