"""What each kind of destination is sent, and what its answers mean."""

import base64
import hashlib
import hmac
import json
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import pytest
from pydantic import TypeAdapter
from standardwebhooks import Webhook, WebhookVerificationError

from models.bodies import body_of
from stream.delivery.destinations import Destination, WebhookDestination
from stream.delivery.events import Delivery, Event, Place, UnreadableEventError
from stream.delivery.reasons import AttemptOutcome, FailureReason
from stream.delivery.requests import judge, prepare, signed, webhook_id
from stream.records import output_record
from stream.topics import TopicNames
from tests.delivery.stand import SECRET, event
from tests.support.tables import Row, table

TOKENS: Final = {"client_id": {"env": "TOKEN"}, "client_secret": {"env": "TOKEN"}}
OTHER_SECRET: Final = "whsec_" + base64.b64encode(b"another key, it has enough bytes").decode()


def made(**options: Any) -> Destination:
    """Make a destination of the file."""
    environ = {"SECRET": SECRET, "OTHER": OTHER_SECRET, "TOKEN": "t0ken"}
    adapter: TypeAdapter[Destination] = TypeAdapter(Destination)
    return adapter.validate_python(options, context={"environ": environ})


def hook(**options: Any) -> WebhookDestination:
    """Make a destination for webhooks."""
    found = made(preset="webhook", url="https://example.com/in", secret={"env": "SECRET"}, **options)
    assert isinstance(found, WebhookDestination)
    return found


def published(account_id: str = "A-1", sequence: int = 7) -> Event:
    """Read an event as it was published."""
    record = output_record(body_of(event(account_id, sequence)), TopicNames(), "/account-health/test", None)
    return Delivery(Place(record.topic, 0, 0), record.key or b"", record.value, record.headers, 0).event()


def test_a_webhook_is_the_event_as_a_cloudevent() -> None:
    """The body has every attribute that the record has in its headers, and the event unchanged."""
    one = published("Größe.1")

    request = prepare(hook(), one)

    assert (request.method, request.url) == ("POST", "https://example.com/in")
    assert request.headers == {
        "content-type": "application/cloudevents+json",
        "webhook-id": "Gr%C3%B6%C3%9Fe%2E1/0/churn/7",
    }
    body = json.loads(request.body)
    assert body.pop("data") == json.loads(event("Größe.1", 7).model_dump_json())
    assert body == {
        "specversion": "1.0",
        "id": "Größe.1/0/churn/7",
        "source": "/account-health/test",
        "type": "account.lost",
        "subject": "Größe.1",
        "time": "2026-01-08T00:00:00+00:00",
        "sequence": "0000000007",
        "datacontenttype": "application/json",
    }


@pytest.mark.parametrize("account_id", ["a.b", "a b", "a/b", "ü", "日本", "a%2E", "..", "a\u2028b"])
def test_ids_in_headers_are_plain_and_all_different(account_id: str) -> None:
    """Whatever an account is called, its id has no dot, which joins the parts that are signed, and fits a header."""
    found = webhook_id(published(account_id))

    assert found.isascii()
    assert found.isprintable()
    assert not set(found) & {".", " "}
    assert found != webhook_id(published("a"))


def test_an_attempt_is_signed_anew() -> None:
    """Each attempt has its own timestamp and signature, which the library of Standard Webhooks verifies."""
    request, now = prepare(hook(), published()), datetime.now(UTC)
    attempts = [signed(hook(), request, now), signed(hook(), request, now + timedelta(seconds=90))]

    for headers in attempts:
        Webhook(SECRET).verify(request.body, {**request.headers, **headers})
        with pytest.raises(WebhookVerificationError):
            Webhook(OTHER_SECRET).verify(request.body, {**request.headers, **headers})
        with pytest.raises(WebhookVerificationError):
            Webhook(SECRET).verify(request.body + b" ", {**request.headers, **headers})
    assert attempts[0]["webhook-signature"] != attempts[1]["webhook-signature"]
    assert attempts[0]["webhook-timestamp"] != attempts[1]["webhook-timestamp"]


