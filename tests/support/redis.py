"""A real redis-server for tests, to be killed and brought back; and the stand-in of the demo."""

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Thread
from types import TracebackType
from typing import Any, Final, Self

import redis
from fakeredis import TcpFakeServer
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

from tests.support.broker import free_port, guard
from tests.support.missing import missing
from tests.support.polling import eventually

_STOP_TIMEOUT_S: Final = 30.0


def require_redis_server() -> None:
    """Skip the test where there is no redis-server; in CI that is a failure."""
    if shutil.which("redis-server") is not None:
        return
    missing("no redis-server: apt-get install redis-server")


class RedisServer:
    """One redis-server on a free port of 127.0.0.1, which keeps nothing on disk.

    The process ends with the test process, even when that is killed.
    """

    def __init__(self, folder: Path, *arguments: str) -> None:
        self.port: Final = free_port()
        self._folder = folder
        self._arguments = arguments
        self._process: subprocess.Popen[bytes] | None = None
        self._watchdog: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Address for clients; the same after a restart."""
        return f"redis://127.0.0.1:{self.port}/0"

    @property
    def pid(self) -> int:
        """Id of the running process."""
        assert self._process is not None, "redis-server is not running"
        return self._process.pid

    def client(self) -> Any:
        """Make a client that answers in bytes."""
        return redis.Redis(port=self.port, socket_timeout=10)

    def start(self) -> Self:
        """Start it empty, and wait until it answers."""
        self._folder.mkdir(parents=True, exist_ok=True)
        with (self._folder / "redis.log").open("ab") as log:
            self._process = subprocess.Popen(
                [
                    *("redis-server", "--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(self._folder)),
                    *("--save", "", "--appendonly", "no", *self._arguments),
                ],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._watchdog = guard(self._process.pid)
        eventually(self._answers, "redis-server answers")
        return self

    def kill(self) -> None:
        """End it at once; harmless when there is none."""
        if self._process is None:
            return
        process, self._process = self._process, None
        process.kill()
        process.wait(_STOP_TIMEOUT_S)
        assert self._watchdog is not None
        self._watchdog.kill()
        self._watchdog.communicate()

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """Let it hold its connections and answer nothing."""
        os.kill(self.pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(self.pid, signal.SIGCONT)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.kill()

    def _answers(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, "redis-server ended"
        client = redis.Redis(port=self.port, socket_timeout=1, retry=Retry(NoBackoff(), 0))
        try:
            return bool(client.ping())
        except RedisError:
            return False
        finally:
            client.close()


@contextmanager
def stand_in() -> Iterator[int]:
    """Run the demo's stand-in inside this process, and give its port."""
    server = TcpFakeServer(("127.0.0.1", 0), server_type="redis")
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield int(server.server_address[1])
    finally:
        server.shutdown()
        server.server_close()
