"""Results side by side: what they reached, and the params in which they differ."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mlflow import MlflowClient

LADDER = ("map/", "miou/", "accuracy/")
"""Groups of the metrics by which results are compared; more is better."""
FIRST = ("miou/val", "miou/labels", "miou/seed", "miou/coarse", "map/val")
"""Metrics that tables begin with; the first one ranks."""
NOT_PARAMS = ("recipe", "changed")


@dataclass(frozen=True)
class ResultRow:
    """One result.

    Attributes:
        run_id: Of its run.
        name: Recipe and what differs from it.
        begun: When it was begun, in milliseconds of Unix time.
        metrics: By grouped name, in percent.
        curves: Names of its losses, which have one value per epoch.
        params: By dotted name, as text.
    """

    run_id: str
    name: str
    begun: int
    metrics: dict[str, float]
    curves: list[str]
    params: dict[str, str]


def result_rows(client: "MlflowClient", experiment: str, *, most: int = 200) -> list[ResultRow]:
    """The finished results of an experiment, latest first.

    Args:
        client: Of the store.
        experiment: Id of the experiment.
        most: How many.
    """
    runs = client.search_runs([experiment], "attributes.status = 'FINISHED'", max_results=most)
    return [
        ResultRow(
            run_id=run.info.run_id,
            name=run.info.run_name,
            begun=run.info.start_time,
            metrics={k: v for k, v in run.data.metrics.items() if k.startswith(LADDER)},
            curves=sorted(name for name in run.data.metrics if "/loss" in name),
            params=dict(run.data.params),
        )
        for run in runs
    ]


def metric_columns(rows: Sequence[ResultRow]) -> list[str]:
    """Metrics that some result has, those to compare by first."""
    known = dict.fromkeys(name for row in rows for name in sorted(row.metrics))
    return [*(n for n in FIRST if n in known), *(n for n in known if n not in FIRST)]


def differing_params(rows: Sequence[ResultRow]) -> list[str]:
    """Params in which results differ, those with the most values first."""
    names = dict.fromkeys(name for row in rows for name in sorted(row.params))
    values = {name: Counter(row.params.get(name, "") for row in rows) for name in names}
    differing = [n for n in names if len(values[n]) > 1 and n not in NOT_PARAMS]
    return sorted(differing, key=lambda name: -len(values[name]))


def usual_values(rows: Sequence[ResultRow], names: Sequence[str]) -> dict[str, str]:
    """The commonest value of each param; of equally common ones the oldest result's."""
    oldest_first = list(reversed(rows))
    return {
        name: Counter(row.params.get(name, "") for row in oldest_first).most_common(1)[0][0]
        for name in names
    }
