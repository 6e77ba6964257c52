"""The few numbers by which results are compared, named alike in DVC, MLflow and the report.

A name is `GROUP_WHAT`, such as `miou_labels`, or `GROUP_SPLIT`, such as `miou_val`; MLflow's is
`miou/val`.
"""

from collections.abc import Mapping

from stages.common.stage import Context
from weaktr.files import write_json

FILE = "metrics.json"


def write_metrics(context: Context, values: Mapping[str, float]) -> None:
    """Writes a stage's metrics, rounded so that tables show them whole.

    Args:
        context: Of the stage.
        values: By name: shares in percent, and counts.
    """
    rounded = {name: round(value, 2) for name, value in values.items()}
    write_json(context.reports / FILE, rounded)
