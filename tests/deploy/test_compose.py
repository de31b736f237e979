"""docker-compose.yml: valid, pinned, hardened, and in agreement with the settings, the topics and the command line."""

import json
import re
import shlex
import subprocess
import sys
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

import jsonschema
import pytest
import typer.main
from typer.core import TyperGroup
from typer.testing import CliRunner

from stream.cli import app
from stream.delivery.destinations import WebhookDestination, load_destinations
from stream.settings import Settings, SettingsError, load_settings, policy_of
from tests.deploy.files import (
    API_KEYS,
    COMPOSE,
    COMPOSE_FILE,
    OWN,
    ROOT,
    SERVICES,
    environment,
    image_environment,
    is_one_shot,
    is_own,
    ports,
    seconds,
    settings_of,
)

SCHEMA: Final = Path(__file__).with_name("compose-spec.json")
"""Of the Compose specification, unchanged; the licence beside it, Apache 2.0, is its own."""
DATA: Final = "/var/lib/account-health"
PINNED: Final = re.compile(r"[\w./-]+:v?\d+\.\d+\.\d+(-[\w.-]+)?(@sha256:[0-9a-f]{64})?")
SECRET: Final = re.compile(r"PASSWORD|SECRET|TOKEN|CREDENTIAL|PRIVATE|API_?KEY", re.IGNORECASE)
SECRET_FROM_OUTSIDE: Final = re.compile(
    r"""\$\{\w+ (:-|:\?[^}]*)? \}  # a variable of the shell
    | \{[ ]?(file|environment)([ ]=|:)[ ]["\w/]+[ ]?\}  # where it is
    | \[[a-z_]+\] | /run/secrets/\w+  # its name, and the place that Compose gives it""",
    re.VERBOSE,
)
SIGNING_KEY: Final = "whsec_" + "a" * 40
STOP_MARGIN_S: Final = 5
"""The worker has to have ended by itself, its last line written, before it is killed."""

every_service = pytest.mark.parametrize("name", SERVICES)
every_own_service = pytest.mark.parametrize("name", OWN)


def _settings(name: str) -> Settings:
    """What a service of ours is told by the image and by the file together."""
    return load_settings(settings_of(image_environment() | environment(SERVICES[name], API_KEYS)))


def test_the_file_is_valid() -> None:
    """The file is what the Compose specification's own schema asks for."""
    schema = json.loads(SCHEMA.read_text(encoding="utf-8"))

    jsonschema.Draft202012Validator(schema).validate(COMPOSE)


def test_the_schema_refuses_what_is_wrong() -> None:
    """The vendored schema is not one that lets everything pass."""
    schema = json.loads(SCHEMA.read_text(encoding="utf-8"))
    wrong = {"services": {"kafka": {"image": "apache/kafka:4.1.2", "read_onyl": True}}}

    assert not jsonschema.Draft202012Validator(schema).is_valid(wrong)


@every_service
def test_images_are_pinned(name: str) -> None:
    """Every image has a whole version, so that two starts are the same."""
    assert PINNED.fullmatch(SERVICES[name]["image"])


def test_the_broker_is_the_tested_one() -> None:
    """Kafka has the version that the tests run on."""
    tested = re.search(r"<kafka\.version>(.+)</", (ROOT / "tests" / "kafka" / "pom.xml").read_text(encoding="utf-8"))

    assert tested is not None
    assert SERVICES["kafka"]["image"] == f"apache/kafka:{tested[1]}"


@every_service
def test_a_container_can_do_little(name: str) -> None:
    """No container is root, gains rights, writes outside of its mounts or takes the whole machine."""
    service = SERVICES[name]

    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert "no-new-privileges:true" in service["security_opt"]
    assert str(service.get("user", "")).split(":")[0] not in {"root", "0"}
    assert not service.keys() & {"privileged", "cap_add", "network_mode", "pid", "ipc", "devices"}
    assert service["deploy"]["resources"]["limits"].keys() == {"cpus", "memory", "pids"}


@every_service
def test_only_this_machine_reaches_a_port(name: str) -> None:
    """What asks for no password is published on the loopback address alone."""
    assert {port.address for port in ports(SERVICES[name])} <= {"127.0.0.1"}


