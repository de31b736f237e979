"""A receiver of signed webhooks: verifies each request, and keeps each event once, however often it is delivered.

    RECEIVER_SECRET=whsec_... python receiver.py --port 8000 --database received.db

Needs nothing but Python. It follows Standard Webhooks (https://www.standardwebhooks.com), for which there are libraries
in most languages; what they do is `verify` below. Replace `keep` by what your service does with an event.

Three things make it safe. The signature is checked over the bytes as they came, before anything reads them. The
timestamp, which is signed too, may not be old, so that a request which somebody recorded cannot be sent again later.
And the id is kept in the same transaction as the effect, so that a repetition, honest or not, has no second one.
"""

import argparse
import base64
import binascii
import hashlib
import hmac
import json
import logging
import os
import signal
import sqlite3
import threading
import time
from collections.abc import Mapping
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

TOLERANCE_SECONDS = 300
BODY_BYTES_MAX = 1_048_576
SECONDS_MAX = 10
"""For one request to arrive."""

SCHEMA = """
CREATE TABLE IF NOT EXISTS events (
    number INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE,
    account_id TEXT NOT NULL, type TEXT NOT NULL, sequence TEXT NOT NULL, body TEXT NOT NULL
)
"""

log = logging.getLogger("receiver")


class RefusedError(Exception):
    """A request that does not come from who it should; the text says why."""


def verify(headers: Mapping[str, str], body: bytes, keys: list[bytes], now: float) -> str:
    """Return the id of a request that was signed with one of the keys, and lately.

    Raises:
        RefusedError: otherwise.
    """
    id_, timestamp, signatures = (headers.get(f"webhook-{name}", "") for name in ("id", "timestamp", "signature"))
    if not id_ or not timestamp or not signatures:
        raise RefusedError("a header is missing")
    if not timestamp.isdecimal() or abs(now - int(timestamp)) > TOLERANCE_SECONDS:
        raise RefusedError("the timestamp is too far from now")
    signed = b".".join([id_.encode(), timestamp.encode(), body])
    expected = [base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode() for key in keys]
    for given in signatures.split(" "):
        version, _, signature = given.partition(",")
        # In constant time, or the time it takes would tell how much of a guess is right.
        if version == "v1" and any(hmac.compare_digest(signature.encode(), one.encode()) for one in expected):
            return id_
    raise RefusedError("no signature is right")


def keep(database: sqlite3.Connection, id_: str, body: bytes) -> bool:
    """Keep an event; return whether it is new."""
    event = json.loads(body)
    with database:
        return bool(
            database.execute(
                "INSERT INTO events (id, account_id, type, sequence, body) VALUES (?, ?, ?, ?, ?)"
                " ON CONFLICT DO NOTHING",
                (id_, event["subject"], event["type"], event["sequence"], body.decode()),
            ).rowcount
        )


class Handler(BaseHTTPRequestHandler):
    """Answers 204 when an event is kept, be it new or not, and 401 to whoever did not sign."""

    server: "Receiver"
    protocol_version = "HTTP/1.1"
    timeout = SECONDS_MAX

    def do_POST(self) -> None:
        """Take an event."""
        length = self.headers.get("content-length", "")
        if not length.isdecimal() or int(length) > BODY_BYTES_MAX:
            self.close_connection = True
            self._answer(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
            return
        body = self.rfile.read(int(length))
        if len(body) < int(length):
            # The sender ended in the middle: nobody forged anything, and the event comes again.
            self.close_connection = True
            log.info("a request was cut off")
            return
        try:
            id_ = verify(
                {name.lower(): value for name, value in self.headers.items()}, body, self.server.keys, time.time()
            )
        except RefusedError as error:
            log.warning("refused: %s", error)
            self._answer(HTTPStatus.UNAUTHORIZED)
            return
        try:
            is_new = self.server.keep(id_, body)
        except (KeyError, TypeError, ValueError) as error:
            log.warning("not an event: %r", error)
            self._answer(HTTPStatus.BAD_REQUEST)
            return
        log.info("%s: %s", "kept" if is_new else "a repetition", id_)
        self._answer(HTTPStatus.NO_CONTENT)

    def do_GET(self) -> None:
        """Tell how many events are kept; for a health check."""
        self._answer(HTTPStatus.OK, f'{{"events": {self.server.count()}}}\n'.encode())

    def _answer(self, status: HTTPStatus, body: bytes = b"") -> None:
        self.send_response(status)
        if status is not HTTPStatus.NO_CONTENT:
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the name is the base class's
        """Say nothing: what happened is logged where it is known."""


class Receiver(ThreadingHTTPServer):
    """The server, with its keys and its database."""

    daemon_threads = True

    def __init__(self, address: tuple[str, int], keys: list[bytes], database: Path) -> None:
        self.keys = keys
        self._lock = threading.Lock()
        self._database = sqlite3.connect(database, check_same_thread=False)
        self._database.execute(SCHEMA)
        super().__init__(address, Handler)

    def keep(self, id_: str, body: bytes) -> bool:
        """Keep an event; return whether it is new."""
        with self._lock:
            return keep(self._database, id_, body)

    def count(self) -> int:
        """Return how many events are kept."""
        with self._lock:
            return int(self._database.execute("SELECT count(*) FROM events").fetchone()[0])


def main() -> None:
    """Read the command line and the secret, and serve."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8000)
    parser.add_argument("--database", type=Path, default=Path("received.db"))
    parser.add_argument("--secret-file", type=Path, help="instead of the variable RECEIVER_SECRET")
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(message)s")
    try:
        # Several, with spaces, while the sender changes from one to another.
        given = (
            os.environ.get("RECEIVER_SECRET", "") if options.secret_file is None else options.secret_file.read_text()
        )
        secrets = given.split()
        keys = [base64.b64decode(one.removeprefix("whsec_"), validate=True) for one in secrets]
    except binascii.Error:
        keys = []
    if not keys or not all(keys):
        parser.error("RECEIVER_SECRET must be whsec_ and base64, the same as the sender's")
    with Receiver((options.host, options.port), keys, options.database) as server:
        signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=server.shutdown).start())
        log.info("receiving on port %s", server.server_port)
        server.serve_forever()


if __name__ == "__main__":
    main()
