"""Label maps painted over their images."""

import numpy as np

from weaktr.labels import VOC_PALETTE, Pixels


def overlay(image: Pixels, labels: Pixels, opacity: float = 0.6) -> Pixels:
    """The image with its labels painted over it in VOC's colours; background stays clear.

    Args:
        image: RGB `[H, W, 3]`.
        labels: Ids `[H, W]`.
        opacity: Weight of the colour.
    """
    painted = image * (1 - opacity) + VOC_PALETTE[labels] * opacity
    return np.where(labels[..., None] > 0, painted, image).astype(np.uint8)
