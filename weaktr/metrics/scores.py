"""Segmentation scores of a confusion matrix. Nothing here needs torch."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    import pandas as pd

Counts = npt.NDArray[np.int64]
Percents = npt.NDArray[np.float64]

MEASURES: dict[str, Callable[[Counts, Counts, Counts], tuple[Counts, Counts]]] = {
    "iou": lambda hits, true, predicted: (hits, true + predicted - hits),
    "precision": lambda hits, true, predicted: (hits, predicted),
    "recall": lambda hits, true, predicted: (hits, true),
    "false_positive": lambda hits, true, predicted: (predicted - hits, true + predicted - hits),
    "false_negative": lambda hits, true, predicted: (true - hits, true + predicted - hits),
}
"""What is told of every class: from its pixels that are right, true and predicted, each `[..., K]`,
to the two parts of a share. Where there is nothing to have a share in, it is undefined."""


@dataclass(frozen=True, kw_only=True)
class SegmentationScores:
    """Scores of a confusion matrix, in percent; NaN where a class leaves one undefined.

    Attributes:
        class_names: One name per label, background first.
        per_class: By measure (`MEASURES`) `[K]`.

            - `iou`: intersection over union; undefined where the class is neither in the true masks
              nor predicted.
            - `precision`: share of its predicted pixels that are right; undefined where it is never
              predicted.
            - `recall`: share of its true pixels that are found; undefined where it is not in the
              true masks.
            - `false_positive`, `false_negative`: wrongly predicted and missed pixels, as shares of
              the union; undefined as `iou`.
        pixels: True pixels of each class `[K]`.
        pixel_accuracy: Share of all labelled pixels that are right.
    """

    class_names: tuple[str, ...]
    per_class: dict[str, Percents]
    pixels: Counts
    pixel_accuracy: float

    @property
    def mean_iou(self) -> float:
        """mIoU: the mean IoU of the classes that have one."""
        return float(mean_of_defined(self.per_class["iou"]))

    def summary(self) -> dict[str, float | int]:
        """The means, each over the classes for which it is defined, and how many it left out."""
        result: dict[str, float | int] = {"pixel_accuracy": self.pixel_accuracy}
        for name, values in self.per_class.items():
            result[f"mean_{name}"] = float(mean_of_defined(values))
            result[f"{name}_undefined_classes"] = int(np.isnan(values).sum())
        return result

    def table(self) -> "pd.DataFrame":
        """One row per class: its name under `class`, every measure, and its true pixels."""
        import pandas as pd

        return pd.DataFrame({"class": self.class_names, **self.per_class, "pixels": self.pixels})


def measured(matrix: Counts, measure: str) -> Percents:
    """One measure of every class, in percent.

    Args:
        matrix: Pixels by true (row) and predicted (column) label; one `[K, K]`, or many
            `[..., K, K]`.
        measure: A key of `MEASURES`.

    Returns:
        `[..., K]`, NaN where a class leaves it undefined.
    """
    hits = np.diagonal(matrix, axis1=-2, axis2=-1)
    part, whole = MEASURES[measure](hits, matrix.sum(axis=-1), matrix.sum(axis=-2))
    return np.divide(100.0 * part, whole, out=np.full(whole.shape, np.nan), where=whole > 0)


def mean_iou(matrix: Counts) -> Percents:
    """mIoU in percent of one confusion matrix `[K, K]`, or of many `[..., K, K]`.

    The mean is over the labels that are in the true masks or predicted; NaN where there are none.

    >>> float(mean_iou(np.array([[6, 2, 0], [0, 2, 0], [0, 0, 0]])))  # 6/8, 2/4, and not there
    62.5
    """
    return mean_of_defined(measured(matrix, "iou"))


def scores(matrix: Counts, class_names: tuple[str, ...]) -> SegmentationScores:
    """Scores of a confusion matrix.

    Args:
        matrix: Pixels by true (row) and predicted (column) label `[K, K]`.
        class_names: One name per label, background first.
    """
    return SegmentationScores(
        class_names=tuple(class_names),
        per_class={name: measured(matrix, name) for name in MEASURES},
        pixels=matrix.sum(axis=1),
        pixel_accuracy=float(100 * np.trace(matrix) / matrix.sum()),
    )


def mean_of_defined(values: Percents) -> Percents:
    """Mean over the last axis without the NaNs; NaN where there is nothing else."""
    defined = ~np.isnan(values)
    total, count = values.sum(axis=-1, where=defined), defined.sum(axis=-1)
    return np.divide(total, count, out=np.full(count.shape, np.nan), where=count > 0)
