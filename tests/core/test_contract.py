"""What others rely on by name: once released, a name is never taken away."""

import json
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

from pydantic import BaseModel

from models import outputs, snapshots
from models.events import TYPES_BY_TOPIC, ComplaintCategory, InputTopic, Severity, adapter_of
from models.outputs import (
    Abc,
    AccountType,
    Cause,
    ChurnLevel,
    ChurnReason,
    Direction,
    Lifecycle,
    RfmSegment,
    Tier,
    Xyz,
)
from models.reasons import Outcome, RefusalReason
from processors.scorecard import COMPONENTS, PARTS
from processors.support import SupportKind

GOLDEN: Final = Path(__file__).parents[1] / "golden" / "contract.json"
_ENUMS: Final[tuple[type[StrEnum], ...]] = (
    RefusalReason,
    Outcome,
    InputTopic,
    Severity,
    ComplaintCategory,
    Tier,
    Direction,
    Cause,
    ChurnLevel,
    ChurnReason,
    Lifecycle,
    Abc,
    Xyz,
    RfmSegment,
    AccountType,
    SupportKind,
)


def contract() -> dict[str, Any]:
    """List all names that cross the wire or stay in states."""
    models = {
        name: sorted(model.model_fields)
        for name, model in (vars(outputs) | vars(snapshots)).items()
        if isinstance(model, type) and issubclass(model, BaseModel) and not name.startswith("_") and model.model_fields
    }
    inputs = {
        topic: {
            name.removeprefix("#/$defs/"): sorted(schema["properties"])
            for name, schema in adapter_of(topic).json_schema(by_alias=False)["$defs"].items()
            if "properties" in schema
        }
        for topic in InputTopic
    }
    return {
        "enums": {enum.__name__: [member.value for member in enum] for enum in _ENUMS},
        "types": TYPES_BY_TOPIC,
        "inputs": inputs,
        "outputs": models,
        "components": {name: PARTS[first:end] for name, first, end in COMPONENTS},
        "output_types": [
            model.model_fields["type"].default
            for model in (
                outputs.TierChanged,
                outputs.ChurnRiskChanged,
                outputs.AccountLost,
                outputs.AccountRecovered,
            )
        ],
    }


def test_the_names_of_the_contract_are_frozen() -> None:
    """Reasons, outcomes, event types and fields are those of the committed list, to which one may only add."""
    found = json.loads(json.dumps(contract()))

    assert found == json.loads(GOLDEN.read_text(encoding="utf-8"))
