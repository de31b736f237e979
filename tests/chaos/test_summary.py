"""Several runs as one result."""

from typing import Any

from tests.chaos.summary import sum_up


def run(seed: int, *, valid: int, missing: int) -> dict[str, Any]:
    """What a run of two faults wrote."""
    return {
        "ok": not missing,
        "asked": 2,
        "valid": valid,
        "seed": seed,
        "kinds": {"kill": {"valid": valid}},
        "oracles": {"missing": missing, "twice": 0, "compared": {"states": 10 * seed}},
        "faults": [{"kind": "kill"}] * valid,
    }


def test_runs_add_up() -> None:
    """One that failed makes all fail; each keeps its seed, and not its faults."""
    found = sum_up([run(1, valid=2, missing=0), run(2, valid=1, missing=3)])

    assert (found["ok"], found["asked"], found["valid"]) == (False, 4, 3)
    assert (found["missing"], found["twice"]) == (3, 0)
    assert (found["compared"], found["kinds"]) == ({"states": 30}, {"kill": 3})
    assert [(one["seed"], "faults" in one) for one in found["runs"]] == [(1, False), (2, False)]
    assert sum_up([run(1, valid=2, missing=0)])["ok"]
