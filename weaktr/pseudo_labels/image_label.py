"""The pseudo-label of one image, and what is told of it."""

import math
from collections.abc import Sequence

import numpy as np
from PIL import Image
from torch import Tensor

from weaktr.config.crf import CrfParams
from weaktr.config.labels import LabelParams
from weaktr.crf.dense_crf import refine_with_crf
from weaktr.data.images import read_image
from weaktr.data.manifest import Record
from weaktr.labels import Pixels
from weaktr.metrics.image_table import LabelRow, shares, without
from weaktr.metrics.scores import Counts, mean_iou
from weaktr.pseudo_labels.background import cam_to_label
from weaktr.pseudo_labels.patch_cams import PatchCAMs


def pseudo_label(
    cams: Tensor,
    classes: Sequence[int],
    image: Pixels,
    *,
    background_score: float,
    crf: CrfParams,
) -> Pixels:
    """The pseudo-label of one image.

    Args:
        cams: CAMs of its tags, float32 `[K, H, W]` in [0, 1].
        classes: The K tags, 0-based.
        image: The image, RGB uint8 `[H, W, 3]`.
        background_score: Score of the background at every pixel.
        crf: Dense CRF that sharpens the label map; backend `none` leaves it as it is.

    Returns:
        uint8 `[H, W]`: 0 background, class + 1 elsewhere; all background if there are no tags.
    """
    label = cam_to_label(cams, classes, background_score).cpu().numpy()
    if crf.backend == "none":
        return label
    return refine_with_crf(image, label, classes=classes, params=crf)


def row_of_label(
    record: Record,
    classes: Sequence[str],
    ids: Pixels,
    cams: PatchCAMs,
    confidence: float,
    counts: Counts | None,
) -> LabelRow:
    """What is known of one label; `counts` is its confusion with the truth."""
    background, void, present = shares(ids, classes)
    return LabelRow(
        id=record.id,
        background=background,
        void=void,
        foreground=100 - background - void,
        confidence=confidence,
        contrast=float(cams.contrast().min()) if cams.classes else math.nan,
        tags=record.tags,
        missing=without(record.tags, present),
        iou=math.nan if counts is None else float(mean_iou(counts)),
    )


def working_image(record: Record, params: LabelParams) -> Pixels:
    """RGB `[H, W, 3]`, shrunk so that its long side is at most `params.long_side`."""
    image = read_image(record.image)
    longest = max(image.size)
    if params.long_side is not None and longest > params.long_side:
        factor = params.long_side / longest
        width, height = (max(1, round(side * factor)) for side in image.size)
        image = image.resize((width, height), Image.Resampling.BICUBIC)
    return np.array(image)


def resized(ids: Pixels, size: tuple[int, int], resampling: Image.Resampling) -> Pixels:
    """A label map at another size (width, height)."""
    return np.array(Image.fromarray(ids).resize(size, resampling))


def at_size(ids: Pixels, shape: tuple[int, int]) -> Pixels:
    """A mask at the working size of its image."""
    if ids.shape == shape:
        return ids
    return resized(ids, (shape[1], shape[0]), Image.Resampling.NEAREST)