def test_the_signature_is_what_the_standard_says() -> None:
    """HMAC-SHA256 over id, timestamp and body, joined by dots, in base64 behind `v1,`."""
    request = prepare(hook(), published())
    headers = signed(hook(), request, datetime(2026, 3, 1, tzinfo=UTC))
    content = f"{request.headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + request.body
    key = base64.b64decode(SECRET.removeprefix("whsec_"))

    expected = base64.b64encode(hmac.digest(key, content, hashlib.sha256)).decode()

    assert headers == {"webhook-timestamp": "1772323200", "webhook-signature": f"v1,{expected}"}


def test_keys_change_without_a_gap() -> None:
    """With a previous key there are two signatures, and a receiver that has either key accepts them."""
    destination = hook(previous_secret={"env": "OTHER"})
    request = prepare(destination, published())

    headers = {**request.headers, **signed(destination, request, datetime.now(UTC))}

    for secret in (SECRET, OTHER_SECRET):
        Webhook(secret).verify(request.body, headers)


@pytest.mark.parametrize(("create", "action"), [(False, "update"), (True, "upsert")])
def test_hubspot_is_asked_for_one_company(create: bool, action: str) -> None:  # noqa: FBT001  # a column
    """The company is found by the property with unique values; a list is one text, null an empty one."""
    destination = made(
        preset="hubspot",
        token={"env": "TOKEN"},
        create_missing=create,
        churn_fields={"level": "level", "why": "reasons", "stake": "value_at_stake", "trigger": "trigger_event_id"},
    )

    request = prepare(destination, published("A/1"))

    assert request.url == f"https://api.hubapi.com/crm/objects/2026-03/companies/batch/{action}"
    assert json.loads(request.body) == {
        "inputs": [
            {
                "idProperty": "account_id",
                "id": "A/1",
                "properties": {"level": "lost", "why": "overdue;complaint", "stake": "1200.50", "trigger": ""},
            }
        ]
    }


@pytest.mark.parametrize(("create", "query"), [(False, "?updateOnly=true"), (True, "")])
def test_salesforce_is_asked_for_one_record(create: bool, query: str) -> None:  # noqa: FBT001  # a column
    """The record is found by its external id, which is part of the path and cannot leave it."""
    destination = made(preset="salesforce", instance_url="https://x.my.salesforce.com", create_missing=create, **TOKENS)

    request = prepare(destination, published("../A?1#ü"))

    path = "/services/data/v64.0/sobjects/Account/Account_Health_Id__c/..%2FA%3F1%23%C3%BC"
    assert (request.method, request.url) == ("PATCH", f"https://x.my.salesforce.com{path}{query}")
    assert json.loads(request.body) == {
        "Account_Churn_Level__c": "lost",
        "Account_Churn_Risk__c": 0.9,
        "Account_Churn_Reasons__c": "overdue;complaint",
        "Account_Value_At_Stake__c": "1200.50",
    }
    for dots in (".", ".."):
        with pytest.raises(UnreadableEventError, match="cannot be part of an address"):
            prepare(destination, published(dots))


def test_zoho_is_asked_for_one_record() -> None:
    """The record is found by the field without duplicates; lists stay lists."""
    destination = made(preset="zoho", refresh_token={"env": "TOKEN"}, api_domain="https://www.zohoapis.eu", **TOKENS)

    request = prepare(destination, published())

    assert (request.method, request.url) == ("POST", "https://www.zohoapis.eu/crm/v8/Accounts/upsert")
    assert json.loads(request.body) == {
        "data": [
            {
                "Account_Health_Id": "A-1",
                "Account_Churn_Level": "lost",
                "Account_Churn_Risk": 0.9,
                "Account_Churn_Reasons": ["overdue", "complaint"],
                "Account_Value_At_Stake": "1200.50",
            }
        ],
        "duplicate_check_fields": ["Account_Health_Id"],
    }


