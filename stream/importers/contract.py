"""Which fields a mapping may fill for each event type, read off the contract in `models`."""

from enum import StrEnum, unique
from typing import Annotated, Any, Final

from pydantic import BaseModel, TypeAdapter
from pydantic.fields import FieldInfo

from models import events


@unique
class FieldKind(StrEnum):
    """How the cell of a field is read."""

    TEXT = "text"
    DECIMAL = "decimal"
    INTEGER = "integer"
    TIME = "time"
    DATE = "date"
    LIST = "list"


_MODELS: Final[dict[str, tuple[type[BaseModel], ...]]] = {
    "order.completed": (events.OrderCompleted,),
    "order.refunded": (events.OrderRefunded,),
    "order.cancelled": (events.OrderCancelled,),
    "ticket.opened": (events.TicketOpened,),
    "ticket.resolved": (events.TicketResolved,),
    "ticket.reopened": (events.TicketReopened,),
    "sla.breached": (events.SlaBreached,),
    "complaint.filed": (events.ComplaintFiled,),
    "survey.answered": (events.CsatAnswered, events.NpsAnswered),
    "profile.updated": (events.ProfileUpdated,),
    "account.erased": (events.AccountErased,),
}
_KINDS: Final = {
    "amount": FieldKind.DECIMAL,
    "cost": FieldKind.DECIMAL,
    "budget.amount": FieldKind.DECIMAL,
    "score": FieldKind.INTEGER,
    "profile_version": FieldKind.INTEGER,
    "occurred_at": FieldKind.TIME,
    "ordered_at": FieldKind.TIME,
    "customer_since": FieldKind.DATE,
    "renewal_on": FieldKind.DATE,
    "product_lines": FieldKind.LIST,
}
# Ratings and overrides are judgements with a date of their own, set in the product and not in a table.
_NOT_MAPPED: Final = frozenset({"type", "ratings", "override"})

TYPES: Final = tuple(_MODELS)
"""The event types that a mapping can make."""


def kind_of(field: str) -> FieldKind:
    """Return how a field's cells are read."""
    return _KINDS.get(field, FieldKind.TEXT)


def fields_of(type_: str) -> dict[str, bool]:
    """Return the fields of an event type, in the order they are written, and whether each is required.

    >>> fields_of("sla.breached")
    {'event_id': False, 'account_id': True, 'occurred_at': True, 'ticket_id': True}
    """
    found = {"event_id": False, "account_id": True, "occurred_at": True}
    for model in _MODELS[type_]:
        for name, info in model.model_fields.items():
            if name == "budget":
                found |= {f"{name}.{part}": False for part in events.Budget.model_fields}
            elif name not in _NOT_MAPPED:
                # `kind` has a default in each model of a survey, but it is what tells them apart.
                found.setdefault(name, info.is_required() or name == "kind")
    return found


def checker_of(type_: str, field: str) -> TypeAdapter[Any]:
    """Return the contract's validator of one field."""
    name, _, part = field.partition(".")
    infos = [(events.Budget.model_fields[part] if part else model.model_fields[name]) for model in _MODELS[type_]]
    return TypeAdapter(_either([_annotated(info) for info in infos]))


def _annotated(info: FieldInfo) -> Any:
    return Annotated[info.annotation, *info.metadata] if info.metadata else info.annotation


def _either(choices: list[Any]) -> Any:
    union = choices[0]
    for choice in choices[1:]:
        union = union | choice
    return union
