"""The regions of a label map: what labelling tools call annotations, shapes or results."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from weaktr.labelling.polygons import Polygon, part_polygons
from weaktr.labels import VOID, Pixels


@dataclass(frozen=True, slots=True)
class Region:
    """Pixels of one class: all of an image, or one connected part.

    Attributes:
        label: Id of the class in the label map, from 1.
        mask: `[H, W]`.
        area: Pixels.
        box: Left, top, width and height in pixels.
        score: Probability of the class, mean over the region's image; `None`: not known.
    """

    label: int
    mask: npt.NDArray[np.bool_]
    area: int
    box: tuple[int, int, int, int]
    score: float | None = None

    def runs(self) -> dict[str, Any]:
        """COCO's compressed run-length code, as JSON holds it."""
        from pycocotools import mask as coco_mask

        code = coco_mask.encode(np.asfortranarray(self.mask.astype(np.uint8)))
        return {"size": list(self.mask.shape), "counts": code["counts"].decode("ascii")}

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
        if split_parts or min_area > 1:
            parts = []
            for part in _parts(mask):
                area = int(part.sum())
                if area >= min_area:
                    parts.append(part)
                else:
                    left.parts += 1
                    left.part_pixels += area
            if not split_parts:
                parts = [np.logical_or.reduce(parts)] if parts else []
        else:
            parts = [mask]
        score = (scores or {}).get(label)
        regions += [Region(label, part, int(part.sum()), _box(part), score) for part in parts]
    return regions, left


def _parts(mask: npt.NDArray[np.bool_]) -> Iterator[npt.NDArray[np.bool_]]:
    from pycocotools import mask as coco_mask

    height, width = mask.shape
    for polygon in part_polygons(mask):
        (code,) = coco_mask.frPyObjects([polygon.ravel().tolist()], height, width)
        yield coco_mask.decode(code).astype(bool)


def _box(mask: npt.NDArray[np.bool_]) -> tuple[int, int, int, int]:
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    left, top = int(columns[0]), int(rows[0])
    return left, top, int(columns[-1]) - left + 1, int(rows[-1]) - top + 1
