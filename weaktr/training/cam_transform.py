"""Augmentation and normalisation for the CAM network, built from timm."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from PIL import Image
from timm.data.auto_augment import AugMixAugment, AutoAugment, RandAugment
from timm.data.transforms import MaybeToTensor
from timm.data.transforms_factory import create_transform
from torch import Tensor
from torchvision.transforms import v2

from weaktr.config.cam import CamAugmentParams
from weaktr.errors import UserError
from weaktr.training.sampling import seeded
from weaktr.training.shrinking import shrink_to


def to_tensor(image: Image.Image, mean: Sequence[float], std: Sequence[float]) -> Tensor:
    """Normalises an RGB image.

    Args:
        image: RGB.
        mean: Per-channel mean of the backbone's pretraining, in [0, 1].
        std: Per-channel standard deviation, likewise.

    Returns:
        Float tensor `[3, H, W]`.
    """
    pixels = v2.functional.pil_to_tensor(image).float().div_(255)
    return v2.functional.normalize(pixels, list(mean), list(std), inplace=True)


class NormalTensor:
    """`ToTensor` and `Normalize` in one, to the same bits: fewer copies.

    Args:
        mean: Per-channel mean, in [0, 1].
        std: Per-channel standard deviation.
    """

    def __init__(self, mean: Sequence[float], std: Sequence[float]) -> None:
        self.mean, self.std = (torch.tensor(x).view(3, 1, 1) for x in (mean, std))

    def __call__(self, image: Image.Image) -> Tensor:
        """An RGB image as a float tensor `[3, H, W]`."""
        pixels = np.ascontiguousarray(np.asarray(image).transpose(2, 0, 1))
        return torch.from_numpy(pixels).float().div_(255).sub_(self.mean).div_(self.std)


def _posterize_one_bit_or_more(posterize: Callable[..., Image.Image]) -> Callable[..., Image.Image]:
    def guarded(image: Image.Image, bits: int, **options: Any) -> Image.Image:
        return posterize(image, max(1, bits), **options)

    return guarded


class CamTransform:
    """Augmentation of an image for the CAM network.

    Args:
        transforms: timm's, of which the first is a random resized crop.
    """

    def __init__(self, transforms: list[Any]) -> None:
        self.transforms = transforms

    def __call__(self, image: Image.Image, size: tuple[int, int] | None = None) -> Tensor:
        """Augments an image, drawing from the generators of `random`, `numpy` and `torch`.

        Args:
            image: RGB.
            size: Width and height that it has in its file, where it was decoded smaller.

        Returns:
            Float `[3, S, S]`.
        """
        crop, *others = self.transforms
        result: Any
        if size is None or size == image.size:
            result = crop(image)
        else:
            rows, columns = image.height / size[1], image.width / size[0]
            top, left, height, width = self._box(*size)
            right, bottom = columns * (left + width), rows * (top + height)
            result = image.resize(
                crop.size, Image.Resampling.BICUBIC, (columns * left, rows * top, right, bottom)
            )
        for transform in others:
            result = transform(result)
        return result

    def shrink(self, width: int, height: int, *, seed: int) -> int:
        """How much smaller an image of this size may be decoded, for what a seed will crop."""
        wanted = max(self.transforms[0].size)
        if shrink_to(min(width, height), wanted) == 1:
            return 1
        with seeded(seed):
            return shrink_to(min(self._box(width, height)[2:]), wanted)

    def _box(self, width: int, height: int) -> tuple[int, int, int, int]:
        """Top, left, height and width of the crop of an image of this size, drawn."""
        crop, image = self.transforms[0], torch.empty(1).expand(3, height, width)
        box: tuple[int, int, int, int] = crop.get_params(image, crop.scale, crop.ratio)
        return box


def cam_training_transform(
    params: CamAugmentParams, *, input_size: int, mean: Sequence[float], std: Sequence[float]
) -> CamTransform:
    """timm's training transform: random resized crop, flip, jitter, RandAugment, erasing.

    timm's `PosterizeIncreasing` can ask for 0 bits, which today's Pillow refuses; at least one bit
    is kept here (it used to give a black image).

    Args:
        params: The `cam.augment` section.
        input_size: Side of the square output in pixels.
        mean: Per-channel mean of the backbone's pretraining.
        std: Per-channel standard deviation.

    Raises:
        UserError: If timm knows no such policy.
    """
    try:
        transform = create_transform(
            input_size,
            is_training=True,
            scale=(params.scale_min, 1.0),
            color_jitter=params.color_jitter,
            auto_augment=params.auto_augment,
            interpolation="bicubic",
            re_prob=params.erase_probability,
            re_mode="pixel",
            mean=tuple(mean),
            std=tuple(std),
        )
    except (AssertionError, ValueError) as error:
        raise UserError(
            "cam.augment.auto_augment must be null or a policy of timm, such as "
            f"rand-m9-mstd0.5-inc1 ({error}). Got: {params.auto_augment!r}"
        ) from None
    steps = transform.transforms
    place = next(i for i, step in enumerate(steps) if isinstance(step, MaybeToTensor))
    steps[place : place + 2] = [NormalTensor(mean, std)]  # Normalize comes after it
    for step in steps:
        if isinstance(step, RandAugment | AugMixAugment):
            operations = list(step.ops)
        elif isinstance(step, AutoAugment):
            operations = [operation for policy in step.policy for operation in policy]
        else:
            continue
        for operation in operations:
            if operation.name.startswith("Posterize"):
                operation.aug_fn = _posterize_one_bit_or_more(operation.aug_fn)
    return CamTransform(steps)
