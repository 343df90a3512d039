"""The few kinds of panels that the dashboards are made of, all from one data source that the viewer chooses."""

from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from grafana_foundation_sdk.builders import bargauge, common, dashboard, prometheus, stat, table, timeseries
from grafana_foundation_sdk.models.common import (
    BigValueColorMode,
    BigValueGraphMode,
    DataSourceRef,
    GraphThresholdsStyleMode,
    LegendDisplayMode,
    LegendPlacement,
    StackingMode,
    TooltipDisplayMode,
    VizOrientation,
)
from grafana_foundation_sdk.models.dashboard import (
    DashboardLinkType,
    DataTransformerConfig,
    FieldColorModeId,
    Threshold,
    ThresholdsMode,
    VariableOption,
    VariableRefresh,
    VariableSort,
)
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

from monitoring.alert import runbook_url

SOURCE: Final = DataSourceRef(type_val="prometheus", uid="${datasource}")
TAG: Final = "mediabucket"
WIDTH: Final = 24
GREEN, YELLOW, RED = "green", "orange", "red"
Panel: TypeAlias = stat.Panel | timeseries.Panel | bargauge.Panel | table.Panel


@dataclass(frozen=True)
class Query:
    """PromQL, and what its series are called: a text with {{label}}."""

    expression: str
    legend: str = ""


@dataclass(frozen=True)
class Limits:
    """From where on a value is worth a look, and from where on it is wrong."""

    warning: float
    wrong: float
    bad: Literal["high", "low"] = "high"

    def steps(self) -> list[Threshold]:
        """Grafana's steps begin without a value, which is minus infinity."""
        if self.bad == "high":
            return [Threshold(None, GREEN), Threshold(self.warning, YELLOW), Threshold(self.wrong, RED)]
        return [Threshold(None, RED), Threshold(self.wrong, YELLOW), Threshold(self.warning, GREEN)]


def number(
    title: str, about: str, query: Query, *, unit: str, limits: Limits, runbook: str = "", width: int = 4
) -> Panel:
    """One number, large, in the colour of its limits."""
    panel = (
        stat.Panel()
        .title(title)
        .description(about)
        .datasource(SOURCE)
        .with_target(_target(query))
        .unit(unit)
        .thresholds(_thresholds(limits))
        .color_mode(BigValueColorMode.BACKGROUND)
        .graph_mode(BigValueGraphMode.AREA)
        .reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]))
        .no_value("no data")
        .span(width)
        .height(5)
    )
    return panel.links([_link(f"Runbook: {runbook}", runbook_url(runbook))]) if runbook else panel


def lines(
    title: str,
    about: str,
    *queries: Query,
    unit: str,
    limits: Limits | None = None,
    runbook: str = "",
    width: int = 8,
    stacked: bool = False,
) -> Panel:
    """Values over time; limits are drawn as dashed lines."""
    panel = (
        timeseries.Panel()
        .title(title)
        .description(about)
        .datasource(SOURCE)
        .targets([_target(query, chr(ord("A") + place)) for place, query in enumerate(queries)])
        .unit(unit)
        .min(0)
        .line_width(1)
        .fill_opacity(25 if stacked else 8)
        .legend(
            common.VizLegendOptions()
            .display_mode(LegendDisplayMode.LIST)
            .placement(LegendPlacement.BOTTOM)
            .show_legend(True)
        )
        .tooltip(common.VizTooltipOptions().mode(TooltipDisplayMode.MULTI))
        .span(width)
        .height(8)
    )
    if stacked:
        panel.stacking(common.StackingConfig().mode(StackingMode.NORMAL).group("A"))
    if limits:
        panel.thresholds(_thresholds(limits)).thresholds_style(_dashed())
    return panel.links([_link(f"Runbook: {runbook}", runbook_url(runbook))]) if runbook else panel


def bars(title: str, about: str, *queries: Query, unit: str, width: int = 8) -> Panel:
    """One bar for each query, over the time that is looked at."""
    return (
        bargauge.Panel()
        .title(title)
        .description(about)
        .datasource(SOURCE)
        .targets([_target(query, chr(ord("A") + place), instant=True) for place, query in enumerate(queries)])
        .unit(unit)
        .min(0)
        .decimals(0)
        .orientation(VizOrientation.HORIZONTAL)
        .thresholds(dashboard.ThresholdsConfig().mode(ThresholdsMode.ABSOLUTE).steps([Threshold(None, "blue")]))
        .color_scheme(dashboard.FieldColor().mode(FieldColorModeId.THRESHOLDS))
        .reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]))
        .span(width)
        .height(8)
    )


def rows_of(title: str, about: str, query: Query, *columns: str, runbook: str = "", width: int = 12) -> Panel:
    """A table of the series that there are now; `columns` are the labels that are shown."""
    order: dict[str, object] = {name: place for place, name in enumerate(columns)}
    kept = {"include": {"names": list(columns)}}
    panel = (
        table.Panel()
        .title(title)
        .description(about)
        .datasource(SOURCE)
        .with_target(_target(query, instant=True).format(PromQueryFormat.TABLE))
        .with_transformation(DataTransformerConfig(id_val="filterFieldsByName", options=kept))
        .with_transformation(DataTransformerConfig(id_val="organize", options={"indexByName": order}))
        .no_value("none")
        .span(width)
        .height(8)
    )
    return panel.links([_link(f"Runbook: {runbook}", runbook_url(runbook))]) if runbook else panel


def board(uid: str, title: str, about: str, variables: list[dashboard.QueryVariable]) -> dashboard.Dashboard:
    """An empty dashboard with its variables, the data source first, and the way to the others and to the runbooks."""
    builder = (
        dashboard.Dashboard(title)
        .uid(uid)
        .description(about)
        .tags([TAG])
        .timezone("browser")
        .refresh("30s")
        .time("now-1h", "now")
        .readonly()
        .with_variable(dashboard.DatasourceVariable("datasource").label("Data source").type("prometheus"))
        .link(
            dashboard.DashboardLink("MediaBucket")
            .type(DashboardLinkType.DASHBOARDS)
            .tags([TAG])
            .include_vars(True)
            .keep_time(True)
        )
        .link(_link("Runbooks", runbook_url("README")))
    )
    for variable in variables:
        builder.with_variable(variable)
    return builder


def variable(name: str, label: str, query: str) -> dashboard.QueryVariable:
    """Values of a label, several at once or all of them."""
    return (
        dashboard.QueryVariable(name)
        .label(label)
        .datasource(SOURCE)
        .query(query)
        .refresh(VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(VariableSort.ALPHABETICAL_ASC)
        .multi(True)
        .include_all(True)
        # Not every series has the label.
        .all_value(".*")
        .current(VariableOption(selected=True, text="All", value="$__all"))
    )


def _target(query: Query, reference: str = "A", *, instant: bool = False) -> prometheus.Dataquery:
    target = prometheus.Dataquery().expr(query.expression).legend_format(query.legend).ref_id(reference)
    return target.instant() if instant else target.range()


def _thresholds(limits: Limits) -> dashboard.ThresholdsConfig:
    return dashboard.ThresholdsConfig().mode(ThresholdsMode.ABSOLUTE).steps(limits.steps())


def _dashed() -> common.GraphThresholdsStyleConfig:
    return common.GraphThresholdsStyleConfig().mode(GraphThresholdsStyleMode.DASHED)


def _link(title: str, url: str) -> dashboard.DashboardLink:
    return dashboard.DashboardLink(title).type(DashboardLinkType.LINK).url(url).target_blank(True)
