"""From an event to the request of a destination's kind, and from its answer to what became of the event. Pure."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from typing import Any, Final, assert_never
from urllib.parse import quote

from standardwebhooks import Webhook

from stream.delivery import paths
from stream.delivery.destinations import (
    CrmDestination,
    Destination,
    HubSpotDestination,
    SalesforceDestination,
    WebhookDestination,
    ZohoDestination,
)
from stream.delivery.events import Event, UnreadableEventError
from stream.delivery.reasons import AttemptOutcome
from stream.headers import CLOUDEVENTS_VERSION, CONTENT_TYPE

CLOUDEVENTS_JSON: Final = "application/cloudevents+json"
WEBHOOK_ID: Final = "webhook-id"
WEBHOOK_TIMESTAMP: Final = "webhook-timestamp"
WEBHOOK_SIGNATURE: Final = "webhook-signature"
_TIER_CHANGED: Final = "account.tier_changed"
_LIST_SEPARATOR: Final = ";"
"""Between the values of a list in HubSpot and Salesforce."""
_DOTS: Final = frozenset({".", ".."})

_PASSING_ERRORS: Final = frozenset(
    {
        HTTPStatus.REQUEST_TIMEOUT,
        HTTPStatus.CONFLICT,
        HTTPStatus.LOCKED,
        HTTPStatus.TOO_EARLY,
    }
)
_CREDENTIALS: Final = frozenset(
    {
        HTTPStatus.UNAUTHORIZED,
        # Salesforce says that a day's limit is used up in this way; the other two, that a scope is missing.
        HTTPStatus.FORBIDDEN,
        HTTPStatus.PROXY_AUTHENTICATION_REQUIRED,
    }
)


@dataclass(frozen=True, slots=True)
class Request:
    """One HTTP request, without what is made anew for each attempt: signature and access token."""

    method: str
    url: str
    headers: Mapping[str, str]
    body: bytes


def webhook_id(event: Event) -> str:
    """Return the event's id in a form for headers and signatures: percent-encoded, its dots too.

    A signature's parts are joined by dots, so that an id must not hold any.

    >>> from stream.delivery.events import Event
    >>> webhook_id(Event("Größe 1.2/0/tier/7", "account.tier_changed", "/s", "Größe 1.2", 0, "7", "", {}))
    'Gr%C3%B6%C3%9Fe%201%2E2/0/tier/7'
    """
    return quote(event.id, safe="/").replace(".", "%2E")


def prepare(destination: Destination, event: Event) -> Request:
    """Return the request that tells a destination of an event.

    Raises:
        UnreadableEventError: if none can be made of it.
    """
    match destination:
        case WebhookDestination():
            headers = {"content-type": CLOUDEVENTS_JSON, WEBHOOK_ID: webhook_id(event)}
            return Request("POST", destination.url, headers, _encoded(_cloud_event(event)))
        case HubSpotDestination():
            return _hubspot(destination, event)
        case SalesforceDestination():
            return _salesforce(destination, event)
        case ZohoDestination():
            return _zoho(destination, event)
        case _ as never:
            assert_never(never)


def signed(destination: WebhookDestination, request: Request, at: datetime) -> dict[str, str]:
    """Return the headers of one attempt at a time in UTC, by Standard Webhooks: with two keys, two signatures."""
    keys = [one for one in (destination.secret, destination.previous_secret) if one is not None]
    id_, body = request.headers[WEBHOOK_ID], request.body.decode()
    signatures = [Webhook(one.reveal()).sign(id_, at, body) for one in keys]
    return {WEBHOOK_TIMESTAMP: str(int(at.timestamp())), WEBHOOK_SIGNATURE: " ".join(signatures)}


def judge(destination: Destination, status: int, headers: Mapping[str, str], body: bytes) -> AttemptOutcome:
    """Return what an answer means for the event; of the body only what the CRM says about the one record counts."""
    if HTTPStatus.OK <= status < HTTPStatus.MULTIPLE_CHOICES:
        return AttemptOutcome.ACCEPTED if _is_accepted(destination, status, body) else AttemptOutcome.REJECTED
    if status == HTTPStatus.MULTIPLE_CHOICES:
        # More than one record of Salesforce has this external id.
        return AttemptOutcome.REJECTED
    if status < HTTPStatus.BAD_REQUEST:
        return AttemptOutcome.REDIRECTED
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        return AttemptOutcome.LIMITED
    if status in _CREDENTIALS:
        return AttemptOutcome.UNAUTHORISED
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR or status in _PASSING_ERRORS:
        return AttemptOutcome.LIMITED if "retry-after" in headers else AttemptOutcome.FAILING
    return AttemptOutcome.REJECTED


def _encoded(content: Any) -> bytes:
    return json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode()


def _cloud_event(event: Event) -> dict[str, Any]:
    """Return the event in CloudEvents' JSON format, so that the signature holds for its attributes too."""
    return {
        "specversion": CLOUDEVENTS_VERSION,
        "id": event.id,
        "source": event.source,
        "type": event.type,
        "subject": event.account_id,
        "time": event.time,
        "sequence": event.sequence,
        "datacontenttype": CONTENT_TYPE,
        "data": event.body,
    }


