"""Views of MLflow's table of results: columns and charts that answer "which is better?".

MLflow (3.17) keeps a view as a tag of the experiment and opens it by its key in the address. Its
page adds facets to that address, with which the view is no longer applied: links are the short
addresses made here.
"""

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mlflow import MlflowClient

TAG = "mlflow.sharedViewState."
BEST, LATEST = "best", "latest"
WIDTHS = {"attributes.`Run Name`": 260, "runDateAndNestInfo": 120, "duration": 80}


def address(experiment_id: str, view: str = BEST, *, charts: bool = False) -> str:
    """The part of a page's address that comes after the server's: the table under a view."""
    mode = "&compareRunsMode=CHART" * charts
    query = f"workflowType=machine_learning&viewStateShareKey={view}{mode}"
    return f"#/experiments/{experiment_id}/runs?{query}"


def run_address(experiment_id: str, run_id: str) -> str:
    """The same for one run's page."""
    return f"#/experiments/{experiment_id}/runs/{run_id}?workflowType=machine_learning"


def save_views(
    client: "MlflowClient",
    experiment_id: str,
    *,
    metrics: Sequence[str],
    params: Sequence[str],
    curves: Sequence[str],
) -> None:
    """Writes the views of an experiment, and links to them into its description.

    Args:
        client: Of the store.
        experiment_id: The experiment.
        metrics: Columns, the one to sort by first.
        params: Columns after these.
        curves: Metrics with an epoch on the x axis, charted after the bars.
    """
    columns = [*(f"metrics.`{name}`" for name in metrics), *(f"params.`{name}`" for name in params)]
    best = _state(columns, metrics, curves, order=columns[0])
    latest = _state(columns, metrics, curves, order="attributes.start_time")
    for age, (key, title, state) in enumerate(
        ((LATEST, "Latest first", latest), (BEST, "Best first", best))
    ):
        value = {"name": title, "createdAt": age, "state": json.dumps(state)}
        client.set_experiment_tag(experiment_id, f"{TAG}{key}", json.dumps(value))
    links = " · ".join(
        f"[{title}]({place})"
        for title, place in (
            ("Best first", address(experiment_id)),
            ("Charts", address(experiment_id, charts=True)),
            ("Latest first", address(experiment_id, LATEST)),
        )
    )
    note = f"One run per result of the pipeline. {links}"
    client.set_experiment_tag(experiment_id, "mlflow.note.content", note)


def _state(
    columns: Sequence[str], metrics: Sequence[str], curves: Sequence[str], *, order: str
) -> dict[str, Any]:
    """The state of MLflow's page: what its own "share" button would store."""
    groups = list(dict.fromkeys(name.rpartition("/")[0] for name in (*metrics, *curves)))
    others = ["attributes.`Models`", "attributes.`Dataset`"]
    return {
        "selectedColumns": [*columns, *others],
        "columnOrder": [
            "attributes.`Run Name`",
            "runDateAndNestInfo",
            *columns,
            "duration",
            *others,
        ],
        "columnWidths": WIDTHS | dict.fromkeys(columns, 105) | dict.fromkeys(others, 180),
        "orderByKey": order,
        "orderByAsc": False,
        "searchFilter": "",
        "startTime": "ALL",
        "lifecycleFilter": "Active",
        "modelVersionFilter": "All Runs",
        "datasetsFilter": [],
        "runsHiddenMode": "FIRST_20_RUNS",
        "hideEmptyCharts": True,
        "isAccordionReordered": True,
        "compareRunSections": [
            {
                "uuid": f"section-{group}",
                "name": group,
                "display": True,
                "isReordered": True,
                "deleted": False,
                "isGenerated": False,
            }
            for group in groups
        ],
        "compareRunCharts": [
            *(_chart(name, "BAR") for name in metrics),
            *(_chart(name, "LINE") for name in curves),
        ],
    }


def _chart(metric: str, kind: str) -> dict[str, Any]:
    chart = {
        "uuid": f"chart-{metric}",
        "type": kind,
        "metricKey": metric,
        "metricSectionId": f"section-{metric.rpartition('/')[0]}",
        "deleted": False,
        "isGenerated": True,
        "runsCountToCompare": 10,
    }
    if kind == "LINE":
        chart |= {
            "xAxisKey": "step",
            "useGlobalXaxisKey": True,
            "useGlobalLineSmoothing": True,
            "lineSmoothness": 0,
            "scaleType": "linear",
            "xAxisScaleType": "linear",
        }
    return chart
