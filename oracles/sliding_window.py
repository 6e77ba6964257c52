"""Sliding-window inference the straightforward way: pixels of one window after another.

The oracle of `weaktr.segmentation`: logits of every pixel are added up where windows overlap,
divided by their number, resized, un-flipped and soft-maxed, as in the published code.
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from weaktr.segmentation.sliding_window import (
    InferenceSettings,
    SegmentationModel,
    enlarged_size,
    scaled_inputs,
    window_starts,
)


def window_logits(
    model: Callable[[Tensor], Tensor], image: Tensor, settings: InferenceSettings
) -> Tensor:
    """Logits `[1, K, h, w]` of a normalised image `[1, 3, h, w]`, which may be enlarged first."""
    window = settings.window
    height, width = enlarged_size(image.shape[-2:], window)
    image = F.interpolate(image, (height, width), mode="bilinear")
    image = F.pad(image, (0, max(0, window - width), 0, max(0, window - height)))
    total: Tensor | None = None
    count = torch.zeros(image.shape[-2:], device=image.device)
    for top in window_starts(image.shape[-2], window, settings.stride):
        for left in window_starts(image.shape[-1], window, settings.stride):
            here = (..., slice(top, top + window), slice(left, left + window))
            logits = model(image[here])
            if total is None:
                total = logits.new_zeros((1, logits.shape[1], *image.shape[-2:]))
            total[here] += logits
            count[here] += 1
    assert total is not None
    return (total / count)[..., :height, :width]


@torch.no_grad()
def sliding_probabilities(
    model: SegmentationModel,
    pixels: Callable[[Tensor], Tensor],
    images: Tensor,
    settings: InferenceSettings,
) -> Tensor:
    """Probabilities `[1, K, H, W]` of one image, uint8 `[1, H, W, 3]`.

    Args:
        model: Gives the normalisation.
        pixels: From a window `[1, 3, h, w]` to the logits of its pixels `[1, K, h, w]`.
        images: The image.
        settings: Windows, scales and flip; the early masks are left out.
    """
    size = (images.shape[1], images.shape[2])
    total: Tensor | None = None
    for x, flipped in scaled_inputs(images, settings, mean=model.mean, std=model.std):
        logits = F.interpolate(window_logits(pixels, x, settings), size, mode="bilinear")
        probabilities = (logits.flip(-1) if flipped else logits).softmax(dim=1)
        total = probabilities if total is None else total + probabilities
    assert total is not None
    return total / (len(settings.scales) * (1 + settings.flip))
