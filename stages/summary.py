"""Gathers the numbers and curves that DVC compares, small enough to be kept in git."""

import csv
import json
import shutil

from stages.common.label_source import label_source
from stages.common.paths import METRICS, PLOTS, REPORTS
from stages.common.stage import Context, Result, Stage
from stages.common.titles import in_order
from stages.common.words import counted
from weaktr.files import read_json, replace_file, write_text

LADDER = ("train_cam", "export_labels", "evaluate")
"""Stages with metrics, in the order of the pipeline."""
COPIES = {
    "cam.csv": "train_cam/curves.csv",
    "segmenter.csv": "train_decoder/curves.csv",
    "confusion.csv": "evaluate/confusion.csv",
}


def run(context: Context) -> Result:
    """Reads the stages' reports; writes `metrics.json` and the plots' data."""
    labels_from = read_json(REPORTS / "train_decoder" / "details.json")["labels_from"]
    stages = LADDER if label_source(labels_from) == "pseudo-labels" else LADDER[-1:]
    metrics: dict[str, float] = {}
    for stage in stages:
        metrics |= read_json(REPORTS / stage / "metrics.json")
    metrics = in_order(metrics)
    write_text(METRICS, json.dumps(metrics, indent=2) + "\n")  # not sorted by name
    for name, origin in COPIES.items():
        with replace_file(PLOTS / name) as temporary:
            shutil.copyfile(REPORTS / origin, temporary)
    _write_iou()
    return Result(made=f"{counted(len(metrics), 'metric')}, {len(COPIES) + 1} plots", where=METRICS)


def _write_iou() -> None:
    """The IoU of every class that has one: class, iou."""
    with (REPORTS / "evaluate" / "per_class.csv").open(encoding="utf-8", newline="") as stream:
        rows = [(row["class"], row["iou"]) for row in csv.DictReader(stream) if row.get("iou")]
    with (
        replace_file(PLOTS / "iou.csv") as temporary,
        temporary.open("w", encoding="utf-8", newline="") as stream,
    ):
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(("class", "iou"))
        writer.writerows(rows)


STAGE = Stage(
    name="summary",
    run=run,
    sections=(),
    upstream=lambda params: ("evaluate",),
    tracked=False,
)
