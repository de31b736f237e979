"""Which changes of the contract are refused: a table of single changes, each tried on both sides."""

import copy
import json
from collections.abc import Callable
from typing import Any, Final

import pytest

from stream.contract import asyncapi
from tests.contract.compatibility import Schema, Side, breaks, contract_breaks

OLD: Final[Schema] = {
    "type": "object",
    "title": "Event",
    "properties": {
        "id": {"type": "string", "maxLength": 9},
        "type": {"const": "it.happened", "type": "string"},
        "score": {"anyOf": [{"type": "number", "minimum": 0, "maximum": 100}, {"type": "null"}]},
        "orders": {"type": "integer"},
        "tier": {"$ref": "#/definitions/Tier"},
        "reasons": {"type": "array", "items": {"type": "string", "x-extensible-enum": ["late", "loud"]}},
        "windows": {"type": "object", "additionalProperties": {"$ref": "#/definitions/Window"}},
        "note": {"type": "string"},
    },
    "required": ["id", "type", "score", "orders", "tier", "reasons", "windows"],
    "definitions": {
        "Tier": {"type": "string", "enum": ["key", "basic"]},
        "Window": {
            "type": "object",
            "title": "Window",
            "properties": {"revenue": {"type": "string"}},
            "required": ["revenue"],
        },
    },
}

Fields = dict[str, Any]


def _drop(name: str) -> Callable[[Any], None]:
    def change(schema: Any) -> None:
        del schema["properties"][name]
        if name in schema["required"]:
            schema["required"].remove(name)

    return change


def _rename(name: str, other: str) -> Callable[[Any], None]:
    def change(schema: Any) -> None:
        schema["properties"][other] = schema["properties"].pop(name)
        schema["required"] = [other if one == name else one for one in schema["required"]]

    return change


def _put(name: str, field: Fields, *, required: bool = False) -> Callable[[Any], None]:
    def change(schema: Any) -> None:
        schema["properties"][name] = field
        if required:
            schema["required"].append(name)

    return change


def _number(**bounds: float) -> Fields:
    return {"anyOf": [{"type": "number", **bounds}, {"type": "null"}]}


def _members(*names: str) -> Callable[[Any], None]:
    return lambda schema: schema["definitions"].update(Tier={"type": "string", "enum": list(names)})


def _reasons(*names: str, word: str = "x-extensible-enum") -> Callable[[Any], None]:
    return _put("reasons", {"type": "array", "items": {"type": "string", word: list(names)}})


def _window(**fields: Fields) -> Callable[[Any], None]:
    def change(schema: Any) -> None:
        schema["definitions"]["Window"]["properties"].update(fields)

    return change


def _keep(_: Any) -> None:
    pass


CASES: Final[list[tuple[str, Callable[[Any], None], bool, bool]]] = [
    # change, how, breaks a subscriber, breaks a producer
    ("nothing", _keep, False, False),
    ("a description", _put("orders", {"type": "integer", "description": "In the year."}), False, False),
    ("an optional field more", _put("colour", {"type": "string"}), False, False),
    ("a required field more", _put("colour", {"type": "string"}, required=True), False, True),
    ("a field less", _drop("orders"), True, True),
    ("an optional field less", _drop("note"), True, True),
    ("a field renamed", _rename("orders", "order_count"), True, True),
    ("required no more", lambda s: s["required"].remove("orders"), True, False),
    ("optional no more", lambda s: s["required"].append("note"), True, True),
    ("another type", _put("orders", {"type": "string"}), True, True),
    ("a wider type", _put("orders", {"anyOf": [{"type": "integer"}, {"type": "string"}]}), True, False),
    ("null as well", _put("orders", {"anyOf": [{"type": "integer"}, {"type": "null"}]}), True, False),
    ("null no more", _put("score", {"type": "number", "minimum": 0, "maximum": 100}), True, True),
    ("the other number", _put("orders", {"type": "number"}), True, True),
    ("a lower maximum", _put("score", _number(minimum=0, maximum=10)), True, True),
    ("a higher maximum", _put("score", _number(minimum=0, maximum=1000)), True, False),
    ("no maximum", _put("score", _number(minimum=0)), True, False),
    ("a first maximum", _put("orders", {"type": "integer", "maximum": 9}), True, True),
    ("a higher minimum", _put("score", _number(minimum=1, maximum=100)), True, True),
    ("a lower minimum", _put("score", _number(minimum=-1, maximum=100)), True, False),
    ("a shorter text", _put("id", {"type": "string", "maxLength": 8}), True, True),
    ("a longer text", _put("id", {"type": "string", "maxLength": 10}), True, False),
    ("a pattern", _put("note", {"type": "string", "pattern": "^a"}), True, True),
    ("a format", _put("note", {"type": "string", "format": "date"}), True, True),
    ("another constant", _put("type", {"const": "it.was", "type": "string"}), True, True),
    ("a final member more", _members("key", "basic", "other"), True, False),
    ("a final member less", _members("key"), True, True),
    ("a member renamed", _members("key", "plain"), True, True),
    ("members in another order", _members("basic", "key"), False, False),
    ("an open member more", _reasons("late", "loud", "lost"), False, False),
    ("an open member less", _reasons("late"), True, True),
    ("an open list closed", _reasons("late", "loud", word="enum"), True, True),
    ("another kind of item", _put("reasons", {"type": "array", "items": {"type": "integer"}}), True, True),
    ("a deep field more", _window(profit={"type": "string"}), False, False),
    ("a deep field of another type", _window(revenue={"type": "number"}), True, True),
    (
        "another kind of value",
        _put("windows", {"type": "object", "additionalProperties": {"type": "string"}}),
        True,
        True,
    ),
    ("a map without values", _put("windows", {"type": "object"}), True, True),
]


