"""The Kafka service's variables, made into a configuration by the image's own program, run a broker that suffices."""

import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from tests.deploy.files import SERVICES, environment
from tests.deploy.processes import running
from tests.support.broker import _JVM, _libraries, free_port, missing_tools
from tests.support.missing import missing
from tests.support.polling import eventually
from tests.support.worker import run_command

SETUP: Final = ("kafka.docker.KafkaDockerWrapper", "setup")
"""What the image runs at its start: it writes server.properties from KAFKA_ variables and formats the folder."""
CHECK: Final = "org.apache.kafka.tools.BrokerApiVersionsCommand"
"""What kafka-broker-api-versions.sh runs."""
TIMEOUT_S: Final = 60.0

KAFKA: Final = SERVICES["kafka"]
TOPIC_COPIES: Final = (
    "default.replication.factor",
    "offsets.topic.replication.factor",
    "transaction.state.log.replication.factor",
    "transaction.state.log.min.isr",
    "share.coordinator.state.topic.replication.factor",
    "share.coordinator.state.topic.min.isr",
)


def _java(*arguments: str) -> list[str]:
    return ["java", *_JVM, "-cp", f"{_libraries()}/*", *arguments]


def _on_this_machine(folder: Path) -> dict[str, str]:
    """The service's variables, with ports that are free here, and data in a folder."""
    free = {port: str(free_port()) for port in ("19092", "9092", "9093")}

    def adapt(value: str) -> str:
        return re.sub(r"://(?:kafka|localhost)?:", "://127.0.0.1:", re.sub(r"\b(?:19092|909[23])\b", _free, value))

    def _free(match: re.Match[str]) -> str:
        return free[match[0]]

    adapted = {name: adapt(value) for name, value in environment(KAFKA).items()}
    return adapted | {"KAFKA_LOG_DIRS": str(folder / "data")}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the image's program has written the broker's configuration, its folder formatted."""
    if tools := missing_tools():
        missing(f"no Kafka without {' and '.join(tools)}: apt-get install openjdk-17-jre-headless maven")
    folder = tmp_path_factory.mktemp("composed")
    places = {name: folder / name for name in ("default", "mounted", "final")}
    for place in places.values():
        place.mkdir()
    others = {name: value for name, value in os.environ.items() if not name.startswith(("KAFKA_", "CLUSTER_"))}
    done = subprocess.run(
        _java(*SETUP, *(f"--{name}-configs-dir={place}" for name, place in places.items())),
        check=False,
        env=others | _on_this_machine(folder),
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


def _properties(folder: Path) -> dict[str, str]:
    lines = folder.joinpath("final", "server.properties").read_text(encoding="utf-8").splitlines()
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))


def test_one_broker_keeps_one_copy(folder: Path) -> None:
    """Nothing waits for a second broker: without this, no transaction and no group would ever start."""
    properties = _properties(folder)

    assert {name: properties.get(name) for name in TOPIC_COPIES} == dict.fromkeys(TOPIC_COPIES, "1")


def test_topics_are_not_made_by_accident(folder: Path) -> None:
    """A name with a typing error is an error, not a new topic."""
    assert _properties(folder)["auto.create.topics.enable"] == "false"


def test_data_is_kept_in_the_volume() -> None:
    """The folder that Kafka writes to is the one that the volume is mounted at."""
    assert f"kafka-data:{environment(KAFKA)['KAFKA_LOG_DIRS']}" in KAFKA["volumes"]


def test_kafka_may_load_what_it_unpacks() -> None:
    """The temporary folder allows what compression needs: libraries that are unpacked there and loaded."""
    options = dict(mount.split(":") for mount in KAFKA["tmpfs"])

    assert "exec" in options["/tmp"].split(",")  # noqa: S108  # a folder of the container


@pytest.fixture(scope="module")
def servers(folder: Path) -> Iterator[str]:
    """Address of a broker that runs on this configuration, healthy as Compose sees it."""
    shell = re.fullmatch(
        r"KAFKA_HEAP_OPTS=(-Xmx\w+) /opt/kafka/bin/kafka-broker-api-versions\.sh (.+) >/dev/null",
        KAFKA["healthcheck"]["test"][1],
    )
    assert shell is not None
    published = _properties(folder)["advertised.listeners"].partition("HOST://")[2]
    heap, arguments = shell[1], shell[2].replace("localhost:9092", published).split()
    check = ["java", heap, "-cp", f"{_libraries()}/*", CHECK, *arguments]

    properties = str(folder / "final" / "server.properties")
    with running(_java("kafka.Kafka", properties), folder, os.environ) as broker:

        def healthy() -> bool:
            broker.check()
            return subprocess.run(check, check=False, capture_output=True, timeout=TIMEOUT_S).returncode == 0

        eventually(healthy, "the broker's health check passes", timeout_s=TIMEOUT_S)
        yield published


def test_the_topics_can_be_made(servers: str) -> None:
    """The one-shot service makes every topic on this broker, a second time too, and they are as they should be."""
    variables = environment(SERVICES["topics"]) | {"ACCOUNT_HEALTH_BOOTSTRAP_SERVERS": servers}
    command = SERVICES["topics"]["command"]

    assert "created" in run_command(variables, *command)
    assert "created" not in run_command(variables, *command)
    assert "as they should be" in run_command(variables, "topics", "verify")
