"""Evaluation of a segmenter on a split: masks out, confusion counts in, nothing kept in memory."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from weaktr.batching import shape_batches
from weaktr.config.evaluation import EvaluationParams
from weaktr.data.images import read_image
from weaktr.data.manifest import Manifest, Record
from weaktr.data.masks import read_label_map, write_mask
from weaktr.distributed import gather, share, sum_counts
from weaktr.metrics.confusion import ConfusionMatrix
from weaktr.metrics.image_table import PredictionRow, shares, without
from weaktr.metrics.scores import Counts, mean_iou
from weaktr.models.segmenter import Segmenter
from weaktr.progress import track
from weaktr.segmentation.segment import Segmentation, segment_stepwise

BATCH = 8
"""Images of equal shape that are segmented together."""


@dataclass(frozen=True)
class Evaluation:
    """What was counted on a split.

    Attributes:
        matrix: Pixels by true (row) and predicted (column) label `[K, K]`, of the images with a
            true mask; zeros where there are none.
        steps: The same after each step to the prediction (`weaktr.segmentation.segment.STEPS`).
        rows: What was found in each image, in the order of the manifest.
    """

    matrix: Counts
    steps: dict[str, Counts]
    rows: list[PredictionRow]

    @property
    def measured(self) -> int:
        """Images with a true mask that has a labelled pixel."""
        return sum(not math.isnan(row.iou) for row in self.rows)


def evaluate(
    model: Segmenter,
    manifest: Manifest,
    masks: Mapping[str, str],
    params: EvaluationParams,
    *,
    mask_folder: Path | None,
) -> Evaluation:
    """Segments every image of a manifest and counts pixels where there is a true mask.

    Of several processes each has its share of the images, and all get the counts of all.

    Args:
        model: In evaluation mode.
        manifest: The images.
        masks: Path of the true mask of each image that has one.
        params: The `evaluation` section.
        mask_folder: Existing folder for one palette PNG per image, or `None`.
    """
    num_labels = len(manifest.classes) + 1
    total = np.zeros((num_labels, num_labels), np.int64)
    steps: dict[str, ConfusionMatrix] = {}
    rows: dict[str, PredictionRow] = {}
    records = manifest.records
    batches = shape_batches([(r.height, r.width) for r in records], BATCH)
    for batch in track(share(batches), "evaluation"):
        images = [np.array(read_image(records[i].image)) for i in batch]
        for i, (result, taken) in zip(batch, segment_stepwise(model, images, params), strict=True):
            record = records[i]
            counts = None
            if record.id in masks:
                size = (result.labels.shape[1], result.labels.shape[0])
                mask = read_label_map(masks[record.id], num_labels, size, record.image)
                truth = torch.from_numpy(mask)
                confusion = ConfusionMatrix(num_labels)
                confusion.update(torch.from_numpy(result.labels), truth)
                counts = confusion.matrix()
                total += counts
                for name, labels in taken.items():
                    step = steps.setdefault(name, ConfusionMatrix(num_labels))
                    step.update(torch.from_numpy(labels), truth)
            if mask_folder is not None:
                write_mask(mask_folder / f"{record.id}.png", result.labels)
            rows[record.id] = _row(record, manifest.classes, result, counts)
    rows = {id_: row for part in gather(rows) for id_, row in part.items()}
    names = dict.fromkeys(name for part in gather(list(steps)) for name in part)
    return Evaluation(
        matrix=sum_counts(total),
        steps={
            name: sum_counts(steps.get(name, ConfusionMatrix(num_labels)).matrix())
            for name in names
        },
        rows=[rows[record.id] for record in records],
    )


def _row(
    record: Record, classes: tuple[str, ...], result: Segmentation, counts: Counts | None
) -> PredictionRow:
    """What was found in one image; `counts` is its confusion with the truth."""
    background, _, predicted = shares(result.labels, classes)
    return PredictionRow(
        id=record.id,
        background=background,
        foreground=100 - background,
        confidence=float(result.confidence.mean(dtype=np.float64)),
        tags=record.tags,
        predicted=predicted,
        missing=without(record.tags, predicted),
        unexpected=without(predicted, record.tags) if record.tags else (),
        iou=math.nan if counts is None else float(mean_iou(counts)),
    )