@every_service
def test_a_service_is_checked_or_ends(name: str) -> None:
    """A long-running service has a health check and is started again; one that ends has neither."""
    service = SERVICES[name]
    check = service["healthcheck"]

    if is_one_shot(service):
        assert check == {"disable": True}
        return
    assert service["restart"] == "unless-stopped"
    assert check["test"][0] in {"CMD", "CMD-SHELL"}
    assert {"interval", "timeout", "retries", "start_period"} <= check.keys()
    assert seconds(check["timeout"]) <= seconds(check["interval"])
    assert "stop_grace_period" in service


@every_service
def test_a_service_waits_for_what_it_needs(name: str) -> None:
    """A dependency is healthy, or has ended well if it is one that ends; none is merely started."""
    for other, how in SERVICES[name].get("depends_on", {}).items():
        expected = "service_completed_successfully" if is_one_shot(SERVICES[other]) else "service_healthy"
        assert how["condition"] == expected
        in_every_profile = not SERVICES[other].get("profiles") or SERVICES[name].get("profiles")
        assert how.get("required", True) is bool(in_every_profile)


@every_service
def test_mounted_paths_exist(name: str) -> None:
    """A folder of the repository that is mounted is there and read-only; a volume is declared and used."""
    for volume in SERVICES[name].get("volumes", []):
        source, _, target = volume.partition(":")
        if source.startswith("."):
            assert (ROOT / source).is_dir()
            assert target.endswith(":ro")
        else:
            assert source in COMPOSE["volumes"]


def test_every_volume_is_used() -> None:
    """No volume is declared that nothing mounts."""
    mounted = {volume.partition(":")[0] for one in SERVICES.values() for volume in one.get("volumes", [])}

    assert COMPOSE["volumes"].keys() <= mounted


def test_no_file_holds_a_secret() -> None:
    """What is called a password, a secret or a token comes from outside and has no default."""
    files = [COMPOSE_FILE, *(path for path in (ROOT / "deploy").rglob("*") if path.suffix != ".md" and path.is_file())]
    given = [
        f"{path.name}:{number}"
        for path in files
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if (pair := re.match(r"\s*-?\s*\"?([\w.-]+)\"?\s*[:=]\s*(\S.*)", line))
        and SECRET.search(pair[1])
        and pair[2].strip("\"'") not in {"true", "false"}
        and not SECRET_FROM_OUTSIDE.fullmatch(pair[2].strip("\"'"))
    ]

    assert given == []


@every_own_service
def test_every_variable_is_a_setting(name: str) -> None:
    """A worker would start with these variables: each exists and has an allowed value."""
    environ = image_environment() | environment(SERVICES[name], API_KEYS)

    load_settings(environ)

    assert environment(SERVICES[name]).keys() == settings_of(environment(SERVICES[name])).keys()


def test_only_our_services_have_our_variables() -> None:
    """A setting given to another image would have no effect."""
    assert [name for name, one in SERVICES.items() if not is_own(one) and settings_of(environment(one))] == []


def test_an_erasure_secret_is_passed_on() -> None:
    """The worker gets the secret of the shell, and none when the shell has none."""
    key = "ACCOUNT_HEALTH_ERASURE_SECRET"

    assert environment(SERVICES["worker"])[key] == ""
    assert environment(SERVICES["worker"], {key: "k" * 32})[key] == "k" * 32


def test_the_api_is_not_served_without_a_key() -> None:
    """It gets the keys of the shell, and does not start when the shell has none; it listens where it is published."""
    with pytest.raises(SettingsError, match="without a key only this machine is served"):
        load_settings(settings_of(image_environment() | environment(SERVICES["serve"])))

    settings = _settings("serve")
    assert settings.api_read_keys is not None
    assert [port.container for port in ports(SERVICES["serve"])] == [settings.api_port]


def test_the_view_and_the_api_find_redis() -> None:
    """Both are given the address of the service, which keeps nothing and never evicts."""
    command = SERVICES["redis"]["command"]

    assert {_settings(name).redis_url for name in ("view", "serve")} == {"redis://redis:6379/0"}
    assert command[command.index("--maxmemory-policy") + 1] == "noeviction"


