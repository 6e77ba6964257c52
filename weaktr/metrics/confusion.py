"""Pixels by true and predicted label, counted image by image."""

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from weaktr.errors import UserError
from weaktr.labels import VOID, Pixels
from weaktr.metrics.scores import Counts

LABELS = 256
"""Labels a mask's byte can hold."""


def confusion(prediction: Pixels, truth: Pixels, num_labels: int) -> Counts:
    """Pixels of one image by true (row) and predicted (column) label `[num_labels, num_labels]`.

    Args:
        prediction: Predicted labels `[H, W]`.
        truth: True labels or void (255) `[H, W]`.
        num_labels: Classes and background.
    """
    counted = ConfusionMatrix(num_labels)
    counted.update(torch.from_numpy(prediction), torch.from_numpy(truth))
    return counted.matrix()


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

    def matrix(self) -> npt.NDArray[np.int64]:
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