@table(
    """
    | preset     | status | header      | body                                 | outcome      |
    | webhook    | 200    |             |                                      | accepted     |
    | webhook    | 204    |             |                                      | accepted     |
    | webhook    | 299    |             | error                                | accepted     |
    | webhook    | 301    |             |                                      | redirected   |
    | webhook    | 307    |             |                                      | redirected   |
    | webhook    | 304    |             |                                      | redirected   |
    | webhook    | 400    |             |                                      | rejected     |
    | webhook    | 401    |             |                                      | unauthorised |
    | webhook    | 403    |             |                                      | unauthorised |
    | webhook    | 404    |             |                                      | rejected     |
    | webhook    | 408    |             |                                      | failing      |
    | webhook    | 409    |             |                                      | failing      |
    | webhook    | 410    |             |                                      | rejected     |
    | webhook    | 422    |             |                                      | rejected     |
    | webhook    | 423    |             |                                      | failing      |
    | webhook    | 429    |             |                                      | limited      |
    | webhook    | 500    |             |                                      | failing      |
    | webhook    | 503    |             |                                      | failing      |
    | webhook    | 503    | retry-after |                                      | limited      |
    | webhook    | 400    | retry-after |                                      | rejected     |
    | hubspot    | 200    |             | {"results": [{}]}                    | accepted     |
    | hubspot    | 207    |             | {"numErrors": 1}                     | rejected     |
    | hubspot    | 401    |             |                                      | unauthorised |
    | hubspot    | 429    |             |                                      | limited      |
    | salesforce | 200    |             | {"success": true}                    | accepted     |
    | salesforce | 201    |             | {"success": true}                    | accepted     |
    | salesforce | 204    |             |                                      | accepted     |
    | salesforce | 300    |             | ["/a", "/b"]                         | rejected     |
    | salesforce | 404    |             |                                      | rejected     |
    | salesforce | 403    |             | REQUEST_LIMIT_EXCEEDED               | unauthorised |
    | zoho       | 200    |             | {"data": [{"status": "success"}]}    | accepted     |
    | zoho       | 202    |             | {"data": [{"status": "error"}]}      | rejected     |
    | zoho       | 200    |             | {"data": []}                         | rejected     |
    | zoho       | 200    |             | <html>                               | rejected     |
    """
)
def test_an_answer_is_judged(row: Row) -> None:
    """What may pass is told from what never will; of a batch of one the part decides."""
    options: dict[str, dict[str, Any]] = {
        "webhook": {"url": "https://example.com/in", "secret": {"env": "SECRET"}},
        "hubspot": {"token": {"env": "TOKEN"}},
        "salesforce": {"instance_url": "https://x.my.salesforce.com", **TOKENS},
        "zoho": {"refresh_token": {"env": "TOKEN"}, **TOKENS},
    }
    destination = made(preset=row["preset"], **options[row["preset"]])
    headers = {row["header"]: "5"} if row["header"] else {}

    assert judge(destination, int(row["status"]), headers, row["body"].encode()) == row["outcome"]


def test_every_outcome_but_acceptance_is_a_reason() -> None:
    """Whatever the last attempt came to can be said of a failure."""
    outcomes = {one.value for one in AttemptOutcome} - {AttemptOutcome.ACCEPTED.value}

    assert outcomes <= {one.value for one in FailureReason}


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("value", b"[]", "cannot be read"),
        ("value", b"{", "cannot be read"),
        ("value", None, "cannot be read"),
        ("value", b"{}", "account_id is missing"),
        ("headers", [], "ce_id is missing"),
        ("headers", [("ce_id", b"\xff")], "cannot be read"),
    ],
)
def test_a_record_that_is_no_event_says_so(name: str, value: Any, told: str) -> None:
    """Nothing of what it holds is quoted."""
    record = output_record(body_of(event("SECRET-NAME", 1)), TopicNames(), "/s", None)
    fields: dict[str, Any] = {"value": record.value, "headers": record.headers, name: value}
    delivery = Delivery(Place("t", 0, 0), b"k", fields["value"], fields["headers"], 0)

    with pytest.raises(UnreadableEventError, match=told) as raised:
        delivery.event()
    assert "SECRET-NAME" not in str(raised.value)
