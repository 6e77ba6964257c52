"""Writes the report of a result: what it reached, what to trust, what to mend first."""

from stages.common.report import gather
from stages.common.stage import Context, Result, Stage
from stages.common.words import counted
from weaktr.files import write_text
from weaktr.report.page import page

FILE = "report.html"


def run(context: Context) -> Result:
    """Reads the outputs of all stages; writes one page."""
    report = gather(context.params, context.device)
    path = context.reports / FILE
    write_text(path, page(report))
    serious = sum(one.serious for one in report.findings)
    number = f"{serious} to mend first" if serious else ""
    return Result(made=counted(len(report.findings), "finding"), number=number, where=path)


STAGE = Stage(
    name="report",
    run=run,
    sections=("dataset", "seed", "cam", "labels", "decoder", "evaluation"),
    upstream=lambda params: ("prepare", "train_cam", "export_labels", "evaluate"),
    tracked=False,
)
