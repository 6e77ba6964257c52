"""Evaluation of a segmenter on a split: masks out, confusion counts in, nothing kept in memory."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from weaktr.batching import shape_batches
from weaktr.config.evaluation import EvaluationParams
from weaktr.data.images import read_image
from weaktr.data.manifest import Manifest, Record
from weaktr.data.masks import read_mask, write_mask
from weaktr.labels import Pixels
from weaktr.metrics.confusion import ConfusionMatrix
from weaktr.models.segmenter import Segmenter
from weaktr.progress import track
from weaktr.segmentation.segment import segment

BATCH = 8
"""Images of equal shape that are segmented together."""


@dataclass(frozen=True)
class Prediction:
    """What was found in one image."""

    record: Record
    image: Pixels
    """RGB `[H, W, 3]`."""
    labels: Pixels
    """`[H, W]`."""
    truth: Pixels | None
    """True mask `[H, W]`, where there is one."""


def evaluate(
    model: Segmenter,
    manifest: Manifest,
    masks: Mapping[str, str],
    params: EvaluationParams,
    *,
    mask_folder: Path | None,
    on_image: Callable[[Prediction], None] = lambda prediction: None,
) -> ConfusionMatrix:
    """Segments every image of a manifest and counts pixels where there is a true mask.

    Args:
        model: In evaluation mode.
        manifest: The images.
        masks: Path of the true mask of each image that has one.
        params: The `evaluation` section.
        mask_folder: Existing folder for one palette PNG per image, or `None`.
        on_image: Called with each prediction, in the order of batches.
    """
    confusion = ConfusionMatrix(len(manifest.classes) + 1)
    records = manifest.records
    batches = shape_batches([(r.height, r.width) for r in records], BATCH)
    for batch in track(batches, "evaluation"):
        images = [np.array(read_image(records[i].image)) for i in batch]
        results = segment(model, images, params)
        for i, image, (labels, _) in zip(batch, images, results, strict=True):
            record = records[i]
            truth = read_mask(masks[record.id]) if record.id in masks else None
            if truth is not None:
                confusion.update(torch.from_numpy(labels), torch.from_numpy(truth))
            if mask_folder is not None:
                write_mask(mask_folder / f"{record.id}.png", labels)
            on_image(Prediction(record, image, labels, truth))
    return confusion
