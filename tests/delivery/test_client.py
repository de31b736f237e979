"""One attempt against real servers: bounded in time and size, redirects not followed, credentials kept."""

import asyncio
import json
import socket
import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import pytest
import trustme

from stream.delivery.client import BODY_BYTES_MAX, Answer, DestinationClient
from stream.delivery.destinations import Destination as Configured
from stream.delivery.reasons import AttemptOutcome
from stream.delivery.requests import prepare
from tests.delivery.destination import Destination, Received, Reply
from tests.delivery.test_requests import hook, made, published

Serve = Callable[..., Destination]
SLACK_SECONDS: Final = 5.0
"""A machine that is busy for a moment is not a request without a deadline."""


def attempt(destination: Configured, times: int = 1) -> list[Answer]:
    """Make attempts one after the other, with one client."""

    async def run() -> list[Answer]:
        async with DestinationClient(destination) as client:
            return [await client.attempt(prepare(destination, published())) for _ in range(times)]

    return asyncio.run(run())


def to(url: str, **options: Any) -> Configured:
    """Return a webhook at an address."""
    return hook(**options).model_copy(update={"url": url})


def test_an_event_is_posted(serve: Serve) -> None:
    """What arrives is the request as it was made, signed, from a client that says what it is."""
    server = serve()

    (answer,) = attempt(to(f"{server.url}/in"))

    (received,) = server.received
    assert (answer.outcome, answer.status) == (AttemptOutcome.ACCEPTED, 204)
    assert (received.method, received.path) == ("POST", "/in")
    assert received.headers["user-agent"].startswith("account-health/")
    assert received.headers["webhook-id"] == "A-1/0/churn/7"


def test_no_cookie_is_kept(serve: Serve) -> None:
    """Whatever a destination sets, it is not sent again."""
    server = serve(lambda _: Reply(200, {"Set-Cookie": "session=1; Path=/"}))

    attempt(to(server.url), times=2)

    assert [one.headers.get("cookie") for one in server.received] == [None, None]


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_not_followed(serve: Serve, status: int) -> None:
    """Whoever is redirected to never hears of the event."""
    other = serve()
    server = serve(lambda _: Reply(status, {"Location": f"{other.url}/elsewhere"}))

    (answer,) = attempt(to(server.url))

    assert answer.outcome is AttemptOutcome.REDIRECTED
    assert len(server.received) == 1
    assert other.received == []


@pytest.mark.parametrize(
    "reply",
    [Reply(hang=True), Reply(200, body=b"x" * 200, drip_seconds=0.1)],
    ids=["no answer", "an answer byte by byte"],
)
def test_every_request_has_a_deadline(serve: Serve, reply: Reply) -> None:
    """The whole of it counts, so that a server which says a little now and then cannot hold it."""
    server = serve(lambda _: reply)
    started = time.monotonic()

    (answer,) = attempt(to(server.url, timeout_seconds=0.3))

    assert answer.outcome is AttemptOutcome.TIMED_OUT
    assert 0.3 <= time.monotonic() - started < SLACK_SECONDS


def test_of_an_answer_only_a_part_is_read(serve: Serve) -> None:
    """A large answer is cut, and a compressed one not expanded."""
    server = serve(lambda _: Reply(200, {"Content-Encoding": "gzip"}, b"\x1f\x8b" + b"x" * (4 * BODY_BYTES_MAX)))

    (answer,) = attempt(to(server.url))

    assert answer.outcome is AttemptOutcome.ACCEPTED
    assert server.received[0].headers["accept-encoding"] == "identity"


def test_a_destination_that_is_not_there_is_unreachable() -> None:
    """Neither a closed port nor a name that does not exist is an error of ours."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        (closed,) = attempt(to(f"http://127.0.0.1:{taken.getsockname()[1]}"))
    (unknown,) = attempt(to("https://account-health.invalid/"))

    assert closed.outcome is unknown.outcome is AttemptOutcome.UNREACHABLE
    assert closed.status is None


@contextmanager
def _authority(folder: Path) -> Iterator[tuple[ssl.SSLContext, Path]]:
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    path = folder / "ca.pem"
    authority.cert_pem.write_to_path(str(path))
    yield context, path


def test_certificates_are_verified(serve: Serve, tmp_path: Path) -> None:
    """A certificate of an authority that is not trusted is refused; one of `ca_file` is accepted."""
    with _authority(tmp_path) as (context, path):
        server = serve(lambda _: Reply(), context)

        (untrusted,) = attempt(to(server.url))
        (trusted,) = attempt(to(server.url, ca_file=str(path)))

    assert untrusted.outcome is AttemptOutcome.UNREACHABLE
    assert "CERTIFICATE_VERIFY_FAILED" in untrusted.detail
    assert trusted.outcome is AttemptOutcome.ACCEPTED


def test_the_environment_has_no_say(serve: Serve, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Neither a proxy nor a password of the environment is used: the file of destinations decides."""
    proxy, server = serve(), serve()
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login me password hunter2\n", encoding="utf-8")
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, proxy.url)

    (answer,) = attempt(to(server.url))

    assert answer.outcome is AttemptOutcome.ACCEPTED
    assert proxy.received == []
    assert "authorization" not in server.received[0].headers


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("7", 7.0),
        ("0", 0.0),
        ("soon", None),
        ("9999999", 3600.0),
        ("Thu, 01 Jan 99999999999999999999 12:00:05 GMT", None),
        ("Thu, 01 Jan 2026 12:00:05 +999999999999999999", None),
    ],
)
def test_a_pause_that_is_asked_for_is_told(serve: Serve, value: str, seconds: float | None) -> None:
    """`Retry-After` is read, an hour at most."""
    server = serve(lambda _: Reply(429, {"Retry-After": value}))

    (answer,) = attempt(to(server.url))

    assert (answer.outcome, answer.retry_after_seconds) == (AttemptOutcome.LIMITED, seconds)


