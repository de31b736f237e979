"""Recording and alerting rules: valid, tested in both directions, documented, and about metrics that exist."""

import re
import subprocess
from typing import Any, Final

import pytest

from tests.deploy.files import read_yaml
from tests.deploy.processes import program
from tests.monitoring.files import RULE_FILES, RULE_TESTS, RUNBOOK, alerts, panels, recorded, rules
from tests.monitoring.metrics import OPEN_ENDED, SCRAPED, known
from tests.monitoring.promql import filled, grouping, queries_of, scaled_duration, selectors

_TIMEOUT_S: Final = 60
_SECTIONS: Final = ("Meaning", "Impact", "What to look at", "Repair")


def _cases(alert: str) -> list[dict[str, Any]]:
    """The cases of promtool's tests that are about an alert."""
    return [
        {**case, "about": asked}
        for path in RULE_TESTS
        for case in read_yaml(path)["tests"]
        for asked in case["alert_rule_test"]
        if asked["alertname"] == alert
    ]


def test_promtool_accepts_the_rules_and_their_tests_pass() -> None:
    """Prometheus' own tool runs the tests that are beside the rules."""
    promtool = program("promtool", "prometheus")
    for verb, files in (("check", RULE_FILES), ("test", RULE_TESTS)):
        argv = [promtool, verb, "rules", *map(str, files)]
        done = subprocess.run(argv, check=False, capture_output=True, text=True, timeout=_TIMEOUT_S)

        assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("name", alerts())
def test_an_alert_is_tested_in_both_directions(name: str) -> None:
    """One case in which it fires, with all its texts, and one in which it stays silent although it has data."""
    expected = [case["about"].get("exp_alerts") for case in _cases(name)]

    assert any(one for one in expected), "a case fires"
    assert any(one == [] for one in expected), "a case is silent"
    for case in _cases(name):
        assert case["input_series"]
        for alert in case["about"]["exp_alerts"]:
            assert alert["exp_annotations"].keys() == {"summary", "description", "runbook_url"}


@pytest.mark.parametrize("name", alerts())
def test_an_alert_says_what_it_means(name: str) -> None:
    """A severity, a line for the pager, a sentence on what follows, and the page of the runbook."""
    rule = alerts()[name]
    annotations = rule["annotations"]

    assert name.startswith("AccountHealth")
    assert rule["labels"]["severity"] in {"critical", "warning", "info"}
    assert annotations.keys() == {"summary", "description", "runbook_url"}
    assert annotations["summary"].endswith(".")
    assert annotations["description"].endswith(".")
    assert annotations["runbook_url"] == f"{{{{ $externalURL }}}}/user/runbook/{name}.md"


@pytest.mark.parametrize("name", alerts())
def test_an_alert_has_its_page_of_the_runbook(name: str) -> None:
    """The page says what the alert means, what follows from it, what to look at, and how to repair it."""
    text = (RUNBOOK / f"{name}.md").read_text(encoding="utf-8")
    title, *sections = re.split(r"^## ", text, flags=re.MULTILINE)
    named = {one.partition("\n")[0]: one.partition("\n")[2].strip() for one in sections}

    assert title.strip() == f"# {name}"
    assert tuple(named) == _SECTIONS
    assert all(len(section) > 40 for section in named.values())


def test_every_page_of_the_runbook_is_of_an_alert() -> None:
    """Nothing is left of an alert that is gone, and the index lists all, with their severity."""
    index = (RUNBOOK / "README.md").read_text(encoding="utf-8")
    listed = dict(re.findall(r"^\| \[(\w+)\]\(\1\.md\) \| (\w+) \|", index, re.MULTILINE))

    assert {path.stem for path in RUNBOOK.glob("*.md")} == {*alerts(), "README"}
    assert listed == {name: rule["labels"]["severity"] for name, rule in alerts().items()}


def _expressions() -> list[tuple[str, str]]:
    """Every expression that operators are given, and where."""
    found = [(str(rule.get("alert") or rule.get("record")), rule["expr"]) for rule in rules()]
    found += [(f"{one.dashboard}: {one.title}", filled(text)) for one in panels() for text in one.expressions]
    for path in sorted(RUNBOOK.glob("*.md")):
        found += [(path.name, text) for text in queries_of(path.read_text(encoding="utf-8"))]
    return found


@pytest.mark.parametrize(("where", "expression"), [pytest.param(*one, id=one[0]) for one in _expressions()])
def test_an_expression_is_about_metrics_that_exist(where: str, expression: str) -> None:
    """Metrics, labels, and values of labels are those of a worker, of a recording rule, or of the scrape."""
    series, records = known(), recorded()
    labels = {label for one in series.values() for label in one}
    for selector in selectors(expression):
        if selector.metric in records:
            # What is recorded has the labels that its name begins with.
            allowed = set(selector.metric.partition(":")[0].split("_"))
            values: dict[str, set[str]] = {}
        else:
            assert selector.metric in series, where
            allowed, values = set(series[selector.metric]), series[selector.metric]
        assert {one.label for one in selector.matchers} <= allowed | SCRAPED, where
        for label, value in selector.exact:
            assert label in OPEN_ENDED | SCRAPED or value in values.get(label, {value}), where
    assert grouping(expression) <= labels | SCRAPED | {"le"}, where


def test_what_is_recorded_is_used() -> None:
    """A recorded series that no alert, panel or page asks for is only a cost."""
    asked = {selector.metric for _, expression in _expressions() for selector in selectors(expression)}

    assert set(recorded()) - asked == set()


@pytest.mark.parametrize("name", recorded())
def test_what_is_recorded_is_named_by_its_labels(name: str) -> None:
    """level:metric:operation, the level being the labels that are left."""
    level, metric, operation = name.split(":")
    expression = recorded()[name]["expr"]

    assert metric.startswith("account_health_")
    assert operation
    assert grouping(expression) - {"le"} == set(level.split("_"))


def test_durations_can_be_divided() -> None:
    """Every `for` stays above a tenth of a second when it is divided for the tests of the alerts."""
    assert {scaled_duration(rule["for"]) for rule in alerts().values() if "for" in rule} <= {
        f"{seconds}s" for seconds in range(1, 61)
    }
