"""Expressions of PromQL: what they select, and the same ones in another form."""

import re
from typing import Final, NamedTuple

import promql_parser as promql

FACTOR: Final = 60
"""Durations of the alerts are divided by this where their conditions are caused for real: a minute becomes a second."""

_RANGE: Final = re.compile(r"\[(?P<duration>[^]]+)\]")
_MINUTES: Final = re.compile(r"(?P<minutes>\d+) \* 60\b")
_COMPARISON: Final = re.compile(r" (==|!=|<=|>=|<|>) ")
_BLOCK: Final = re.compile(r"^```promql\n(?P<query>.*?)^```", re.DOTALL | re.MULTILINE)
_VARIABLE: Final = re.compile(r"\$(?P<name>\w+)")
_ABSENT: Final = re.compile(r"absent\((?P<inner>.*)\)")


class Condition(NamedTuple):
    """What a selector asks of one label."""

    label: str
    value: str
    exact: bool
    """Whether the label has to be equal to the value, and does not only match or differ."""


class Selector(NamedTuple):
    """One selector of time series."""

    metric: str
    matchers: frozenset[Condition]

    @property
    def exact(self) -> set[tuple[str, str]]:
        """Labels that have to have one value."""
        return {(one.label, one.value) for one in self.matchers if one.exact}


def selectors(expression: str) -> set[Selector]:
    """Return what an expression reads.

    >>> [found] = selectors('rate(events_total{topic="orders"}[5m])')
    >>> found.metric, found.exact
    ('events_total', {('topic', 'orders')})
    """
    found: set[Selector] = set()

    def visit(node: promql.Expr) -> None:
        if isinstance(node, promql.VectorSelector):
            assert node.name is not None, f"a selector without a name: {expression}"
            matchers = (
                Condition(one.name, one.value, one.op == promql.MatchOp.Equal) for one in node.matchers.matchers
            )
            found.add(Selector(node.name, frozenset(matchers)))

    promql.walk(promql.parse(expression), visit)
    return found


def grouping(expression: str) -> set[str]:
    """Return the labels that an expression groups or matches by.

    >>> sorted(grouping("sum by (job) (a) / on (job, le) group_left (tier) b"))
    ['job', 'le', 'tier']
    """
    found: set[str] = set()

    def visit(node: promql.Expr) -> None:
        match node:
            case promql.AggregateExpr(modifier=modifier) if modifier is not None:
                found.update(modifier.labels)
            case promql.BinaryExpr(modifier=modifier) if modifier is not None:
                found.update([] if modifier.matching is None else modifier.matching.labels)
                found.update(modifier.group_labels or [])

    promql.walk(promql.parse(expression), visit)
    return found


def queries_of(page: str) -> list[str]:
    r"""Return the expressions that a page of the documentation shows in blocks of their own.

    >>> queries_of("text ```not``` \n```promql\nup\n```\n")
    ['up']
    """
    return [found["query"].strip() for found in _BLOCK.finditer(page)]


def filled(expression: str, *, job: str = ".*", instance: str = ".*", interval: str = "1m") -> str:
    """Put in what Grafana puts in for the variables of a dashboard.

    >>> filled('rate(a{job=~"$job"}[$__rate_interval])', job="worker")
    'rate(a{job=~"worker"}[1m])'
    """
    values = {
        "__rate_interval": interval,
        "__interval": interval,
        "job": job,
        "instance": instance,
        "view": "view.*",
        "api": "serve.*",
        "delivery": "delivery.*",
    }
    return _VARIABLE.sub(lambda found: values[found["name"]], expression)


def answering(expression: str) -> str:
    """Change an alert's expression so that it answers also while the alert is silent: comparisons give 0 or 1.

    >>> answering("absent(up == 1)")
    'up == bool 1'
    >>> answering("a > 5 * 60 and on (job) b == 1")
    'a > bool 5 * 60 and on (job) b == bool 1'
    """
    return _COMPARISON.sub(r" \1 bool ", _ABSENT.sub(r"\g<inner>", expression))


def scaled_duration(text: str) -> str:
    """Divide a duration by the factor.

    >>> scaled_duration("10m"), scaled_duration("1h"), scaled_duration("30s")
    ('10s', '1m', '500ms')
    """
    return promql.display_duration(promql.parse_duration(text) / FACTOR)


def scaled(expression: str) -> str:
    """Divide every duration of an expression by the factor: ranges, and times that are written in minutes.

    >>> scaled("max(a) > 5 * 60 and increase(b[10m]) > 0.5")
    'max(a) > 5 and increase(b[10s]) > 0.5'
    """
    shorter = _RANGE.sub(lambda found: f"[{scaled_duration(found['duration'])}]", expression)
    return _MINUTES.sub(lambda found: f"{int(found['minutes']) * 60 / FACTOR:g}", shorter)
