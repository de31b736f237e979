"""How the view stores JSON: deflated, with the names that every snapshot and change repeats known beforehand."""

import hashlib
import json
import zlib
from typing import Any, Final

from pydantic import TypeAdapter

from models.events import Ratings
from models.outputs import ChurnEvent, TierChanged
from models.snapshots import Snapshot
from processors.scorecard import COMPONENTS, PARTS

_LAYOUT: Final = 4
"""To be raised with every change of what the view's keys hold and how."""
_LEVEL: Final = 4
_RAW: Final = -15
_MEMORY: Final = 8
_KEYS: Final = ("30", "90", "365")
"""Of the mappings in a snapshot: the windows are the longest of them."""
_STRINGS: Final = {"date": "2026-01-01", "date-time": "2026-01-01T00:00:00.000000Z"}
_RATINGS: Final = "".join(f'"{name}":{{"value":0.0,"rated_at":"2026-' for name in Ratings.model_fields)
_PARTS: Final = "".join(
    f'{{"name":"{name}","score":50.0,"weight":15,"points":10.0,"parts":{{'
    + ",".join(f'"{part}":100.0' for part in PARTS[first:last])
    + "}},"
    for name, first, last in COMPONENTS
)
_UNPACKED_BYTES_MAX: Final = 16 * 1_048_576


def _skeleton(schema: dict[str, Any], definitions: dict[str, Any]) -> Any:
    """Give a value of the shape that a JSON schema asks for."""
    if "$ref" in schema:
        return _skeleton(definitions[schema["$ref"].rpartition("/")[2]], definitions)
    for several in ("anyOf", "oneOf", "allOf"):
        if several in schema:
            return _skeleton(schema[several][0], definitions)
    match schema.get("type"):
        case "object" if "properties" in schema:
            return {name: _skeleton(one, definitions) for name, one in schema["properties"].items()}
        case "object":
            inner = schema.get("additionalProperties")
            return {key: _skeleton(inner, definitions) for key in _KEYS} if isinstance(inner, dict) else {}
        case "array":
            return [_skeleton(schema.get("items", {}), definitions)] * 2
        case "number":
            return 0.0
        case "integer":
            return 0
        case "string":
            return (
                schema.get("const")
                or next(iter(schema.get("enum", [""])))
                or _STRINGS.get(schema.get("format", ""), "")
            )
    return None


def _words(schema: dict[str, Any]) -> list[str]:
    """Give the members of every enumeration."""
    return sorted({f'"{one}"' for found in schema.get("$defs", {}).values() for one in found.get("enum", ())})


def _dictionary() -> bytes:
    parts: list[str] = []
    # Deflate looks back from the end: what is there most often, the snapshot, comes last.
    for adapter in (TypeAdapter(ChurnEvent), TypeAdapter(TierChanged), TypeAdapter(Snapshot)):
        schema = adapter.json_schema()
        parts += _words(schema)
        for one in schema.get("anyOf", schema.get("oneOf", [schema])):
            parts.append(json.dumps(_skeleton(one, schema.get("$defs", {})), separators=(",", ":")))
    return "".join([*parts, _RATINGS, _PARTS]).encode()


_DICTIONARY: Final = _dictionary()
SCHEMA: Final = f"{_LAYOUT}-{hashlib.sha256(_DICTIONARY).hexdigest()[:12]}"
"""Version of the view: what one version wrote another must not read. The names known beforehand are part of it."""


def pack(value: bytes) -> bytes:
    """Deflate a JSON text.

    >>> text = b'{"account_id":"A-1","incarnation":0,"name":null}'
    >>> len(pack(text)) < len(text) / 2, unpack(pack(text)) == text
    (True, True)
    """
    packer = _packer()
    packed: bytes = packer.compress(value) + packer.flush()
    return packed


def pack_two(first: bytes, second: bytes) -> tuple[bytes, bytes]:
    """Deflate two texts, the second of which repeats much of the first. The first can be read alone.

    >>> unpack_two(*pack_two(b"first", b"second")), unpack_first(pack_two(b"first", b"second")[0])
    ((b'first', b'second'), b'first')
    """
    packer = _packer()
    return (
        packer.compress(first) + packer.flush(zlib.Z_SYNC_FLUSH),
        packer.compress(second) + packer.flush(),
    )


def unpack(packed: bytes) -> bytes:
    """Inflate what `pack` deflated.

    Raises:
        ValueError: if it is something else, or is of unbelievable size.
    """
    return _inflate(zlib.decompressobj(_RAW, _DICTIONARY), packed, last=True)


def unpack_first(packed: bytes) -> bytes:
    """Inflate the first of two texts.

    Raises:
        ValueError: as of `unpack`.
    """
    return _inflate(zlib.decompressobj(_RAW, _DICTIONARY), packed, last=False)


def unpack_two(first: bytes, second: bytes) -> tuple[bytes, bytes]:
    """Inflate what `pack_two` deflated.

    Raises:
        ValueError: as of `unpack`.
    """
    unpacker = zlib.decompressobj(_RAW, _DICTIONARY)
    return _inflate(unpacker, first, last=False), _inflate(unpacker, second, last=True)


def _packer() -> Any:
    return zlib.compressobj(_LEVEL, zlib.DEFLATED, _RAW, _MEMORY, zlib.Z_DEFAULT_STRATEGY, _DICTIONARY)


def _inflate(unpacker: Any, packed: bytes, *, last: bool) -> bytes:
    try:
        value: bytes = unpacker.decompress(packed, _UNPACKED_BYTES_MAX)
    except zlib.error as error:
        raise ValueError(f"the view holds what was not packed by this version: {error}") from error
    if unpacker.eof is not last or unpacker.unconsumed_tail:
        raise ValueError("the view holds what was cut, or is too large")
    return value
