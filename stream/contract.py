"""The published contract: JSON Schemas of the events, and an AsyncAPI 3 document of the topics they travel on.

Both are drawn from the models and from the names on the wire. JSON Schema is of draft 7, which AsyncAPI contains, so
that the two say the same in the same words. A subscriber must ignore fields that it does not know: the schemas of
what we publish allow them.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

from pydantic import TypeAdapter
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaMode

from models.events import (
    AccountErased,
    ClockAdvanced,
    ComplaintFiled,
    InputTopic,
    OrderCancelled,
    OrderCompleted,
    OrderRefunded,
    ProfileUpdated,
    SlaBreached,
    SurveyAnswered,
    TicketOpened,
    TicketReopened,
    TicketResolved,
)
from models.outputs import AccountLost, AccountRecovered, ChurnRiskChanged, TierChanged
from models.snapshots import Snapshot
from stream.docstrings import member_docs
from stream.headers import CLOUDEVENTS_VERSION, CONTENT_TYPE, SEQUENCE_TYPE, DeadLetterHeader, FailureHeader, Header
from stream.records import SNAPSHOT, SNAPSHOT_DELETED
from stream.release import version
from stream.topics import (
    CHURN_RISK,
    DEAD_LETTERS,
    DEFAULT_PREFIX,
    DELIVERY_FAILURES,
    SNAPSHOTS,
    SPEC_OF_INPUT,
    TIER_CHANGES,
    Retention,
    Topic,
)

Schema = dict[str, Any]

OPEN_ENUMS: Final = frozenset({"AccountType", "ChurnReason", "RfmSegment"})
"""Lists that grow with a release: a subscriber shows what it does not know. Members of all others are final."""
OPEN_ENUM: Final = "x-extensible-enum"
"""In the place of `enum`, so that a validator accepts what comes later."""

FOLDER: Final = "contract"
"""Below the folder of the documentation."""
ASYNCAPI_FILE: Final = f"{FOLDER}/asyncapi.json"
_ASYNCAPI_VERSION: Final = "3.0.0"
_DIALECT: Final = "http://json-schema.org/draft-07/schema#"
_DEFAULT_COPIES: Final = 3
_COMPONENTS: Final = "#/components/schemas/"
_DEFINITIONS: Final = "#/definitions/"


class Published(NamedTuple):
    """One type of event: its name on the wire, its model, and where it travels."""

    type: str
    model: Any
    topic: Topic

    @property
    def mode(self) -> JsonSchemaMode:
        """What producers may write, or what we do write: a field with a default is optional only in the first."""
        return "validation" if self.topic.is_input else "serialization"


_INPUT_MODELS: Final[Mapping[InputTopic, Mapping[str, Any]]] = {
    InputTopic.ORDERS: {
        "order.completed": OrderCompleted,
        "order.refunded": OrderRefunded,
        "order.cancelled": OrderCancelled,
        "clock.advanced": ClockAdvanced,
    },
    InputTopic.SUPPORT: {
        "ticket.opened": TicketOpened,
        "ticket.resolved": TicketResolved,
        "ticket.reopened": TicketReopened,
        "sla.breached": SlaBreached,
        "complaint.filed": ComplaintFiled,
        "survey.answered": SurveyAnswered,
    },
    InputTopic.PROFILES: {"profile.updated": ProfileUpdated, "account.erased": AccountErased},
}
_OUTPUT_MODELS: Final[Mapping[Topic, Mapping[str, Any]]] = {
    TIER_CHANGES: {"account.tier_changed": TierChanged},
    CHURN_RISK: {
        "account.churn_risk_changed": ChurnRiskChanged,
        "account.lost": AccountLost,
        "account.recovered": AccountRecovered,
    },
    SNAPSHOTS: {SNAPSHOT: Snapshot},
}
EVENTS: Final = tuple(
    [
        Published(type_, model, SPEC_OF_INPUT[one])
        for one, found in _INPUT_MODELS.items()
        for type_, model in found.items()
    ]
    + [Published(type_, model, topic) for topic, found in _OUTPUT_MODELS.items() for type_, model in found.items()]
)
"""Every type of event that crosses the wire."""

_TITLES: Final[Mapping[str, str]] = {"survey.answered": "SurveyAnswered"}
"""Of types that are a union of models, which has no name of its own."""


class _Generator(GenerateJsonSchema):
    """Leaves out the titles of fields, which only repeat their names."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        del schema
        return False


