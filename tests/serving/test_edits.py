"""Changing a profile: the whole of it comes to the topic, and from there round to the view."""

import json
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import pytest

from models.events import InputTopic
from models.snapshots import Snapshot
from stream.serving.editing import ProfileEdit, edited
from stream.serving.errors import EditRefusedError
from tests.serving.conftest import ADMIN_KEY, Api
from tests.support.broker import KafkaBroker
from tests.support.deployment import Deployment
from tests.support.polling import eventually
from tests.support.redis import RedisServer
from tests.support.sending import send
from tests.support.snapshots import snapshot
from tests.support.topics import headers_of, read_topic, text_of

NOW: Final = datetime(2026, 3, 1, 9, tzinfo=UTC)
HELD: Final = Snapshot.model_validate_json(
    snapshot(
        "A",
        version=4,
        segment="retail",
        owner="Ann",
        budget={"amount": "1000.00", "currency": "EUR"},
        ratings={
            "market_share": {"value": 40, "rated_at": "2025-01-01"},
            "brand_influence": {"value": 50, "rated_at": "2025-01-01"},
        },
        override={"tier": "key", "reason": "pilot", "until": "2026-06-30"},
    )
)


def edit(**said: Any) -> dict[str, Any]:
    """Make the event of an edit of the account above."""
    asked = ProfileEdit.model_validate({"account_id": "A", "version_read": 4, "reason": "because", **said})
    return edited(HELD, asked, "edit-1", NOW)


@pytest.mark.parametrize(
    ("said", "changed"),
    [
        ({"owner": "Bob"}, {"owner": "Bob"}),
        ({"owner": None}, {"owner": None}),
        ({"override": None}, {"override": None}),
        (
            {"override": {"tier": "basic", "reason": "left", "until": "2026-12-31"}},
            {"override": {"tier": "basic", "reason": "left", "until": "2026-12-31"}},
        ),
        (
            {"ratings": {"market_share": {"value": 60}, "brand_influence": None}},
            {"ratings": {"market_share": {"value": 60.0, "rated_at": "2026-03-01"}}},
        ),
        (
            {"ratings": {"value_fit": {"value": 0, "rated_at": "2026-02-01"}}},
            {
                "ratings": {
                    "market_share": {"value": 40.0, "rated_at": "2025-01-01"},
                    "brand_influence": {"value": 50.0, "rated_at": "2025-01-01"},
                    "value_fit": {"value": 0.0, "rated_at": "2026-02-01"},
                }
            },
        ),
        ({"ratings": None, "owner": "Bob"}, {"ratings": {}, "owner": "Bob"}),
    ],
    ids=["owner", "no owner", "no override", "override", "ratings", "one rating", "all gone"],
)
def test_an_edit_is_the_whole_profile_with_the_next_version(said: dict[str, Any], changed: dict[str, Any]) -> None:
    """What is not named stays, null takes away, a rating without a day is of today."""
    whole = {
        "type": "profile.updated",
        "event_id": "edit-1",
        "account_id": "A",
        "occurred_at": "2026-03-01T09:00:00+00:00",
        "profile_version": 5,
        "name": "Account A",
        "segment": "retail",
        "owner": "Ann",
        "budget": {"amount": "1000.00", "currency": "EUR"},
        "ratings": {
            "market_share": {"value": 40.0, "rated_at": "2025-01-01"},
            "brand_influence": {"value": 50.0, "rated_at": "2025-01-01"},
        },
        "override": {"tier": "key", "reason": "pilot", "until": "2026-06-30"},
    } | changed

    assert edit(**said) == {name: value for name, value in whole.items() if value is not None}


def test_an_edit_that_changes_nothing_is_refused() -> None:
    """Nothing is published for nothing."""
    with pytest.raises(EditRefusedError):
        edit()


@pytest.fixture
def application(kafka: KafkaBroker, own_redis: RedisServer, tmp_path: Path) -> Iterator[tuple[Deployment, Api]]:
    """A worker, the view and the API of one application."""
    with ExitStack() as stack:
        deployment = stack.enter_context(
            Deployment(
                kafka.bootstrap_servers,
                tmp_path,
                redis_url=own_redis.url,
                api_port="0",
                api_admin_keys=f"boss:{ADMIN_KEY}",
            )
        ).create_topics()
        deployment.worker().start()
        deployment.process("view", "view").start()
        yield deployment, Api(deployment.process("serve", "serve").start())


