"""Segmentation scores from one streaming confusion matrix, and average precision of tags."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from weaktr.errors import UserError

if TYPE_CHECKING:
    import pandas as pd

LABELS = 256
"""Labels a mask's byte can hold."""
VOID = 255


class ConfusionMatrix:
    """Counts pixels by true and predicted label over any number of images.

    Nothing but 256 x 256 counts is kept. One `bincount` on the masks' device serves an image; void
    pixels and labels out of range need no pass of their own, as they fall into other rows.

    Args:
        num_labels: Classes and background, at most 255.
        device: Where the masks given to `update` are.
    """

    def __init__(self, num_labels: int, device: torch.device | str = "cpu") -> None:
        if not 1 <= num_labels < LABELS:
            raise ValueError(f"num_labels must be from 1 to 255. Got: {num_labels}")
        self.num_labels = num_labels
        self._counts = torch.zeros(LABELS * LABELS, dtype=torch.int64, device=device)

    def update(self, prediction: Tensor, target: Tensor) -> None:
        """Adds the pixels of one image or of a batch.

        Args:
            prediction: Predicted labels, 0 to `num_labels` - 1, of any shape, integers.
            target: True labels or void (255), same shape.
        """
        if prediction.shape != target.shape:
            raise ValueError(
                "prediction and target must have one shape. "
                f"Got: {tuple(prediction.shape)} and {tuple(target.shape)}"
            )
        pairs = target.to(torch.int32).mul_(LABELS).add_(prediction)
        self._counts += torch.bincount(pairs.flatten(), minlength=LABELS * LABELS)

    def matrix(self) -> np.ndarray:
        """Pixels by true (row) and predicted (column) label, int64 `[num_labels, num_labels]`.

        Raises:
            UserError: If a true or predicted label was out of range.
        """
        counts = self._counts.reshape(LABELS, LABELS).cpu().numpy()
        labelled = counts[:VOID]
        for name, seen in (
            ("true mask", np.flatnonzero(labelled.sum(axis=1))),
            ("predicted mask", np.flatnonzero(labelled.sum(axis=0))),
        ):
            if seen.size and seen[-1] >= self.num_labels:
                raise UserError(
                    f"a {name} has label {seen[-1]}, but with {self.num_labels} labels the "
                    f"highest is {self.num_labels - 1}; use 255 for void."
                )
        return labelled[: self.num_labels, : self.num_labels].copy()


@dataclass(frozen=True, kw_only=True)
class SegmentationScores:
    """Scores of a confusion matrix, in percent; NaN where a class leaves one undefined.

    Args:
        class_names: One name a label, background first.
        iou: Intersection over union of each class `[K]`; undefined where the class is neither in
            the true masks nor predicted.
        precision: Share of a class's predicted pixels that are right `[K]`; undefined where the
            class is never predicted.
        recall: Share of a class's true pixels that are found `[K]`; undefined where the class is
            not in the true masks.
        false_positive: Wrongly predicted pixels, in percent of the union, undefined as `iou` `[K]`.
        false_negative: Missed pixels, in percent of the union, undefined as `iou` `[K]`.
        pixels: True pixels of each class `[K]`.
        pixel_accuracy: Share of all labelled pixels that are right.
    """

    class_names: tuple[str, ...]
    iou: np.ndarray
    precision: np.ndarray
    recall: np.ndarray
    false_positive: np.ndarray
    false_negative: np.ndarray
    pixels: np.ndarray
    pixel_accuracy: float

    @property
    def mean_iou(self) -> float:
        """mIoU: the mean IoU of the classes that have one."""
        return _mean_of_defined(self.iou)

    def summary(self) -> dict[str, float | int]:
        """The means, each over the classes for which it is defined, and how many it left out."""
        result: dict[str, float | int] = {"pixel_accuracy": self.pixel_accuracy}
        for name in ("iou", "precision", "recall", "false_positive", "false_negative"):
            result[f"mean_{name}"] = _mean_of_defined(getattr(self, name))
        for name in ("iou", "precision", "recall"):
            values = getattr(self, name)
            result[f"{name}_undefined_classes"] = int(np.isnan(values).sum())
        return result

    def table(self) -> "pd.DataFrame":
        """One row a class: its name under `class`, then the fields above."""
        import pandas as pd

        return pd.DataFrame(
            {
                "class": self.class_names,
                "iou": self.iou,
                "precision": self.precision,
                "recall": self.recall,
                "false_positive": self.false_positive,
                "false_negative": self.false_negative,
                "pixels": self.pixels,
            }
        )


def scores(matrix: np.ndarray, class_names: tuple[str, ...]) -> SegmentationScores:
    """Scores of a confusion matrix.

    Args:
        matrix: Pixels by true (row) and predicted (column) label `[K, K]`.
        class_names: One name a label, background first.
    """
    hits = np.diagonal(matrix).astype(np.float64)
    true, predicted = matrix.sum(axis=1), matrix.sum(axis=0)
    union = true + predicted - hits
    with np.errstate(invalid="ignore"):
        return SegmentationScores(
            class_names=tuple(class_names),
            iou=100 * hits / union,
            false_positive=100 * (predicted - hits) / union,
            false_negative=100 * (true - hits) / union,
            precision=100 * hits / predicted,
            recall=100 * hits / true,
            pixels=true,
            pixel_accuracy=float(100 * hits.sum() / matrix.sum()),
        )


@dataclass(frozen=True)
class TagScores:
    """Average precision of image-level tags, in percent; NaN for a class that no image has.

    This is the usual macro mean over classes. The published code averages over images instead: the
    precision of one image's ranking of classes. The two are not comparable.
    """

    average_precision: np.ndarray
    """Of each class `[C]`."""

    @property
    def mean(self) -> float:
        """mAP: the mean over the classes that some image has."""
        return _mean_of_defined(self.average_precision)


def tag_scores(probabilities: Tensor, targets: Tensor) -> TagScores:
    """Class-wise average precision of tags.

    Args:
        probabilities: From 0 to 1, `[N, C]`.
        targets: 1 where the image carries the tag, else 0: `[N, C]`.
    """
    from torchmetrics.functional.classification import binary_average_precision

    values = np.full(targets.shape[1], np.nan)
    for label in (targets > 0).any(dim=0).nonzero()[:, 0].tolist():
        precision = binary_average_precision(probabilities[:, label], targets[:, label].long())
        values[label] = 100 * precision.item()
    return TagScores(values)


def _mean_of_defined(values: np.ndarray) -> float:
    """Mean without the NaNs; NaN if there is nothing else."""
    defined = values[~np.isnan(values)]
    return float(defined.mean()) if defined.size else float("nan")