def test_the_worker_has_a_policy() -> None:
    """The worker has all that it asks for at its start."""
    policy_of(_settings("worker"))


def test_topics_are_those_of_the_worker() -> None:
    """The topics are made, and filled, as the worker expects them."""
    asked = {(s.topic_prefix, s.partitions, s.replication_factor, s.retention) for s in map(_settings, OWN)}

    assert len(asked) == 1
    assert _settings("worker").replication_factor == 1, "there is one broker"


@pytest.mark.parametrize("name", ["topics", "worker", "delivery", "generator"])
def test_clients_find_the_broker(name: str) -> None:
    """What talks to Kafka is given an address that the broker listens on and gives out itself."""
    kafka = environment(SERVICES["kafka"])
    servers = _settings(name).bootstrap_servers

    assert f"INTERNAL://{servers}" in kafka["KAFKA_ADVERTISED_LISTENERS"].split(",")
    assert servers.split(":")[0] == "kafka"
    assert f"INTERNAL://:{servers.split(':')[1]}" in kafka["KAFKA_LISTENERS"].split(",")


def test_the_delivery_and_its_receiver_fit(tmp_path: Path) -> None:
    """The mounted destinations are valid, lead to the receiver's address, and both ends read the same secret."""
    delivery, receiver = SERVICES["delivery"], SERVICES["receiver"]
    mounted = ROOT / "deploy" / "delivery" / "destinations.toml"
    secret = tmp_path / "receiver_secret"
    secret.write_text(SIGNING_KEY, encoding="utf-8")
    copied = tmp_path / mounted.name
    text = mounted.read_text(encoding="utf-8")
    copied.write_text(text.replace("/run/secrets/", f"{tmp_path}/"), encoding="utf-8")

    (destination,) = load_destinations(copied, {}).values()

    assert isinstance(destination, WebhookDestination)
    assert destination.url == f"http://receiver:{ports(receiver)[0].container}"
    assert delivery["secrets"] == receiver["secrets"] == list(COMPOSE["secrets"]) == [secret.name]
    assert f"--secret-file=/run/secrets/{secret.name}" in receiver["command"]
    assert f"--port={ports(receiver)[0].container}" in receiver["command"]
    assert str(_settings("delivery").destinations_file) == f"/etc/account-health/{mounted.name}"
    assert f"./{mounted.parent.relative_to(ROOT)}:/etc/account-health:ro" in delivery["volumes"]


def test_the_receiver_runs_on_the_image_of_the_tests() -> None:
    """Its Python is the one that our image is built on, and its script and options are there."""
    receiver = SERVICES["receiver"]
    argv = [str(ROOT / word.lstrip("/")) if word.endswith(".py") else word for word in receiver["command"]]

    done = subprocess.run(
        [sys.executable, *argv[1:], "--help"], check=False, capture_output=True, text=True, timeout=30
    )

    assert f"ARG PYTHON_IMAGE={receiver['image']}" in (ROOT / "deploy" / "Dockerfile").read_text(encoding="utf-8")
    assert done.returncode == 0
    for word in argv[2:]:
        assert word.partition("=")[0] in done.stdout


def test_commands_on_this_machine_find_the_broker() -> None:
    """`account-health tail` beside the containers works without any setting."""
    (published,) = ports(SERVICES["kafka"])
    default = Settings().bootstrap_servers

    assert default == f"localhost:{published.host}"
    assert f"HOST://{default}" in environment(SERVICES["kafka"])["KAFKA_ADVERTISED_LISTENERS"].split(",")
    assert f"HOST://:{published.container}" in environment(SERVICES["kafka"])["KAFKA_LISTENERS"].split(",")


def test_workers_may_be_many() -> None:
    """Two are started, and nothing makes them one: no fixed name, no fixed port, an instance id of their own."""
    worker = SERVICES["worker"]
    first, last = (int(port) for port in ports(worker)[0].host.split("-"))

    assert not worker.keys() & {"container_name", "hostname"}
    assert "ACCOUNT_HEALTH_INSTANCE_ID" not in environment(worker)
    assert last - first + 1 >= _settings("worker").partitions >= worker["deploy"]["replicas"] == 2


