"""Who is let in: nothing is read or changed without a key, unless it is this machine and no key is set."""

import json
import socket
from typing import Any, Final

import httpx
import pytest

from stream.serving.guarding import BODY_BYTES_MAX
from stream.settings import SettingsError, load_settings
from tests.serving.conftest import ADMIN_KEY, KEYS, READ_KEY, Api, Serve
from tests.support.worker import run_command

READS: Final = (
    "/accounts",
    "/accounts/ACC-00001",
    "/portfolio",
    "/win-back",
    "/changes",
    "/changes/live",
    "/churn/months",
    "/status",
    "/openapi.json",
)
EDIT: Final = {"account_id": "ACC-00001", "version_read": 1, "owner": "Ann", "reason": "why not"}


def problem_of(response: httpx.Response, status: int, name: str) -> dict[str, Any]:
    """Check that an answer is a problem, and return it."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    found: dict[str, Any] = response.json()
    assert (found["status"], found["type"]) == (status, f"urn:account-health:problem:{name}")
    return found


@pytest.mark.parametrize("path", READS)
@pytest.mark.parametrize(
    "key",
    [None, ".", "x" * 40, READ_KEY[:-1], READ_KEY + "r", READ_KEY.upper(), f"crm:{READ_KEY}"],
    ids=["none", "a dot", "unknown", "cut", "longer", "capitals", "with its name"],
)
def test_nothing_is_read_without_a_valid_key(locked: Api, path: str, key: str | None) -> None:
    """Not accounts, not the portfolio, not the stream of changes, not even the description."""
    with locked.client(key) as client:
        response = client.get(path)

    problem_of(response, 401, "no-key")
    assert response.headers["www-authenticate"] == "Bearer"


@pytest.mark.parametrize(("key", "status", "name"), [(None, 401, "no-key"), (READ_KEY, 403, "scope")])
def test_nothing_is_changed_without_an_admin_key(locked: Api, key: str | None, status: int, name: str) -> None:
    """A key that may read may not change."""
    with locked.client(key) as client:
        problem_of(client.post("/profile-edits", json=EDIT), status, name)


@pytest.mark.parametrize("key", [READ_KEY, ADMIN_KEY])
def test_a_valid_key_reads(locked: Api, key: str) -> None:
    """Of either scope, and whatever the case of the scheme's name."""
    with locked.client(key) as client:
        assert client.get("/portfolio").json()["accounts"] == 400
        assert client.get("/status", headers={"Authorization": f"bEARER {key}"}).json()["built"] is True


@pytest.mark.parametrize("scheme", ["Basic", "Token", ""])
def test_a_key_in_another_way_is_none(locked: Api, scheme: str) -> None:
    """Only as a bearer token: not in the address, where it would be logged, and not by another scheme."""
    with locked.client() as client:
        problem_of(client.get("/portfolio", headers={"Authorization": f"{scheme} {READ_KEY}".strip()}), 401, "no-key")
        problem_of(client.get(f"/portfolio?key={READ_KEY}&access_token={READ_KEY}"), 401, "no-key")


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "example.com", "127.0.0.1.example.com"])
def test_another_address_is_not_served_without_a_key(host: str) -> None:
    """The settings are refused, with what to set."""
    with pytest.raises(SettingsError, match="without a key only this machine is served"):
        load_settings({"ACCOUNT_HEALTH_API_HOST": host})

    with_key = {"ACCOUNT_HEALTH_API_HOST": host, "ACCOUNT_HEALTH_API_READ_KEYS": KEYS["api_read_keys"]}
    assert load_settings(with_key).api_host == host


def test_the_process_does_not_start_with_settings_that_are_refused() -> None:
    """It ends with a line, not with a traceback."""
    with pytest.raises(AssertionError, match="without a key only this machine is served") as caught:
        run_command({"ACCOUNT_HEALTH_API_HOST": "0.0.0.0"}, "serve")

    assert "Traceback" not in str(caught.value)


@pytest.mark.parametrize(
    ("headers", "allowed"),
    [
        ({"Host": "localhost:{port}"}, True),
        ({"Host": "127.0.0.1:{port}"}, True),
        ({"Host": "[::1]:{port}"}, True),
        ({"Host": "127.0.0.1:{port}", "Origin": "http://127.0.0.1:{port}"}, True),
        ({"Host": "evil.example:{port}"}, False),
        ({"Host": "127.0.0.1.evil.example"}, False),
        ({"Host": ""}, False),
        ({"Host": "["}, False),
        ({"Host": "127.0.0.1:{port}", "Origin": "https://evil.example"}, False),
        ({"Host": "127.0.0.1:{port}", "Origin": "null"}, False),
        ({"Host": "127.0.0.1:{port}", "Origin": "http://127.0.0.1:1"}, False),
    ],
)
def test_without_a_key_a_page_of_somebody_elses_reaches_nothing(
    api: Api,
    headers: dict[str, str],
    allowed: bool,  # noqa: FBT001  # a column
) -> None:
    """Neither by a name that it made resolve to this machine, nor across origins."""
    said = {name: value.format(port=api.port) for name, value in headers.items()}
    with api.client() as client:
        response = client.get("/status", headers=said)

    if allowed:
        assert response.status_code == 200
    else:
        problem_of(response, 403, "not-local")


