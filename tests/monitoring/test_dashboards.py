"""Dashboards: what is committed is what the code builds, Grafana can read it, and a person can."""

import json
import re
from typing import Any, Final

import pytest
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models import dashboard as models
from grafana_foundation_sdk.models import units

from deploy.dashboards.__main__ import DASHBOARDS, render
from deploy.dashboards.parts import RUNBOOK, TAG, WIDTH
from tests.deploy.files import DATASOURCE_FILE, ROOT, SERVICES, ports, read_yaml
from tests.monitoring.files import DASHBOARD_FILES, Panel, dashboards, panels

_PROVIDER: Final = ROOT / "deploy" / "grafana" / "provisioning" / "dashboards" / "account-health.yml"
_UNITS: Final = {value for name, value in vars(units).items() if isinstance(value, str) and not name.startswith("_")}
_VARIABLE: Final = re.compile(r"\$\{?(\w+)")
_BUILT_IN: Final = {"__rate_interval", "__interval", "__range"}
_DRAWN: Final = {"timeseries", "stat", "bargauge", "heatmap", "state-timeline", "table", "alertlist"}


def name_of(panel: Panel) -> str:
    """Name a panel's case."""
    return f"{panel.dashboard}: {panel.title}"


def test_the_committed_files_are_what_the_code_builds() -> None:
    """`make dashboards` would change nothing, and no file is left of a dashboard that is gone."""
    assert {path.stem: path.read_text(encoding="utf-8") for path in DASHBOARD_FILES} == {
        name: render(build()) for name, build in DASHBOARDS.items()
    }


@pytest.mark.parametrize("name", dashboards())
def test_grafanas_own_types_read_a_dashboard_whole(name: str) -> None:
    """Read by the models that Grafana publishes and written again, nothing is lost: each field is one of theirs."""
    body = dashboards()[name]
    again = json.loads(json.dumps(models.Dashboard.from_json(body), cls=JSONEncoder))

    assert again == body


@pytest.mark.parametrize("name", dashboards())
def test_a_dashboard_can_be_found_and_turned(name: str) -> None:
    """A name that stays, a tag that links it with the others, and variables for source, application and worker."""
    body = dashboards()[name]
    variables = {one["name"]: one for one in body["templating"]["list"]}

    assert body["uid"] == f"account-health-{name}"
    assert body["tags"] == [TAG]
    assert body["description"].endswith(".")
    assert body["editable"] is False
    assert variables.keys() == {"datasource", "job", "instance", "view", "api", "delivery", "runbook"}
    assert variables["datasource"]["type"] == "datasource"
    assert [link["title"] for link in body["links"]] == ["Account health", "Runbook"]
    assert body["links"][0]["tags"] == [TAG]
    assert [one["name"] for one in body["annotations"]["list"]] == ["Starts and policies"]


@pytest.mark.parametrize("name", dashboards())
def test_panels_do_not_overlap(name: str) -> None:
    """Each has a number of its own and cells of the grid that no other has; titles are unique."""
    taken: dict[tuple[int, int], str] = {}
    body = dashboards()[name]
    for panel in body["panels"]:
        place = panel["gridPos"]
        assert 0 <= place["x"] < place["x"] + place["w"] <= WIDTH
        for cell in ((x, y) for x in range(place["w"]) for y in range(place["h"])):
            at = place["x"] + cell[0], place["y"] + cell[1]
            assert at not in taken, f"{panel['title']} lies over {taken[at]}"
            taken[at] = panel["title"]

    assert len({panel["id"] for panel in body["panels"]}) == len(body["panels"])
    titles = [panel["title"] for panel in body["panels"] if panel["type"] != "row"]
    assert len(set(titles)) == len(titles)


@pytest.mark.parametrize("panel", panels(), ids=name_of)
def test_a_panel_explains_itself(panel: Panel) -> None:
    """A kind that Grafana brings with it, a sentence that says what is shown, a unit, and the variable data source."""
    body = panel.body
    defaults: dict[str, Any] = body.get("fieldConfig", {}).get("defaults", {})

    assert body["type"] in _DRAWN
    assert body["description"].endswith(".")
    assert body["description"] != panel.title
    assert body["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
    if body["type"] not in {"heatmap", "alertlist"}:
        assert defaults["unit"] in _UNITS
    if body["type"] in {"stat", "bargauge", "state-timeline", "table"}:
        assert defaults["thresholds"]["steps"][0]["value"] is None


@pytest.mark.parametrize("panel", [panel for panel in panels() if panel.expressions], ids=name_of)
def test_a_panels_queries_are_whole(panel: Panel) -> None:
    """Each has a letter of its own, a legend, the data source, and variables that the dashboard has."""
    targets = panel.body["targets"]
    known = {one["name"] for one in dashboards()[panel.dashboard]["templating"]["list"]} | _BUILT_IN

    assert len({one["refId"] for one in targets}) == len(targets)
    for target in targets:
        assert target["datasource"]["uid"] == "${datasource}"
        assert target["legendFormat"]
        assert set(_VARIABLE.findall(target["expr"])) <= known
        assert "or vector(" not in target["expr"]
        assert re.search(r'job=~"\$(job|view|api|delivery)"', target["expr"])


def test_grafana_is_given_the_dashboards() -> None:
    """Compose mounts them where the provider looks for them, and nobody can change them by hand."""
    (provider,) = read_yaml(_PROVIDER)["providers"]
    mounts = dict(volume.split(":")[:2] for volume in SERVICES["grafana"]["volumes"])

    assert mounts["./deploy/grafana/provisioning"] == "/etc/grafana/provisioning"
    assert mounts["./deploy/grafana/dashboards"] == provider["options"]["path"]
    assert provider["allowUiUpdates"] is False


def test_the_runbook_is_linked_where_compose_serves_it() -> None:
    """The variable's value is Prometheus' address in docker-compose.yml, and the folder that it serves there."""
    prometheus = SERVICES["prometheus"]
    (port,) = ports(prometheus)
    flags = dict(word.partition("=")[::2] for word in prometheus["command"])
    mounts = dict(volume.split(":")[:2] for volume in prometheus["volumes"])

    assert f"http://localhost:{port.host}/user/runbook" == RUNBOOK
    assert flags["--web.external-url"] == f"http://localhost:{port.host}"
    assert mounts["./docs/runbook"] == f"{flags['--web.user-assets']}/runbook"


def test_grafana_shows_the_alerts_of_prometheus() -> None:
    """The list of alerts is Prometheus' own: its data source says that Grafana may ask for them."""
    (source,) = read_yaml(DATASOURCE_FILE)["datasources"]

    assert source["jsonData"]["manageAlerts"] is True
