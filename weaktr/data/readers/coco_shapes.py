"""COCO's shapes, polygons and run-length codes, and masks painted from them."""

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from weaktr.errors import UserError
from weaktr.labels import Pixels

Polygons = tuple[npt.NDArray[np.float64], ...]
RunLengths = dict[str, Any]
Shape = Polygons | RunLengths
Box = tuple[float, float, float, float]

_SHORTEST_POLYGON = 6
"""Numbers: three corners."""
_SLIVER = 1e-3
"""Square pixels; a polygon of less may be a line."""
_LITTLE = 1e-9
"""What rounding leaves of nothing, as a share."""
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
    """A shape that can be painted.

    Attributes:
        shape: The shape; `None`: none is given.
        remarks: What was made of it, in words.
        area: In pixels, of polygons by their corners.
        box: Left, top, right and bottom edge in pixels.
        is_box: Whether it is one upright rectangle.
    """

    shape: Shape | None
    remarks: tuple[str, ...] = ()
    area: float = 0.0
    box: Box = (0.0, 0.0, 0.0, 0.0)
    is_box: bool = False


def parse_shape(segmentation: Any, height: int, width: int) -> Parsed:
    """An annotation's `segmentation` as a shape that can be painted.

    A flat list of numbers is one polygon, and text that spells a number is that number; the remarks
    say so. Polygons become arrays: a quarter of the memory of lists.

    Args:
        segmentation: As the JSON has it. No shape is: nothing, points or lines (also polygons of
            no area), or what lies wholly outside the image.
        height: Of the image, in pixels.
        width: In pixels.

    Raises:
        UserError: If what is given contradicts itself or the image; the message is the end of a
            sentence, "annotation 7 ...".
    """
    if isinstance(segmentation, dict) and segmentation:
        return _run_lengths(segmentation, height, width)
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
    kept: list[npt.NDArray[np.float64]] = []
    edges: list[Box] = []
    total, lost = 0.0, False
    for polygon in polygons:
        corners, was_text = _corners(polygon, height, width)
        if was_text:
            remarks.append("has numbers as text, taken for the numbers")
        area = _polygon_area(corners) if len(corners) >= _SHORTEST_POLYGON else 0.0
        if area < _SLIVER and _is_flat(corners):
            lost |= len(corners) > 0
            continue
        points = corners.reshape(-1, 2)
        (left, top), (right, bottom) = points.min(0).tolist(), points.max(0).tolist()
        if right <= 0 or bottom <= 0 or left >= width or top >= height:
            lost = True
            continue
        beyond = _BEYOND * max(height, width)
        if min(left, top, width - right, height - bottom) < -beyond:
            remarks.append("reaches out of its image and is cut at the edge")
        kept.append(corners)
        total += area
        edges.append((left, top, right, bottom))
    if not kept:
        return Parsed(None, tuple(dict.fromkeys(remarks)))
    if lost:
        remarks.append(
            "has parts without pixels (points, lines, or outside of the image), which are left out"
        )
    lefts, tops, rights, bottoms = zip(*edges, strict=True)
    box = min(lefts), min(tops), max(rights), max(bottoms)
    is_box = len(kept) == 1 and _is_rectangle(kept[0])
    return Parsed(tuple(kept), tuple(dict.fromkeys(remarks)), total, box, is_box)


def _is_flat(corners: npt.NDArray[np.float64]) -> bool:
    """Whether all corners lie on one line (an eight has corners apart, and pixels)."""
    if len(corners) < _SHORTEST_POLYGON:
        return True
    points = corners.reshape(-1, 2)
    away = points - points[0]
    along = away[np.abs(away).sum(1).argmax()]
    across = away @ np.array([-along[1], along[0]])
    return bool(np.abs(across).max() <= _LITTLE * (along @ along))


def _is_rectangle(corners: npt.NDArray[np.float64]) -> bool:
    """Whether a polygon is an upright rectangle."""
    if len(corners) not in (8, 10):
        return False
    x, y = corners[::2].tolist(), corners[1::2].tolist()
    if len(x) == 5 and (x[0], y[0]) != (x[4], y[4]):
        return False
    turns = all((x[i] == x[i - 1]) != (y[i] == y[i - 1]) for i in range(1, 4))
    return turns and len(set(x)) == len(set(y)) == 2 and (x[3] == x[0]) != (y[3] == y[0])


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


def _run_lengths(code: RunLengths, height: int, width: int) -> Parsed:
    """The code, if it covers an image of that size and has pixels."""
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
    packed = coco_mask.frPyObjects(code, height, width) if isinstance(counts, list) else code
    area = float(coco_mask.area(packed))
    if not area:
        return Parsed(None)
    left, top, box_width, box_height = coco_mask.toBbox(packed).tolist()
    return Parsed(code, (), area, (left, top, left + box_width, top + box_height))


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


def _polygon_area(corners: npt.NDArray[np.float64]) -> float:
    x, y = corners[::2], corners[1::2]
    crossed = x[:-1] @ y[1:] - x[1:] @ y[:-1] + x[-1] * y[0] - x[0] * y[-1]
    return abs(float(crossed)) / 2


def _short(value: Any) -> str:
    text = " ".join(repr(value).split())
    return text if len(text) <= 40 else f"{text[:40]}..."
