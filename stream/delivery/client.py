"""One attempt at one destination: signed or authorised anew, bounded in time and in size, redirects not followed."""

import asyncio
import email.utils
import json
import math
import ssl
import time
from collections.abc import Callable
from datetime import UTC, datetime
from http import HTTPStatus
from http.cookiejar import CookieJar, DefaultCookiePolicy
from types import TracebackType
from typing import Final, NamedTuple, Self, assert_never

import httpx

from stream.delivery.destinations import (
    Destination,
    HubSpotDestination,
    SalesforceDestination,
    WebhookDestination,
    ZohoDestination,
)
from stream.delivery.reasons import AttemptOutcome
from stream.delivery.requests import Request, judge, signed
from stream.release import version

BODY_BYTES_MAX: Final = 65_536
"""Of an answer so much is read."""
RETRY_AFTER_SECONDS_MAX: Final = 3600.0
"""A destination that asks for more is asked again after so long."""
_TOKEN_SECONDS: Final = 1800.0
"""For how long a token is used whose life its issuer does not say."""
_TOKEN_CHARACTERS_MAX: Final = 8192
_TOKEN_MARGIN_SECONDS: Final = 60.0
_TOKEN_PAUSE_SECONDS: Final = 60.0
"""Between two requests for a token: Zoho gives ten in ten minutes."""
_DETAIL_CHARACTERS_MAX: Final = 200


class Answer(NamedTuple):
    """What became of an attempt."""

    outcome: AttemptOutcome
    detail: str
    """For a person; quotes nothing of the event and no secret."""
    status: int | None = None
    """HTTP status; None without an answer."""
    retry_after_seconds: float | None = None
    """How long the destination asks to wait."""
    seconds: float = 0.0
    """How long it took."""


