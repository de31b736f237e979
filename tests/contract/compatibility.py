"""Whether a new version of the contract breaks whoever was written for the old one.

Knows the words of JSON Schema that the contract uses, and refuses to judge any other.
"""

from collections.abc import Iterator, Mapping
from enum import Enum, auto
from typing import Any, Final

Schema = Mapping[str, Any]

SILENT: Final = frozenset({"description", "title", "default", "examples", "summary", "$schema", "definitions"})
"""Words that explain and decide nothing."""
OPEN_ENUM: Final = "x-extensible-enum"
UPPER: Final = frozenset({"maximum", "exclusiveMaximum", "maxLength", "maxItems"})
LOWER: Final = frozenset({"minimum", "exclusiveMinimum", "minLength", "minItems"})
EXACT: Final = frozenset({"type", "const", "format", "pattern", "multipleOf"})
STRUCTURE: Final = frozenset(
    {"$ref", "anyOf", "oneOf", "properties", "required", "items", "additionalProperties", "enum", OPEN_ENUM}
)


class Side(Enum):
    """Who keeps to the old version."""

    SUBSCRIBER = auto()
    """Reads what we write: what was promised stays as it was, and more may be added."""
    PRODUCER = auto()
    """Writes what we read: what was accepted stays accepted."""


def breaks(old: Schema, new: Schema, side: Side, documents: tuple[Schema, Schema] | None = None) -> list[str]:
    """Return each way in which `new` breaks who was written for `old`, the place before it.

    References are looked up in the two documents, which are the schemas themselves unless given.
    """
    return list(_Comparison(side, documents or (old, new)).of(old, new, "", ()))


class _Comparison:
    def __init__(self, side: Side, documents: tuple[Schema, Schema]) -> None:
        self._side = side
        self._documents = documents

    def of(self, old: Schema, new: Schema, path: str, seen: tuple[Any, ...]) -> Iterator[str]:
        """Compare two schemas at one place."""
        pair = (old.get("$ref"), new.get("$ref"))
        if any(pair):
            if pair in seen:  # a model that contains itself
                return
            seen = (*seen, pair)
        old, new = _resolved(old, self._documents[0]), _resolved(new, self._documents[1])
        unknown = (old.keys() | new.keys()) - SILENT - UPPER - LOWER - EXACT - STRUCTURE
        assert not unknown, f"{path}: nobody has said what a change of {sorted(unknown)} means"
        yield from self._alternatives(
            _alternatives(old, self._documents[0]), _alternatives(new, self._documents[1]), path, seen
        )

    def _alternatives(
        self, old: Mapping[str, Schema], new: Mapping[str, Schema], path: str, seen: tuple[Any, ...]
    ) -> Iterator[str]:
        for kind in sorted(old.keys() - new.keys()):
            yield f"{path}: is no longer {kind}"
        if self._side is Side.SUBSCRIBER:
            for kind in sorted(new.keys() - old.keys()):
                yield f"{path}: may now be {kind}"
        for kind in sorted(old.keys() & new.keys()):
            yield from self._values(old[kind], new[kind], path)
            yield from self._parts(old[kind], new[kind], path, seen)

    def _values(self, old: Schema, new: Schema, path: str) -> Iterator[str]:
        for word in sorted(EXACT - {"type"}):
            if old.get(word) != new.get(word) and not (self._side is Side.PRODUCER and word not in new):
                yield f"{path}: {word} {_shown(old, word)} became {_shown(new, word)}"
        for word in sorted(UPPER | LOWER):
            before, after = old.get(word), new.get(word)
            if before == after:
                continue
            if self._side is Side.SUBSCRIBER or _is_tighter(word, before, after):
                yield f"{path}: {word} {_shown(old, word)} became {_shown(new, word)}"
        yield from self._members(old, new, path)

    def _members(self, old: Schema, new: Schema, path: str) -> Iterator[str]:
        if old.keys() & {"enum", OPEN_ENUM} != new.keys() & {"enum", OPEN_ENUM}:
            yield f"{path}: the list of its members was opened, closed, added or dropped"
            return
        for word in ("enum", OPEN_ENUM):
            before, after = old.get(word, ()), new.get(word, ())
            for member in before:
                if member not in after:
                    yield f"{path}: {member!r} was taken away"
            if word == "enum" and self._side is Side.SUBSCRIBER:
                for member in after:
                    if member not in before:
                        yield f"{path}: {member!r} was added to a list that is final"

    def _parts(self, old: Schema, new: Schema, path: str, seen: tuple[Any, ...]) -> Iterator[str]:
        yield from self._fields(old, new, path, seen)
        for word, place in (("items", "[]"), ("additionalProperties", "{}")):
            before, after = old.get(word), new.get(word)
            if isinstance(before, Mapping) and isinstance(after, Mapping):
                yield from self.of(before, after, path + place, seen)
            elif before != after:
                yield f"{path}: {word} {_shown(old, word)} became {_shown(new, word)}"

    def _fields(self, old: Schema, new: Schema, path: str, seen: tuple[Any, ...]) -> Iterator[str]:
        before, after = old.get("properties", {}), new.get("properties", {})
        needed, needs = set(old.get("required", ())), set(new.get("required", ()))
        for name in before:
            place = f"{path}.{name}"
            if name not in after:
                yield f"{place}: was taken away"
                continue
            if name in needed and name not in needs and self._side is Side.SUBSCRIBER:
                yield f"{place}: is no longer always there"
            if name in needs and name not in needed:
                yield f"{place}: became required"
            yield from self.of(before[name], after[name], place, seen)
        if self._side is Side.PRODUCER:
            for name in sorted(needs - before.keys()):
                yield f"{path}.{name}: is new and required"


