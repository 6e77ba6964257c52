"""Masks as palette PNG files: 0 background, 1..C classes in list order, 255 void."""

from collections.abc import Mapping
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np
from PIL import Image

from weaktr.data.images import PixelLimit, open_image, orientation_of, read_bytes, upright
from weaktr.errors import UserError
from weaktr.labels import BACKGROUND, VOC_PALETTE, VOID, Pixels


def read_mask(path: str | Path) -> Pixels:
    """Reads ids `[H, W]`, uint8, from a palette, grey, or black-and-white image file.

    Palette indices and grey values are ids as they stand. The file's own EXIF orientation, if it
    has one, is applied.

    Raises:
        UserError: If the file is missing, empty, damaged, a JPEG, holds colours instead of ids, or
            ids above 255.
    """
    return decode_stored(read_bytes(path), path).ids


class StoredMaskPixels(NamedTuple):
    """A mask as a file holds it.

    Attributes:
        ids: `[H, W]`, uint8.
        palette: Red, green and blue of id 0, of id 1, ...; `None`: the file has no palette.
        black_and_white: Whether a pixel is one bit; white is id 1.
    """

    ids: Pixels
    palette: list[int] | None
    black_and_white: bool


def decode_stored(
    data: bytes, path: str | Path, limit: PixelLimit | None = None
) -> StoredMaskPixels:
    """`read_mask` for bytes already read, with what else the file says; `path` is for messages."""
    try:
        stored = open_image(data, path, limit)
        stored.load()
        image = upright(stored, orientation_of(stored))
    except UserError:
        raise
    except Exception as error:  # PIL's decoders raise anything, struct.error and KeyError included.
        reason = " ".join(str(error).split()) or type(error).__name__
        if isinstance(error, Image.UnidentifiedImageError):
            reason = "no known image format"
        raise UserError(
            f"{path} is not a mask that can be read ({reason}); write it again as palette PNG."
        ) from None
    if stored.format in ("JPEG", "MPO") or stored.info.get("compression") == "jpeg":
        raise UserError(
            f"{path} is stored as JPEG, which changes ids along every edge; save the original as "
            "palette or grey PNG."
        )
    if image.mode not in ("P", "L", "1", "I") and not image.mode.startswith("I;16"):
        raise UserError(
            f"{path} holds colours, not class ids; save masks as palette or grey PNG with one id "
            f"per pixel. Got: mode {image.mode}."
        )
    ids = np.asarray(image)
    if ids.dtype != np.uint8:
        low, high = int(ids.min()), int(ids.max())
        if low < 0 or high > VOID:
            raise UserError(
                f"{path} holds ids that do not fit a byte; use 0 to {VOID}. Got: {low} to {high}."
            )
    ids = np.array(ids, dtype=np.uint8, order="C")  # a copy: Pillow's memory is read-only
    if image.mode == "L":
        ids //= _stretched(data)
    return StoredMaskPixels(
        ids, image.getpalette("RGB") if image.mode == "P" else None, image.mode == "1"
    )


def _stretched(data: bytes) -> int:
    """The factor by which Pillow brings grey PNG of two or four bits to eight."""
    bits, colour_type = data[24:26] if data.startswith(b"\x89PNG\r\n\x1a\n") else (8, 0)
    return {(2, 0): 85, (4, 0): 17}.get((bits, colour_type), 1)


def read_label_map(
    path: str | Path, num_labels: int, size: tuple[int, int], image: str | Path
) -> Pixels:
    """`read_mask` for the mask of an image; arguments and errors as `check_label_map`."""
    ids = read_mask(path)
    check_label_map(ids, path, num_labels, size, image)
    return ids


def check_label_map(
    ids: Pixels, path: str | Path, num_labels: int, size: tuple[int, int], image: str | Path
) -> None:
    """Does nothing if a mask is one of an image and of a class list.

    Args:
        ids: The mask, `[H, W]`.
        path: What to call it in messages.
        num_labels: Classes and background.
        size: Width and height of the image.
        image: What to call the image.

    Raises:
        UserError: If the mask has another size, or a label that is neither one of these nor void.
    """
    if ids.shape != size[::-1]:
        raise UserError(
            f"{path} is {ids.shape[1]}x{ids.shape[0]} pixels but its image {image} is "
            f"{size[0]}x{size[1]}; remake the label map."
        )
    strange = ids[(ids >= num_labels) & (ids != VOID)]
    if strange.size:
        raise UserError(
            f"{path} has label {strange.max()}, but with {num_labels - 1} classes the highest is "
            f"{num_labels - 1}; use {VOID} for void, or remake the label map for these classes."
        )


def write_mask(path: str | Path | BinaryIO, ids: Pixels) -> None:
    """Writes ids `[H, W]`, uint8, as a PNG with VOC's palette; equal ids give equal bytes.

    The folder must exist. For a file that appears whole or not at all, write inside
    `weaktr.files.replace_dir` or `replace_file`.
    """
    if ids.dtype != np.uint8 or ids.ndim != 2:
        raise ValueError(f"ids must be uint8 [H, W]. Got: {ids.dtype} {list(ids.shape)}.")
    image = Image.fromarray(np.ascontiguousarray(ids)).convert("L")
    image.putpalette(VOC_PALETTE.tobytes())
    image.save(path, format="PNG")


def remap_table(new_ids: Mapping[int, int], *, other: int) -> Pixels:
    """Table `[256]` for `table[ids]`: listed ids get new ones, the rest becomes `other`.

    Background and void stay what they are unless listed.

    >>> table = remap_table({5: 1}, other=VOID)
    >>> table[np.array([0, 5, 7, VOID])].tolist()
    [0, 1, 255, 255]
    """
    table = np.full(256, other, np.uint8)
    table[BACKGROUND], table[VOID] = BACKGROUND, VOID
    for old, new in new_ids.items():
        table[old] = new
    return table