def test_an_edit_comes_round_to_the_view(application: tuple[Deployment, Api]) -> None:
    """Published with who and why, taken in by the worker, seen in the account; of two edits of one version one wins."""
    deployment, api = application
    order = {
        "type": "order.completed",
        "event_id": "o1",
        "account_id": "A/1",
        "occurred_at": "2026-01-05T10:00:00Z",
        "order_id": "O1",
        "amount": "100",
        "currency": "GBP",
    }
    send(deployment.settings, InputTopic.ORDERS, order)
    with api.client(ADMIN_KEY) as client:
        eventually(lambda: client.get("/accounts/A/1").status_code == 200, "the account is there", timeout_s=60)
        asked = {
            "account_id": "A/1",
            "version_read": 0,
            "owner": "Zoë",
            "override": {"tier": "key", "reason": "pilot", "until": "2027-01-01"},
            "by": "Ann",
            "reason": "agreed",
        }
        answers = [client.post("/profile-edits", json=asked) for _ in range(2)]
        assert [one.status_code for one in answers] == [202, 409]
        assert answers[1].json()["type"] == "urn:account-health:problem:version-conflict"
        receipt = answers[0].json()

        def profile() -> Any:
            return client.get("/accounts/A/1").json()["snapshot"]["profile"]

        found = eventually(profile, "the profile is in the view")
        assert (found["version"], found["owner"], found["override"]["tier"]) == (1, "Zoë", "key")
        assert client.get("/accounts", params={"owner": "Zoë"}).json()["total"] == 1

        assert client.post("/profile-edits", json={**asked, "version_read": 7}).status_code == 409
        assert client.post("/profile-edits", json={**asked, "account_id": "nobody"}).status_code == 404
        second = client.post("/profile-edits", json={**asked, "version_read": 1, "owner": None})
        assert second.json()["profile_version"] == 2
        eventually(lambda: profile()["owner"] is None, "the second one is there as well")

    first, _ = read_topic(deployment.settings, receipt["topic"])
    assert (first.key(), first.partition(), first.offset()) == (b"A/1", receipt["partition"], receipt["offset"])
    assert headers_of(first) == {"edited_by": "boss: Ann", "edit_reason": "agreed"}
    body = json.loads(text_of(first))
    assert (body["event_id"], body["profile_version"]) == (receipt["event_id"], 1)
    edits = {
        dict(labels)["result"]: value
        for (name, labels), value in api.process.metrics().items()
        if name == "account_health_profile_edits_total"
    }
    assert edits == {"published": 2, "conflict": 2, "refused": 1, "unavailable": 0}
    assert ADMIN_KEY not in api.process.log


@pytest.mark.parametrize(
    "said",
    [
        {"reason": ""},
        {"reason": "two\nlines"},
        {"ratings": {"market_share": {"value": 101}}},
        {"ratings": {"unknown": {"value": 1}}},
        {"override": {"tier": "unrated", "reason": "x", "until": "2027-01-01"}},
        {"override": {"tier": "key", "until": "2027-01-01"}},
        {"owner": "x" * 201},
        {"version_read": -1},
        {"segment": "retail"},
        {"owner": "x\x00"},
    ],
)
def test_what_is_no_edit_is_refused(api: Api, said: dict[str, Any]) -> None:
    """Before anything is read or sent; nothing but ratings, owner and override can be changed."""
    asked = {"account_id": "ACC-00001", "version_read": 1, "owner": "Bob", "reason": "because", **said}
    with api.client() as client:
        response = client.post("/profile-edits", json=asked)

    assert response.status_code == 422
    assert response.json()["errors"]


@pytest.mark.parametrize(
    "content_type", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", None]
)
def test_an_edit_is_json_and_says_so(api: Api, content_type: str | None) -> None:
    """What a form of somebody else's page can send without asking is refused."""
    asked = json.dumps({"account_id": "ACC-00001", "version_read": 1, "owner": "Bob", "reason": "because"})
    with api.client(**({} if content_type is None else {"Content-Type": content_type})) as client:
        assert client.post("/profile-edits", content=asked).status_code == 422
