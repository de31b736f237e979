"""Changing a profile: the whole of it is published again, with the version that was read and one more.

The topic `profiles` is the truth, and the worker the only one who reads it into an account. So a change is seen in the
view when it has come all the way round.
"""

import asyncio
import json
import logging
import uuid
from datetime import date, datetime, tzinfo
from typing import Any, Final

from confluent_kafka import KafkaError, KafkaException, Message, Producer
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from models.events import InputTopic, ProfileUpdated, TierOverride
from models.fields import Identifier, Percent, Text
from models.snapshots import Snapshot
from stream.headers import EDIT_REASON_HEADER, EDITED_BY_HEADER
from stream.serving.errors import EditConflictError, EditRefusedError, EditUnavailableError, ViewUnavailableError
from stream.serving.reader import ViewReader
from stream.settings import Settings

_log = logging.getLogger(__name__)

_CLAIM_SECONDS: Final = 300
"""How long a version that was published is known beside the view, which learns of it from the worker."""
_DELIVERY_SECONDS: Final = 10.0


class RatingEdit(BaseModel):
    """A rating as it is to be."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    value: Percent
    rated_at: date | None = None
    """The day on which it was given; today when it is not said."""


class RatingEdits(BaseModel):
    """The ratings that change: null takes one away, and one that is not named stays."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    market_share: RatingEdit | None = None
    brand_influence: RatingEdit | None = None
    cooperation_potential: RatingEdit | None = None
    industry_growth: RatingEdit | None = None
    competitive_pressure: RatingEdit | None = None
    value_fit: RatingEdit | None = None


class ProfileEdit(BaseModel):
    """What is to change in the profile of an account: null takes something away, and what is not named stays."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        use_attribute_docstrings=True,
        json_schema_extra={
            "examples": [
                {
                    "account_id": "ACC-000004",
                    "version_read": 6,
                    "ratings": {"brand_influence": {"value": 80}},
                    "override": {"tier": "key", "reason": "contract signed", "until": "2027-01-31"},
                    "by": "Frida Lindqvist",
                    "reason": "Agreed in the quarterly review",
                }
            ]
        },
    )

    account_id: Identifier
    version_read: int = Field(ge=0, lt=2**53 - 1)
    """`profile.version` of the snapshot that the change was made from; 0 for an account without a profile."""
    ratings: RatingEdits | None = None
    owner: Text | None = None
    override: TierOverride | None = None
    by: Text | None = None
    """Who changes it, beside the name of the key."""
    reason: Text
    """Why: it stays with the event."""


class EditReceipt(BaseModel):
    """What was published."""

    model_config = ConfigDict(
        frozen=True,
        use_attribute_docstrings=True,
        json_schema_extra={
            "examples": [
                {
                    "account_id": "ACC-000004",
                    "profile_version": 7,
                    "event_id": "edit-4be6b1d2a7e54f0f9f1d7c27c3c0a111",
                    "topic": "account-health.profiles",
                    "partition": 2,
                    "offset": 1041,
                }
            ]
        },
    )

    account_id: str
    profile_version: int
    """The account's snapshot says the same once the worker has taken it in."""
    event_id: str
    topic: str
    partition: int
    offset: int


