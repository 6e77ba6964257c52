import pytest
import torch

from oracles import labels as oracle
from tests.pseudo_labels.random_cams import random_image
from weaktr.pseudo_labels.background import cam_to_label


@pytest.mark.parametrize("count", [1, 2, 4])
def test_cam_to_label_equals_softmax_and_argmax(count: int) -> None:
    cams, classes, _ = random_image(count, count)
    for score in (0.2, 0.43, 0.5, 0.99):
        label = cam_to_label(cams, classes, score)
        assert torch.equal(label.long(), oracle.cam_to_label(cams, classes, score))
