"""Image files in, 8-bit RGB out, whatever mode they are stored in."""

import hashlib
import io
import threading
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from weaktr.config.values import MAX_MEGAPIXELS
from weaktr.data.depth import peak_of
from weaktr.errors import UserError

IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff"})
FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "TIFF")
"""Decoders that are tried, whatever a file's name says."""

# The limit of pixels is ours, and is held to when the header is read.
warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)
_opening = threading.Lock()

_ORIENTATION_TAG = 0x0112
SWAPS_SIDES = frozenset({5, 6, 7, 8})
_TO_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_PLAIN_MODES = frozenset({"1", "L", "LA", "P", "PA", "RGB", "RGBA", "CMYK", "YCbCr"})
"""Modes whose conversion to RGB cannot fail."""
_CHECK_SIDE = 32
"""Sides that the JPEG decoder may reduce an image to when a file is only checked."""


class PixelLimit(NamedTuple):
    """How large an image may be; a larger one is refused before it is decoded.

    Attributes:
        megapixels: Most of them.
        way_out: What to do about a larger one.
    """

    megapixels: float = MAX_MEGAPIXELS
    way_out: str = "make it smaller or cut it into tiles"


@dataclass(frozen=True, slots=True)
class ImageFacts:
    """What indexing learns about an image file.

    Attributes:
        width: Width in pixels as shown (after EXIF orientation).
        height: Height in pixels as shown.
        orientation: EXIF orientation, 1 to 8; 1 is upright.
        digest: Hex blake2b (128 bits) of the file's bytes.
        peak: The largest value in it where values have 16 bits, else `None`.
    """

    width: int
    height: int
    orientation: int
    digest: str
    peak: int | None = None


def read_image(
    path: str | Path, limit: PixelLimit | None = None, *, shrink: int = 1
) -> Image.Image:
    """Decodes an image file as 8-bit RGB, turned upright by its EXIF orientation.

    Grey, palette, CMYK and 16-bit images are converted (16 bits by a fixed scale, not by the
    image's own range); transparent pixels are put on white, as viewers show them. Of files with
    several pictures the first is taken.

    Args:
        path: The file.
        limit: For files that nobody has checked yet.
        shrink: 1, 2, 4 or 8: a JPEG is decoded with sides so many times smaller, rounded up, which
            takes less time; files of other formats come as they are.

    Raises:
        UserError: If the file is missing, empty, truncated, too large, or is no image in a known
            format.
    """
    return _read(path, limit, shrink)[0]


def read_with_peak(
    path: str | Path, limit: PixelLimit | None = None
) -> tuple[Image.Image, int | None]:
    """`read_image`, and the largest value as `ImageFacts` has it, for files not yet checked."""
    rgb, stored, data = _read(path, limit)
    return rgb, peak_of(stored, data)


def _read(
    path: str | Path, limit: PixelLimit | None, shrink: int = 1
) -> tuple[Image.Image, Image.Image, bytes]:
    """The image as RGB and upright, as it is stored, and its file."""
    data = read_bytes(path)
    image = _open(path, data, limit)
    try:
        if shrink > 1:
            image.draft(None, (image.width // shrink, image.height // shrink))
        rgb = to_rgb(image, path)
        return upright(rgb, orientation_of(image)), image, data
    except UserError:
        raise
    except Exception as error:  # PIL's decoders raise anything, struct.error and KeyError included.
        raise _undecodable(path, error) from None


def inspect_image(path: str | Path, limit: PixelLimit | None = None) -> ImageFacts:
    """Size, orientation and digest of an image file, decoded once so that damage shows.

    JPEG files are decoded at a fraction of their size, which reads all their bytes at about two
    thirds of the time.

    Raises:
        UserError: As `read_image`.
    """
    data = read_bytes(path)
    image = _open(path, data, limit)
    try:
        # Pillow turns TIFF upright as it loads; the others may tell only once they are loaded.
        at_first = orientation_of(image) if image.format == "TIFF" else None
        full = image.size
        reduced = image.draft("L", (_CHECK_SIDE, _CHECK_SIDE)) is not None
        image.load()
        if image.mode not in _PLAIN_MODES:
            to_rgb(image, path)
        peak = peak_of(image, data)
    except UserError:
        raise
    except Exception as error:
        raise _undecodable(path, error) from None
    width, height = full if reduced else image.size
    orientation = orientation_of(image)
    if orientation in SWAPS_SIDES:
        width, height = height, width
    return ImageFacts(width, height, at_first or orientation, digest_bytes(data), peak)


def orientation_of(image: Image.Image) -> int:
    """EXIF orientation of a loaded image as it is now, 1 to 8; 1 is upright."""
    try:
        value = image.getexif().get(_ORIENTATION_TAG, 1)
    except Exception:  # Damaged EXIF says nothing about the pixels; viewers show such images too.
        return 1
    return value if value in range(1, 9) else 1


def orientation_for(facts: ImageFacts, width: int, height: int) -> int | None:
    """EXIF orientation by which a mask must be turned to lie on its image as shown.

    A mask of the shown size lies on it as it is: that is how annotation tools show images. Only a
    mask that has the sides of the image as stored, where these differ from the shown ones, was
    drawn on the stored pixels, and gets the same turn. (For a mirrored, upside-down, or square
    image both sizes agree, and the mask counts as drawn on the image as shown.)

    Args:
        facts: The image.
        width: Width of the mask in pixels.
        height: Height of the mask.

    Returns:
        1 to 8, or `None` where the mask fits neither way.
    """
    if (width, height) == (facts.width, facts.height):
        return 1
    if facts.orientation in SWAPS_SIDES and (height, width) == (facts.width, facts.height):
        return facts.orientation
    return None


def upright(image: Image.Image, orientation: int) -> Image.Image:
    """The image as shown, from the image as stored and its EXIF orientation (1 to 8)."""
    return image if orientation == 1 else image.transpose(_TO_UPRIGHT[orientation])


def digest_bytes(data: bytes) -> str:
    """Hex blake2b (128 bits)."""
    return hashlib.blake2b(data, digest_size=16).hexdigest()


def read_bytes(path: str | Path) -> bytes:
    """A file's bytes.

    Raises:
        UserError: If it is missing, unreadable, a folder, or empty.
    """
    try:
        data = Path(path).read_bytes()
    except FileNotFoundError:
        raise UserError(f"{path} does not exist; check the path.") from None
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror}); check the file.") from None
    if not data:
        raise UserError(f"{path} is empty (zero bytes); fetch it again or remove it.")
    return data


