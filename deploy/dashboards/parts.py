"""What the dashboards have in common: variables, links, and panels that look alike."""

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from grafana_foundation_sdk.builders import (
    bargauge,
    common,
    dashboard,
    heatmap,
    prometheus,
    stat,
    statetimeline,
    table,
    timeseries,
)
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.models import common as common_models
from grafana_foundation_sdk.models import dashboard as models
from grafana_foundation_sdk.models import units
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

TAG: Final = "account-health"
WIDTH: Final = 24
"""Columns of Grafana's grid."""
PANEL_HEIGHT: Final = 8
STAT_HEIGHT: Final = 4
RUNBOOK: Final = "http://localhost:9090/user/runbook"
"""Where docker-compose.yml lets Prometheus serve the runbook; a variable of each dashboard."""

RATE: Final = "$__rate_interval"
"""Grafana's range for a rate: at least four scrapes."""
SHARE: Final = units.PercentUnit
SECONDS: Final = units.Seconds
BYTES: Final = units.BytesIEC
COUNT: Final = units.Short
"""Shown without decimals: an increase is drawn out to the ends of its range, and so no whole number."""

JOB: Final = 'job=~"$job"'
"""Selects the workers of the chosen applications."""
OF: Final = f'{JOB}, instance=~"$instance"'
"""Selects the chosen workers."""

GREEN: Final = "green"
YELLOW: Final = "#EAB839"
RED: Final = "red"

_SINKS: Final = (
    ("view", "View", "account_health_view_built"),
    ("api", "API", "account_health_api_live_clients"),
    ("delivery", "Delivery", "account_health_delivery_build_info"),
)
"""Variables for the processes beside the workers, and a metric that only they export."""

_STARTS: Final = (
    'process_start_time_seconds{job=~"$job", instance=~"$instance"} * 1000 '
    "* on (job, instance) group_left (revision, version) account_health_policy_info"
)
Panel = Builder[models.Panel]


class Query(NamedTuple):
    """What a panel asks, and how a series is called."""

    expr: str
    legend: str = ""


class Limits(NamedTuple):
    """From which values on a figure is a warning, and is bad; None where it never is."""

    warning: float | None = None
    bad: float | None = None

    def build(self, *, below: bool = False) -> dashboard.ThresholdsConfig:
        """Make Grafana's thresholds; `below`: the figure is bad below the limit, not above it."""
        steps = [models.Threshold(value=None, color=RED if below else GREEN)]
        if below:
            steps.append(models.Threshold(value=self.bad, color=GREEN))
        else:
            steps += [
                models.Threshold(value=value, color=color)
                for value, color in ((self.warning, YELLOW), (self.bad, RED))
                if value is not None
            ]
        return dashboard.ThresholdsConfig().mode(models.ThresholdsMode.ABSOLUTE).steps(steps)


LAG_LIMITS: Final = Limits(60, 300)
LATENCY_LIMITS: Final = Limits(None, 1)


def quantile(share: float, metric: str, selector: str, by: str = "", window: str = RATE) -> str:
    """Ask for a quantile of a histogram."""
    labels = f"{by}, le" if by else "le"
    return f"histogram_quantile({share}, sum by ({labels}) (rate({metric}_bucket{{{selector}}}[{window}])))"


def source() -> common_models.DataSourceRef:
    """Name the data source, which is a variable."""
    return common_models.DataSourceRef(type_val="prometheus", uid="${datasource}")


def graph(
    title: str,
    description: str,
    unit: str,
    *queries: Query,
    limits: Limits | None = None,
    stacked: bool = False,
    bars: bool = False,
    span: int = WIDTH // 3,
    interval: str | None = None,
) -> Panel:
    """Make a graph over time; limits are drawn as lines."""
    panel = (
        timeseries.Panel()
        .title(title)
        .description(description)
        .datasource(source())
        .unit(unit)
        .min(0)
        .span(span)
        .height(PANEL_HEIGHT)
        .line_width(1)
        .fill_opacity(30 if stacked else 10)
        .show_points(common_models.VisibilityMode.NEVER)
        .span_nulls(False)
        .legend(
            common.VizLegendOptions()
            .show_legend(True)
            .display_mode(common_models.LegendDisplayMode.LIST)
            .placement(common_models.LegendPlacement.BOTTOM)
        )
        .tooltip(
            common.VizTooltipOptions()
            .mode(common_models.TooltipDisplayMode.MULTI)
            .sort(common_models.SortOrder.DESCENDING)
        )
        .targets(_targets(queries))
    )
    if stacked:
        panel.stacking(common.StackingConfig().mode(common_models.StackingMode.NORMAL))
    if bars:
        panel.draw_style(common_models.GraphDrawStyle.BARS).fill_opacity(80)
    if interval is not None:
        panel.interval(interval)
    if limits is not None:
        panel.thresholds(limits.build()).thresholds_style(
            common.GraphThresholdsStyleConfig().mode(common_models.GraphThresholdsStyleMode.DASHED)
        )
    return panel