def test_a_key_is_answered_only_so_often(serve: Serve) -> None:
    """Beyond its rate it is told when to come again; another key is not held up."""
    limited = serve(**KEYS, api_requests_per_second="1")
    with limited.client(READ_KEY) as client, limited.client(ADMIN_KEY) as other:
        answers = [client.get("/status") for _ in range(12)]

        assert [one.status_code for one in answers[:10]] == [200] * 10
        refused = answers[-1]
        problem_of(refused, 429, "rate-limit")
        assert 1 <= int(refused.headers["retry-after"]) <= 20
        assert other.get("/status").status_code == 200


def test_guessing_keys_is_slowed_down_and_holds_nobody_up(serve: Serve) -> None:
    """Strangers are counted together; who has a key is not among them."""
    guarded = serve(**KEYS)
    with guarded.client() as client:
        answers = [client.get("/status", headers={"Authorization": f"Bearer {n:040}"}) for n in range(105)]
        assert {one.status_code for one in answers[:100]} == {401}
        problem_of(answers[-1], 429, "rate-limit")
    with guarded.client(READ_KEY) as client:
        assert client.get("/status").status_code == 200
    metrics = guarded.process.metrics()
    denials = {
        dict(labels)["reason"]: value for (name, labels), value in metrics.items() if name.endswith("denials_total")
    }
    assert denials["no_key"] == 100
    assert denials["rate"] == 5


@pytest.mark.parametrize("chunked", [False, True], ids=["with its length", "in pieces"])
def test_a_body_that_is_too_long_is_refused(locked: Api, chunked: bool) -> None:  # noqa: FBT001  # a column
    """Whether its length is said before or not, and before anything is made of it."""
    content = json.dumps({**EDIT, "reason": "x" * (BODY_BYTES_MAX + 1)}).encode()
    pieces: Any = (content[first : first + 1000] for first in range(0, len(content), 1000)) if chunked else content
    with locked.client(ADMIN_KEY, **{"Content-Type": "application/json"}) as client:
        problem_of(client.post("/profile-edits", content=pieces), 413, "too-long")
        assert client.get("/status").status_code == 200


def test_an_address_that_is_too_long_is_refused(locked: Api) -> None:
    """Before any route looks at it."""
    with locked.client(READ_KEY) as client:
        problem_of(client.get("/accounts", params={"owner": ["x" * 500] * 50}), 414, "too-long")


def test_what_is_not_http_is_refused(locked: Api) -> None:
    """And the process goes on."""
    with socket.create_connection(("127.0.0.1", locked.port), timeout=10) as connection:
        connection.sendall(b"\x00\xff\r\n\r\n")
        assert connection.recv(100).startswith(b"HTTP/1.1 400")
    with locked.client(READ_KEY) as client:
        assert client.get("/status").status_code == 200


def test_a_script_in_a_name_stays_data(api: Api) -> None:
    """Names come as JSON that no browser takes for a page, on every route, and nothing of a request is repeated."""
    script = "<script>alert(1)</script>"
    with api.client() as client:
        found = client.get("/accounts", params={"search": "<scr"})
        account_id = found.json()["items"][0]["account_id"]
        answers = [
            found,
            client.get(f"/accounts/{account_id}"),
            client.get(f"/accounts/{script}"),
            client.get("/accounts", params={"cursor": script}),
            client.get("/accounts", params={script: script}),
            client.get(f"/{script}"),
            client.post("/profile-edits", json={**EDIT, "account_id": script, script: script}),
            client.request("PROPFIND", "/accounts"),
        ]
    for response in answers:
        assert response.headers["content-type"] in {"application/json", "application/problem+json"}
        assert response.headers["x-content-type-options"] == "nosniff"
        assert "default-src 'none'" in response.headers["content-security-policy"]
        assert response.headers["cache-control"] == "no-store"
    assert script in found.json()["items"][0]["name"]
    for response in answers[2:]:
        assert response.status_code >= 400
        assert script not in response.text


def test_keys_are_neither_logged_nor_told(locked: Api) -> None:
    """Not at the most talkative level, and not in the description or in metrics."""
    with locked.client(READ_KEY) as client:
        described = client.get("/openapi.json").text
    for text in (described, locked.process.log, str(locked.process.metrics())):
        assert READ_KEY not in text
        assert ADMIN_KEY not in text


@pytest.mark.parametrize(
    "value",
    ["k" * 40, "crm:short", f"crm:{READ_KEY},crm:{ADMIN_KEY}", f"one:{READ_KEY} two:{READ_KEY}", f"a b:{READ_KEY}"],
    ids=["no name", "too short", "a name twice", "a key twice", "a space"],
)
def test_settings_that_are_no_keys_are_refused_without_their_value(value: str) -> None:
    """What is wrong is said without showing it."""
    with pytest.raises(SettingsError, match="ACCOUNT_HEALTH_API_READ_KEYS") as caught:
        load_settings({"ACCOUNT_HEALTH_API_READ_KEYS": value})

    assert value not in str(caught.value)


@pytest.mark.parametrize(
    ("read", "admin"), [("crm:" + "k" * 32, "crm:" + "a" * 32), ("crm:" + "k" * 32, "ops:" + "k" * 32)]
)
def test_a_name_or_a_key_is_of_one_scope(read: str, admin: str) -> None:
    """A session of the pages is known by its key's name: one that may read would become one that may change."""
    with pytest.raises(SettingsError, match="a name or a key of the one may not be in the other") as caught:
        load_settings({"ACCOUNT_HEALTH_API_READ_KEYS": read, "ACCOUNT_HEALTH_API_ADMIN_KEYS": admin})

    assert "kkkk" not in str(caught.value)
