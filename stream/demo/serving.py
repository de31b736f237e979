"""The view, the API and the console of the demo, once its history is done: somebody may want to look closer."""

import contextlib
import json
import shutil
import urllib.error
import urllib.request
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Final

from stream.demo.child import Child, free_port, ours
from stream.settings import env_name
from stream.view.stand_in import StandInRedis

_REDIS: Final = "redis-server"
_ASK_TIMEOUT_S: Final = 0.5


class Serving:
    """Redis, `account-health view` and `account-health serve`: a real Redis where there is one, else the stand-in.

    Args:
        variables: of the worker.
        folder: for the logs.
    """

    def __init__(self, variables: Mapping[str, str], folder: Path) -> None:
        self._variables = dict(variables)
        self._folder = folder
        self._stack = ExitStack()
        self._children: dict[str, Child] = {}
        self._port = free_port()
        self._ready = False

    @property
    def url(self) -> str | None:
        """Address of console and API, without a path, once they answer for all accounts."""
        if not self._ready:
            self._ready = self._is_ready()
        return f"http://127.0.0.1:{self._port}" if self._ready else None

    def start(self) -> None:
        """Start all three; returns at once."""
        self._variables |= {
            env_name("redis_url"): self._start_redis(),
            env_name("api_port"): str(self._port),
            env_name("http_port"): "0",
        }
        for name in ("view", "serve"):
            self._start(name, ours(name))

    def failure(self) -> str | None:
        """Tell what ended although it should not; None as long as all is well."""
        for name, child in self._children.items():
            if child.exit_code is not None:
                return f"{name} ended with exit code {child.exit_code}: {child.last_words()}"
        return None

    def stop(self) -> None:
        """End all three, Redis last; harmless when they were not started."""
        self._stack.close()
        self._children.clear()

    def _start_redis(self) -> str:
        program = shutil.which(_REDIS)
        if program is None:
            self._variables[env_name("embedded_redis")] = "true"
            return self._stack.enter_context(StandInRedis()).url
        port = free_port()
        self._start(
            "redis", (program, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(self._folder))
        )
        return f"redis://127.0.0.1:{port}/0"

    def _start(self, name: str, command: tuple[str, ...]) -> None:
        child = Child(command, self._variables, self._folder / f"{name}.log")
        self._children[name] = child
        self._stack.callback(child.stop)
        child.start()

    def _is_ready(self) -> bool:
        if not self._children:
            return False
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with (
            contextlib.suppress(OSError, urllib.error.URLError, ValueError),
            opener.open(f"http://127.0.0.1:{self._port}/api/v1/status", timeout=_ASK_TIMEOUT_S) as answer,
        ):
            return bool(json.load(answer)["built"])
        return False
