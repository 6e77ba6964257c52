"""Augmentation and normalisation for the segmenter, image and label map together."""

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor
from torchvision.transforms import v2

from weaktr.config.decoder import DecoderAugmentParams
from weaktr.labels import VOID, Pixels
from weaktr.training.colour_distortion import ColourDistortion
from weaktr.training.draws import coin, uniform
from weaktr.training.sampling import seeded
from weaktr.training.shrinking import shrink_to

LONGEST = 8
"""Longest side of a resized training image, in short sides, as published: bounds thin strips."""
ROWS = 96
"""Rows of a crop whose colours are worked on at once: few enough for a core's own cache."""


class SegmentationTransform:
    """Joint augmentation of an image and its label for decoder training.

    Resize the short side to `short_side` x a random ratio (less where the long side would exceed
    eight of them), random crop in which no class covers more than `max_class_share`, flip,
    photometric distortion, normalise, pad right and bottom (the image with its mean, the label with
    void).
    """

    def __init__(
        self,
        params: DecoderAugmentParams,
        *,
        crop_size: int,
        mean: Sequence[float],
        std: Sequence[float],
    ) -> None:
        self.params = params
        self.crop_size = crop_size
        self.mean, self.std = (torch.tensor(x).view(3, 1, 1) for x in (mean, std))

    def __call__(self, image: Image.Image, label: Pixels) -> tuple[Tensor, Tensor]:
        """Augments one pair, drawing from torch's global generator.

        Args:
            image: RGB, of the label's size or so much smaller as `shrink` says.
            label: uint8 `[H, W]`; 255 is void.

        Returns:
            Float image `[3, crop_size, crop_size]` and int64 label `[crop_size, crop_size]`.
        """
        height, width = label.shape
        target = self._target(width, height)
        pixels = v2.functional.pil_to_tensor(image)
        pixels = v2.functional.resize(pixels, target, antialias=True)
        rows, columns, crop = self._crop(label, target)
        mirror = -1 if self.params.flip and coin() else 1
        distortion = ColourDistortion.draw() if self.params.photometric else ColourDistortion()
        cut = pixels[:, rows, columns].numpy()[:, :, ::mirror]
        colours = self._normal_colours(torch.from_numpy(np.ascontiguousarray(cut)), distortion)
        ids = torch.full((self.crop_size, self.crop_size), VOID)
        ids[: crop.shape[0], : crop.shape[1]] = torch.from_numpy(crop[:, ::mirror].copy())
        return colours, ids

    def shrink(self, width: int, height: int, *, seed: int) -> int:
        """How much smaller an image of this size may be decoded, for the ratio of a seed."""
        short = min(width, height)
        if shrink_to(short, self.params.short_side * self.params.ratio_min) == 1:
            return 1
        with seeded(seed):
            return shrink_to(short, min(self._target(width, height)))

    def _target(self, width: int, height: int) -> list[int]:
        """Height and width that an image of this size is resized to, drawn."""
        ratio = uniform(self.params.ratio_min, self.params.ratio_max)
        short, long = min(height, width), max(height, width)
        scale = self.params.short_side * ratio / max(short, long / LONGEST)
        return [max(1, round(height * scale)), max(1, round(width * scale))]

    def _normal_colours(self, pixels: Tensor, distortion: ColourDistortion) -> Tensor:
        """Distorted, normalised and padded: uint8 `[3, h, w]` to float `[3, S, S]`."""
        height, width = pixels.shape[1:]
        result = torch.zeros(3, self.crop_size, self.crop_size)
        for top in range(0, height, ROWS):
            part = distortion(pixels[:, top : top + ROWS].float().div_(255))
            place = result[:, top : min(top + ROWS, height), :width]
            torch.sub(part, self.mean, out=place).div_(self.std)
        return result

    def _crop(self, label: Pixels, target: Sequence[int]) -> tuple[slice, slice, Pixels]:
        """A random crop that no class dominates, if ten draws allow.

        Args:
            label: Of the image as it is.
            target: Height and width of the resized image.

        Returns:
            Its rows and columns in the resized image, and the resized label there.
        """
        H, W = target
        from_row, from_column = (
            _nearest(size, wanted) for size, wanted in zip(label.shape, target, strict=True)
        )
        height, width = min(H, self.crop_size), min(W, self.crop_size)
        for _ in range(10 if self.params.max_class_share < 1 else 1):
            top = int(torch.randint(H - height + 1, ()))
            left = int(torch.randint(W - width + 1, ()))
            rows, columns = slice(top, top + height), slice(left, left + width)
            crop = label[from_row[rows]][:, from_column[columns]]
            counts = torch.bincount(torch.from_numpy(crop.ravel()), minlength=VOID + 1)[:VOID]
            several = int((counts > 0).sum()) > 1
            if several and counts.max() < self.params.max_class_share * counts.sum():
                break
        return rows, columns, crop


def _nearest(size: int, wanted: int) -> np.ndarray:
    """Where torch's nearest-neighbour resize takes each of `wanted` places from, of `size`."""
    places = torch.arange(size, dtype=torch.float32).view(1, 1, size, 1)
    return F.interpolate(places, (wanted, 1)).flatten().long().numpy()
