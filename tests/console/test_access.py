"""Who sees the console: nobody without a key, unless it is this machine and no key is set; and what a key may do."""

import asyncio
import hashlib
import html
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.cookies import SimpleCookie

import httpx
import pytest
from itsdangerous import TimestampSigner
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Message

from stream.console.pages import PAGES
from stream.console.sessions import COOKIE, SESSION_SECONDS, Sessions
from stream.console.signing import Signing
from stream.serving.process import _application
from stream.serving.security import Principal, Scope
from stream.serving.services import Services
from stream.settings import load_settings
from tests.serving.conftest import ADMIN_KEY, READ_KEY, Api
from tests.support.broker import free_port
from tests.support.redis import RedisServer

PATHS = [one.path.replace("{account_id:path}", "ACC-00001") for one in PAGES]
SOCKET = "/console/_nicegui_ws/socket.io/?EIO=4&transport=websocket"
_CLIENT = re.compile(r"""['"]client_id['"]:\s*['"]([0-9a-f-]{36})""")


@contextmanager
def browser(api: Api, key: str | None = None) -> Iterator[httpx.Client]:
    """Give a browser, signed in with a key or not."""
    with httpx.Client(base_url=api.url, timeout=30, trust_env=False, headers={"Origin": api.url}) as client:
        if key is not None:
            answer = client.post("/console/sign-in", data={"key": key, "next": "/accounts"})
            assert (answer.status_code, answer.headers["location"]) == (303, "/console/accounts"), answer.text
        yield client


def upgrade(api: Api, path: str = SOCKET, **headers: str) -> int:
    """Ask for a WebSocket, and give the status of the answer."""
    asked = {
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
        "Origin": api.url,
        **headers,
    }
    with (
        httpx.Client(base_url=api.url, timeout=30, trust_env=False) as client,
        client.stream("GET", path, headers=asked) as answer,
    ):
        return answer.status_code


@pytest.mark.parametrize("path", PATHS)
def test_no_page_is_seen_without_a_session(locked_console: Api, path: str) -> None:
    """The browser is sent to sign in, and afterwards to where it wanted to be."""
    with browser(locked_console) as client:
        answer = client.get(f"/console{path}?tier=key")

    assert answer.status_code == 303
    assert answer.headers["location"].startswith("/console/sign-in?next=%2F")
    assert answer.headers["location"].endswith("%3Ftier%3Dkey")


@pytest.mark.parametrize(
    "path", ["/_nicegui/3.18.0/static/nicegui.js", "/_nicegui_ws/socket.io/?EIO=4&transport=polling", "/favicon.ico"]
)
def test_nothing_of_the_machinery_runs_for_a_stranger(locked_console: Api, path: str) -> None:
    """So that a stranger cannot fill its memory."""
    with browser(locked_console) as client:
        assert client.get(f"/console{path}").status_code in {303, 401}


@pytest.mark.parametrize(
    ("cookie", "origin"),
    [
        (None, None),
        ("crm", None),
        ("crm.aaaa.bbbb", None),
        (TimestampSigner("k" * 40, salt="account-health console session").sign("crm").decode(), None),
        ("good", "https://evil.example"),
        ("good", "null"),
        ("good", "http://127.0.0.1:1"),
        ("good", "http://["),
    ],
    ids=["none", "unsigned", "rubbish", "signed by another", "other site", "no site", "other port", "no address"],
)
def test_a_websocket_needs_a_session_and_a_page_of_ours(
    locked_console: Api, cookie: str | None, origin: str | None
) -> None:
    """A cookie that is not ours opens none, and neither does another site's page with one that is."""
    if cookie == "good":
        with browser(locked_console, READ_KEY) as client:
            cookie = client.cookies[COOKIE]
    headers = {"Origin": origin or locked_console.url, **({"Cookie": f"{COOKIE}={cookie}"} if cookie else {})}

    assert upgrade(locked_console, **headers) == 403


def test_a_session_opens_pages_and_their_websocket(locked_console: Api) -> None:
    """With either key, and the page's own socket is let in."""
    with browser(locked_console, READ_KEY) as client:
        answer = client.get("/console/accounts")
        assert answer.status_code == 200
        found = _CLIENT.search(answer.text)
        assert found is not None
        path = f"{SOCKET}&client_id={found[1]}&implicit_handshake=true&tab_id=t&document_id=d&next_message_id=0"
        assert upgrade(locked_console, path, Cookie=f"{COOKIE}={client.cookies[COOKIE]}") == 101
    assert found[1] not in locked_console.process.log


