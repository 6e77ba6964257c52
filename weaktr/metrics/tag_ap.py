"""Average precision of image-level tags."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from weaktr.metrics.scores import mean_of_defined


@dataclass(frozen=True)
class TagScores:
    """Average precision of image-level tags, in percent; NaN for a class that no image has.

    This is the usual macro mean over classes. The published code averages over images instead: the
    precision of one image's ranking of classes. The two are not comparable.
    """

    average_precision: np.ndarray
    """Of each class `[C]`."""
    given: np.ndarray
    """Images that carry each tag `[C]`."""
    predicted: np.ndarray
    """Images that each class was found in, with a probability over one half `[C]`."""
    both: np.ndarray
    """Images of both kinds `[C]`."""

    @property
    def mean(self) -> float:
        """mAP: the mean over the classes that some image has."""
        return float(mean_of_defined(self.average_precision))

    def by_class(self, classes: Sequence[str]) -> dict[str, dict[str, float]]:
        """All that is known of each class, by its name."""
        return {
            name: {
                "average_precision": float(self.average_precision[c]),
                "given": int(self.given[c]),
                "predicted": int(self.predicted[c]),
                "both": int(self.both[c]),
            }
            for c, name in enumerate(classes)
        }


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
    given, found = (targets > 0).numpy(), (probabilities > 0.5).numpy()
    return TagScores(
        values,
        given=given.sum(axis=0),
        predicted=found.sum(axis=0),
        both=(given & found).sum(axis=0),
    )