def _fields(destination: CrmDestination, event: Event) -> dict[str, Any]:
    chosen = destination.tier_fields if event.type == _TIER_CHANGED else destination.churn_fields
    return {name: paths.lookup(event.body, path) for name, path in chosen.items()}


def _joined(value: Any) -> Any:
    return _LIST_SEPARATOR.join(map(str, value)) if isinstance(value, list) else value


def _hubspot(destination: HubSpotDestination, event: Event) -> Request:
    # An empty text is how HubSpot takes a value away.
    properties = {name: "" if value is None else _joined(value) for name, value in _fields(destination, event).items()}
    action = "upsert" if destination.create_missing else "update"
    return Request(
        "POST",
        f"{destination.base_url}/crm/objects/{destination.api_version}/companies/batch/{action}",
        {"content-type": CONTENT_TYPE},
        _encoded(
            {"inputs": [{"idProperty": destination.id_property, "id": event.account_id, "properties": properties}]}
        ),
    )


def _salesforce(destination: SalesforceDestination, event: Event) -> Request:
    if event.account_id in _DOTS:
        # Encoded or not, these are steps of a path.
        raise UnreadableEventError("the account's id cannot be part of an address")
    path = (
        f"/services/data/{destination.api_version}/sobjects/{destination.object}"
        f"/{destination.id_field}/{quote(event.account_id, safe='')}"
    )
    query = "" if destination.create_missing else "?updateOnly=true"
    body = {name: _joined(value) for name, value in _fields(destination, event).items()}
    return Request("PATCH", f"{destination.instance_url}{path}{query}", {"content-type": CONTENT_TYPE}, _encoded(body))


def _zoho(destination: ZohoDestination, event: Event) -> Request:
    record = {destination.id_field: event.account_id, **_fields(destination, event)}
    return Request(
        "POST",
        f"{destination.api_domain}/crm/{destination.api_version}/{destination.module}/upsert",
        {"content-type": CONTENT_TYPE},
        _encoded({"data": [record], "duplicate_check_fields": [destination.id_field]}),
    )


def _is_accepted(destination: Destination, status: int, body: bytes) -> bool:
    match destination:
        case HubSpotDestination():
            # 207: a part of the batch failed, and this batch has one part.
            return status != HTTPStatus.MULTI_STATUS
        case ZohoDestination():
            return bool(_zoho_status(body) == "success")
        case _:
            return True


def _zoho_status(body: bytes) -> Any:
    try:
        return json.loads(body)["data"][0]["status"]
    except (ValueError, KeyError, IndexError, TypeError, RecursionError):
        return None