def _resolved(schema: Schema, document: Schema) -> Schema:
    reference = schema.get("$ref")
    if reference is None:
        return schema
    found: Any = document
    for part in reference.removeprefix("#/").split("/"):
        found = found[part]
    return _resolved(found, document)


def _alternatives(schema: Schema, document: Schema) -> dict[str, Schema]:
    """Return what a value may be, by its kind: the JSON type, and for one of several objects its name."""
    options = schema.get("anyOf") or schema.get("oneOf")
    if options is None:
        return {str(schema.get("type", "anything")): schema}
    found: dict[str, Schema] = {}
    for option in options:
        for kind, one in _alternatives(_resolved(option, document), document).items():
            found[f"{kind} {one['title']}" if kind == "object" and "title" in one else kind] = one
    return found


def _is_tighter(word: str, before: float | None, after: float | None) -> bool:
    if after is None:
        return False
    if before is None:
        return True
    return after < before if word in UPPER else after > before


def _shown(schema: Schema, word: str) -> str:
    return repr(schema[word]) if word in schema else "(none)"


def contract_breaks(old: Schema, new: Schema) -> list[str]:
    """Return each way in which a new AsyncAPI document breaks subscribers or producers of the old one."""
    return list(_contract_breaks(old, new))


def _contract_breaks(old: Schema, new: Schema) -> Iterator[str]:
    documents = (old, new)
    for name, channel in old["channels"].items():
        later = new["channels"].get(name)
        if later is None:
            yield f"{name}: the topic was taken away"
            continue
        if later["address"] != channel["address"]:
            yield f"{name}: the topic was renamed to {later['address']}"
        side = Side.PRODUCER if f"receive-{name}" in old["operations"] else Side.SUBSCRIBER
        if (f"receive-{name}" in new["operations"]) is not (side is Side.PRODUCER):
            yield f"{name}: its records flow the other way"
        for type_, reference in channel["messages"].items():
            if type_ not in later["messages"]:
                yield f"{name}/{type_}: was taken away"
                continue
            message, its = _resolved(reference, old), _resolved(later["messages"][type_], new)
            for part in ("payload", "headers"):
                found = breaks(message.get(part, {}), its.get(part, {}), side, documents)
                yield from (f"{name}/{type_} {part}{one}" for one in found)
