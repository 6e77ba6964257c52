"""What the numbers in a label map mean, and the colours in which they are shown."""

import numpy as np
import numpy.typing as npt

Pixels = npt.NDArray[np.uint8]
"""A label map `[H, W]`, or an RGB image `[H, W, 3]`."""

BACKGROUND = 0
VOID = 255
"""Pixels that no class is known for; they are neither learned from nor counted."""


def _voc_palette() -> npt.NDArray[np.uint8]:
    """VOC's colours `[256, 3]`: id bits 0, 3, 6 lead in red, 1, 4, 7 in green, 2, 5 in blue."""
    ids = np.arange(256)
    palette = np.zeros((256, 3), np.uint8)
    for channel in range(3):
        for level in range(3):
            bit = (ids >> (3 * level + channel)) & 1
            palette[:, channel] |= (bit << (7 - level)).astype(np.uint8)
    return palette


VOC_PALETTE = _voc_palette()
VOC_PALETTE.setflags(write=False)
