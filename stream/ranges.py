"""What a setting's declaration allows, in words: for error messages and generated documentation."""

from typing import Annotated, Any, Literal, get_args, get_origin

from annotated_types import Ge, Le, MaxLen, MinLen
from pydantic.fields import FieldInfo


def kind_of(field: FieldInfo) -> Any:
    """Return a field's type without `| None` and without annotations."""
    kind: Any = field.annotation
    parts = [part for part in get_args(kind) if part is not type(None)]
    if get_origin(kind) is not Literal and len(parts) == 1:
        kind = parts[0]
    return get_args(kind)[0] if get_origin(kind) is Annotated else kind


def allowed_values(field: FieldInfo) -> str:
    """Return which values a field takes: a literal, a boolean, a bounded number or text."""
    kind = kind_of(field)
    if get_origin(kind) is Literal:
        *others, last = get_args(kind)
        return f"{', '.join(others)} or {last}"
    if kind is bool:
        return "true or false"
    if kind is int:
        return f"a whole number from {_bound(field, Ge, 'ge')} to {_bound(field, Le, 'le')}"
    least, most = _bound(field, MinLen, "min_length"), _bound(field, MaxLen, "max_length")
    return f"{least} to {most} characters"


def _bound(field: FieldInfo, bound: type, attribute: str) -> int:
    (value,) = (getattr(one, attribute) for one in field.metadata if isinstance(one, bound))
    return int(value)