@pytest.mark.parametrize(("key", "forms"), [(READ_KEY, 0), (ADMIN_KEY, 1)], ids=["read", "admin"])
def test_only_an_admin_gets_a_form_to_edit(locked_console: Api, key: str, forms: int) -> None:
    """What is not on the page cannot be sent from it: the server knows only the elements that it made."""
    with browser(locked_console, key) as client:
        text = client.get("/console/accounts/ACC-00001").text

    assert text.count("Publish the change") == forms


@pytest.mark.parametrize("key", ["", "x" * 40, READ_KEY[:-1], f"crm:{READ_KEY}", READ_KEY.upper()])
def test_a_wrong_key_begins_no_session(locked_console: Api, key: str) -> None:
    """It is said in words, and the key is not shown again."""
    with browser(locked_console) as client:
        answer = client.post("/console/sign-in", data={"key": key})

    assert answer.status_code == 401
    assert COOKIE not in answer.cookies
    assert "This key is not known." in answer.text
    assert not key or key not in answer.text


@pytest.mark.parametrize(("proxied", "secure"), [("https", True), ("http", False)])
def test_the_cookie_is_the_browsers_and_of_this_site_only(
    locked_console: Api,
    proxied: str,
    secure: bool,  # noqa: FBT001  # a column
) -> None:
    """No script reads it, no other site sends it, and behind TLS it is not sent without."""
    with browser(locked_console) as client:
        answer = client.post("/console/sign-in", data={"key": READ_KEY}, headers={"X-Forwarded-Proto": proxied})

    morsel = SimpleCookie(answer.headers["set-cookie"])[COOKIE]
    assert (morsel["httponly"], morsel["samesite"], morsel["path"]) == (True, "strict", "/console")
    assert bool(morsel["secure"]) is secure
    assert int(morsel["max-age"]) == SESSION_SECONDS
    assert READ_KEY not in morsel.value


def test_a_form_that_is_none_of_ours_is_refused(locked_console: Api) -> None:
    """In words, and not as an error of the server that anybody could fill its log with."""
    with browser(locked_console) as client:
        answer = client.post("/console/sign-in", content="&".join(f"f{number}=" for number in range(20)))

    assert (answer.status_code, answer.text) == (400, "too many fields")


