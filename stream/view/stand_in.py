"""A Redis inside this process, for the demo: nothing to install, nothing kept."""

import logging
from threading import Thread
from types import TracebackType
from typing import Final, Self

from fakeredis import TcpFakeServer

_SHUTDOWN_SECONDS: Final = 5.0


class StandInRedis:
    """fakeredis' server on a free port of 127.0.0.1.

    It is good for showing the system at work, and for nothing else: it forgets everything when it stops, knows no
    limit of its memory, no users and no TLS, and answers some thousand requests a second.

    >>> with StandInRedis() as server:
    ...     server.url.startswith("redis://127.0.0.1:")
    True
    """

    def __init__(self) -> None:
        self._server: TcpFakeServer | None = None
        self._thread: Thread | None = None

    @property
    def url(self) -> str:
        """Address for clients. Raises RuntimeError unless it is started."""
        if self._server is None:
            raise RuntimeError("the stand-in is not started")
        return f"redis://127.0.0.1:{self._server.server_address[1]}/0"

    def start(self) -> None:
        """Start listening. Raises RuntimeError when it is started already."""
        if self._server is not None:
            raise RuntimeError("the stand-in is started already")
        # It would log every connection that somebody else cut.
        logging.getLogger("fakeredis").setLevel(logging.CRITICAL)
        self._server = TcpFakeServer(("127.0.0.1", 0), server_type="redis")
        self._thread = Thread(target=self._server.serve_forever, name="stand-in", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Stop listening and forget everything; harmless when it is stopped already."""
        if self._server is None or self._thread is None:
            return
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(_SHUTDOWN_SECONDS)
        self._server = self._thread = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()
