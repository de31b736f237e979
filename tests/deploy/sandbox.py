"""The steps of the Dockerfile, carried out without Docker.

Paths of the image lie below a folder, its Python is one of this machine, and its user is that number here. What is not
tried is the base image, and that nothing else of this machine is used.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from tests.deploy.files import ROOT, Instruction, instructions
from tests.support.missing import missing

_PATHS: Final = re.compile(r"(?<![\w./}-])(?=/(?:src|opt|tmp|var/lib/account-health)\b)")
"""Before every path that the Dockerfile uses."""
_VARIABLE: Final = re.compile(r"\$\{(\w+)\}")
_STRIPPED: Final = ("--clear-groups", "--bounding-set=-all", "--inh-caps=-all", "--no-new-privs")
_STEP_TIMEOUT_S: Final = 300.0
_TAIL_CHARACTERS: Final = 3000


def _as_user(user: str) -> list[str]:
    """Return the words before a command that run it as `uid:gid`, without any right of root."""
    uid, _, gid = user.partition(":")
    return ["setpriv", "--reuid", uid, "--regid", gid, *_STRIPPED]


def _python(user: str) -> str:
    """Return a Python of this machine that the image's user may run."""
    own = Path(sys.base_prefix, "bin", f"python{sys.version_info.major}.{sys.version_info.minor}")
    needed = (
        "import os, sys, sysconfig, venv, ensurepip; "
        "header = os.path.join(sysconfig.get_path('include'), 'Python.h'); "
        f"sys.exit(sys.version_info[:2] != {sys.version_info[:2]} or not os.path.exists(header))"
    )
    # through a shell, for the reason given in `run`
    start = [*_as_user(user), "sh", "-c", 'exec "$0" -c "$1"']
    for candidate in (str(own), f"/usr/bin/{own.name}"):
        if subprocess.run([*start, candidate, needed], check=False, capture_output=True, cwd="/").returncode == 0:
            return candidate
    return missing(
        f"no {own.name} with venv and headers that user {user} may run: apt-get install python3-venv python3-dev"
    )


class Sandbox:
    """The file system of an image that is being built, in `root`."""

    def __init__(self, root: Path, user: str) -> None:
        self.root: Final = root
        self.environ: dict[str, str] = {}
        self._folder = "/src"
        self._user: str | None = None
        binaries = root / "usr" / "bin"
        binaries.mkdir(parents=True)
        python = binaries / "python"
        python.write_text(f'#!/bin/sh\nexec {_python(user)} "$@"\n', encoding="utf-8")
        python.chmod(0o755)
        self._binaries: Final = f"{binaries}:/usr/bin:/bin"
        root.joinpath("tmp").mkdir()
        root.joinpath("tmp").chmod(0o1777)
        self._steps: Final[Mapping[str, Callable[[Instruction], object]]] = {
            "FROM": self._from,
            "ENV": self._env,
            "WORKDIR": self._workdir,
            "USER": self._set_user,
            "COPY": self._copy,
            "RUN": lambda step: self.run(step.argv if step.value.startswith("[") else ["sh", "-ec", step.value]),
        }

    def build(self) -> None:
        """Carry out every step that makes files; the others only say how the image is run."""
        for step in instructions():
            if step.name in self._steps:
                self._steps[step.name](step)

    def run(self, argv: Sequence[str], **changed: str) -> str:
        """Run a command as the image would; return what it printed, or raise RuntimeError with it."""
        outside = {name: value for name, value in os.environ.items() if name.lower().startswith(("pip_", "http"))}
        done = subprocess.run(
            # env starts the command: setpriv's own start of it would still have root's right to enter any folder
            [*(_as_user(self._user) if self._user else ()), "env", *map(self.inside, argv)],
            check=False,
            cwd=self.inside(self._folder),
            # the index of this machine, if it has one of its own
            env={"PATH": self._binaries, **outside, **self.environ, **changed},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=_STEP_TIMEOUT_S,
        )
        if done.returncode != 0:
            raise RuntimeError(f"{' '.join(argv)}: {done.returncode}\n{done.stdout[-_TAIL_CHARACTERS:]}")
        return done.stdout

    def inside(self, text: str) -> str:
        """Put the root before every path of the image."""
        return _PATHS.sub(str(self.root), text)

    def _from(self, step: Instruction) -> None:
        del step
        self.environ, self._folder, self._user = {}, "/src", None

    def _env(self, step: Instruction) -> None:
        known = {"PATH": self._binaries, **self.environ}
        for name, value in step.pairs.items():
            self.environ[name] = _VARIABLE.sub(lambda match: known[match[1]], self.inside(value))

    def _workdir(self, step: Instruction) -> None:
        self._folder = step.value
        Path(self.inside(step.value)).mkdir(parents=True, exist_ok=True)

    def _set_user(self, step: Instruction) -> None:
        self._user = step.value

    def _copy(self, step: Instruction) -> None:
        *sources, target = step.value.split()
        if sources[0].startswith("--from="):
            # both stages lie in one folder
            assert sources[1:] == [target]
            assert Path(self.inside(target)).exists()
            return
        for source in sources:
            place = Path(self.inside(self._folder), target)
            if (ROOT / source).is_dir():
                shutil.copytree(ROOT / source, place, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy(ROOT / source, place)


@contextmanager
def sandbox(user: str) -> Generator[Sandbox]:
    """Give a sandbox in a folder that others may enter, as pytest's own may not."""
    with tempfile.TemporaryDirectory(prefix="image-") as folder:
        Path(folder).chmod(0o755)
        yield Sandbox(Path(folder).resolve(), user)