def figure(
    title: str,
    description: str,
    unit: str,
    query: Query,
    *,
    limits: Limits | None = None,
    below: bool = False,
    span: int = WIDTH // 6,
    text: common_models.BigValueTextMode = common_models.BigValueTextMode.AUTO,
) -> Panel:
    """Make one large number; with limits it is coloured by them, with `below` it is bad under the limit."""
    panel = (
        stat.Panel()
        .title(title)
        .description(description)
        .datasource(source())
        .unit(unit)
        .span(span)
        .height(STAT_HEIGHT)
        .text_mode(text)
        .reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]).values(False))
        .graph_mode(common_models.BigValueGraphMode.NONE)
        .color_mode(common_models.BigValueColorMode.VALUE)
        .thresholds((limits or Limits()).build(below=below))
        .targets(_targets([query], instant=True))
    )
    return panel.decimals(0) if unit == COUNT else panel


def bars(title: str, description: str, unit: str, *queries: Query, span: int = WIDTH // 3) -> Panel:
    """Make a bar for each series, of its present value."""
    panel = (
        bargauge.Panel()
        .title(title)
        .description(description)
        .datasource(source())
        .unit(unit)
        .min(0)
        .span(span)
        .height(PANEL_HEIGHT)
        .orientation(common_models.VizOrientation.HORIZONTAL)
        .display_mode(common_models.BarGaugeDisplayMode.BASIC)
        .value_mode(common_models.BarGaugeValueMode.COLOR)
        .reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]).values(False))
        .color_scheme(dashboard.FieldColor().mode(models.FieldColorModeId.PALETTE_CLASSIC))
        .thresholds(Limits().build())
        .targets(_targets(queries, instant=True))
    )
    return panel.decimals(0) if unit == COUNT else panel


