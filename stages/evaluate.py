"""Evaluates the segmenter on a split and writes scores, masks and the report."""

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from stages.common.label_source import label_source
from stages.common.metrics import write_metrics
from stages.common.paths import IMAGES, PREDICTIONS, PREPARED, SEGMENTER
from stages.common.report import (
    corrected_facts,
    curves,
    mask_notes,
    pseudo_label_examples,
    seed_chain,
    step_title,
)
from stages.common.stage import Context, Result, Stage
from stages.common.words import counted
from weaktr.data.images import read_image
from weaktr.data.manifest import Manifest, load_masks
from weaktr.data.masks import read_mask
from weaktr.files import replace_dir, replace_file, write_json
from weaktr.metrics.image_table import PredictionRow, write_image_rows
from weaktr.metrics.scores import SegmentationScores, mean_iou, scores
from weaktr.models.saving import load_model
from weaktr.models.segmenter import Segmenter
from weaktr.report.html import Example, examples_figure, save_picture, write_report
from weaktr.segmentation.evaluate import evaluate
from weaktr.segmentation.voc_server import VOC_TEST_FOLDER, write_voc_archive

EXAMPLES = 5


def run(context: Context) -> Result:
    """Reads the model, manifest, images and masks; writes scores, masks, tables and the report."""
    params = context.params.evaluation
    manifest = Manifest.load(PREPARED)
    part = manifest.require_split(params.split)
    masks = load_masks(PREPARED)
    model = load_model(SEGMENTER, Segmenter, context.device).model
    source = label_source(model.params.labels_from)
    tags_only = source == "pseudo-labels"
    with replace_dir(PREDICTIONS) as folder:
        mask_folder = folder / VOC_TEST_FOLDER if params.voc_archive else folder
        mask_folder.mkdir(parents=True, exist_ok=True)
        keeping = params.save_masks or params.voc_archive
        found = evaluate(model, part, masks, params, mask_folder=mask_folder if keeping else None)
        examples = [
            Example(
                np.array(read_image(record.image)),
                read_mask(mask_folder / f"{record.id}.png"),
                read_mask(masks[record.id]) if record.id in masks else None,
            )
            for record in part.records[: EXAMPLES if keeping else 0]
        ]
        if params.voc_archive:
            write_voc_archive(mask_folder, folder / "results.tgz")

    matrix = found.matrix
    names = ("background", *manifest.classes)
    result = scores(matrix, names) if matrix.any() else None
    named = {"miou": result.mean_iou, "accuracy": result.pixel_accuracy} if result else {}
    metrics = {f"{name}_{params.split}": value for name, value in named.items()}
    if masks_by_hand := corrected_facts()["masks"]:
        metrics["corrected"] = masks_by_hand
    write_metrics(context, metrics)
    details = {"split": params.split, "images": len(part)}
    if result:
        steps = {name: float(mean_iou(counts)) for name, counts in found.steps.items()}
        details |= {**result.summary(), "images_with_masks": found.measured, "miou_by_step": steps}
    write_json(context.reports / "details.json", details)
    write_image_rows(context.reports / IMAGES, found.rows, PredictionRow)
    write_tables(context.reports, matrix, result, names)
    if examples:
        save_picture(examples_figure(examples, "prediction"), context.reports / "examples.png")
    chain = seed_chain(source)
    if result is not None:
        title = step_title("segmenter", params.split, f"miou_{params.split}")
        chain.append((title, result.mean_iou))
    report = context.reports / "report.html"
    write_report(
        report,
        title=f"weaktr: {len(manifest.classes)} classes, {len(part)} {params.split} images",
        classes=manifest.classes,
        chain=chain,
        notes=mask_notes(source, model.params.labels_from),
        result=result,
        predictions=examples,
        pseudo_labels=pseudo_label_examples(manifest, masks, EXAMPLES) if tags_only else [],
        curves=curves(("train_cam", "train_decoder") if tags_only else ("train_decoder",)),
    )
    number = f"mIoU {result.mean_iou:.1f}" if result else ""
    return Result(made=counted(len(part), f"{params.split} image"), number=number, where=report)


def write_tables(
    folder: Path,
    matrix: npt.NDArray[np.int64],
    result: SegmentationScores | None,
    names: tuple[str, ...],
) -> None:
    """Writes `per_class.csv` and `confusion.csv` (share of a true class's pixels in percent,
    long format)."""
    table = result.table() if result else pd.DataFrame({"class": names})
    totals = np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    pairs = [
        (actual, predicted, share)
        for actual, row in zip(names, 100 * matrix / totals, strict=True)
        for predicted, share in zip(names, row, strict=True)
    ]
    confusion = pd.DataFrame(pairs, columns=["actual", "predicted", "share"])
    for name, frame in (("per_class.csv", table), ("confusion.csv", confusion)):
        with replace_file(folder / name) as temporary:
            frame.to_csv(temporary, index=False, lineterminator="\n", float_format="%.4f")


STAGE = Stage(
    name="evaluate",
    run=run,
    sections=("evaluation",),
    upstream=lambda params: ("prepare", "train_decoder"),
    writes=(PREDICTIONS,),
)