class _FailedError(Exception):
    """An attempt that did not come to an answer of the destination itself."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(answer.detail)
        self.answer: Final = answer


class DestinationClient:
    """Sends requests to one destination; to be closed, or used in an `async with` statement.

    Args:
        destination: where, and with which credentials.
        now: the time in UTC that signatures carry.
        monotonic: seconds, for how long a token lives.
    """

    def __init__(
        self,
        destination: Destination,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.destination: Final = destination
        self._now = now
        self._monotonic = monotonic
        trusted = destination.ca_file
        self._http = httpx.AsyncClient(
            verify=ssl.create_default_context(cafile=None if trusted is None else str(trusted)),
            # Neither a proxy nor a password from the environment: what is sent where stands in the file.
            trust_env=False,
            follow_redirects=False,
            timeout=destination.timeout_seconds,
            limits=httpx.Limits(max_connections=destination.parallel_accounts + 1),
            # Uncompressed: a small answer must not become a large one here.
            headers={"user-agent": f"account-health/{version()}", "accept-encoding": "identity"},
            # None is kept: the jar would grow by whatever a destination sets.
            cookies=CookieJar(DefaultCookiePolicy(allowed_domains=())),
        )
        self._lock = asyncio.Lock()
        self._token: str | None = None
        self._token_until = 0.0
        self._token_asked = -_TOKEN_PAUSE_SECONDS

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def attempt(self, request: Request) -> Answer:
        """Send a request once."""
        started = time.monotonic()
        try:
            async with asyncio.timeout(self.destination.timeout_seconds):
                answer = await self._attempt(request)
        except _FailedError as error:
            answer = error.answer
        except (TimeoutError, httpx.TimeoutException):
            answer = Answer(AttemptOutcome.TIMED_OUT, f"no answer within {self.destination.timeout_seconds:g} s")
        except (httpx.HTTPError, httpx.InvalidURL, ssl.SSLError, OSError) as error:
            answer = Answer(AttemptOutcome.UNREACHABLE, _detail(error))
        return answer._replace(seconds=time.monotonic() - started)

    async def _attempt(self, request: Request) -> Answer:
        headers = {**request.headers, **await self._credentials(request)}
        response, body = await self._exchange(request.method, request.url, headers, request.body)
        if response.status_code == HTTPStatus.UNAUTHORIZED:
            self._token = None
        outcome = judge(self.destination, response.status_code, response.headers, body)
        return Answer(
            outcome,
            f"answered {response.status_code}",
            response.status_code,
            retry_after_seconds(response.headers.get("retry-after"), self._now()),
        )

    async def _exchange(
        self, method: str, url: str, headers: dict[str, str], content: bytes
    ) -> tuple[httpx.Response, bytes]:
        async with self._http.stream(method, url, headers=headers, content=content) as response:
            body = bytearray()
            async for chunk in response.aiter_raw():
                body += chunk
                if len(body) >= BODY_BYTES_MAX:
                    break
            return response, bytes(body[:BODY_BYTES_MAX])

    async def _credentials(self, request: Request) -> dict[str, str]:
        match self.destination:
            case WebhookDestination() as destination:
                return signed(destination, request, self._now())
            case HubSpotDestination() as destination:
                return {"authorization": f"Bearer {destination.token.reveal()}"}
            case SalesforceDestination() as destination:
                grant = {"grant_type": "client_credentials"}
                token = await self._access_token(
                    destination, f"{destination.instance_url}/services/oauth2/token", grant
                )
                return {"authorization": f"Bearer {token}"}
            case ZohoDestination() as destination:
                grant = {"grant_type": "refresh_token", "refresh_token": destination.refresh_token.reveal()}
                token = await self._access_token(destination, f"{destination.accounts_url}/oauth/v2/token", grant)
                return {"authorization": f"Zoho-oauthtoken {token}"}
            case _ as never:
                assert_never(never)

    async def _access_token(
        self, destination: SalesforceDestination | ZohoDestination, url: str, grant: dict[str, str]
    ) -> str:
        """Return a token by OAuth 2.0 (RFC 6749, 4.4 and 6), asked for once for all who wait for it."""
        async with self._lock:
            if self._token is not None and self._monotonic() < self._token_until:
                return self._token
            if self._monotonic() - self._token_asked < _TOKEN_PAUSE_SECONDS:
                raise _FailedError(Answer(AttemptOutcome.UNAUTHORISED, "the last access token was refused"))
            self._token_asked = self._monotonic()
            form = httpx.QueryParams(
                {
                    **grant,
                    "client_id": destination.client_id.reveal(),
                    "client_secret": destination.client_secret.reveal(),
                }
            )
            headers = {"content-type": "application/x-www-form-urlencoded", "accept": "application/json"}
            response, body = await self._exchange("POST", url, headers, str(form).encode())
            read = _read_token(body)
            if read is None:
                raise _FailedError(
                    Answer(
                        AttemptOutcome.UNAUTHORISED,
                        f"no access token: {url} answered {response.status_code}",
                        response.status_code,
                        retry_after_seconds(response.headers.get("retry-after"), self._now()),
                    )
                )
            token, lives = read
            self._token, self._token_until = token, self._monotonic() + max(lives - _TOKEN_MARGIN_SECONDS, 1.0)
            return token


def _read_token(body: bytes) -> tuple[str, float] | None:
    """Read an access token and for how many seconds it lives; None if there is none that a header can hold.

    One that a header cannot hold would be quoted by the error that says so.
    """
    try:
        found = json.loads(body)
        token, lives = found["access_token"], float(found.get("expires_in", _TOKEN_SECONDS))
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError):
        return None
    if not isinstance(token, str) or not 0 < len(token) <= _TOKEN_CHARACTERS_MAX or not math.isfinite(lives):
        return None
    return (token, lives) if token.isascii() and token.isprintable() else None


def retry_after_seconds(value: str | None, now: datetime) -> float | None:
    """Read `Retry-After` (RFC 9110, 10.2.3): seconds, or a date; None where there is neither.

    >>> noon = datetime(2026, 1, 1, 12, tzinfo=UTC)
    >>> retry_after_seconds("30", noon), retry_after_seconds("Thu, 01 Jan 2026 12:00:05 GMT", noon)
    (30.0, 5.0)
    >>> retry_after_seconds("soon", noon) is None, retry_after_seconds("86400000", noon)
    (True, 3600.0)
    """
    if value is None:
        return None
    if value.isascii() and value.isdecimal():
        seconds = float(value)
    else:
        try:
            moment = email.utils.parsedate_to_datetime(value)
        except (ValueError, OverflowError):
            return None
        seconds = (moment - now).total_seconds() if moment.tzinfo is not None else 0.0
    return min(max(seconds, 0.0), RETRY_AFTER_SECONDS_MAX)


def _detail(error: Exception) -> str:
    text = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    return text[:_DETAIL_CHARACTERS_MAX]
