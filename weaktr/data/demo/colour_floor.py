"""How far colour alone gets on a data set: the floor that shows it is not solved by its palette."""

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from weaktr.labels import VOID
from weaktr.metrics.scores import mean_iou

Pair = tuple[NDArray[np.uint8], NDArray[np.uint8]]
"""An image `[H, W, 3]` and its mask `[H, W]`."""

_LEVELS = 16


def colour_miou(train: Iterable[Pair], test: Iterable[Pair], num_labels: int) -> float:
    """mIoU of a per-pixel colour classifier that is given every true training mask.

    The classifier cuts each RGB channel into 16 levels and answers, for each of the 4,096 colours,
    the label that maximises the mean over classes of right answers on `train` (labels weighted by
    one over their share, so that it does not simply answer background), or the plain most
    frequent label: whichever scores higher on `test`. It is a floor for hardness, not a competitor,
    so the better of both is reported.

    Args:
        train: Images and true masks it is fitted on.
        test: Images and true masks it is scored on.
        num_labels: Classes and background.

    Returns:
        The mean over labels of intersection over union, in percent; void pixels do not count.
    """
    counts = _colour_counts(train, num_labels)
    shares = np.maximum(counts.sum(0), 1) / max(counts.sum(), 1)
    tables = (counts.argmax(1), (counts / shares).argmax(1))
    seen = _colour_counts(test, num_labels)
    return max(_miou(table, seen) for table in tables)


def _colour_counts(pairs: Iterable[Pair], num_labels: int) -> NDArray[np.int64]:
    """Pixels of each colour and label, `[colours, labels]`."""
    counts = np.zeros(_LEVELS**3 * num_labels, np.int64)
    for image, mask in pairs:
        level = image.astype(np.int64) * _LEVELS // 256
        colour = (level[..., 0] * _LEVELS + level[..., 1]) * _LEVELS + level[..., 2]
        known = mask != VOID
        counts += np.bincount(colour[known] * num_labels + mask[known], minlength=len(counts))
    return counts.reshape(-1, num_labels)


def _miou(table: NDArray[np.int64], seen: NDArray[np.int64]) -> float:
    num_labels = seen.shape[1]
    confusion = np.zeros((num_labels, num_labels), np.int64)  # [answer, truth]
    np.add.at(confusion, table, seen)
    return float(mean_iou(confusion))