def _salesforce(server: Destination) -> Configured:
    secrets = {"client_id": {"env": "TOKEN"}, "client_secret": {"env": "SECRET"}}
    return made(preset="salesforce", instance_url=server.url, **secrets)


def _zoho(server: Destination) -> Configured:
    secrets = {name: {"env": "TOKEN"} for name in ("client_id", "client_secret", "refresh_token")}
    return made(preset="zoho", api_domain=server.url, accounts_url=server.url, **secrets)


class _Crm:
    """A CRM whose access tokens are `token-1`, `token-2` and so on; only the last is good."""

    def __init__(self, success: bytes) -> None:
        self.issued = 0
        self.revoked = False
        self._success = success

    def __call__(self, received: Received) -> Reply:
        if received.path.endswith("/token"):
            self.issued += 1
            self.revoked = False
            token = {"access_token": f"token-{self.issued}", "expires_in": 3600}
            return Reply(200, body=json.dumps(token).encode())
        if self.revoked or not received.headers["authorization"].endswith(f" token-{self.issued}"):
            return Reply(401)
        return Reply(200, body=self._success)


@pytest.mark.parametrize(
    ("make", "success", "scheme", "grant"),
    [
        (_salesforce, b"{}", "Bearer", "grant_type=client_credentials"),
        (
            _zoho,
            b'{"data": [{"status": "success"}]}',
            "Zoho-oauthtoken",
            "grant_type=refresh_token&refresh_token=t0ken",
        ),
    ],
    ids=["salesforce", "zoho"],
)
def test_an_access_token_is_asked_for_once(
    serve: Serve, make: Callable[[Destination], Configured], success: bytes, scheme: str, grant: str
) -> None:
    """It is kept for the requests that follow, and its secrets are in the body, not in the address."""
    server = serve(_Crm(success))

    answers = attempt(make(server), times=3)

    asked, *others = server.received
    assert [one.outcome for one in answers] == [AttemptOutcome.ACCEPTED] * 3
    assert asked.body.decode().startswith(grant)
    assert "t0ken" not in asked.path
    assert [one.headers["authorization"] for one in others] == [f"{scheme} token-1"] * 3


def test_a_token_that_was_revoked_is_replaced(serve: Serve) -> None:
    """After a 401 a new token is asked for, but not again and again: its issuer would close the door."""
    crm = _Crm(b"{}")
    server = serve(crm)
    seconds = [0.0]

    async def run() -> list[AttemptOutcome]:
        destination = _salesforce(server)
        request = prepare(destination, published())
        async with DestinationClient(destination, monotonic=lambda: seconds[0]) as client:
            outcomes = [(await client.attempt(request)).outcome]
            crm.revoked = True
            outcomes.append((await client.attempt(request)).outcome)
            outcomes.append((await client.attempt(request)).outcome)
            assert crm.issued == 1
            seconds[0] = 61.0
            outcomes.append((await client.attempt(request)).outcome)
        return outcomes

    outcomes = asyncio.run(run())

    refused = AttemptOutcome.UNAUTHORISED
    assert outcomes == [AttemptOutcome.ACCEPTED, refused, refused, AttemptOutcome.ACCEPTED]
    assert crm.issued == 2


@pytest.mark.parametrize(
    "body",
    [
        b'{"error": "invalid_client"}',
        b'["t0ken"]',
        b"[" * 60_000,
        b'{"access_token": ["t0ken"]}',
        b'{"access_token": ""}',
        b'{"access_token": "t0ken\\r\\nx: y"}',
        '{"access_token": "t0ken é"}'.encode(),
        b'{"access_token": "t0ken", "expires_in": NaN}',
        b'{"access_token": "t0ken", "expires_in": 1' + b"0" * 400 + b"}",
    ],
    ids=["refused", "list", "deep", "no text", "empty", "two lines", "not ASCII", "no number", "large number"],
)
def test_a_token_that_cannot_be_used_says_so_without_a_secret(serve: Serve, body: bytes) -> None:
    """Whatever the answer holds, it looks like credentials that are not accepted, and nothing of it is quoted."""
    server = serve(lambda _: Reply(400, body=body))

    (answer,) = attempt(_salesforce(server))

    assert (answer.outcome, answer.status) == (AttemptOutcome.UNAUTHORISED, 400)
    assert "t0ken" not in answer.detail
    assert len(server.received) == 1
