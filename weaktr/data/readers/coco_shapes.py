"""COCO's shapes, polygons and run-length codes, and masks painted from them."""

import math
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from weaktr.errors import UserError
from weaktr.labels import Pixels

Polygons = tuple[npt.NDArray[np.float64], ...]
RunLengths = dict[str, Any]
Shape = Polygons | RunLengths

_SHORTEST_POLYGON = 6
"""Numbers: three corners."""
_FARTHEST = 10
"""Longer sides of the image that a corner may lie away; pycocotools crashes far outside."""
_BEYOND = 0.05
"""Longer sides of the image that a corner may lie outside without a word."""


def run_lengths(pixels: npt.NDArray[np.bool_] | Pixels) -> RunLengths:
    """COCO's compressed run-length code of a mask `[H, W]`."""
    from pycocotools import mask as coco_mask

    code = coco_mask.encode(np.asfortranarray(pixels.astype(np.uint8)))
    return {"size": list(pixels.shape), "counts": code["counts"]}


@dataclass(frozen=True, slots=True)
class PaintedMask:
    """A mask that is still a list of shapes.

    Attributes:
        height: Height in pixels, of the image as stored.
        width: Width in pixels.
        shapes: Polygons (`[x0, y0, x1, y1, ...]` each) or a COCO run-length code, with the id that
            they are painted with; later ones cover earlier ones.
    """

    height: int
    width: int
    shapes: tuple[tuple[Shape, int], ...]

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels."""
        return self.width, self.height

    def read(self) -> Pixels:
        """Ids `[H, W]`, uint8, in class-list order."""
        from pycocotools import mask as coco_mask

        ids = np.zeros((self.height, self.width), np.uint8)
        for shape, value in self.shapes:
            if isinstance(shape, dict):
                code = shape
                if isinstance(shape["counts"], list):
                    code = coco_mask.frPyObjects(shape, self.height, self.width)
            else:
                code = coco_mask.merge(coco_mask.frPyObjects(list(shape), self.height, self.width))
            ids[coco_mask.decode(code).astype(bool)] = value
        return ids


class Parsed(NamedTuple):
    """A shape that can be painted (`None`: none is given), and what was made of it, in words."""

    shape: Shape | None
    remarks: tuple[str, ...] = ()


def parse_shape(segmentation: Any, height: int, width: int) -> Parsed:
    """An annotation's `segmentation` as a shape that can be painted.

    A flat list of numbers is one polygon, and text that spells a number is that number; the remarks
    say so. Polygons become arrays: a quarter of the memory of lists.

    Args:
        segmentation: As the JSON has it. No shape is: nothing, a point or a line, or what lies
            wholly outside the image.
        height: Of the image, in pixels.
        width: In pixels.

    Raises:
        UserError: If what is given contradicts itself or the image; the message is the end of a
            sentence, "annotation 7 ...".
    """
    if isinstance(segmentation, dict) and segmentation:
        return Parsed(_run_lengths(segmentation, height, width))
    if segmentation is None or segmentation in ([], {}):
        return Parsed(None)
    if not isinstance(segmentation, list):
        raise UserError(
            f"has a shape that is neither polygons nor a run-length code: {_short(segmentation)}"
        )
    remarks = []
    polygons = segmentation
    if all(isinstance(number, int | float | str) for number in segmentation):
        polygons = [segmentation]
        remarks.append("is a flat list of numbers, taken for one polygon")
    kept = []
    for polygon in polygons:
        corners, was_text = _corners(polygon, height, width)
        if was_text:
            remarks.append("has numbers as text, taken for the numbers")
        if len(corners) < _SHORTEST_POLYGON:
            continue
        low, high = corners.reshape(-1, 2).min(0), corners.reshape(-1, 2).max(0)
        if high[0] <= 0 or high[1] <= 0 or low[0] >= width or low[1] >= height:
            continue
        beyond = _BEYOND * max(height, width)
        if min(*low, width - high[0], height - high[1]) < -beyond:
            remarks.append("reaches out of its image and is cut at the edge")
        kept.append(corners)
    return Parsed(tuple(kept) or None, tuple(dict.fromkeys(remarks)))


def in_shares(shape: Shape) -> bool:
    """Whether polygons look as if they were in shares of the image: fractions from 0 to 1."""
    if isinstance(shape, dict):
        return False
    corners = np.concatenate(shape)
    return bool(corners.min() >= 0 and corners.max() <= 1 and (corners % 1).any())


def _corners(polygon: Any, height: int, width: int) -> tuple[npt.NDArray[np.float64], bool]:
    """A polygon as `[x0, y0, x1, y1, ...]`, and whether its numbers were text."""
    if not isinstance(polygon, list) or len(polygon) % 2:
        raise UserError(f"has a polygon that is no list of x and y in turn: {_short(polygon)}")
    try:
        values = np.array(polygon)
        if values.ndim != 1 or (len(values) and values.dtype.kind not in "iufU"):
            raise ValueError
        corners = values.astype(np.float64)
    except (TypeError, ValueError, OverflowError):
        raise UserError(
            f"has a polygon that does not consist of numbers: {_short(polygon)}"
        ) from None
    if not (np.abs(corners) <= _FARTHEST * max(height, width)).all():  # NaN too
        raise UserError(f"has a polygon far outside of its image of {width}x{height} pixels")
    return corners, values.dtype.kind == "U"


def _run_lengths(code: RunLengths, height: int, width: int) -> RunLengths | None:
    """The code, if it covers an image of that size."""
    from pycocotools import mask as coco_mask

    size, counts = code.get("size"), code.get("counts")
    if size != [height, width]:
        raise UserError(
            f"has a run-length code of the size {_short(size)} (height, width) for an image of the "
            f"size [{height}, {width}]"
        )
    try:
        if isinstance(counts, list):
            if any(type(count) is not int or count < 0 for count in counts):
                raise ValueError
            covered = sum(counts)
        else:
            covered = _covered(counts)  # pycocotools fills what a code that was cut short lacks.
            if coco_mask.decode(code).shape != (height, width):
                raise ValueError
    except (KeyError, TypeError, ValueError):
        raise UserError("has a run-length code that does not decode") from None
    if covered != height * width:
        raise UserError(
            f"has a run-length code of {covered} pixels for an image of {height * width}"
        )
    return code if shape_area(code) else None


def _covered(counts: Any) -> int:
    """Pixels that a compressed run-length code covers.

    Runs are numbers of five bits a character, the lowest first, where the sixth bit says that more
    follow; from the fourth on, they are differences to the run before the last.

    Raises:
        TypeError: If it is no text.
        ValueError: If it is no such code.
    """
    if not isinstance(counts, str):
        raise TypeError
    digits = np.frombuffer(counts.encode("ascii"), np.uint8).astype(np.int64) - 48
    ends = np.flatnonzero(digits & 32 == 0)
    if not ((digits >= 0) & (digits < 64)).all() or (digits[-1:] & 32).any():
        raise ValueError
    starts = np.concatenate([[0], ends[:-1] + 1])[: len(ends)]
    lengths = ends - starts + 1
    if (lengths > 7).any():  # 35 bits: longer than any run.
        raise ValueError
    place = np.arange(len(digits)) - np.repeat(starts, lengths)
    sums = np.concatenate([[0], np.cumsum((digits & 31) << (5 * place))])
    runs = sums[ends + 1] - sums[starts] - np.where(digits[ends] & 16, 1 << (5 * lengths), 0)
    runs[1::2] = np.cumsum(runs[1::2])
    runs[2::2] = np.cumsum(runs[2::2])
    if (runs < 0).any():
        raise ValueError
    return int(runs.sum())


def shape_area(shape: Shape) -> float:
    """Area in pixels, of polygons by their corners."""
    from pycocotools import mask as coco_mask

    if not isinstance(shape, dict):
        return math.fsum(_polygon_area(polygon) for polygon in shape)
    if isinstance(shape["counts"], list):
        return float(sum(shape["counts"][1::2]))
    return float(coco_mask.area(shape))


def _polygon_area(corners: npt.NDArray[np.float64]) -> float:
    x, y = corners[::2], corners[1::2]
    crossed = x[:-1] @ y[1:] - x[1:] @ y[:-1] + x[-1] * y[0] - x[0] * y[-1]
    return abs(float(crossed)) / 2


def _short(value: Any) -> str:
    text = " ".join(repr(value).split())
    return text if len(text) <= 40 else f"{text[:40]}..."
