"""What may become of an attempt and of a delivery; names on the wire and in metrics, only ever added to."""

from enum import StrEnum, unique


@unique
class AttemptOutcome(StrEnum):
    """How one request ended."""

    ACCEPTED = "accepted"
    """The destination has taken the event."""
    REJECTED = "rejected"
    """It will not take this event, however often it is asked."""
    REDIRECTED = "redirected"
    """It answered with another address; redirects are not followed, as they would carry secrets there."""
    UNAUTHORISED = "unauthorised"
    """It does not accept the credentials, or they could not be had."""
    LIMITED = "limited"
    """It asks for fewer requests: 429, or another answer with `Retry-After`."""
    FAILING = "failing"
    """It answered with an error that may pass."""
    TIMED_OUT = "timed_out"
    """There was no whole answer in time."""
    UNREACHABLE = "unreachable"
    """No connection, or a broken one, or a certificate that is not trusted."""


PASSING = frozenset(
    {
        AttemptOutcome.UNAUTHORISED,
        AttemptOutcome.LIMITED,
        AttemptOutcome.FAILING,
        AttemptOutcome.TIMED_OUT,
        AttemptOutcome.UNREACHABLE,
    }
)
"""Outcomes after which the same request may succeed later."""


@unique
class FailureReason(StrEnum):
    """Why a delivery was given up."""

    REJECTED = "rejected"
    """The destination refused the event for good, as with 400, 404 or 422."""
    REDIRECTED = "redirected"
    """The destination answered with another address: mend its `url`."""
    UNAUTHORISED = "unauthorised"
    """The destination did not accept the credentials for as long as was tried."""
    LIMITED = "limited"
    """The destination asked to wait for as long as was tried."""
    FAILING = "failing"
    """The destination answered with errors for as long as was tried."""
    TIMED_OUT = "timed_out"
    """The destination did not answer in time for as long as was tried."""
    UNREACHABLE = "unreachable"
    """The destination could not be reached for as long as was tried."""
    NOT_EXPRESSIBLE = "not_expressible"
    """No request can be made of the event: it is not what the contract says, or its account's id has no address."""
    HELD_BACK = "held_back"
    """Not tried: an earlier event of the account waits for its redrive, and the order is kept."""


@unique
class Disposal(StrEnum):
    """What became of an event at a destination."""

    DELIVERED = "delivered"
    """The destination has taken it."""
    FAILED = "failed"
    """It was given up, and kept among the failures."""
    ERASED = "erased"
    """Its account was erased meanwhile: dropped."""
    UNWANTED = "unwanted"
    """The destination does not ask for its type."""
