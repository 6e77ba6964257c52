"""Images as notebooks hold them: paths, PIL images, arrays."""

import os
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from weaktr.data.images import PixelLimit, orientation_of, read_image, to_8_bit, to_rgb, upright
from weaktr.errors import UserError
from weaktr.labels import Pixels

ImageLike = str | os.PathLike[str] | Image.Image | npt.NDArray[Any]


def rgb_pixels(image: ImageLike) -> Pixels:
    """Any image as RGB uint8 `[H, W, 3]`, upright, by the rules for files (`docs/data.md`).

    Args:
        image: A path; a PIL image; or an array `[H, W]`, `[H, W, 3]` or `[H, W, 4]` of uint8,
            uint16, bool, or floats from 0 to 1.

    Raises:
        UserError: If it is none of these, is empty, or does not decode.
    """
    if isinstance(image, str | os.PathLike):
        return np.array(read_image(Path(image), PixelLimit()))
    picture = _picture_of(image) if isinstance(image, np.ndarray) else image
    if not isinstance(picture, Image.Image):
        kind = type(image).__name__
        raise UserError(f"an image must be a path, a PIL image or a NumPy array. Got: {kind}")
    if 0 in picture.size:
        raise UserError("the image has no pixels; check how it was cut.")
    try:
        rgb = to_rgb(picture, "the image")
        return np.array(upright(rgb, orientation_of(picture)))
    except (OSError, SyntaxError, ValueError) as error:  # A PIL image may be decoded only now.
        raise UserError(f"the image does not decode ({error}); open or make it again.") from None


def _picture_of(array: npt.NDArray[Any]) -> Image.Image:
    plane = array[..., 0] if array.ndim == 3 and array.shape[2] == 1 else array
    shaped = plane.ndim == 2 or (plane.ndim == 3 and plane.shape[2] in (3, 4))
    if not shaped or not plane.size:
        raise UserError(
            "an array must be one image with channels last, [H, W], [H, W, 3] or [H, W, 4]. "
            f"Got: {list(array.shape)}"
        )
    kind = plane.dtype.kind + str(plane.dtype.itemsize)
    if kind == "b1":
        plane = plane.astype(np.uint8) * 255
    elif kind == "u2" or kind[0] == "f":
        plane = to_8_bit(plane, "the image")
    elif kind != "u1":
        raise UserError(
            "an array must hold uint8, uint16, bool, or floats from 0 to 1; convert it. "
            f"Got: {array.dtype}"
        )
    return Image.fromarray(np.ascontiguousarray(plane))
