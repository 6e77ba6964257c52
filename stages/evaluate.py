"""Evaluates the segmenter on a split and writes scores and masks."""

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from stages.common.alone import alone_with_work
from stages.common.corrected_facts import corrected_facts
from stages.common.metrics import write_metrics
from stages.common.paths import (
    CLASSES,
    IMAGES,
    MANIFEST,
    MASKS,
    PIXELS,
    PREDICTIONS,
    PREPARED,
    SEGMENTER,
)
from stages.common.precision import precision_at_hand
from stages.common.recorded import note_outputs
from stages.common.stage import Context, Result, Stage
from stages.common.words import counted
from weaktr.data.manifest import Manifest, load_masks
from weaktr.device import threads_of_process
from weaktr.distributed import is_first
from weaktr.files import naming, replace_dir, replace_file, write_json
from weaktr.journal import ImageJournal
from weaktr.metrics.image_table import PredictionRow, write_image_rows
from weaktr.metrics.scores import SegmentationScores, mean_iou, scores
from weaktr.models.saving import load_model
from weaktr.models.segmenter import Segmenter
from weaktr.segmentation.evaluate import evaluate
from weaktr.segmentation.voc_server import VOC_TEST_FOLDER, write_voc_archive


def run(context: Context) -> Result | None:
    """Reads the model, manifest, images and masks; writes scores, masks and tables."""
    params = context.params.evaluation
    precision = precision_at_hand(context, params.precision, "evaluation")
    params = params.model_copy(update={"precision": precision})
    manifest = Manifest.load(PREPARED)
    part = manifest.require_split(params.split)
    masks = load_masks(PREPARED)
    model = load_model(SEGMENTER, Segmenter, context.device).model
    keeping = params.save_masks or params.voc_archive
    stem = f"{STAGE.name}-{context.fingerprint_with([MANIFEST, CLASSES, MASKS, SEGMENTER])}"
    journal = ImageJournal(
        context.checkpoints / stem, ".png" if keeping else None, name=STAGE.name, say=context.say
    )
    with alone_with_work(context.checkpoints, stem, context.say):
        with naming(journal.folder):
            threads = threads_of_process(context.params.runtime.threads)
            found = evaluate(model, part, masks, params, journal, threads=threads)
        if not is_first():
            return None
        with replace_dir(PREDICTIONS) as folder:
            mask_folder = folder / VOC_TEST_FOLDER if params.voc_archive else folder
            mask_folder.mkdir(parents=True, exist_ok=True)
            if keeping:
                journal.publish(mask_folder, (record.id for record in part))
            if params.voc_archive:
                write_voc_archive(mask_folder, folder / "results.tgz")
    note_outputs(context.checkpoints, STAGE.name, [stem], STAGE.writes)
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
    number = f"mIoU {result.mean_iou:.1f}" if result else ""
    return Result(
        made=counted(len(part), f"{params.split} image"), number=number, where=PREDICTIONS
    )


def write_tables(
    folder: Path,
    matrix: npt.NDArray[np.int64],
    result: SegmentationScores | None,
    names: tuple[str, ...],
) -> None:
    """Writes `per_class.csv`, `confusion.csv` (share of a true class's pixels in percent, long
    format) and `pixels.csv` (the same in pixels, one row per true class)."""
    table = result.table() if result else pd.DataFrame({"class": names})
    totals = np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    pairs = [
        (actual, predicted, share)
        for actual, row in zip(names, 100 * matrix / totals, strict=True)
        for predicted, share in zip(names, row, strict=True)
    ]
    confusion = pd.DataFrame(pairs, columns=["actual", "predicted", "share"])
    pixels = pd.DataFrame(matrix, index=pd.Index(names, name="true"), columns=names).reset_index()
    for name, frame in (
        ("per_class.csv", table),
        ("confusion.csv", confusion),
        (PIXELS, pixels),
    ):
        with replace_file(folder / name) as temporary:
            frame.to_csv(temporary, index=False, lineterminator="\n", float_format="%.4f")


STAGE = Stage(
    name="evaluate",
    run=run,
    sections=("evaluation",),
    upstream=lambda params: ("prepare", "train_decoder"),
    writes=(PREDICTIONS,),
    shared=True,
)