def test_a_form_that_does_not_come_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever opens connections and sends nothing over them holds each of them for some seconds only."""
    monkeypatch.setattr("stream.console.signing._BODY_SECONDS_MAX", 0.01)
    services = _services(f"crm:{READ_KEY}")
    signing = Signing(Sessions(services.settings, services.reader), admission=None)  # type: ignore[arg-type]  # not asked

    async def asked() -> Response:
        async def receive() -> Message:
            await asyncio.Event().wait()
            raise AssertionError("nothing comes")

        async with asyncio.timeout(10):
            return await signing.sign_in(Request({"type": "http", "method": "POST", "headers": []}, receive))

    answer = asyncio.run(asked())

    assert (answer.status_code, answer.headers["connection"]) == (408, "close")


def test_another_sites_form_does_not_sign_in(locked_console: Api) -> None:
    """Not even with a valid key."""
    with browser(locked_console) as client:
        answer = client.post("/console/sign-in", data={"key": READ_KEY}, headers={"Origin": "https://evil.example"})

    assert answer.status_code == 403
    assert COOKIE not in answer.cookies


def test_signing_out_ends_it_wherever_its_cookie_is(locked_console: Api) -> None:
    """In a browser that has a copy, too: no page, and no WebSocket. Another session of the same key goes on."""
    with browser(locked_console, READ_KEY) as client, browser(locked_console, READ_KEY) as other:
        cookie = client.cookies[COOKIE]
        copied = {"Cookie": f"{COOKIE}={cookie}"}
        assert upgrade(locked_console, **copied) == 101

        client.post("/console/sign-out")

        assert COOKIE not in client.cookies
        assert client.get("/console/portfolio", headers=copied).status_code == 303
        assert upgrade(locked_console, **copied) == 403
        assert other.get("/console/sign-in").status_code == 303


def test_signing_out_ends_it_in_every_process(shared_redis: RedisServer) -> None:
    """Those beside it find out when they look; and one that cannot reach Redis refuses it all the same."""

    async def found(url: str) -> list[Principal | None]:
        services = [_services(f"crm:{READ_KEY}", url) for _ in range(2)]
        here, there = (Sessions(one.settings, one.reader) for one in services)
        cookie = here.begin(Principal("crm", Scope.READ))
        await there.look([cookie])
        before = there.principal(cookie)
        await here.end(cookie)
        await there.look([cookie])
        for one in services:
            await one.close()
        return [before, here.principal(cookie), there.principal(cookie)]

    held = Principal("crm", Scope.READ)

    assert asyncio.run(found(shared_redis.url)) == [held, None, None]
    assert asyncio.run(found(f"redis://127.0.0.1:{free_port()}/0")) == [held, None, held]


def _services(read_keys: str, redis_url: str = "redis://127.0.0.1:1/0") -> Services:
    return Services.of(
        load_settings(
            {
                "ACCOUNT_HEALTH_API_READ_KEYS": read_keys,
                "ACCOUNT_HEALTH_REDIS_URL": redis_url,
                "ACCOUNT_HEALTH_APPLICATION_ID": "sessions",
            }
        )
    )


def test_a_session_ends_with_its_key_and_with_time() -> None:
    """Whoever replaces or removes a key ends the sessions that it began; a key of the same name is another."""
    keys = f"crm:{READ_KEY}", f"crm:{ADMIN_KEY}", f"erp:{READ_KEY}"
    held, replaced, removed = (Sessions(one.settings, one.reader) for one in map(_services, keys))
    cookie = held.begin(Principal("crm", Scope.READ))
    old = TimestampSigner(
        READ_KEY, salt="account-health console session", key_derivation="hmac", digest_method=hashlib.sha256
    )
    stale = _signed_at(old, "1.crm", time.time() - SESSION_SECONDS - 60)

    assert held.principal(cookie) == Principal("crm", Scope.READ)
    assert replaced.principal(cookie) is None
    assert removed.principal(cookie) is None
    assert held.principal(_signed_at(old, "1.crm", time.time())) is not None
    assert held.principal(stale) is None


def _signed_at(signer: TimestampSigner, name: str, seconds: float) -> str:
    """Sign a name as it was signed at another time."""
    signer.get_timestamp = lambda: int(seconds)  # type: ignore[method-assign]
    return signer.sign(name).decode()


def test_only_so_many_pages_are_open_at_once(locked_console: Api) -> None:
    """More are refused with when to come again, and there is room again once those are gone."""
    with browser(locked_console, ADMIN_KEY) as client:
        answers = [client.get("/console/accounts") for _ in range(15)]
        assert answers[0].status_code in {200, 503}
        assert answers[-1].status_code == 503
        assert answers[-1].headers["retry-after"] == "2"
        assert client.get("/console/assets/console.css").status_code == 200


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"Host": "evil.example"}, 403),
        ({"Origin": "https://evil.example"}, 403),
        ({"Origin": "null"}, 403),
    ],
)
def test_without_keys_only_this_machine_is_served(open_console: Api, headers: dict[str, str], status: int) -> None:
    """Neither another name of it, nor a page of another site in its browser."""
    with httpx.Client(base_url=open_console.url, timeout=30, trust_env=False) as client:
        assert client.get("/console/", headers=headers).status_code == status
    said = {"Origin": open_console.url, **headers}
    assert upgrade(open_console, **said) == (101 if status == 200 else 403)


@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize("path", PATHS)
def test_every_page_is_shown_in_every_language(open_console: Api, path: str, language: str) -> None:
    """With its language in the page, and no script of an account's name in it."""
    with httpx.Client(base_url=open_console.url, timeout=30, trust_env=False) as client:
        answer = client.get(f"/console{path}", headers={"Accept-Language": language})

    assert answer.status_code == 200
    assert f'lang="{language}"' in html.unescape(answer.text)
    assert "<script>alert" not in answer.text
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "http" not in policy


@pytest.mark.parametrize("account_id", ["nobody", "a%2Fb", "%3Cscript%3Ealert(1)%3C%2Fscript%3E", "..%2F..%2Fetc"])
def test_an_account_that_is_not_there_is_said_in_words(open_console: Api, account_id: str) -> None:
    """Whatever its id is made of."""
    with httpx.Client(base_url=open_console.url, timeout=30, trust_env=False) as client:
        answer = client.get(f"/console/accounts/{account_id}", headers={"Accept-Language": "en"})

    assert "There is no account of this id" in answer.text
    assert "<script>alert" not in answer.text


def test_the_api_is_as_it_was(open_console: Api) -> None:
    """What it does not know it answers itself, with a problem and not with a page."""
    with open_console.client() as client:
        answer = client.get("/nothing")

    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"


def test_it_can_be_left_out() -> None:
    """Then there is the API alone."""
    services = Services.of(load_settings({"ACCOUNT_HEALTH_CONSOLE": "false"}))

    paths = {getattr(one, "path", "") for one in _application(services).routes}

    assert not {"/", "/console"} & paths


def test_neither_keys_nor_sessions_are_logged(locked_console: Api) -> None:
    """Not at the most talkative level, at which a WebSocket's library tells all that it was sent."""
    with browser(locked_console, READ_KEY) as client:
        cookie = client.cookies[COOKIE]
        assert upgrade(locked_console, Cookie=f"{COOKIE}={cookie}") == 101

    assert " DEBUG " in locked_console.process.log
    for secret in (READ_KEY, ADMIN_KEY, cookie):
        assert secret not in locked_console.process.log