def files() -> dict[str, str]:
    """Return every file of the contract by its name below the documentation."""
    schemas = {f"{FOLDER}/schemas/{one.type}.json": schema_of(one) for one in EVENTS}
    return {name: _text(content) for name, content in {ASYNCAPI_FILE: asyncapi(), **schemas}.items()}


def schema_of(event: Published) -> Schema:
    """Return the JSON Schema of one type of event, all that it refers to inside."""
    schema = TypeAdapter(event.model).json_schema(
        mode=event.mode, ref_template=_DEFINITIONS + "{model}", schema_generator=_Generator
    )
    definitions = schema.pop("$defs", {})
    schema = {"$schema": _DIALECT, "title": _title(event), **_published(schema, event)}
    if definitions:
        schema["definitions"] = {name: _published(one, event) for name, one in definitions.items()}
    return schema


def asyncapi() -> Schema:
    """Return the AsyncAPI document: channels, messages with their headers, and what the application does with them."""
    topics = [*SPEC_OF_INPUT.values(), *_OUTPUT_MODELS, DEAD_LETTERS, DELIVERY_FAILURES]
    messages = dict(_messages())
    of_topic = {topic.suffix: [name for name, (where, _) in messages.items() if where is topic] for topic in topics}
    return {
        "asyncapi": _ASYNCAPI_VERSION,
        "info": {
            "title": "account-health",
            "version": version(),
            "description": (
                "Reads orders, support events and account profiles; publishes tier changes, churn risks and snapshots. "
                "Keys are account ids in UTF-8; partitions follow from the key by murmur2, as Java's producer does. "
                "Subscribers read committed records only, ignore fields that they do not know, and recognise a "
                "repetition by `ce_id`."
            ),
            "license": {"name": "MIT"},
        },
        "defaultContentType": CONTENT_TYPE,
        "channels": {topic.suffix: _channel(topic, of_topic[topic.suffix]) for topic in topics},
        "operations": {_operation_name(topic): _operation(topic, of_topic[topic.suffix]) for topic in topics},
        "components": {
            "messages": {name: message for name, (_, message) in messages.items()},
            "schemas": _components(),
        },
    }


def _text(content: Schema) -> str:
    return json.dumps(content, indent=2, ensure_ascii=False) + "\n"


def _title(event: Published) -> str:
    return _TITLES.get(event.type) or event.model.__name__


def _published(schema: Any, event: Published) -> Any:
    """Say what the wire asks for, where that is not what the model says to Python.

    Fields that we add later must not break a validator, and a producer has to write what tells types apart.
    """
    if isinstance(schema, list):
        return [_published(one, event) for one in schema]
    if not isinstance(schema, dict):
        return schema
    found = {
        key: _published(value, event)
        for key, value in schema.items()
        if key != "discriminator" and not (key == "additionalProperties" and value is False)
    }
    if found.get("title") in OPEN_ENUMS:
        found[OPEN_ENUM] = found.pop("enum")
    properties = found.get("properties")
    if isinstance(properties, dict):
        fixed = [name for name, one in properties.items() if isinstance(one, dict) and "const" in one]
        for name in fixed:
            properties[name].pop("default", None)
        required = [name for name in properties if name in fixed or name in found.get("required", ())]
        if required:
            found["required"] = required
    return found


def _components() -> dict[str, Schema]:
    """Return every model once, under its name."""
    found: dict[str, Schema] = {}
    for event in EVENTS:
        schema = schema_of(event)
        del schema["$schema"]
        for name, one in {**schema.pop("definitions", {}), _title(event): schema}.items():
            moved = _moved(one)
            if found.setdefault(name, moved) != moved:
                raise ValueError(f"two models of the contract have the name {name}")
    return dict(sorted(found.items()))


def _moved(schema: Any) -> Any:
    if isinstance(schema, list):
        return [_moved(one) for one in schema]
    if isinstance(schema, dict):
        return {key: _moved(value) for key, value in schema.items()}
    return schema.replace(_DEFINITIONS, _COMPONENTS) if isinstance(schema, str) else schema


