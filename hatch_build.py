"""Compiles the core into a wheel that is built with ACCOUNT_HEALTH_COMPILE=1; any other wheel is plain Python.

With it what else every event passes: reading it, packing its account, making the records of what it changed.

The same sources, through mypy's compiler. It needs mypy, setuptools, the project's requirements and a C compiler in the
environment that builds: `ACCOUNT_HEALTH_COMPILE=1 pip wheel --no-deps --no-build-isolation .`
"""

import os
import shutil
from pathlib import Path
from typing import Any, Final

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

SWITCH: Final = "ACCOUNT_HEALTH_COMPILE"
WORK: Final = "build/compiled"
BESIDE_THE_CORE: Final = (
    "models/codec.py",
    "models/reading.py",
    "models/wire.py",
    "stream/handling.py",
    "stream/records.py",
)
"""What every event passes beside `processors/`. Not the models themselves: a compiled class loses what its definition
tells msgspec and pydantic, as that it is packed as an array."""


class CustomBuildHook(BuildHookInterface[Any]):
    """Adds the compiled modules, which Python prefers, beside their sources."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Compile, unless nobody asked or the install is an editable one."""
        if os.environ.get(SWITCH) != "1" or version == "editable":
            return
        root = Path(self.root)
        built = root / WORK
        _compile(root, built)
        build_data["pure_python"] = False
        build_data["infer_tag"] = True
        build_data["force_include"] |= {
            str(path): str(path.relative_to(built))
            for path in sorted(built.rglob("*.so")) + sorted(built.rglob("*.pyd"))
        }


def _compile(root: Path, built: Path) -> None:
    # What an earlier build compiled and this one does not must not come along.
    shutil.rmtree(built, ignore_errors=True)
    try:
        from mypyc.build import mypycify  # noqa: PLC0415  # a wheel of plain Python needs neither of them
        from setuptools import Distribution  # type: ignore[import-untyped]  # noqa: PLC0415  # see above
    except ImportError as error:
        raise RuntimeError(f"{SWITCH}=1 needs mypy and setuptools where the wheel is built: {error}") from error
    found = [*(root / "processors").rglob("*.py"), *(root / name for name in BESIDE_THE_CORE)]
    sources = [path for path in sorted(found) if path.name != "__init__.py"]
    extensions = mypycify(
        [str(path.relative_to(root)) for path in sources],
        opt_level="2",
        debug_level="0",
        target_dir=str(built / "c"),
    )
    command = Distribution({"name": "core", "ext_modules": extensions}).get_command_obj("build_ext")
    command.build_lib, command.build_temp = str(built), str(built / "objects")
    command.ensure_finalized()
    command.run()