def test_the_worker_listens_where_it_is_asked() -> None:
    """The published port and the one of the health check are the setting's, on every interface of the container."""
    settings = _settings("worker")

    assert settings.http_host == "0.0.0.0"
    assert [port.container for port in ports(SERVICES["worker"])] == [settings.http_port]
    assert f"http://127.0.0.1:{settings.http_port}/readyz" in SERVICES["worker"]["healthcheck"]["test"][-1]


def test_the_worker_ends_before_it_is_killed() -> None:
    """Compose waits for longer than the worker takes to commit and to give its partitions back."""
    grace_s = _settings("worker").grace_period_seconds

    assert grace_s + STOP_MARGIN_S <= seconds(SERVICES["worker"]["stop_grace_period"])


def _parse(arguments: Sequence[str]) -> dict[str, Any]:
    """Parse a command line as the program would, without running it."""
    command: Any = typer.main.get_command(app)
    words = list(arguments)
    while isinstance(command, TyperGroup):
        command = command.commands[words.pop(0)]
    parameters: dict[str, Any] = command.make_context(command.name, words).params
    return parameters


@pytest.mark.parametrize("name", [name for name in OWN if name != "generator"])
def test_commands_exist(name: str) -> None:
    """The command line accepts what a service is started with."""
    assert "entrypoint" not in SERVICES[name], "the image's own is tested with it"

    _parse(SERVICES[name]["command"])


def test_the_generator_sends_what_the_simulation_wrote(tmp_path: Path) -> None:
    """The demo's simulation runs, and its files are the ones that are sent, in the currency of the worker."""
    simulate, produce = (
        [word.replace(DATA, str(tmp_path)) for word in SERVICES[name]["command"]]
        for name in ("simulation", "generator")
    )

    done = CliRunner().invoke(app, simulate)

    assert done.exit_code == 0, done.output
    sent = _parse(produce)
    assert sent["now"] is True
    assert {path.name for path in sent["events"]} == {"orders.jsonl", "support.jsonl", "profiles.jsonl"}
    assert _parse(simulate)["currency"] == _settings("worker").reporting_currency


def test_the_history_is_there_before_the_worker() -> None:
    """With the demo's profile the worker starts on a whole history, not beside one that is being sent."""
    assert SERVICES["worker"]["depends_on"]["generator"]["condition"] == "service_completed_successfully"
    assert SERVICES["generator"]["depends_on"]["simulation"]["condition"] == "service_completed_successfully"
    volumes = [SERVICES[name]["volumes"][0].split(":")[:2] for name in ("simulation", "generator")]
    assert volumes == [["demo-data", DATA]] * 2


def _documented() -> list[list[str]]:
    """Command lines of the deployment's page, in words."""
    page = (ROOT / "deploy" / "README.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^```sh\n(.*?)^```", page, flags=re.MULTILINE | re.DOTALL)
    return [shlex.split(line, comments=True) for block in blocks for line in block.splitlines() if line.strip()]


def test_the_page_names_what_is_there() -> None:
    """The commands of deploy/README.md use services, profiles and commands of ours that exist."""
    documented = _documented()
    profiles = {profile for one in SERVICES.values() for profile in one.get("profiles", [])}

    assert documented
    for words in documented:
        if "account-health" in words:
            _parse(words[words.index("account-health") + 1 :])
        assert {after for word, after in pairwise(words) if word == "--profile"} <= profiles
        if "--scale" in words:
            assert words[words.index("--scale") + 1].partition("=")[0] in SERVICES
        if "exec" in words or "logs" in words:
            assert set(SERVICES) & set(words)


def test_the_page_names_the_ports() -> None:
    """Every address of this machine in deploy/README.md is a published port."""
    page = (ROOT / "deploy" / "README.md").read_text(encoding="utf-8")
    published = {port.host.partition("-")[0] for one in SERVICES.values() for port in ports(one)}

    assert set(re.findall(r"localhost:(\d+)", page)) == published