def _messages() -> Iterator[tuple[str, tuple[Topic, Schema]]]:
    for event in EVENTS:
        message: Schema = {
            "name": event.type,
            "title": _title(event),
            "payload": {"$ref": _COMPONENTS + _title(event)},
            "bindings": {"kafka": {"key": _KEY}},
        }
        if not event.topic.is_input:
            message["headers"] = _event_headers(event.type)
        yield event.type, (event.topic, message)
    yield (
        SNAPSHOT_DELETED,
        (
            SNAPSHOTS,
            {
                "name": SNAPSHOT_DELETED,
                "summary": "The account was erased: a record without a value.",
                "payload": {"type": "null"},
                "headers": _event_headers(SNAPSHOT_DELETED),
                "bindings": {"kafka": {"key": _KEY}},
            },
        ),
    )
    yield (
        "dead_letter",
        (
            DEAD_LETTERS,
            {
                "name": "dead_letter",
                "summary": "A record that was refused: its key and value are unchanged.",
                "contentType": "application/octet-stream",
                "payload": {"description": "Whatever the refused record held."},
                "headers": _headers(DeadLetterHeader, _DEAD_LETTER_REQUIRED),
            },
        ),
    )
    yield (
        "delivery_failure",
        (
            DELIVERY_FAILURES,
            {
                "name": "delivery_failure",
                "summary": "An event that a destination could not be given, with its own headers beside these.",
                "payload": {"description": "The event, unchanged; null where earlier failures are settled."},
                "headers": _headers(FailureHeader, (FailureHeader.DESTINATION,)),
                "bindings": {"kafka": {"key": _KEY}},
            },
        ),
    )


_KEY: Final[Schema] = {"type": "string", "description": "The account's id."}
_DEAD_LETTER_REQUIRED: Final = (
    DeadLetterHeader.REASON,
    DeadLetterHeader.DETAIL,
    DeadLetterHeader.TOPIC,
    DeadLetterHeader.PARTITION,
    DeadLetterHeader.OFFSET,
    DeadLetterHeader.TIMESTAMP_MS,
)
_TRIGGER: Final = (Header.CE_TRIGGER_TOPIC, Header.CE_TRIGGER_PARTITION, Header.CE_TRIGGER_OFFSET)
_SEQUENCE: Final = (Header.CE_SEQUENCE, Header.CE_SEQUENCE_TYPE)


def _event_headers(type_: str) -> Schema:
    """Describe the CloudEvents attributes of one type; a snapshot has a revision instead of a sequence."""
    absent: tuple[str, ...] = (Header.CE_INCARNATION,)
    if type_ == SNAPSHOT:
        absent = (*_SEQUENCE, *_TRIGGER)
    elif type_ == SNAPSHOT_DELETED:
        absent = (Header.CE_TIME, *_SEQUENCE, *_TRIGGER)
    schema = _headers(Header, (), absent)
    schema["required"] = [name for name in schema["properties"] if name not in _TRIGGER]
    for name, value in (
        (Header.CE_SPECVERSION, CLOUDEVENTS_VERSION),
        (Header.CE_TYPE, type_),
        (Header.CE_SEQUENCE_TYPE, SEQUENCE_TYPE),
        (Header.CONTENT_TYPE, CONTENT_TYPE),
    ):
        if name in schema["properties"]:
            schema["properties"][name]["const"] = value
    return schema


def _headers(cls: type, required: Sequence[str], absent: Sequence[str] = ()) -> Schema:
    properties = {
        getattr(cls, name): {"type": "string", "description": text}
        for name, text in member_docs(cls).items()
        if getattr(cls, name) not in absent
    }
    schema: Schema = {"type": "object", "properties": properties}
    return {**schema, "required": list(required)} if required else schema


def _channel(topic: Topic, messages: Sequence[str]) -> Schema:
    config = topic.config(Retention(), _DEFAULT_COPIES)
    return {
        "address": "{prefix}" + topic.suffix,
        "description": topic.description,
        "parameters": {
            "prefix": {"default": DEFAULT_PREFIX, "description": "Beginning of every topic's name, as it was set."}
        },
        "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in messages},
        "bindings": {
            "kafka": {
                "topicConfiguration": {
                    "cleanup.policy": [config["cleanup.policy"]],
                    "retention.ms": int(config["retention.ms"]),
                    "max.message.bytes": int(config["max.message.bytes"]),
                }
            }
        },
    }


def _operation_name(topic: Topic) -> str:
    return f"{'receive' if topic.is_input else 'send'}-{topic.suffix}"


def _operation(topic: Topic, messages: Sequence[str]) -> Schema:
    return {
        "action": "receive" if topic.is_input else "send",
        "channel": {"$ref": f"#/channels/{topic.suffix}"},
        "messages": [{"$ref": f"#/channels/{topic.suffix}/messages/{name}"} for name in messages],
    }
