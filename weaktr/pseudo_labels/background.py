"""The background score: from CAMs to a label map (WeakTr, section III-B)."""

import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

SCORE_MARGIN = 2.0**-24
"""A score must exceed the background's by more than this, float32's rounding error at 1."""


def foreground_limit(background_score: float) -> float:
    """The float32 value that a CAM must exceed to win over `background_score`.

    The published code takes a softmax over the background score and the CAMs before it looks for
    the largest. That changes nothing but differences near float32's resolution, which it loses to
    the background; a margin has the same effect and, unlike a softmax, holds for all
    thresholds alike, so that `weaktr.pseudo_labels.background_sweep.BackgroundSweep` is exact.
    """
    return float(np.float32(background_score) + np.float32(SCORE_MARGIN))


def best_class(cams: Tensor) -> tuple[Tensor, Tensor]:
    """Largest score and its index, pixel by pixel; of equal scores the first wins.

    The same as `cams.max(dim=0)`, an order of magnitude faster for the few classes of an image.

    Args:
        cams: `[K, H, W]`, K from 1 to 255.

    Returns:
        Scores `[H, W]` and indices uint8 `[H, W]`.
    """
    best = cams[0]
    index = torch.zeros(best.shape, dtype=torch.uint8, device=cams.device)
    for k in range(1, len(cams)):
        index = torch.maximum(index, (cams[k] > best).to(torch.uint8).mul_(k))
        best = torch.maximum(best, cams[k])
    return best, index


def cam_to_label(cams: Tensor, classes: Sequence[int], background_score: float) -> Tensor:
    """Label map from CAMs: the best class where it beats the background score.

    Ties go to the background, then to the class that comes first.

    Args:
        cams: `[K, H, W]` in [0, 1].
        classes: The K classes of the maps, 0-based.
        background_score: Score of the background at every pixel.

    Returns:
        uint8 `[H, W]`: 0 background, class + 1 elsewhere.

    >>> cams = torch.tensor([[[0.9, 0.2, 0.3]], [[0.1, 0.3, 0.8]]])  # of two classes, one row
    >>> cam_to_label(cams, classes=(4, 9), background_score=0.4).tolist()
    [[5, 0, 10]]
    """
    if not len(classes):
        return torch.zeros(cams.shape[1:], dtype=torch.uint8, device=cams.device)
    score, index = best_class(cams.float())
    ids = torch.tensor(classes, device=cams.device).add(1).to(torch.uint8)
    label = ids[index.long()]
    return label.mul_(score > foreground_limit(background_score))


def label_confidence(cams: Tensor, background_score: float) -> float:
    """How far the best CAM of an image is from the background score, on average over its pixels.

    Args:
        cams: `[K, H, W]` in [0, 1].
        background_score: Score of the background at every pixel, in (0, 1).

    Returns:
        From 0, at it everywhere, to 1, where every CAM is 0 or 1; NaN without classes.

    >>> round(label_confidence(torch.tensor([[[1.0, 0.4, 0.2]]]), background_score=0.4), 4)
    0.5
    """
    if not len(cams):
        return math.nan
    away = best_class(cams.float())[0].double() - background_score
    room = torch.where(away > 0, 1 - background_score, background_score)
    return float((away.abs() / room).mean())
