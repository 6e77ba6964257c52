"""Augmentation and normalisation for the segmenter, image and label map together."""

from collections.abc import Sequence

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torchvision import tv_tensors
from torchvision.transforms import v2

from weaktr.config.decoder import DecoderAugmentParams
from weaktr.labels import VOID

LONGEST = 8
"""Longest side of a resized training image, in short sides, as published: bounds thin strips."""


def distort_colours(image: Tensor) -> Tensor:
    """Random brightness, contrast, saturation and hue, each with a probability of one half.

    The published distortion (mmsegmentation's), without its rounding to 8 bits: brightness is added
    (up to 32 grey levels), contrast multiplies all channels (0.5 to 1.5) and comes second or last,
    saturation is HSV's (times 0.5 to 1.5), hue turns by up to 36 degrees.

    Args:
        image: RGB in [0, 1], `[3, H, W]`.

    Returns:
        The same, drawn from torch's global generator.
    """
    contrast = _uniform(0.5, 1.5) if _coin() else 1.0
    contrast_first = _coin()
    if _coin():
        image = (image + _uniform(-32 / 255, 32 / 255)).clamp(0, 1)
    if contrast_first:
        image = (image * contrast).clamp(0, 1)
    if _coin():
        image = _saturate(image, _uniform(0.5, 1.5))
    if _coin():
        image = _turn_hue(image, _uniform(-0.1, 0.1))
    if not contrast_first:
        image = (image * contrast).clamp(0, 1)
    return image


def _saturate(image: Tensor, factor: float) -> Tensor:
    """Multiplies HSV's saturation, at most to 1; the largest channel of a pixel stays."""
    value = image.amax(dim=0)
    chroma = value - image.amin(dim=0)
    gain = (value / chroma.clamp(min=1e-6)).clamp(max=factor)
    return value - (value - image) * gain


def _turn_hue(image: Tensor, share: float) -> Tensor:
    """Adds a share of the circle, at most 1/6, to HSV's hue; saturation and value stay.

    With hue h in sixths of the circle, a channel at c (red 0, green 2, blue 4) is
    `value - chroma * clamp(distance(h, c) - 1, 0, 1)`, the distance taken around the circle.
    """
    red, green, blue = image.unbind()
    value = image.amax(dim=0)
    chroma = value - image.amin(dim=0)
    scale = chroma.clamp(min=1e-12).reciprocal_()
    hue = torch.where(
        value == red,
        (green - blue) * scale,
        torch.where(
            value == green,
            (blue - red).mul_(scale).add_(2),
            (red - green).mul_(scale).add_(4),
        ),
    ).add_(6 * share)
    turned = torch.empty_like(image)
    for channel, centre in zip(turned, (0, 2, 4), strict=True):
        distance = (hue - centre).abs_()
        distance = torch.minimum(distance, (6 - distance).abs_()).sub_(1).clamp_(0, 1)
        torch.addcmul(value, distance, chroma, value=-1, out=channel)
    return turned


def _uniform(low: float, high: float) -> float:
    return torch.empty(()).uniform_(low, high).item()


def _coin() -> bool:
    return bool(torch.rand(()) < 0.5)


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
        self.normalise = v2.Normalize(list(mean), list(std))

    def __call__(self, image: Image.Image, label: np.ndarray) -> tuple[Tensor, Tensor]:
        """Augments one pair, drawing from torch's global generator.

        Args:
            image: RGB, of the label's size.
            label: uint8 `[H, W]`; 255 is void.

        Returns:
            Float image `[3, crop_size, crop_size]` and int64 label `[crop_size, crop_size]`.
        """
        pixels = tv_tensors.Image(v2.functional.pil_to_tensor(image))
        mask = tv_tensors.Mask(torch.from_numpy(label))
        H, W = mask.shape
        ratio = _uniform(self.params.ratio_min, self.params.ratio_max)
        scale = self.params.short_side * ratio / max(min(H, W), max(H, W) / LONGEST)
        target = [max(1, round(H * scale)), max(1, round(W * scale))]
        pixels = v2.functional.resize(pixels, target, antialias=True)
        mask = v2.functional.resize(mask, target)
        top, left, height, width = self._crop_box(mask)
        pixels = v2.functional.crop(pixels, top, left, height, width)
        mask = v2.functional.crop(mask, top, left, height, width)
        if self.params.flip and _coin():
            pixels = v2.functional.horizontal_flip(pixels)
            mask = v2.functional.horizontal_flip(mask)
        colours = pixels.as_subclass(torch.Tensor).float() / 255
        if self.params.photometric:
            colours = distort_colours(colours)
        normal = self.normalise(colours)
        padding = [0, 0, self.crop_size - width, self.crop_size - height]
        normal = v2.functional.pad(normal, padding, fill=0)
        mask = v2.functional.pad(mask, padding, fill=VOID)
        return normal, mask.as_subclass(torch.Tensor).long()

    def _crop_box(self, mask: Tensor) -> tuple[int, int, int, int]:
        """Top, left, height, width of a random crop that no class dominates, if ten draws allow."""
        H, W = mask.shape
        height, width = min(H, self.crop_size), min(W, self.crop_size)
        for _ in range(10 if self.params.max_class_share < 1 else 1):
            top = int(torch.randint(H - height + 1, ()))
            left = int(torch.randint(W - width + 1, ()))
            ids = mask[top : top + height, left : left + width].flatten()
            counts = torch.bincount(ids, minlength=VOID + 1)[:VOID]
            several = int((counts > 0).sum()) > 1
            if several and counts.max() < self.params.max_class_share * counts.sum():
                break
        return top, left, height, width
