"""The deployment's files as data, read the way their programs read them."""

import json
import re
import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

import yaml

ROOT: Final = Path(__file__).resolve().parents[2]
COMPOSE_FILE: Final = ROOT / "docker-compose.yml"
DOCKERFILE: Final = ROOT / "deploy" / "Dockerfile"
PROMETHEUS_FILE: Final = ROOT / "deploy" / "prometheus" / "prometheus.yml"
DATASOURCE_FILE: Final = ROOT / "deploy" / "grafana" / "provisioning" / "datasources" / "prometheus.yml"
OWN_IMAGE: Final = "account-health-stream"
ENV_PREFIX: Final = "ACCOUNT_HEALTH_"

API_KEYS: Final = {"ACCOUNT_HEALTH_API_READ_KEYS": "crm:" + "k" * 32}
"""What the shell gives the API, which does not start without."""

Service = dict[str, Any]

_VARIABLE: Final = re.compile(r"\$\{(?P<name>\w+)(?::-(?P<default>[^}]*))?\}")
_DURATION: Final = re.compile(r"(?:(\d+)m)?(?:(\d+)s)?")


def read_yaml(path: Path) -> Any:
    """Parse a YAML file, its anchors and merges resolved."""
    return yaml.safe_load(path.read_text(encoding="utf-8"))


COMPOSE: Final[dict[str, Any]] = read_yaml(COMPOSE_FILE)
SERVICES: Final[dict[str, Service]] = COMPOSE["services"]


def is_own(service: Service) -> bool:
    """Whether a service runs this project's image."""
    return str(service["image"]).partition(":")[0] == OWN_IMAGE


OWN: Final = {name: service for name, service in SERVICES.items() if is_own(service)}


def is_one_shot(service: Service) -> bool:
    """Whether a service ends by itself: it is not started again."""
    return bool(service["restart"] == "no")


def environment(service: Service, shell: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return a service's variables, with those of the shell put in.

    Raises:
        KeyError: if one without a default is not set in the shell.
    """
    outside = shell or {}

    def value(match: re.Match[str]) -> str:
        default = match["default"]
        return outside[match["name"]] if default is None else outside.get(match["name"]) or default

    return {name: _VARIABLE.sub(value, raw) for name, raw in service.get("environment", {}).items()}


def seconds(duration: str) -> int:
    """Read a duration of Compose or Prometheus.

    >>> seconds("1m30s"), seconds("35s")
    (90, 35)
    """
    match = _DURATION.fullmatch(duration)
    assert match is not None, duration
    return 60 * int(match[1] or 0) + int(match[2] or 0)


class Port(NamedTuple):
    """A published port: `address:host:container`, the host's perhaps a range."""

    address: str
    host: str
    container: int


def ports(service: Service) -> list[Port]:
    """Return the published ports of a service, which are all in the short notation."""
    split = [str(port).split(":") for port in service.get("ports", [])]
    return [Port(address, host, int(container)) for address, host, container in split]


class Instruction(NamedTuple):
    """One instruction of the Dockerfile."""

    stage: int
    """From 0; -1 before the first."""
    name: str
    value: str

    @property
    def argv(self) -> list[str]:
        """The words of an exec form. Raises ValueError for a shell form."""
        words: list[str] = json.loads(self.value)
        return words

    @property
    def pairs(self) -> dict[str, str]:
        """What an ENV or LABEL sets."""
        return dict(pair.split("=", 1) for pair in shlex.split(self.value))


def instructions() -> list[Instruction]:
    """Return the Dockerfile's instructions, continued lines joined and comments dropped."""
    return list(_instructions(DOCKERFILE.read_text(encoding="utf-8")))


def _instructions(text: str) -> Iterator[Instruction]:
    lines = "\n".join(line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#"))
    stage = -1
    for line in re.sub(r"\\\n\s*", "", lines).splitlines():
        name, _, value = line.partition(" ")
        stage += name == "FROM"
        yield Instruction(stage, name, value)


def last_stage() -> dict[str, Instruction]:
    """Return the last instruction of each name in the stage that becomes the image."""
    found = instructions()
    return {one.name: one for one in found if one.stage == found[-1].stage}


def image_environment() -> dict[str, str]:
    """Return the variables that the image sets."""
    final = instructions()[-1].stage
    return {
        name: value
        for one in instructions()
        if one.name == "ENV" and one.stage == final
        for name, value in one.pairs.items()
    }


def settings_of(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the variables that are ours."""
    return {name: value for name, value in environ.items() if name.startswith(ENV_PREFIX)}
