"""The background score under which CAMs fit true masks best: all thresholds in one pass."""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from weaktr.distributed import sum_counts
from weaktr.errors import UserError
from weaktr.labels import VOID
from weaktr.metrics.packed_counts import pack_counts, unpack_counts
from weaktr.metrics.scores import Counts, mean_iou
from weaktr.pseudo_labels.background import best_class, foreground_limit

DEFAULT_THRESHOLDS = tuple(i / 100 for i in range(20, 80))
MIN_GAP = 1e-5
"""Thresholds closer to each other than this are refused."""


class SweepOptimum(NamedTuple):
    """The best background score (the lowest of equals) and its mIoU in percent."""

    background_score: float
    miou: float


class SweepCounts(NamedTuple):
    """What one image adds to a sweep.

    Attributes:
        total: Pixels by true label `[L]`.
        classes: The K classes of its maps, 0-based.
        foreground: Pixels by true label, best of the K classes, and how many of the T thresholds
            that beats, `[L, K, T + 1]`.
    """

    total: Counts
    classes: tuple[int, ...]
    foreground: Counts

    def packed(self) -> list[Any]:
        """The same, JSON-like."""
        return [list(self.classes), pack_counts(self.total), pack_counts(self.foreground)]


class BackgroundSweep:
    """Confusion counts for every background score, from one histogram.

    The class that wins among the CAMs does not depend on the background score, only whether it
    beats it does. So each pixel is counted once, under (truth, best class, number of thresholds
    beaten); sums over the last axis then give the confusion matrix of each threshold, equal to
    that of `weaktr.pseudo_labels.background.cam_to_label` at that threshold.

    This reads true masks: it measures a seed, or chooses a score when params say so.

    Args:
        num_classes: Classes without the background.
        thresholds: Background scores in (0, 1), ascending, at least `MIN_GAP` apart.
    """

    def __init__(self, num_classes: int, thresholds: Sequence[float] = DEFAULT_THRESHOLDS) -> None:
        gap = np.diff(thresholds).min(initial=1)
        if not len(thresholds) or thresholds[0] <= 0 or thresholds[-1] >= 1 or gap < MIN_GAP:
            raise ValueError(
                f"thresholds must ascend within (0, 1), {MIN_GAP} apart. Got: {tuple(thresholds)}"
            )
        limits = torch.tensor([foreground_limit(t) for t in thresholds], dtype=torch.float64)
        self.thresholds = tuple(thresholds)
        self.num_classes = num_classes
        # Cells so narrow that none holds two limits; powers of two keep score * cells exact.
        self._cells = 2 ** math.ceil(math.log2(2 / gap))
        edges = torch.arange(self._cells + 1, dtype=torch.float64) / self._cells
        self._below_cell = torch.bucketize(edges, limits).to(torch.int32)
        self._limits = torch.cat([limits, torch.tensor([torch.inf])]).float()
        labels = num_classes + 1
        self._foreground = np.zeros((labels, num_classes, len(limits) + 1), dtype=np.int64)
        self._total = np.zeros(labels, dtype=np.int64)

    def update(self, cams: Tensor, classes: Sequence[int], truth: Tensor) -> None:
        """Counts one image; arguments and errors as for `count`."""
        self.add(self.count(cams, classes, truth))

    def count(self, cams: Tensor, classes: Sequence[int], truth: Tensor) -> SweepCounts:
        """What one image adds.

        Args:
            cams: float32 `[K, H, W]` in [0, 1].
            classes: The K classes of the maps, 0-based.
            truth: uint8 `[H, W]`: 0 background, class + 1, 255 void (not counted).

        Raises:
            UserError: If the truth holds a label that is neither a class's nor void.
        """
        if cams.shape[1:] != truth.shape:
            raise ValueError(f"CAMs {tuple(cams.shape)} do not fit truth {tuple(truth.shape)}")
        truth = truth.to(cams.device).flatten()
        total = self._labels_only(torch.bincount(truth, minlength=256))
        count, bins = len(classes), len(self.thresholds) + 1
        if not count:
            return SweepCounts(total, (), np.zeros((len(total), 0, bins), np.int64))
        score, index = best_class(cams.float())
        code = (truth.to(torch.int32) * count + index.flatten()) * bins
        code += self._thresholds_beaten(score.flatten())
        histogram = torch.bincount(code, minlength=256 * count * bins)
        foreground = self._labels_only(histogram.view(256, count, bins))
        return SweepCounts(total, tuple(classes), foreground)

    def add(self, counts: SweepCounts) -> None:
        """Adds what `count` gave for an image."""
        self._total += counts.total
        self._foreground[:, list(counts.classes)] += counts.foreground

    def add_packed(self, packed: list[Any]) -> None:
        """Adds what `SweepCounts.packed` gave."""
        classes, total, foreground = packed
        labels, bins = self.num_classes + 1, len(self.thresholds) + 1
        shape = (labels, len(classes), bins)
        total, foreground = unpack_counts(total, (labels,)), unpack_counts(foreground, shape)
        self.add(SweepCounts(total, tuple(classes), foreground))

    def all_reduce(self) -> None:
        """Adds what other processes have counted."""
        self._foreground = sum_counts(self._foreground)
        self._total = sum_counts(self._total)

    def confusion(self) -> npt.NDArray[np.int64]:
        """Confusion matrices `[T, L, L]`: threshold, true label, predicted label."""
        beaten = self._foreground[:, :, ::-1].cumsum(axis=2)[:, :, ::-1]  # >= i thresholds
        foreground = beaten[:, :, 1:].transpose(2, 0, 1)
        background = self._total - foreground.sum(axis=2)
        return np.concatenate([background[:, :, None], foreground], axis=2)

    def miou(self) -> npt.NDArray[np.float64]:
        """mIoU in percent for every threshold; NaN before any pixel was counted."""
        return mean_iou(self.confusion())

    def best(self) -> SweepOptimum:
        """The optimum over all thresholds."""
        miou = self.miou()
        i = int(miou.argmax())
        return SweepOptimum(self.thresholds[i], float(miou[i]))

    def _thresholds_beaten(self, score: Tensor) -> Tensor:
        """How many limits each score exceeds, int32: by table lookup and one comparison."""
        cell = (score * self._cells).to(torch.int32).clamp_(0, self._cells)
        below = self._below_cell.to(score.device).index_select(0, cell)
        return below + (score > self._limits.to(score.device).index_select(0, below))

    def _labels_only(self, counts: Tensor) -> npt.NDArray[np.int64]:
        """Rows of the labels; refuses truth that is neither a label nor void."""
        labels = self.num_classes + 1
        values = counts.cpu().numpy()
        strange = values[labels:VOID].reshape(VOID - labels, -1).any(axis=1)
        if strange.any():
            first = labels + int(strange.argmax())
            raise UserError(
                f"a true mask has label {first}, but with {labels} labels the highest is "
                f"{labels - 1}; use {VOID} for void."
            )
        return values[:labels]
