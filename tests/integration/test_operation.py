"""What an operator sees of a running worker: its metrics, its probes, and the folder that it runs in."""

import json
import re
from http import HTTPStatus
from pathlib import Path
from typing import Final, NamedTuple

from prometheus_client.parser import text_string_to_metric_families

from models.events import InputTopic
from tests.support.deployment import PARTITIONS, Deploy
from tests.support.polling import eventually
from tests.support.sending import send
from tests.support.worker import WorkerProcess

DOCUMENT: Final = Path(__file__).resolve().parents[2] / "docs" / "metrics.md"
READY_S: Final = 60.0
CLOCK: Final = {"type": "clock.advanced", "event_id": "c", "occurred_at": "2026-01-05T10:00:00Z"}


class Documented(NamedTuple):
    """What docs/metrics.md says."""

    types: dict[str, str]
    labels: dict[str, set[str]]
    values: dict[str, set[str] | None]
    """What a label may be; None for a number or a text."""


def documented() -> Documented:
    """Read the worker's table of the document, which is its first one, and that of the labels."""
    types, labels = {}, {}
    values: dict[str, set[str] | None] = {}
    section = ""
    for line in DOCUMENT.read_text(encoding="utf-8").splitlines():
        if line.startswith("## "):
            section = line.removeprefix("## ")
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        names = [re.findall(r"`([^`]+)`", cell) for cell in cells]
        if len(cells) == 4 and names[0] and not section:
            types[names[0][0]], labels[names[0][0]] = cells[1], set(names[2])
        elif len(cells) == 2 and names[0] and section == "Labels":
            values[names[0][0]] = set(names[1]) or None
    return Documented(types, labels, values)


def exported(worker: WorkerProcess) -> tuple[dict[str, str], dict[str, set[str]], set[tuple[str, str]]]:
    """Return type and labels of every metric that a worker exports, and every value of a label."""
    types: dict[str, str] = {}
    labels: dict[str, set[str]] = {}
    values: set[tuple[str, str]] = set()
    for family in text_string_to_metric_families(worker.ask("/metrics")[1]):
        for sample in family.samples:
            held = {name: value for name, value in sample.labels.items() if name != "le"}
            name = sample.name if family.type != "histogram" else family.name
            types[name] = family.type
            labels[name] = set(held)
            values |= set(held.items())
    return types, labels, values


def test_every_documented_metric_is_exported_and_every_exported_one_is_documented(deploy: Deploy) -> None:
    """Names, types, labels and the values of labels are those of docs/metrics.md."""
    deployment = deploy()
    for partition in range(PARTITIONS):
        send(deployment.settings, InputTopic.ORDERS, CLOCK, partition=partition)
    worker = deployment.worker().start().wait_ready()
    deployment.wait_settled(worker)
    said = documented()
    # the clock of a partition is shown once it has one, after the commit that moved it
    clocks = "account_health_clock_timestamp_seconds"
    brokers = "account_health_connected_brokers"
    eventually(lambda: any(name == brokers for name, _ in worker.metrics()), "the client has told of its brokers")
    eventually(lambda: sum(name == clocks for name, _ in worker.metrics()) == PARTITIONS, "the clocks are shown")

    types, labels, values = exported(worker)

    assert types == said.types
    assert labels == said.labels
    allowed = said.values
    unknown = {(name, value) for name, value in values if (known := allowed[name]) is not None and value not in known}
    assert unknown == set()
    assert {name for name, _ in values} <= allowed.keys()


def test_a_worker_is_ready_when_its_partitions_are_open_and_not_before(deploy: Deploy) -> None:
    """Until then `/readyz` answers 503 with the reason, while `/healthz` says that there is nothing to restart."""
    deployment = deploy()
    worker = deployment.worker().start()
    answers: list[tuple[int, dict[str, object]]] = []

    def ready() -> bool:
        status, body = worker.ask("/readyz")
        if status:
            answers.append((status, json.loads(body)))
            assert worker.ask("/healthz") == (HTTPStatus.OK, '{"healthy": true, "problems": []}\n')
        return status == HTTPStatus.OK

    eventually(ready, "the worker is ready", timeout_s=READY_S, interval_s=0)

    *before, (_, last) = answers
    assert last == {"ready": True, "reasons": [], "assigned": list(range(PARTITIONS)), "restoring": []}
    assert before
    for status, body in before:
        assert status == HTTPStatus.SERVICE_UNAVAILABLE
        assert body["ready"] is False
        assert body["reasons"] in (["not_assigned"], ["restoring"])


def test_a_worker_writes_nothing_to_the_folder_that_it_runs_in(deploy: Deploy) -> None:
    """All that it keeps is in Kafka: it runs where nothing can be written."""
    worker = deploy().worker().start().wait_ready()

    assert worker.terminate() == 0
    assert list(worker.folder.iterdir()) == []
