"""The short form of `make chaos`: most kinds of faults once, on workers at work."""

import json
from pathlib import Path
from random import Random

import pytest

from tests.chaos.driver import Driver, Run
from tests.chaos.kinds import DEAR, Kind, schedule
from tests.chaos.report import last_line, write
from tests.support.broker import KafkaBroker


def test_no_fault_loses_or_repeats_anything(
    mortal_kafka: KafkaBroker, tmp_path: Path, pytestconfig: pytest.Config
) -> None:
    """After each kind of fault, states, changes, dead letters and snapshots are what the input leads to, each once."""
    seed = int(pytestconfig.getoption("hypothesis_seed"))
    kinds = tuple(kind for kind in Kind if kind not in DEAR)
    count = len(kinds)
    run = Run(count)

    Driver(mortal_kafka, tmp_path, seed, print).run(schedule(Random(seed), kinds), count, run)

    assert run.verdict.named == []
    assert last_line(run) == f"faults {count} valid {count} missing 0 twice 0"
    assert run.ok
    write(run, seed, tmp_path / "chaos.json")
    found = json.loads((tmp_path / "chaos.json").read_text(encoding="utf-8"))
    valid = [one for one in found["faults"] if one["valid"]]
    assert {one["kind"] for one in valid} == {*kinds}
    assert min(one["records_outstanding"] for one in valid) > 0
    assert {one["recomputed"] for one in found["oracles"]["applications"] if one["finished"]} == {True, False}
