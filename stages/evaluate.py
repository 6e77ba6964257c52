"""Evaluates the segmenter on a split and writes scores, masks and the report."""

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch

from stages.context import Context
from stages.inputs import split_of
from stages.paths import (
    PREDICTIONS,
    PREPARED,
    SEGMENTER,
    SUPERVISED_PREDICTIONS,
    SUPERVISED_SEGMENTER,
)
from stages.summary import (
    SUPERVISED,
    TAGS_ONLY,
    curves,
    mask_notes,
    pseudo_label_examples,
    seed_chain,
)
from weaktr.data.manifest import Manifest, load_masks
from weaktr.evaluation import Prediction, evaluate
from weaktr.files import replace_dir, replace_file, write_json
from weaktr.metrics import SegmentationScores, scores
from weaktr.models.store import load_model
from weaktr.report import Example, examples_figure, save_picture, write_report
from weaktr.submission import VOC_TEST_FOLDER, write_voc_archive

EXAMPLES = 5


def run(context: Context, *, supervised: bool = False) -> None:
    """Reads the model, manifest, images and masks; writes scores, masks, tables and the report."""
    params = context.params.evaluation
    manifest = Manifest.load(PREPARED)
    part = split_of(manifest, params.split)
    masks = load_masks(PREPARED)
    model_folder = SUPERVISED_SEGMENTER if supervised else SEGMENTER
    output = SUPERVISED_PREDICTIONS if supervised else PREDICTIONS
    model = load_model(model_folder, torch.device(context.device), kind="segmenter").model
    examples: list[Example] = []

    def keep(prediction: Prediction) -> None:
        if len(examples) < EXAMPLES:
            examples.append(Example(prediction.image, prediction.labels, prediction.truth))

    for_server = params.split == "test"
    with replace_dir(output) as folder:
        mask_folder = folder / VOC_TEST_FOLDER if for_server else folder
        mask_folder.mkdir(parents=True, exist_ok=True)
        keeping = params.save_masks or for_server
        confusion = evaluate(
            model, part, masks, params, mask_folder=mask_folder if keeping else None, on_image=keep
        )
        if for_server:
            write_voc_archive(mask_folder, folder / "results.tgz")

    matrix = confusion.matrix()
    result = scores(matrix, ("background", *manifest.classes)) if matrix.any() else None
    metrics = {"split": params.split, "images": len(part), **(result.summary() if result else {})}
    context.log({k: v for k, v in metrics.items() if isinstance(v, float)}, 0)
    write_json(context.reports / "metrics.json", metrics)
    write_tables(context.reports, matrix, result, ("background", *manifest.classes))
    save_picture(examples_figure(examples, "prediction"), context.reports / "examples.png")
    upstream = SUPERVISED if supervised else TAGS_ONLY
    chain = seed_chain(upstream)
    if result is not None:
        chain.append((f"decoder ({params.split})", result.mean_iou))
    write_report(
        context.reports / "report.html",
        title=f"weaktr: {len(manifest.classes)} classes, {len(part)} {params.split} images",
        classes=manifest.classes,
        chain=chain,
        notes=mask_notes(upstream),
        result=result,
        predictions=examples,
        pseudo_labels=[] if supervised else pseudo_label_examples(manifest, masks, EXAMPLES),
        curves=curves(upstream),
    )


def write_tables(
    folder: Path,
    matrix: npt.NDArray[np.int64],
    result: SegmentationScores | None,
    names: tuple[str, ...],
) -> None:
    """Writes `per_class.csv` and `confusion.csv` (share of a true class's pixels, long format)."""
    table = result.table() if result else pd.DataFrame({"class": names})
    totals = np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    pairs = [
        (actual, predicted, share)
        for actual, row in zip(names, matrix / totals, strict=True)
        for predicted, share in zip(names, row, strict=True)
    ]
    confusion = pd.DataFrame(pairs, columns=["actual", "predicted", "share"])
    for name, frame in (("per_class.csv", table), ("confusion.csv", confusion)):
        with replace_file(folder / name) as temporary:
            frame.to_csv(temporary, index=False, lineterminator="\n", float_format="%.4f")
