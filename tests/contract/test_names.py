"""Names that others rely on beside the schemas of events: once released, one is never taken away."""

import json
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

from models.events import InputTopic
from models.reasons import Outcome, RefusalReason
from processors.scorecard import COMPONENTS, PARTS
from processors.support import SupportKind
from stream.delivery.reasons import AttemptOutcome, Disposal, FailureReason
from stream.topics import TOPICS

GOLDEN: Final = Path(__file__).parents[1] / "golden" / "names.json"
_ENUMS: Final[tuple[type[StrEnum], ...]] = (
    RefusalReason,
    Outcome,
    InputTopic,
    SupportKind,
    FailureReason,
    AttemptOutcome,
    Disposal,
)


def names() -> dict[str, Any]:
    """List names in headers, metrics, states and topics, and those of components and their parts."""
    return {
        "topics": [topic.suffix for topic in TOPICS],
        "enums": {enum.__name__: [member.value for member in enum] for enum in _ENUMS},
        "components": {name: list(PARTS[first:end]) for name, first, end in COMPONENTS},
    }


def test_names_are_frozen() -> None:
    """Reasons, outcomes, topics and components are those of the committed list, to which one may only add."""
    assert names() == json.loads(GOLDEN.read_text(encoding="utf-8"))
