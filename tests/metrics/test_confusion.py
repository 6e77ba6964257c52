import numpy as np
import pytest
import torch

from oracles.class_loop import class_loop_counts
from weaktr.errors import UserError
from weaktr.metrics.confusion import ConfusionMatrix


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
