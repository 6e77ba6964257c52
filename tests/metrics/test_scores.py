"""Scores worked out by hand."""

import numpy as np
import pytest
import torch

from weaktr.metrics.confusion import ConfusionMatrix
from weaktr.metrics.scores import scores

NAMES = ("background", "cat", "dog")


def test_by_hand_with_void() -> None:
    confusion = ConfusionMatrix(3)
    confusion.update(torch.tensor([[0, 0, 1], [1, 1, 2]]), torch.tensor([[0, 1, 1], [1, 255, 2]]))
    confusion.update(torch.tensor([2, 0]), torch.tensor([0, 255]))
    assert confusion.matrix().tolist() == [[1, 0, 1], [1, 2, 0], [0, 0, 1]]
    result = scores(confusion.matrix(), NAMES)
    np.testing.assert_allclose(result.per_class["iou"], [100 / 3, 200 / 3, 50])
    np.testing.assert_allclose(result.per_class["precision"], [50, 100, 50])
    np.testing.assert_allclose(result.per_class["recall"], [50, 200 / 3, 100])
    parts = ("iou", "false_positive", "false_negative")
    np.testing.assert_allclose(sum(result.per_class[name] for name in parts), 100)
    assert result.pixel_accuracy == pytest.approx(400 / 6)
    assert result.mean_iou == pytest.approx(50)
    assert result.pixels.tolist() == [2, 3, 1]


def test_each_mean_leaves_out_its_own_undefined_classes() -> None:
    """Class 1 is never predicted, class 2 is nowhere, class 3 is predicted but never true."""
    matrix = np.array([[4, 0, 0, 4], [2, 0, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0]])
    result = scores(matrix, ("background", "a", "b", "c"))
    summary = result.summary()
    assert summary["mean_iou"] == pytest.approx(100 * (4 / 10 + 0 + 0) / 3)
    assert summary["mean_precision"] == pytest.approx(100 * (4 / 6 + 0) / 2)
    assert summary["mean_recall"] == pytest.approx(100 * (4 / 8 + 0) / 2)
    assert summary["iou_undefined_classes"] == 1
    assert summary["precision_undefined_classes"] == 2
    assert summary["recall_undefined_classes"] == 2
    table = result.table()
    assert table["class"].tolist() == ["background", "a", "b", "c"]
    assert table["iou"].isna().tolist() == [False, False, True, False]


def test_nothing_but_void_has_no_score() -> None:
    confusion = ConfusionMatrix(3)
    confusion.update(torch.zeros(5, dtype=torch.uint8), torch.full((5,), 255, dtype=torch.uint8))
    assert np.isnan(scores(confusion.matrix(), NAMES).mean_iou)
