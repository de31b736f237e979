"""The probes' server, asked over HTTP as Kubernetes and Prometheus ask it."""

import http.client
import json
import socket
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from stream import probes
from stream.health import Health, Progress
from stream.probes import ProbeServer
from stream.telemetry import Metrics

TIMEOUT_S = 10


@pytest.fixture
def health() -> Health:
    """The health of a worker whose partitions may not stand still at all."""
    return Health(stuck_deadline_seconds=-1)


@pytest.fixture
def server(health: Health) -> Iterator[ProbeServer]:
    """A started server on a free port."""
    with ProbeServer("127.0.0.1", 0, health, Metrics().registry) as started:
        yield started


def _request(server: ProbeServer, path: str, method: str = "GET") -> tuple[int, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=TIMEOUT_S)
    try:
        connection.request(method, path)
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def _json(server: ProbeServer, path: str) -> tuple[int, Any]:
    status, body = _request(server, path)
    return status, json.loads(body)


def test_readiness_tells_its_reasons(server: ProbeServer, health: Health) -> None:
    """Not ready is 503 with reasons that a program can read; ready is 200."""
    before = _json(server, "/readyz")
    health.set_assigned([0])

    assert before == (
        503,
        {"ready": False, "reasons": ["not_assigned"], "assigned": [], "restoring": []},
    )
    assert _json(server, "/readyz") == (
        200,
        {"ready": True, "reasons": [], "assigned": [0], "restoring": []},
    )


def test_health_fails_while_a_partition_is_stuck(server: ProbeServer, health: Health) -> None:
    """A stuck partition is 503 and named; a worker that waits for records is well."""
    well = _json(server, "/healthz")
    health.report({("orders", 2): Progress(5, 9)})
    status, body = _json(server, "/healthz")

    assert well == (200, {"healthy": True, "problems": []})
    assert status == 503
    stuck = next(one for one in body["problems"] if one["reason"] == "stuck")
    assert (stuck["topic"], stuck["partition"], stuck["position"], stuck["end"]) == ("orders", 2, 5, 9)


def test_metrics_are_served(server: ProbeServer) -> None:
    """The registry's metrics come as text that Prometheus takes."""
    status, body = _request(server, "/metrics")

    assert status == 200
    assert b"\naccount_health_clock_ticks_total 0.0\n" in body


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("HEAD", "/healthz", 200),
        ("GET", "/healthz?verbose=1", 200),
        ("GET", "/", 404),
        ("GET", "/../pyproject.toml", 404),
        ("GET", "/healthz/x", 404),
        ("POST", "/healthz", 501),
    ],
)
def test_nothing_else_is_served(server: ProbeServer, method: str, path: str, status: int) -> None:
    """There are three pages, no folders, and nothing to post."""
    assert _request(server, path, method)[0] == status


def test_a_connection_that_sends_nothing_is_cut(server: ProbeServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """A client that keeps its connection open without asking loses it after the deadline."""
    monkeypatch.setattr(probes, "REQUEST_SECONDS_MAX", 0.1)
    with socket.create_connection(("127.0.0.1", server.port), TIMEOUT_S) as idle:
        idle.sendall(b"GET /healthz HTTP/1.1\r\n")

        assert idle.recv(1) == b""


def test_more_connections_than_allowed_are_closed(server: ProbeServer) -> None:
    """Whoever opens connections without end cannot take up more than their number of threads."""
    idle = [socket.create_connection(("127.0.0.1", server.port), TIMEOUT_S) for _ in range(probes.REQUESTS_MAX)]
    try:
        with socket.create_connection(("127.0.0.1", server.port), TIMEOUT_S) as further:
            assert further.recv(1) == b""
    finally:
        for one in idle:
            one.close()


def test_stopping_closes_the_port_and_ends_the_thread(health: Health) -> None:
    """After stop, nobody listens and no thread is left; stopping again is harmless."""
    server = ProbeServer("127.0.0.1", 0, health, Metrics().registry)
    server.start()
    port = server.port
    server.stop()
    server.stop()

    assert not [thread for thread in threading.enumerate() if thread.name == "probes"]
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port), TIMEOUT_S)
