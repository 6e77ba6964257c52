import numpy as np
import pytest
import torch

from oracles.class_loop import class_loop_counts
from weaktr.errors import UserError
from weaktr.metrics.confusion import ConfusionMatrix
from weaktr.metrics.scores import scores
from weaktr.metrics.tag_ap import tag_scores

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


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int32, torch.int64])
def test_streaming_equals_the_loop_over_classes(dtype: torch.dtype) -> None:
    generator = torch.Generator().manual_seed(0)
    confusion = ConfusionMatrix(21)
    expected = np.zeros((3, 21), dtype=np.int64)
    for shape in [(5, 7), (2, 9, 4), (30,)]:
        prediction = torch.randint(0, 21, shape, generator=generator)
        target = torch.randint(0, 22, shape, generator=generator)
        target[target == 21] = 255
        confusion.update(prediction.to(dtype), target.to(dtype))
        expected += class_loop_counts(prediction.numpy(), target.numpy(), 21)
    matrix = confusion.matrix()
    got = np.stack([matrix.sum(axis=0), matrix.sum(axis=1), matrix.diagonal()])
    assert (got == expected).all()


@pytest.mark.parametrize(("prediction", "target", "name"), [(0, 3, "true"), (7, 0, "predicted")])
def test_labels_out_of_range_are_refused(prediction: int, target: int, name: str) -> None:
    confusion = ConfusionMatrix(3)
    confusion.update(torch.tensor([prediction]), torch.tensor([target]))
    with pytest.raises(UserError, match=f"{name} mask has label"):
        confusion.matrix()


def test_wrong_labels_under_void_do_not_matter() -> None:
    confusion = ConfusionMatrix(3)
    confusion.update(torch.tensor([9, 1]), torch.tensor([255, 1]))
    assert confusion.matrix().sum() == 1


def test_shapes_must_agree() -> None:
    with pytest.raises(ValueError, match="one shape"):
        ConfusionMatrix(3).update(torch.zeros(2, 3), torch.zeros(3, 2))


def test_average_precision_of_tags_by_hand() -> None:
    """Ranks of class 0: yes, no, yes; class 1 is on no image; class 2 is ranked right."""
    probabilities = torch.tensor([[0.9, 0.1, 0.2], [0.8, 0.2, 0.9], [0.7, 0.3, 0.1]])
    targets = torch.tensor([[1, 0, 0], [0, 0, 1], [1, 0, 0]])
    result = tag_scores(probabilities, targets)
    np.testing.assert_allclose(result.average_precision, [100 * (1 + 2 / 3) / 2, np.nan, 100])
    assert result.mean == pytest.approx((100 * (1 + 2 / 3) / 2 + 100) / 2)
    assert np.isnan(tag_scores(torch.zeros(0, 3), torch.zeros(0, 3)).mean)
