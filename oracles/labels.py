"""Pseudo-labels the straightforward way: one network input, one threshold at a time."""

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor


def cam_to_label(cams: Tensor, classes: Sequence[int], background_score: float) -> Tensor:
    """Softmax over background score and CAMs, then argmax, as published."""
    background = torch.full((1, *cams.shape[1:]), background_score, dtype=cams.dtype)
    index = torch.cat([background, cams]).softmax(0).argmax(0)
    return torch.tensor([0, *(c + 1 for c in classes)])[index]


def confusion(prediction: np.ndarray, truth: np.ndarray, num_labels: int) -> np.ndarray:
    """Pixels by true and predicted label `[K, K]`, void left out."""
    known = truth != 255
    pairs = truth[known].astype(int) * num_labels + prediction[known]
    return np.bincount(pairs, minlength=num_labels**2).reshape(num_labels, num_labels)


def miou(matrix: np.ndarray) -> float:
    """mIoU in percent of a confusion matrix `[K, K]`."""
    hit = np.diag(matrix)
    union = matrix.sum(0) + matrix.sum(1) - hit
    return float(100 * np.mean(hit[union > 0] / union[union > 0]))


def sweep(
    images: Sequence[tuple[Tensor, Sequence[int], Tensor]],
    num_classes: int,
    thresholds: Sequence[float],
) -> np.ndarray:
    """Confusion matrices `[T, L, L]`: every image labelled again for every threshold."""
    labels = num_classes + 1
    matrices = np.zeros((len(thresholds), labels, labels), dtype=np.int64)
    for i, threshold in enumerate(thresholds):
        for cams, classes, truth in images:
            prediction = cam_to_label(cams, classes, threshold)
            matrices[i] += confusion(prediction.numpy(), truth.numpy(), labels)
    return matrices


def first_dip(miou_curve: Sequence[float]) -> int:
    """Where the published sweep stops: the last threshold before one that does not improve."""
    for i in range(1, len(miou_curve)):
        if miou_curve[i] <= miou_curve[i - 1]:
            return i - 1
    return len(miou_curve) - 1


def multi_scale_cams(
    lowres: Sequence[Tensor], flipped: Sequence[bool], size: tuple[int, int]
) -> Tensor:
    """Every input's CAM `[K, h, w]` enlarged, un-flipped and summed, then scaled to [0, 1]."""
    total = torch.zeros(len(lowres[0]), *size)
    for cam, flip in zip(lowres, flipped, strict=True):
        large = F.interpolate(cam[None], size, mode="bilinear", align_corners=False)[0]
        total += large.flip(-1) if flip else large
    low, high = total.amin((1, 2), keepdim=True), total.amax((1, 2), keepdim=True)
    return (total - low) / (high - low + 1e-8)
