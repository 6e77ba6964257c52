"""Counts for mIoU, class by class: the straightforward way."""

import numpy as np


def class_loop_counts(prediction: np.ndarray, target: np.ndarray, num_labels: int) -> np.ndarray:
    """Predicted, true, and rightly predicted pixels of each class, void left out: `[3, K]`."""
    labelled = target < 255
    right = prediction == target
    counts = np.zeros((3, num_labels), dtype=np.int64)
    for label in range(num_labels):
        counts[0, label] = np.sum((prediction == label) & labelled)
        counts[1, label] = np.sum((target == label) & labelled)
        counts[2, label] = np.sum((target == label) & right & labelled)
    return counts
