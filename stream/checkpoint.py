"""The checkpoint: how far one partition has come, written in the same transaction as all that it caused."""

import hashlib
import hmac
from typing import Final

import msgspec

from models.events import InputTopic
from models.state import ErasedAccount

FORMAT: Final = 1
MARK_FORMAT: Final = 1
"""First byte of an erasure mark; the mark follows as MessagePack."""
CHECKPOINT_KEY: Final = b"\x00checkpoint"
"""Key in the `state` topic; no account id holds a control character."""
CUT_POINTS_KEY: Final = b"\x00cut-points"
"""Key in the `state` topic of the cut points that the partition's accounts are compared with."""
UNSETTLED: Final = ""
_ERASED_PREFIX: Final = b"\x00erased/"
_FINGERPRINT_TEXT: Final = b"account-health erasure"
_FINGERPRINT_DIGITS: Final = 16


class CheckpointError(ValueError):
    """A checkpoint that cannot be continued from; its text says why and which command mends it."""


class InputPosition(msgspec.Struct, frozen=True):
    """How far one input was read."""

    topic_id: str
    """The broker's id of the topic, which a topic made anew does not share."""
    next_offset: int


class OpenStep(msgspec.Struct, frozen=True, tag="open"):
    """A worker opened the partition: accounts that its policy has not reached wait for it again, all of them."""

    fresh: bool
    """Whether there was no checkpoint before."""


class ReadStep(msgspec.Struct, frozen=True, tag="read"):
    """Records of one input were processed: offsets [from_offset, to_offset).

    With what decided about them beyond their bytes: processing them again under these values does the same.
    """

    topic: InputTopic
    from_offset: int
    to_offset: int
    records: int
    """How many records these offsets held; a compacted topic may hold fewer by now."""
    clock_ms: int
    """The partition's clock before the first of them, which time alone may have moved."""
    wall_ms: int
    """The wall clock, which the live clock does not pass; 0 with the event clock."""
    latest_ms: int
    """An event dated later was refused."""


class TickStep(msgspec.Struct, frozen=True, tag="tick"):
    """Time reached `now_ms`, for at most `limit` accounts."""

    now_ms: int
    limit: int


class PublishStep(msgspec.Struct, frozen=True, tag="publish"):
    """Snapshots of these accounts were published, as they were then."""

    accounts: list[str]
    clock_ms: int
    """Of the partition: new cut points reach an account as of then, before it is described."""


class CutPointsStep(msgspec.Struct, frozen=True, tag="cut_points"):
    """From here on accounts are compared with these cut points, which the same transaction wrote."""

    version: int


class CensusStep(msgspec.Struct, frozen=True, tag="census"):
    """The accounts were counted, as they were committed at some time before, and the census was published."""

    as_of_day: int
    accounts: int


Step = OpenStep | ReadStep | TickStep | PublishStep | CutPointsStep | CensusStep


class Checkpoint(msgspec.Struct, frozen=True):
    """The state of one partition beyond its accounts."""

    format: int
    partitions: int
    """Of each input, when it was written."""
    inputs: dict[InputTopic, InputPosition]
    clock_ms: int
    policy_revision: int
    policy_version: str
    """Of the policy that every account was evaluated under; `UNSETTLED` while a new one has not reached them all."""
    policy_in_force: str
    """Version of the policy of the worker that wrote it."""
    reporting_currency: str
    reporting_timezone: str
    horizon_days: int
    portfolio_version: int
    """Of the cut points that accounts are compared with; 0 without any."""
    census_day: int | None
    """As of which day the accounts were last counted."""
    census_accounts: int
    """How many there were."""
    erasure_fingerprint: str
    """Of the secret under which erased accounts are remembered."""
    steps: list[Step]
    """What the transaction did, in order: an auditor replays them."""


_encode = msgspec.json.Encoder().encode
_decoder = msgspec.json.Decoder(Checkpoint)


def encode(checkpoint: Checkpoint) -> bytes:
    """Write a checkpoint as JSON."""
    return _encode(checkpoint)


def decode(value: bytes) -> Checkpoint:
    """Read a checkpoint.

    Raises:
        CheckpointError: if it is of a newer format, or none.
    """
    try:
        checkpoint = _decoder.decode(value)
    except msgspec.MsgspecError as error:
        raise CheckpointError(f"the state topic holds no checkpoint that this release can read: {error}") from error
    if checkpoint.format > FORMAT:
        raise CheckpointError(
            f"checkpoint format {checkpoint.format} is newer than {FORMAT}: run the newer release, or roll back all"
        )
    return checkpoint


def fingerprint(erasure_secret: bytes) -> str:
    """Give what tells one erasure secret from another without telling either."""
    digest = hmac.new(erasure_secret, _FINGERPRINT_TEXT, hashlib.sha256).hexdigest()
    return digest[:_FINGERPRINT_DIGITS]


def erased_key(mark_key: str) -> bytes:
    """Key of an erasure mark in the `state` topic."""
    return _ERASED_PREFIX + mark_key.encode()


def mark_key_of(key: bytes) -> str | None:
    """Give the mark's key if a key of the `state` topic is one of an erasure mark."""
    return key[len(_ERASED_PREFIX) :].decode() if key.startswith(_ERASED_PREFIX) else None


def encode_mark(mark: ErasedAccount) -> bytes:
    """Write an erasure mark."""
    return bytes([MARK_FORMAT]) + msgspec.msgpack.encode(mark)


def decode_mark(value: bytes) -> ErasedAccount:
    """Read an erasure mark.

    Raises:
        CheckpointError: if it is of a newer format, or none.
    """
    if value and value[0] > MARK_FORMAT:
        raise CheckpointError(
            f"erasure mark format {value[0]} is newer than {MARK_FORMAT}: run the newer release, or roll back all"
        )
    try:
        # Format 0 was never written.
        return msgspec.msgpack.decode(value[1:] if value.startswith(bytes([MARK_FORMAT])) else b"", type=ErasedAccount)
    except msgspec.MsgspecError as error:
        raise CheckpointError(f"the state topic holds no erasure mark that this release can read: {error}") from error