@pytest.mark.parametrize(
    ("change", "subscriber", "producer"), [one[1:] for one in CASES], ids=[one[0] for one in CASES]
)
def test_a_change_is_judged_for_each_side(
    change: Callable[[Any], None],
    subscriber: bool,  # noqa: FBT001  # a column
    producer: bool,  # noqa: FBT001  # a column
) -> None:
    """Who reads keeps what was promised and may get more; who writes keeps what was accepted."""
    new = copy.deepcopy(OLD)
    change(new)

    assert bool(breaks(OLD, new, Side.SUBSCRIBER)) is subscriber
    assert bool(breaks(OLD, new, Side.PRODUCER)) is producer


def test_the_place_is_named() -> None:
    """Whoever reads the failure knows which field of which part it is about."""
    new = copy.deepcopy(OLD)
    _window(revenue={"type": "number"})(new)

    assert breaks(OLD, new, Side.SUBSCRIBER) == [
        ".windows{}.revenue: is no longer string",
        ".windows{}.revenue: may now be number",
    ]


def test_an_unknown_word_is_refused() -> None:
    """A word of JSON Schema that the comparison does not know fails it, rather than passing unseen."""
    new = copy.deepcopy(OLD)
    _put("note", {"type": "string", "contentEncoding": "base64"})(new)

    with pytest.raises(AssertionError, match="contentEncoding"):
        breaks(OLD, new, Side.SUBSCRIBER)


def _without_topic(document: Any) -> None:
    del document["channels"]["churn-risk"]


def _renamed_topic(document: Any) -> None:
    document["channels"]["churn-risk"]["address"] = "{prefix}churn"


def _moved_event(document: Any) -> None:
    message = document["channels"]["churn-risk"]["messages"].pop("account.lost")
    document["channels"]["tier-changes"]["messages"]["account.lost"] = message


def _without_header(document: Any) -> None:
    headers = document["components"]["messages"]["account.lost"]["headers"]
    del headers["properties"]["ce_sequence"]


def _other_key(document: Any) -> None:
    del document["components"]["schemas"]["AccountLost"]["properties"]["risk"]


def _new_event(document: Any) -> None:
    channel = document["channels"]["churn-risk"]["messages"]
    channel["account.merged"] = channel["account.lost"]


def _new_required_input(document: Any) -> None:
    document["components"]["schemas"]["OrderCompleted"]["required"].append("product_lines")


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (_keep, []),
        (_new_event, []),
        (_without_topic, ["churn-risk: the topic was taken away"]),
        (_renamed_topic, ["churn-risk: the topic was renamed to {prefix}churn"]),
        (_moved_event, ["churn-risk/account.lost: was taken away"]),
        (_without_header, ["churn-risk/account.lost headers.ce_sequence: was taken away"]),
        (_other_key, ["churn-risk/account.lost payload.risk: was taken away"]),
        (_new_required_input, ["orders/order.completed payload.product_lines: became required"]),
    ],
)
def test_topics_events_and_headers_are_promised_too(change: Callable[[Any], None], expected: list[str]) -> None:
    """The same holds for where an event is found and for the headers beside it."""
    old = json.loads(json.dumps(asyncapi()))
    new = copy.deepcopy(old)
    change(new)

    assert contract_breaks(old, new) == expected
