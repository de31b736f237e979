"""The contract under docs/contract: valid, current, true, and not broken since the last release."""

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import jsonschema
import pytest

from models.events import TYPES_BY_TOPIC
from models.wire import Refusal, parse
from stream.contract import ASYNCAPI_FILE, EVENTS, FOLDER, Published, asyncapi, files, schema_of
from stream.records import SNAPSHOT
from stream.replay import CHURN_RISK_FILE, SNAPSHOTS_FILE, TIER_CHANGES_FILE
from stream.topics import TOPICS, Flow
from tests.contract.compatibility import contract_breaks
from tests.support.tables import Row, table
from tests.support.worker import run_command

ROOT: Final = Path(__file__).resolve().parents[2]
DOCS: Final = ROOT / "docs"
META_SCHEMA: Final = Path(__file__).with_name("asyncapi-3.0.0.json")
"""Of the AsyncAPI initiative, unchanged; the licence beside it, Apache 2.0, is its own."""
RELEASED: Final = ROOT / "tests" / "golden" / "asyncapi.json"

every_event = pytest.mark.parametrize("event", EVENTS, ids=lambda one: one.type)


def _meta_schema() -> Any:
    return json.loads(META_SCHEMA.read_text(encoding="utf-8"))


def test_the_document_is_what_asyncapi_asks_for() -> None:
    """The official schema of AsyncAPI 3.0.0 accepts the document."""
    jsonschema.Draft7Validator(_meta_schema()).validate(json.loads((DOCS / ASYNCAPI_FILE).read_text(encoding="utf-8")))


def test_the_official_schema_refuses_what_is_wrong() -> None:
    """The vendored schema is not one that lets everything pass."""
    document = asyncapi()
    document["operations"]["send-tier-changes"]["action"] = "publish"

    assert not jsonschema.Draft7Validator(_meta_schema()).is_valid(document)


def test_references_lead_somewhere() -> None:
    """Each reference of the document, and of each schema, names a place in the same file."""
    for text in files().values():
        document = json.loads(text)
        for reference in _references(document):
            found = document
            for part in reference.removeprefix("#/").split("/"):
                found = found[part]


def _references(node: Any) -> list[str]:
    if isinstance(node, list):
        return [one for item in node for one in _references(item)]
    if not isinstance(node, dict):
        return []
    own = [node["$ref"]] if "$ref" in node else []
    return own + [one for value in node.values() for one in _references(value)]


@every_event
def test_every_schema_is_one(event: Published) -> None:
    """Each file is a JSON Schema of the draft that it names."""
    jsonschema.Draft7Validator.check_schema(schema_of(event))


def test_every_event_and_topic_is_in_it() -> None:
    """Every type that the worker reads or writes, and every topic but the internal ones."""
    inputs = {type_ for types in TYPES_BY_TOPIC.values() for type_ in types}
    document = asyncapi()

    assert inputs <= {one.type for one in EVENTS}
    assert document["channels"].keys() == {one.suffix for one in TOPICS if one.flow is not Flow.INTERNAL}
    assert {name.removeprefix(f"{FOLDER}/schemas/") for name in files()} == {
        ASYNCAPI_FILE,
        *(f"{one.type}.json" for one in EVENTS),
    }


@every_event
def test_a_type_says_its_name(event: Published) -> None:
    """The model of a type is the one whose `type` is that name."""
    schema = schema_of(event)
    models = [schema, *schema.get("definitions", {}).values()]
    types = {one["properties"]["type"]["const"] for one in models if "type" in one.get("properties", {})}

    assert types == ({event.type} if event.type != SNAPSHOT else set())


@every_event
def test_later_fields_are_accepted(event: Published) -> None:
    """No schema forbids a field that a later release adds."""
    text = json.dumps(schema_of(event))

    assert '"additionalProperties": false' not in text


def test_the_contract_is_not_broken() -> None:
    """What was released is promised: fields, types and topics may be added, never taken away or changed.

    A new major version may break it; the released document is then replaced by docs/contract/asyncapi.json.
    """
    released = json.loads(RELEASED.read_text(encoding="utf-8"))

    assert contract_breaks(released, asyncapi()) == []


@pytest.fixture(scope="module")
def simulated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the events of a small company, and what their replay published."""
    folder = tmp_path_factory.mktemp("simulated")
    run_command({}, "simulate", "--out", str(folder), "--accounts", "25", "--days", "500", "--seed", "3")
    inputs = [str(folder / f"{topic}.jsonl") for topic in TYPES_BY_TOPIC]
    run_command({}, "replay", *inputs, "--out", str(folder / "replay"))
    return folder


def _lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def _accepted(simulated: Path) -> Iterator[dict[str, Any]]:
    """Give the simulated events that the worker takes; some are broken on purpose."""
    for topic in TYPES_BY_TOPIC:
        for event in _lines(simulated / f"{topic}.jsonl"):
            key = event.get("account_id")
            parsed = parse(topic, None if key is None else key.encode(), json.dumps(event).encode())
            if not isinstance(parsed, Refusal):
                yield event


def _published(simulated: Path) -> Iterator[dict[str, Any]]:
    for name in (TIER_CHANGES_FILE, CHURN_RISK_FILE, SNAPSHOTS_FILE):
        yield from _lines(simulated / "replay" / name)


def test_events_are_what_the_schemas_say(simulated: Path) -> None:
    """Events of every type, as the worker takes them and as the core publishes them, pass their schemas."""
    validators = {one.type: jsonschema.Draft7Validator(schema_of(one)) for one in EVENTS}
    seen = Counter[str]()

    for event in (*_accepted(simulated), *_published(simulated)):
        type_ = event.get("type", SNAPSHOT)
        seen[type_] += 1
        validators[type_].validate(event)

    rare = {"order.cancelled", "clock.advanced", "account.erased", "account.recovered"}
    assert seen.keys() | rare == {one.type for one in EVENTS}


@table(
    """
    | type                 | without          |
    | account.tier_changed | account_id       |
    | account.tier_changed | type             |
    | account.lost         | value_at_stake   |
    | account.snapshot     | as_of            |
    | order.completed      | type             |
    | order.completed      | amount           |
    | survey.answered      | kind             |
    """
)
def test_a_schema_refuses_what_is_not_whole(simulated: Path, row: Row) -> None:
    """Every field of an output is always there, null if need be; an input needs what tells its type."""
    events = (*_accepted(simulated), *_published(simulated))
    event = next(one for one in events if one.get("type", SNAPSHOT) == row["type"])
    validator = next(jsonschema.Draft7Validator(schema_of(one)) for one in EVENTS if one.type == row["type"])

    assert validator.is_valid(event)
    del event[row["without"]]

    assert not validator.is_valid(event)
