"""Evaluation of a segmenter on a split: masks out, confusion counts in, nothing kept in memory."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from weaktr.config import EvaluationParams
from weaktr.crf import dense_crf
from weaktr.data.images import read_image
from weaktr.data.manifest import Manifest, Record
from weaktr.data.masks import read_mask, write_mask
from weaktr.inference import Windows, sliding_window_labels, sliding_window_probabilities
from weaktr.labels import shape_batches
from weaktr.metrics import ConfusionMatrix
from weaktr.models.segmenter import Segmenter
from weaktr.progress import track

BATCH = 8
"""Images of equal shape that are segmented together."""

Pixels = npt.NDArray[np.uint8]


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


@torch.inference_mode()
def segment(
    model: Segmenter, images: list[Pixels], params: EvaluationParams
) -> tuple[list[Pixels], list[npt.NDArray[np.float32]]]:
    """Label maps of images of equal shape, and how sure they are.

    Args:
        model: In evaluation mode.
        images: RGB uint8 `[H, W, 3]`, all of one shape.
        params: Windows, scales, flip and CRF.

    Returns:
        For each image uint8 labels `[H, W]` and the probability of each, float32 `[H, W]`.
    """
    device = next(model.parameters()).device
    batch = torch.from_numpy(np.stack(images)).to(device)
    windows = Windows.of(params)
    mean, std = (torch.as_tensor(v, device=device) for v in (model.mean, model.std))
    if params.crf.backend == "none":
        labels, confidence = sliding_window_labels(model, batch, windows, mean=mean, std=std)
        return list(labels.cpu().numpy()), list(confidence.cpu().numpy())
    probabilities = sliding_window_probabilities(model, batch, windows, mean=mean, std=std)
    refined = [
        dense_crf(image, probabilities=one, params=params.crf)
        for image, one in zip(images, probabilities, strict=True)
    ]
    best = [marginals.max(dim=0) for marginals in refined]
    return (
        [b.indices.to(torch.uint8).cpu().numpy() for b in best],
        [b.values.cpu().numpy() for b in best],
    )


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
        mask_folder: Existing folder for one palette PNG an image, or `None`.
        on_image: Called with each prediction, in the order of batches.
    """
    confusion = ConfusionMatrix(len(manifest.classes) + 1)
    records = manifest.records
    batches = shape_batches([(r.height, r.width) for r in records], BATCH)
    for batch in track(batches, "evaluation"):
        images = [np.array(read_image(records[i].image)) for i in batch]
        label_maps, _ = segment(model, images, params)
        for i, image, labels in zip(batch, images, label_maps, strict=True):
            record = records[i]
            truth = read_mask(masks[record.id]) if record.id in masks else None
            if truth is not None:
                confusion.update(torch.from_numpy(labels), torch.from_numpy(truth))
            if mask_folder is not None:
                write_mask(mask_folder / f"{record.id}.png", labels)
            on_image(Prediction(record, image, labels, truth))
    return confusion
