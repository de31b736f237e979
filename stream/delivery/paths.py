"""Where a value stands in an event: `tier`, `windows.365.revenue`, `components.revenue.score`.

The members of a list of objects are found by their `name`.
"""

from collections.abc import Mapping
from typing import Any, Final

from stream.contract import EVENTS, Schema, schema_of

_SCHEMAS: Final = {one.type: schema_of(one) for one in EVENTS if not one.topic.is_input}
_PLAIN: Final = frozenset({"string", "number", "integer", "boolean", "null"})
_ONE: Final = "*"
"""Stands for any member of a list or map."""


def lookup(body: Mapping[str, Any], path: str) -> Any:
    """Return the value at a path; None where there is nothing.

    >>> lookup({"components": [{"name": "revenue", "score": 80.0}]}, "components.revenue.score")
    80.0
    >>> lookup({"tier": "key"}, "owner") is None
    True
    """
    found: Any = body
    for part in path.split("."):
        if isinstance(found, list):
            found = next((one for one in found if isinstance(one, dict) and one.get("name") == part), None)
        else:
            found = found.get(part) if isinstance(found, Mapping) else None
    return found


def problem(path: str, type_: str) -> str | None:
    """Say what is wrong with a path for events of a type, by the contract; None when nothing is.

    >>> problem("tier", "account.tier_changed") is None, problem("windows.365.revenue", "account.tier_changed") is None
    (True, True)
    >>> problem("windows", "account.tier_changed")
    'holds more than one value'
    >>> problem("tear", "account.tier_changed")[:53]
    'there is no tear in account.tier_changed, but account'
    """
    document = _SCHEMAS[type_]
    places: list[Schema] = [document]
    walked: list[str] = []
    for part in path.split("."):
        known = {name: one for place in places for name, one in _members(place, document).items()}
        if part not in known and _ONE not in known:
            where = ".".join([*walked, type_]) if not walked else f"{'.'.join(walked)} of {type_}"
            return f"there is no {part} in {where}, but {', '.join(sorted(known)) or 'nothing'}"
        places = _alternatives(known.get(part) or known[_ONE], document)
        walked.append(part)
    return None if all(_is_plain(one, document) for one in places) else "holds more than one value"


def _alternatives(schema: Schema, document: Schema) -> list[Schema]:
    if "$ref" in schema:
        return _alternatives(document["definitions"][schema["$ref"].rpartition("/")[2]], document)
    if "anyOf" in schema:
        return [found for one in schema["anyOf"] for found in _alternatives(one, document)]
    return [schema]


def _members(schema: Schema, document: Schema) -> dict[str, Schema]:
    members = dict(schema.get("properties", {}))
    rest = schema.get("additionalProperties")
    if isinstance(rest, dict):
        members[_ONE] = rest
    if schema.get("type") == "array":
        for item in _alternatives(schema.get("items", {}), document):
            if "name" in item.get("properties", {}):
                members[_ONE] = item
    return members


def _is_plain(schema: Schema, document: Schema) -> bool:
    if schema.get("type") == "array":
        return all(one.get("type") in _PLAIN for one in _alternatives(schema.get("items", {}), document))
    return schema.get("type") in _PLAIN