def heat(title: str, description: str, unit: str, query: Query, *, span: int = WIDTH // 3) -> Panel:
    """Make a heat map of a histogram's buckets."""
    return (
        heatmap.Panel()
        .title(title)
        .description(description)
        .datasource(source())
        .span(span)
        .height(PANEL_HEIGHT)
        .calculate(False)
        .y_axis(heatmap.YAxisConfig().unit(unit))
        .targets([_target(query, "A").format(PromQueryFormat.HEATMAP)])
    )


def states(title: str, description: str, names: dict[int, tuple[str, str]], *queries: Query, span: int) -> Panel:
    """Make a line of states over time; `names` says what a value is called, and its colour."""
    options = {
        str(value): models.ValueMappingResult(text=text, color=color, index=index)
        for index, (value, (text, color)) in enumerate(names.items())
    }
    return (
        statetimeline.Panel()
        .title(title)
        .description(description)
        .datasource(source())
        .unit(units.NoUnit)
        .span(span)
        .height(PANEL_HEIGHT)
        .mappings([models.ValueMap(options=options)])
        .show_value(common_models.VisibilityMode.NEVER)
        .thresholds(Limits().build())
        .targets(_targets(queries))
    )


def listing(title: str, description: str, query: Query, hidden: Sequence[str], *, span: int) -> Panel:
    """Make a table of the labels of all series."""
    excluded: dict[str, object] = dict.fromkeys(("Time", "Value", "__name__", *hidden), True)
    return (
        table.Panel()
        .title(title)
        .description(description)
        .datasource(source())
        .unit(units.NoUnit)
        .span(span)
        .height(PANEL_HEIGHT)
        .thresholds(Limits().build())
        .transformations(
            [models.DataTransformerConfig(id_val="organize", options={"excludeByName": excluded})],
        )
        .targets([_target(query, "A").instant().format(PromQueryFormat.TABLE)])
    )


def alerts(span: int, height: int = PANEL_HEIGHT) -> Panel:
    """List the alerts that fire; each links to its page of the runbook."""
    options: dict[str, Any] = {
        "viewMode": "list",
        "groupMode": "default",
        "alertName": "AccountHealth",
        "datasource": "${datasource}",
        "maxItems": 20,
        "sortOrder": 3,
        "stateFilter": {"firing": True, "pending": True, "noData": False, "normal": False, "error": True},
    }
    return (
        dashboard.Panel()
        .type("alertlist")
        .title("Alerts")
        .description("Alerts that fire or are about to. Each has a page in the runbook, to which it links.")
        .datasource(source())
        .span(span)
        .height(height)
        .options(options)
    )


def page(uid: str, title: str, description: str, since: str, *, one_instance: bool = False) -> dashboard.Dashboard:
    """Begin a dashboard: variables for data source, application and worker, links to the others and to the runbook."""
    instance = _labels("instance", "Worker", 'account_health_assigned_partitions{job=~"$job"}, instance')
    if not one_instance:
        instance.multi(True).include_all(True).all_value(".*").current(_everything())
    links = (
        dashboard.DashboardLink("Account health")
        .type(models.DashboardLinkType.DASHBOARDS)
        .tags([TAG])
        .keep_time(True)
        .include_vars(True),
        dashboard.DashboardLink("Runbook")
        .type(models.DashboardLinkType.LINK)
        .url("${runbook}/README.md")
        .tooltip("What each alert means, and how to repair it.")
        .target_blank(True),
    )
    return (
        dashboard.Dashboard(title)
        .uid(uid)
        .description(description)
        .tags([TAG])
        .readonly()
        .refresh("30s")
        .time(since, "now")
        .timezone(common_models.TimeZoneBrowser)
        .tooltip(models.DashboardCursorSync.CROSSHAIR)
        .variables(
            [
                dashboard.DatasourceVariable("datasource").label("Data source").type("prometheus"),
                _jobs("job", "Application", "account_health_assigned_partitions"),
                instance,
                *(_jobs(name, label, metric) for name, label, metric in _SINKS),
                dashboard.ConstantVariable("runbook").label("Runbook").value(RUNBOOK),
            ]
        )
        .annotation(_starts())
        .links(list(links))
    )


def _jobs(name: str, label: str, metric: str) -> dashboard.QueryVariable:
    """Choose among the jobs that export a metric; all of them at first."""
    return _labels(name, label, f"{metric}, job").multi(True).include_all(True).all_value(".*").current(_everything())


def _everything() -> models.VariableOption:
    return models.VariableOption(selected=True, text=["All"], value=["$__all"])


def _labels(name: str, label: str, what: str) -> dashboard.QueryVariable:
    return (
        dashboard.QueryVariable(name)
        .label(label)
        .datasource(source())
        .query(f"label_values({what})")
        .refresh(models.VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(models.VariableSort.ALPHABETICAL_ASC)
    )


def _starts() -> dashboard.AnnotationQuery:
    """Mark when workers were started, and with which policy: what moves then may be its doing."""
    return (
        dashboard.AnnotationQuery()
        .name("Starts and policies")
        .datasource(source())
        .enable(True)
        .icon_color("purple")
        .target(_target(Query(_STARTS), "starts"))
        .title_format("{{instance}} started")
        .text_format("policy {{version}}, revision {{revision}}")
        .use_value_for_time(True)
    )


def _targets(queries: Sequence[Query], *, instant: bool = False) -> list[Builder[Any]]:
    found: list[Builder[Any]] = []
    for number, query in enumerate(queries):
        target = _target(query, chr(ord("A") + number))
        found.append(target.instant() if instant else target.range())
    return found


def _target(query: Query, ref: str) -> prometheus.Dataquery:
    # A legend that is left out is the names and values of all labels.
    return (
        prometheus.Dataquery().expr(query.expr).legend_format(query.legend or "__auto").ref_id(ref).datasource(source())
    )
