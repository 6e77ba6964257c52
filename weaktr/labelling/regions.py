"""The regions of a label map: what labelling tools call annotations, shapes or results."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from weaktr.data.readers.coco_shapes import run_lengths
from weaktr.labelling.polygons import Polygon, part_polygons
from weaktr.labels import VOID, Pixels

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Region:
    """Pixels of one class: all of an image, or one connected part.

    Attributes:
        label: Id of the class in the label map, from 1.
        window: The part of the mask inside of the box, `[height, width]`.
        box: Left, top, width and height in pixels.
        size: Height and width of the image.
        score: Probability of the class, mean over its pixels in the image; `None`: not known.
    """

    label: int
    window: Mask
    box: tuple[int, int, int, int]
    size: tuple[int, int]
    score: float | None = None

    @property
    def area(self) -> int:
        """Pixels."""
        return int(self.window.sum())

    @property
    def mask(self) -> Mask:
        """`[H, W]`."""
        mask = np.zeros(self.size, bool)
        _paste(mask, self.window, self.box)
        return mask

    def runs(self) -> dict[str, Any]:
        """COCO's compressed run-length code, as JSON holds it."""
        code = run_lengths(self.mask)
        return {**code, "counts": code["counts"].decode("ascii")}

    def polygons(self) -> list[Polygon]:
        """One polygon for each connected part; see `weaktr.labelling.polygons`."""
        return part_polygons(self.mask)


@dataclass
class Left:
    """What of label maps does not go into a file for a tool.

    Attributes:
        parts: Connected parts below the smallest area.
        part_pixels: Their pixels.
        void_pixels: Pixels without a known class.
    """

    parts: int = 0
    part_pixels: int = 0
    void_pixels: int = 0

    def add(self, other: "Left") -> None:
        """Adds the counts of another image."""
        self.parts += other.parts
        self.part_pixels += other.part_pixels
        self.void_pixels += other.void_pixels


def find_regions(
    ids: Pixels,
    *,
    split_parts: bool = False,
    min_area: int = 0,
    scores: dict[int, float] | None = None,
) -> tuple[list[Region], Left]:
    """The regions of a label map in the order of their labels, then from the top; and what is left.

    Args:
        ids: `[H, W]`: 0 background, 255 void.
        split_parts: Whether each connected part is a region, not each class.
        min_area: Connected parts of fewer pixels are left out.
        scores: Label -> score of its regions.
    """
    regions = []
    left = Left(void_pixels=int((ids == VOID).sum()))
    for label in np.unique(ids).tolist():
        if label in (0, VOID):
            continue
        mask = ids == label
        score = (scores or {}).get(label)
        whole = mask
        if split_parts or min_area > 1:
            whole = np.zeros_like(mask)
            for window, box in _parts(mask):
                area = int(window.sum())
                if area < min_area:
                    left.parts += 1
                    left.part_pixels += area
                elif split_parts:
                    regions.append(Region(label, window, box, mask.shape, score))
                else:
                    _paste(whole, window, box)
        if not split_parts and whole.any():
            box = _box(whole)
            regions.append(Region(label, _cut(whole, box), box, mask.shape, score))
    return regions, left


def _parts(mask: Mask) -> Iterator[tuple[Mask, tuple[int, int, int, int]]]:
    """Each connected part: its window and box."""
    from pycocotools import mask as coco_mask

    for polygon in part_polygons(mask):
        left, top = (int(side) for side in np.floor(polygon.min(0)))
        width, height = (int(side) for side in np.ceil(polygon.max(0)) - (left, top))
        corners = (polygon - (left, top)).ravel().tolist()
        (code,) = coco_mask.frPyObjects([corners], height, width)
        yield coco_mask.decode(code).astype(bool), (left, top, width, height)


def _box(mask: Mask) -> tuple[int, int, int, int]:
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    left, top = int(columns[0]), int(rows[0])
    return left, top, int(columns[-1]) - left + 1, int(rows[-1]) - top + 1


def _cut(mask: Mask, box: tuple[int, int, int, int]) -> Mask:
    left, top, width, height = box
    return mask[top : top + height, left : left + width]


def _paste(mask: Mask, window: Mask, box: tuple[int, int, int, int]) -> None:
    left, top, width, height = box
    mask[top : top + height, left : left + width] |= window
