"""Images of 16 bits a value: how much of the range they use.

They are scaled by a fixed factor, so that what uses a small part of the range comes out dark.
"""

from collections.abc import Sequence

import numpy as np
from PIL import Image

from weaktr.data.wording import some

_BITS_TAG = 0x0102
"""TIFF's bits of each value of a pixel."""
_DARK = 2**14
"""Images whose values lie below use a quarter of the range at most."""


def peak_of(image: Image.Image, data: bytes) -> int | None:
    """The largest value of an image with 16 bits a value, in colour to a byte's step; else `None`.

    Args:
        image: Loaded.
        data: Of its file.
    """
    if image.mode == "I" or image.mode.startswith("I;16"):
        return int(np.asarray(image).max())
    if image.format == "PNG":
        bits = data[24]
    else:
        bits = max(getattr(image, "tag_v2", {}).get(_BITS_TAG, (8,)))
    if bits != 16 or image.mode == "F":
        return None
    return 257 * int(np.asarray(image.convert("RGB")).max())


def dark_images(peaks: Sequence[tuple[str, int]]) -> str | None:
    """A sentence on images that come out nearly black; `None` if one of them is bright.

    Args:
        peaks: Image and its largest value, of every image with 16 bits a value.
    """
    highest = max((peak for _, peak in peaks), default=_DARK)
    if highest >= _DARK:
        return None
    return (
        f"{some([image for image, _ in peaks])} stored with 16 bits and no value above {highest}, "
        f"as of cameras with {max(8, highest.bit_length())} bits: of 65535, that is nearly black; "
        "scale the values to 16 bits, or convert to 8."
    )
