"""examples/receiver.py, run as its reader would run it: who did not sign is refused, and no event is kept twice."""

import base64
import http.client
import json
import re
import signal
import socket
import sqlite3
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import pytest
from standardwebhooks import Webhook

from stream.delivery.requests import prepare, signed
from tests.delivery.stand import SECRET, TIMEOUT_S, Stand, event
from tests.delivery.test_requests import OTHER_SECRET, hook, published
from tests.support.broker import guard
from tests.support.polling import eventually
from tests.support.tables import Row, table
from tests.support.worker import environment

EXAMPLES: Final = Path(__file__).resolve().parents[2] / "examples"
ACCOUNTS: Final = ("Größe 1", "B/2", "C-3")
EVENTS: Final = 12
"""Of each account."""


class Receiver:
    """The example as a process; its database outlives it."""

    def __init__(self, folder: Path, secrets: str = SECRET) -> None:
        self.database: Final = folder / "received.db"
        self.port = 0
        self._log: Final = folder / "receiver.log"
        self._secrets = secrets

    @contextmanager
    def running(self) -> Iterator[subprocess.Popen[bytes]]:
        """Run it, on the same port as before; it is killed at the end if it still runs."""
        command: list[str | Path] = [
            sys.executable,
            EXAMPLES / "receiver.py",
            "--port",
            str(self.port),
            "--database",
            self.database,
        ]
        with self._log.open("wb") as log:
            process = subprocess.Popen(
                command, env=environment({"RECEIVER_SECRET": self._secrets}), stdin=subprocess.DEVNULL, stderr=log
            )
        watchdog = guard(process.pid)
        try:
            found = eventually(lambda: re.search(r"receiving on port (\d+)", self._log.read_text()), "it listens")
            self.port = int(found[1])
            yield process
        finally:
            process.kill()
            process.wait(TIMEOUT_S)
            watchdog.kill()
            watchdog.communicate()

    def post(self, headers: Mapping[str, str], body: bytes) -> int:
        """Send a request; return the status."""
        with closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=TIMEOUT_S)) as connection:
            connection.request("POST", "/", body, dict(headers))
            return connection.getresponse().status

    @property
    def log(self) -> list[str]:
        """What it wrote since it listens, line by line."""
        return self._log.read_text().splitlines()[1:]

    def kept(self) -> dict[str, list[int]]:
        """Return each account's sequence numbers in the order in which they were kept."""
        found: defaultdict[str, list[int]] = defaultdict(list)
        with closing(sqlite3.connect(f"file:{self.database}?mode=ro", uri=True)) as database:
            for account_id, sequence in database.execute("SELECT account_id, sequence FROM events ORDER BY number"):
                found[account_id].append(int(sequence))
        return dict(found)


@pytest.fixture
def receiver(tmp_path: Path) -> Iterator[Receiver]:
    """A receiver that runs."""
    one = Receiver(tmp_path)
    with one.running():
        yield one


def _request(at: datetime | None = None, sequence: int = 7) -> tuple[dict[str, str], bytes]:
    """Make a request that is signed right."""
    request = prepare(hook(), published(sequence=sequence))
    return {**request.headers, **signed(hook(), request, at or datetime.now(UTC))}, request.body


@table(
    """
    | what is wrong             | header            | value                        | status |
    | nothing                   |                   |                              | 204    |
    | another key               | webhook-signature | of another key               | 401    |
    | another version           | webhook-signature | v2 instead of v1             | 401    |
    | no signature              | webhook-signature |                              | 401    |
    | a signature of nothing    | webhook-signature | v1,                          | 401    |
    | another id                | webhook-id        | A-2/0/churn/7                | 401    |
    | no id                     | webhook-id        |                              | 401    |
    | another time              | webhook-timestamp | one second later             | 401    |
    | a time that is none       | webhook-timestamp | now                          | 401    |
    | signed long ago           |                   | six minutes ago              | 401    |
    | signed ahead of time      |                   | in six minutes               | 401    |
    | another body              |                   | a space more                 | 401    |
    """
)
def test_what_was_not_signed_lately_is_refused(receiver: Receiver, row: Row) -> None:
    """A forged signature, a changed request and a recorded one are refused, and nothing of them is kept."""
    shift = {"six minutes ago": -6, "in six minutes": 6}.get(row["value"], 0)
    headers, body = _request(datetime.now(UTC) + timedelta(minutes=shift))
    value = {
        "of another key": Webhook(OTHER_SECRET).sign(headers["webhook-id"], datetime.now(UTC), body.decode()),
        "v2 instead of v1": headers["webhook-signature"].replace("v1,", "v2,"),
        "one second later": str(int(headers["webhook-timestamp"]) + 1),
    }.get(row["value"], row["value"])
    if row["header"]:
        headers[row["header"]] = value
    if row["value"] == "a space more":
        body += b" "

    assert receiver.post(headers, body) == int(row["status"])
    assert receiver.kept() == ({"A-1": [7]} if row["status"] == "204" else {})


def test_a_replayed_delivery_has_no_second_effect(receiver: Receiver) -> None:
    """The same request again, and the same event signed anew, are accepted and kept once."""
    first, body = _request()
    again, _ = _request(datetime.now(UTC) - timedelta(seconds=30))

    assert [receiver.post(headers, body) for headers in (first, first, again)] == [204, 204, 204]
    assert receiver.kept() == {"A-1": [7]}


