"""The files that operators are given, as data."""

import json
from pathlib import Path
from typing import Any, Final, NamedTuple

import yaml

from tests.deploy.files import ROOT, read_yaml
from tests.monitoring.promql import scaled, scaled_duration

RULE_FILES: Final = sorted((ROOT / "deploy" / "prometheus" / "rules").glob("*.yml"))
RULE_TESTS: Final = sorted((ROOT / "deploy" / "prometheus" / "tests").glob("*.yml"))
DASHBOARD_FILES: Final = sorted((ROOT / "deploy" / "grafana" / "dashboards").glob("*.json"))
RUNBOOK: Final = ROOT / "docs" / "runbook"

Rule = dict[str, Any]


def rules() -> list[Rule]:
    """Return every rule of every file."""
    return [rule for path in RULE_FILES for group in read_yaml(path)["groups"] for rule in group["rules"]]


def alerts() -> dict[str, Rule]:
    """Return the alerts by name."""
    found = [rule for rule in rules() if "alert" in rule]
    assert len({rule["alert"] for rule in found}) == len(found), "an alert is there twice"
    return {rule["alert"]: rule for rule in found}


def recorded() -> dict[str, Rule]:
    """Return the recording rules by the name of what they record."""
    return {rule["record"]: rule for rule in rules() if "record" in rule}


def write_scaled(folder: Path) -> list[Path]:
    """Write the rules with every duration divided by the factor; return their files."""
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for path in RULE_FILES:
        content = read_yaml(path)
        for group in content["groups"]:
            for rule in group["rules"]:
                rule["expr"] = scaled(rule["expr"])
                if "for" in rule:
                    rule["for"] = scaled_duration(rule["for"])
        target = folder / path.name
        target.write_text(yaml.safe_dump(content), encoding="utf-8")
        written.append(target)
    return written


class Panel(NamedTuple):
    """A panel of a dashboard."""

    dashboard: str
    title: str
    body: dict[str, Any]

    @property
    def expressions(self) -> list[str]:
        """Its queries."""
        return [target["expr"] for target in self.body.get("targets", [])]


def dashboards() -> dict[str, dict[str, Any]]:
    """Return the dashboards by their file's name."""
    return {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in DASHBOARD_FILES}


def panels() -> list[Panel]:
    """Return every panel of every dashboard; rows are none."""
    found = [Panel(name, one["title"], one) for name, board in dashboards().items() for one in board["panels"]]
    assert all(not one.body.get("panels") for one in found), "rows are open, so that their panels stand beside them"
    return [one for one in found if one.body["type"] != "row"]
