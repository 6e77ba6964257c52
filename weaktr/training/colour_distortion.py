"""Random brightness, contrast, saturation and hue, as the segmenter's published training has it."""

from dataclasses import dataclass

import torch
from torch import Tensor

from weaktr.training.draws import coin, uniform


@dataclass(frozen=True, kw_only=True)
class ColourDistortion:
    """One drawn distortion: the published one (mmsegmentation's), without its rounding to 8 bits.

    Args:
        brightness: What is added to a colour in [0, 1].
        contrast: Multiplies all channels.
        contrast_first: Whether contrast comes after brightness, or last.
        saturation: Multiplies HSV's saturation, at most to 1.
        hue: The share of the circle that is added to HSV's hue, at most 1/6.
    """

    brightness: float = 0.0
    contrast: float = 1.0
    contrast_first: bool = True
    saturation: float = 1.0
    hue: float = 0.0

    @staticmethod
    def draw() -> "ColourDistortion":
        """From torch's global generator, each part with a probability of one half.

        Brightness up to 32 grey levels, contrast and saturation 0.5 to 1.5, hue up to 36 degrees.
        """
        contrast = uniform(0.5, 1.5) if coin() else 1.0
        return ColourDistortion(
            contrast=contrast,
            contrast_first=coin(),
            brightness=uniform(-32 / 255, 32 / 255) if coin() else 0.0,
            saturation=uniform(0.5, 1.5) if coin() else 1.0,
            hue=uniform(-0.1, 0.1) if coin() else 0.0,
        )

    def __call__(self, image: Tensor) -> Tensor:
        """Distorts RGB in [0, 1], float32 `[3, H, W]`, in place where it can."""
        if self.brightness:
            image = image.add_(self.brightness).clamp_(0, 1)
        if self.contrast != 1 and self.contrast_first:
            image = image.mul_(self.contrast).clamp_(0, 1)
        if self.saturation != 1 or self.hue:
            image = self._turn(image)
        if self.contrast != 1 and not self.contrast_first:
            image = image.mul_(self.contrast).clamp_(0, 1)
        return image

    def _turn(self, image: Tensor) -> Tensor:
        """Saturation and hue together; HSV's value, the largest channel of a pixel, stays."""
        red, green, blue = image.unbind()
        value = torch.maximum(torch.maximum(red, green), blue)
        chroma = value - torch.minimum(torch.minimum(red, green), blue)
        scale = chroma.clamp(min=1e-12).reciprocal_()
        if not self.hue:
            gain = scale.mul_(value).clamp_(max=self.saturation)
            return torch.addcmul(value, image.sub_(value), gain, out=image)
        saturated = torch.minimum(chroma.mul_(self.saturation), value)
        return _with_hue(_sixths(image, value, scale).add_(6 * self.hue), value, saturated)


def _sixths(image: Tensor, value: Tensor, scale: Tensor) -> Tensor:
    """HSV's hue in sixths of the circle, -1 to 5, from the largest channel and 1 / chroma."""
    red, green, blue = image.unbind()
    return torch.where(
        value == red,
        (green - blue).mul_(scale),
        torch.where(
            value == green,
            (blue - red).mul_(scale).add_(2),
            (red - green).mul_(scale).add_(4),
        ),
    )


def _with_hue(hue: Tensor, value: Tensor, chroma: Tensor) -> Tensor:
    """RGB `[3, H, W]` from hue in sixths of the circle, -2 to 6, HSV's value, and chroma.

    A channel at c (red 0, green 2, blue 4) is `value - chroma * clamp(distance(hue, c) - 1, 0, 1)`,
    where the distance around the circle is `3 - ||hue - c| - 3|`.
    """
    image = value.new_empty(3, *value.shape)
    lowest = torch.sub(value, chroma, alpha=2)
    for channel, centre in zip(image, (0, 2, 4), strict=True):
        near = torch.sub(hue, centre, out=channel).abs_().sub_(3).abs_().clamp_(1, 2)
        torch.addcmul(lowest, near, chroma, out=channel)
    return image
