"""Label maps painted over their images."""

import numpy as np
import numpy.typing as npt

from weaktr.labels import VOC_PALETTE, Pixels

CONTOUR = 160
"""Pixels of an image's short side for one pixel of contour."""


def overlay(image: Pixels, labels: Pixels, opacity: float = 0.6) -> Pixels:
    """The image with its labels painted over it in VOC's colours; background stays clear.

    Inside an object the image shows through; its contour has just the colour that a key shows.

    Args:
        image: RGB `[H, W, 3]`.
        labels: Ids `[H, W]`.
        opacity: Weight of the colour inside of contours.
    """
    colours = VOC_PALETTE[labels]
    painted = image * (1 - opacity) + colours * opacity
    painted = np.where(labels[..., None] > 0, painted, image).astype(np.uint8)
    border = contours(labels, max(1, round(min(labels.shape) / CONTOUR)))
    return np.where(border[..., None], colours, painted)


def contours(labels: Pixels, width: int) -> npt.NDArray[np.bool_]:
    """The pixels of objects that are at most `width` pixels away from another label.

    Args:
        labels: Ids `[H, W]`.
        width: In pixels.
    """
    border = np.zeros(labels.shape, bool)
    for step in range(1, width + 1):
        for axis in (0, 1):
            if step < labels.shape[axis]:
                first, second = [slice(None)] * 2, [slice(None)] * 2
                first[axis], second[axis] = slice(None, -step), slice(step, None)
                differs = labels[tuple(first)] != labels[tuple(second)]
                border[tuple(first)] |= differs
                border[tuple(second)] |= differs
    return border & (labels > 0)