class ProfileEditor:
    """Publishes changed profiles.

    Args:
        settings: whose brokers and topics.
        reader: of the view, which says what the profile is now.
        time_zone: whose day a rating is given on.
    """

    def __init__(self, settings: Settings, reader: ViewReader, time_zone: tzinfo) -> None:
        self._settings = settings
        self._reader = reader
        self._time_zone = time_zone
        self._topic = settings.topics.of_input(InputTopic.PROFILES)
        self._made: Producer | None = None

    async def edit(self, edit: ProfileEdit, key_name: str) -> EditReceipt:
        """Publish an account's whole profile with a change in it.

        Raises:
            AccountNotFoundError: if there is no such account.
            EditConflictError: if the profile is of another version than the one that was read.
            EditRefusedError: if nothing changes, or the profile would not be one.
            EditUnavailableError: if it could not be published.
            ViewUnavailableError: if the view cannot say what the profile is.
        """
        snapshot = (await self._reader.account(edit.account_id)).snapshot
        held = 0 if snapshot.profile is None else snapshot.profile.version
        if held != edit.version_read:
            raise EditConflictError(f"the profile is of version {held}; read it again")
        event_id = f"edit-{uuid.uuid4().hex}"
        body = edited(snapshot, edit, event_id, datetime.now(self._time_zone))
        claim = f"{edit.account_id}/{snapshot.incarnation}/{held + 1}"
        if not await self._reader.claim(claim, _CLAIM_SECONDS):
            raise EditConflictError("the profile was changed a moment ago; read it again")
        editor = key_name if edit.by is None else f"{key_name}: {edit.by}"
        headers = [(EDITED_BY_HEADER, editor.encode()), (EDIT_REASON_HEADER, edit.reason.encode())]
        try:
            message = await self._publish(edit.account_id, json.dumps(body, ensure_ascii=False).encode(), headers)
        except KafkaException as error:
            await self._release(claim)
            _log.warning("a profile could not be published: %s", error)
            raise EditUnavailableError("the profile could not be published; try again later") from error
        partition, offset = message.partition(), message.offset()
        assert partition is not None
        assert offset is not None
        _log.info(
            "a profile was changed", extra={"by": key_name, "event": event_id, "partition": partition, "offset": offset}
        )
        return EditReceipt(
            account_id=edit.account_id,
            profile_version=held + 1,
            event_id=event_id,
            topic=self._topic,
            partition=partition,
            offset=offset,
        )

    async def close(self) -> None:
        """Wait for what is being sent."""
        if self._made is not None:
            await asyncio.to_thread(self._made.flush, _DELIVERY_SECONDS)

    async def _release(self, claim: str) -> None:
        try:
            await self._reader.release(claim)
        except ViewUnavailableError:
            _log.warning("a version stays taken for %s s", _CLAIM_SECONDS)

    def _producer(self) -> Producer:
        """Make the client with the first change: most processes never send one."""
        if self._made is None:
            self._made = Producer(
                {
                    "bootstrap.servers": self._settings.bootstrap_servers,
                    "client.id": f"{self._settings.application_id}-edits",
                    "partitioner": "murmur2_random",
                    "enable.idempotence": True,
                    "linger.ms": 0,
                    "message.timeout.ms": int(_DELIVERY_SECONDS * 1000),
                    "log_level": 0,
                }
            )
        return self._made

    async def _publish(self, account_id: str, value: bytes, headers: list[tuple[str, bytes]]) -> Message:
        delivered: list[tuple[KafkaError | None, Message]] = []

        def send() -> Message:
            producer = self._producer()
            producer.produce(
                self._topic,
                value,
                account_id.encode(),
                headers=headers,  # type: ignore[arg-type]  # a list of pairs is taken as well
                on_delivery=lambda error, message: delivered.append((error, message)),
            )
            producer.flush(_DELIVERY_SECONDS + 1)
            if not delivered:
                raise KafkaException(KafkaError(KafkaError._TIMED_OUT))  # noqa: SLF001  # its only name
            error, message = delivered[0]
            if error is not None:
                raise KafkaException(error)
            return message

        return await asyncio.to_thread(send)


def edited(snapshot: Snapshot, edit: ProfileEdit, event_id: str, now: datetime) -> dict[str, Any]:
    """Give the whole profile of a snapshot as an event, with a change in it.

    Raises:
        EditRefusedError: if nothing changes, or if it would be refused by the worker.
    """
    changed = edit.model_fields_set & {"ratings", "owner", "override"}
    if not changed:
        raise EditRefusedError("nothing is to be changed: name ratings, owner or override")
    body: dict[str, Any] = {}
    if snapshot.profile is not None:
        body = snapshot.profile.model_dump(mode="json", exclude={"version"})
    body["name"] = snapshot.name
    if "owner" in changed:
        body["owner"] = edit.owner
    if "override" in changed:
        body["override"] = None if edit.override is None else edit.override.model_dump(mode="json")
    if "ratings" in changed:
        body["ratings"] = _ratings(body.get("ratings") or {}, edit.ratings, now.date())
    event = {
        "type": "profile.updated",
        "event_id": event_id,
        "account_id": snapshot.account_id,
        "occurred_at": now.isoformat(),
        "profile_version": edit.version_read + 1,
        **{name: value for name, value in body.items() if value is not None},
    }
    try:
        ProfileUpdated.model_validate(event)
    except ValidationError as error:
        found = ", ".join(".".join(str(part) for part in one["loc"]) for one in error.errors(include_input=False))
        raise EditRefusedError(f"the profile would be refused because of: {found}") from error
    return event


def _ratings(held: dict[str, Any], edits: RatingEdits | None, today: date) -> dict[str, Any]:
    """Give the ratings with the changes; null in the place of all of them takes all away."""
    if edits is None:
        return {}
    ratings = dict(held)
    for name in edits.model_fields_set:
        one: RatingEdit | None = getattr(edits, name)
        ratings[name] = None if one is None else {"value": one.value, "rated_at": (one.rated_at or today).isoformat()}
    return {name: one for name, one in ratings.items() if one is not None}