def test_what_is_signed_and_no_event_is_a_bad_request(receiver: Receiver) -> None:
    """A body that is not JSON, or not an event, is refused for good; one that is too large is not read."""
    for body in (b"{", b"[]", b'{"id": 1}'):
        at = datetime.now(UTC)
        signature = Webhook(SECRET).sign("x", at, body.decode())
        headers = {"webhook-id": "x", "webhook-timestamp": str(int(at.timestamp())), "webhook-signature": signature}
        assert receiver.post(headers, body) == 400
    for unread in ({"content-length": "1048577"}, {"content-length": "-1"}, {"transfer-encoding": "chunked"}):
        assert receiver.post(unread, b"") == 413
    assert receiver.kept() == {}


def test_a_request_that_was_cut_off_is_not_taken_for_a_forgery(receiver: Receiver) -> None:
    """Of a sender that is killed in the middle of a request nothing is kept, and what it sends again is."""
    headers, body = _request()
    lines = [f"{name}: {value}" for name, value in {**headers, "content-length": str(len(body))}.items()]
    head = "\r\n".join(["POST / HTTP/1.1", "host: receiver", *lines, "", ""]).encode()
    for sent in (head, head + body[:-1]):
        with socket.create_connection(("127.0.0.1", receiver.port), TIMEOUT_S) as connection:
            connection.sendall(sent)
            connection.shutdown(socket.SHUT_WR)
            assert connection.recv(1) == b""

    assert receiver.log == ["INFO a request was cut off"] * 2
    assert receiver.kept() == {}
    assert receiver.post(headers, body) == 204


def test_a_script_in_an_id_stays_data(receiver: Receiver) -> None:
    """Neither the log nor an answer holds it as it is; the event is kept unchanged."""
    account_id = "<script>alert(1)</script>\nINFO kept"
    request = prepare(hook(), published(account_id))

    assert receiver.post({**request.headers, **signed(hook(), request, datetime.now(UTC))}, request.body) == 204
    assert receiver.kept() == {account_id: [7]}
    assert len(receiver.log) == 1
    assert "<" not in receiver.log[0]


def test_a_receiver_takes_both_keys_while_they_change(tmp_path: Path) -> None:
    """With two secrets, each of them verifies."""
    receiver = Receiver(tmp_path, f"{OTHER_SECRET} {SECRET}")
    with receiver.running():
        headers, body = _request()
        assert receiver.post(headers, body) == 204


@pytest.mark.parametrize("secret", ["", "whsec_", "whsec_no base64"])
def test_a_receiver_does_not_start_without_a_secret(tmp_path: Path, secret: str) -> None:
    """It says which variable it needs."""
    done = subprocess.run(
        [sys.executable, EXAMPLES / "receiver.py", "--port", "0", "--database", tmp_path / "received.db"],
        check=False,
        env=environment({"RECEIVER_SECRET": secret}),
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
    )

    assert done.returncode == 2
    assert "RECEIVER_SECRET" in done.stderr


def test_its_key_is_the_secret_of_the_standard() -> None:
    """The form of the secret is the one that the library understands."""
    assert base64.b64decode(SECRET.removeprefix("whsec_")) == Webhook(SECRET)._whsecret


def test_both_ends_may_be_killed_and_each_event_is_kept_once_in_order(stand: Stand, tmp_path: Path) -> None:
    """With the example's own file of destinations: whatever ends in the middle, the receiver has each exactly once."""
    receiver = Receiver(tmp_path)
    process = stand.process()
    stand.publish(*(event(account, number) for number in range(1, EVENTS + 1) for account in ACCOUNTS))
    count = len(ACCOUNTS) * EVENTS

    for share in (0, 0.3, 0.6):
        with receiver.running() as running:
            text = (EXAMPLES / "destinations.toml").read_text(encoding="utf-8").replace(":8000/", f":{receiver.port}/")
            stand.file.write_text(text, encoding="utf-8")
            process.start({"RECEIVER_SECRET": SECRET})
            eventually(
                lambda share=share: sum(map(len, receiver.kept().values())) > share * count,  # type: ignore[misc]  # bound now
                "some are kept",
                timeout_s=TIMEOUT_S,
            )
            running.send_signal(signal.SIGKILL)
            process.kill()
    stand.publish(*(event(account, EVENTS + 1) for account in ACCOUNTS))
    count += len(ACCOUNTS)
    with receiver.running() as running:
        process.start()
        eventually(lambda: sum(map(len, receiver.kept().values())) == count, "all are kept", timeout_s=TIMEOUT_S)
        assert process.terminate() == 0
        running.send_signal(signal.SIGTERM)
        assert running.wait(TIMEOUT_S) == 0

    assert receiver.kept() == {account: list(range(1, EVENTS + 2)) for account in ACCOUNTS}


def test_a_get_tells_how_many_events_are_kept(receiver: Receiver) -> None:
    """For a health check."""
    headers, body = _request()
    receiver.post(headers, body)

    with closing(http.client.HTTPConnection("127.0.0.1", receiver.port, timeout=TIMEOUT_S)) as connection:
        connection.request("GET", "/")
        answer = connection.getresponse()
        assert (answer.status, json.loads(answer.read())) == (200, {"events": 1})
