from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.training.data_sets import MEAN, STD
from weaktr.config.cam import CamAugmentParams
from weaktr.errors import UserError
from weaktr.training.cam_transform import cam_training_transform, to_tensor
from weaktr.training.sampling import seeded


@pytest.mark.parametrize("policy", ["rand-m10-mstd0.5-inc1", "augmix-m10-mstd0.5"])
def test_pillow_is_never_asked_for_zero_bits(policy: str) -> None:
    transform: Any = cam_training_transform(
        CamAugmentParams(auto_augment=policy), input_size=16, mean=MEAN, std=STD
    )
    augment = next(t for t in transform.transforms if hasattr(t, "ops"))
    posterize = next(op for op in augment.ops if op.name.startswith("Posterize"))
    image = Image.fromarray(np.full((8, 8, 3), 255, np.uint8))
    assert np.asarray(posterize.aug_fn(image, 0)).max() == 128  # the top bit is kept
    with seeded(0):
        for _ in range(300):
            transform(image)


@pytest.mark.parametrize("policy", ["nonsense", "rand-x9", "augmix-q3"])
def test_an_unknown_policy_is_one_sentence(policy: str) -> None:
    params = CamAugmentParams(auto_augment=policy)
    with pytest.raises(UserError, match=r"auto_augment must be .* Got: '" + policy):
        cam_training_transform(params, input_size=16, mean=MEAN, std=STD)


def test_to_tensor_normalises() -> None:
    image = Image.fromarray(np.full((2, 3, 3), 51, np.uint8))
    tensor = to_tensor(image, MEAN, STD)
    assert tensor.shape == (3, 2, 3)
    assert tensor[:, 0, 0].tolist() == pytest.approx([-1.5, -2 / 3, -0.25])
