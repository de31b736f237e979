"""Every alert fires when what it is about really happens.

Durations of the rules are divided by `promql.FACTOR`: a minute becomes a second. Limits that are no durations, and
those of latencies, stay as they are.
"""

import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Final, NamedTuple

import pytest

from tests.deploy.files import ROOT
from tests.monitoring.faults import Stage
from tests.monitoring.files import alerts, write_scaled
from tests.monitoring.watching import Alert, Watch
from tests.support.broker import KafkaBroker
from tests.support.prometheus import Prometheus, from_file, prometheus
from tests.support.redis import require_redis_server

_SCRAPE_INTERVAL: Final = "500ms"
_REQUEST_TIMEOUT_S: Final = 10


class Seen(NamedTuple):
    """What was seen while everything went wrong."""

    fired: dict[str, Alert]
    """Each alert as it was when it was first seen to fire."""
    server: Prometheus
    """Who said so."""


@pytest.fixture(scope="module")
def seen(kafka_tools: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Seen]:
    """Let everything go wrong that an alert is about."""
    del kafka_tools
    require_redis_server()
    folder = tmp_path_factory.mktemp("faults")
    config = from_file(_SCRAPE_INTERVAL, write_scaled(folder / "rules"))
    with (
        KafkaBroker(folder / "kafka") as broker,
        prometheus(folder / "prometheus", config, f"--web.user-assets={ROOT / 'docs'}") as server,
        Watch(server) as watch,
    ):
        stage = Stage(broker, watch, folder)
        try:
            stage.run()
            yield Seen(watch.fired, server)
        finally:
            stage.close()


@pytest.mark.parametrize("name", alerts())
def test_an_alert_fires_when_its_condition_holds(name: str, seen: Seen) -> None:
    """Caused on real workers, a real broker and a real Prometheus; its texts are filled in, and its page is served."""
    assert name in seen.fired
    annotations = seen.fired[name]["annotations"]
    for text in annotations.values():
        assert "{{" not in text
        assert "<" not in text, "a value or a template that failed"
    assert annotations["runbook_url"].startswith(("http://", "https://"))
    url = f"{seen.server.url}/user/{annotations['runbook_url'].partition('/user/')[2]}"
    with urllib.request.urlopen(url, timeout=_REQUEST_TIMEOUT_S) as page:  # noqa: S310  # our own server
        assert page.read().decode().startswith(f"# {name}\n")


def test_a_page_of_the_runbook_that_is_not_there_is_not_served(seen: Seen) -> None:
    """Otherwise the pages of the alerts would prove nothing."""
    url = f"{seen.server.url}/user/runbook/Nothing.md"
    with pytest.raises(urllib.error.HTTPError, match="404"):
        urllib.request.urlopen(url, timeout=_REQUEST_TIMEOUT_S)  # noqa: S310  # our own server