def open_image(data: bytes, path: str | Path, limit: PixelLimit | None) -> Image.Image:
    """An image of which the header is read, and nothing decoded.

    Args:
        data: Of the file.
        path: What to call it in messages.
        limit: Of its size; `None`: any.

    Raises:
        UserError: If it is larger.
        Exception: Anything, if the header is damaged or of no known format.
    """
    with _opening:
        pillows = Image.MAX_IMAGE_PIXELS
        Image.MAX_IMAGE_PIXELS = None
        try:
            image = Image.open(io.BytesIO(data), formats=FORMATS)
        finally:
            Image.MAX_IMAGE_PIXELS = pillows
    megapixels = image.width * image.height / 1e6
    if limit is not None and megapixels > limit.megapixels:
        raise UserError(
            f"{path} is {image.width}x{image.height} pixels, {megapixels:.0f} megapixels, where at "
            f"most {limit.megapixels:g} are allowed; {limit.way_out}."
        )
    return image


def _open(path: str | Path, data: bytes, limit: PixelLimit | None) -> Image.Image:
    """Reads the header."""
    try:
        return open_image(data, path, limit)
    except UserError:
        raise
    except Exception:  # A damaged header can raise anything.
        raise UserError(
            f"{path} is not an image that can be read (JPEG, PNG, WebP, BMP or TIFF); "
            "convert it, fetch it again, or remove it."
        ) from None


def _undecodable(path: str | Path, error: Exception) -> UserError:
    if isinstance(error, MemoryError):
        return UserError(
            f"{path} needs more memory than there is; make it smaller or cut it into tiles."
        )
    reason = " ".join(str(error).split()) or type(error).__name__
    return UserError(f"{path} does not decode ({reason}); fetch it again or remove it.")


def to_rgb(image: Image.Image, path: str | Path) -> Image.Image:
    """An image as RGB, not yet upright; what is transparent becomes white.

    Args:
        image: Of any mode.
        path: What to call it in messages.

    Raises:
        UserError: If it holds grey values that no scale is known for.
    """
    if image.mode == "RGB" and "transparency" not in image.info:
        image.load()
        return image
    if image.mode in ("I", "F") or image.mode.startswith("I;16"):
        return Image.fromarray(to_8_bit(np.asarray(image), path)).convert("RGB")
    if image.has_transparency_data:
        rgba = image.convert("RGBA")
        white = Image.new("RGBA", rgba.size, "white")
        return Image.alpha_composite(white, rgba).convert("RGB")
    return image.convert("RGB")


def to_8_bit(values: np.ndarray, path: str | Path) -> np.ndarray:
    """Grey values of 16-bit integers, or of floats in 0..1, scaled to 0..255.

    Raises:
        UserError: If values lie outside; `path` is what to call their image.
    """
    low, high = float(values.min()), float(values.max())
    full = 1.0 if values.dtype.kind == "f" else 65535.0
    if not (low >= 0 and high <= full):
        raise UserError(
            f"{path} has grey values outside 0 to {full:g}; convert it to 8 bits. "
            f"Got: {low:g} to {high:g}."
        )
    return np.round(values.astype(np.float32) * (255 / full)).astype(np.uint8)
