"""Polygons around the pixels of a mask."""

from itertools import pairwise

import contourpy
import numpy as np
import numpy.typing as npt

Polygon = npt.NDArray[np.float64]
"""Corners `[N, 2]` as x, y in pixels, without the first one again at the end."""


def part_polygons(mask: npt.NDArray[np.bool_]) -> list[Polygon]:
    """One polygon for each connected part of a mask.

    Coordinates are those of COCO: pixel (column 0, row 0) reaches from 0 to 1, its centre is 0.5.
    Edges run midway between the centres of pixels in and out, so that a polygon holds exactly the
    centres of its part: painted by that rule, as pycocotools does, it is the part again.

    The formats have no holes: a hole is joined to the outline by a seam that runs forth and back.

    Args:
        mask: `[H, W]`.

    Returns:
        Polygons in the order in which their parts are met from the top; pixels that touch at a
        corner only may or may not be one part.

    >>> part_polygons(np.array([[True, False], [False, False]]))[0].tolist()
    [[0.0, 0.5], [0.5, 0.0], [1.0, 0.5], [0.5, 1.0]]
    """
    top, left, window = _window(mask)
    height, width = window.shape
    generator = contourpy.contour_generator(
        x=np.arange(left - 0.5, left + width + 1),
        y=np.arange(top - 0.5, top + height + 1),
        z=np.pad(window.astype(np.float64), 1),
        name="serial",
        fill_type="OuterOffset",
    )
    polygons = []
    for points, offsets in zip(*generator.filled(0.5, 2), strict=True):
        outline, *holes = (_corners(points[start : end - 1]) for start, end in pairwise(offsets))
        for hole in holes:
            outline = _joined(outline, hole)
        polygons.append(outline)
    return polygons


def _window(mask: npt.NDArray[np.bool_]) -> tuple[int, int, npt.NDArray[np.bool_]]:
    """Top and left of the smallest window with all pixels of the mask, and that window."""
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    if not len(rows):
        return 0, 0, mask[:0, :0]
    window = mask[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    return int(rows[0]), int(columns[0]), window


def _corners(ring: Polygon) -> Polygon:
    """A ring without points on straight lines."""
    before, after = ring - np.roll(ring, 1, axis=0), np.roll(ring, -1, axis=0) - ring
    turns = before[:, 0] * after[:, 1] != before[:, 1] * after[:, 0]
    return np.asarray(ring[turns], np.float64)


def _joined(outline: Polygon, hole: Polygon) -> Polygon:
    """The outline with a hole, by a seam from the hole's leftmost corner to the nearest one."""
    start = int(np.lexsort((hole[:, 1], hole[:, 0]))[0])
    ring = np.roll(hole, -start, axis=0)
    at = int(((outline - ring[0]) ** 2).sum(1).argmin())
    seam = (outline[: at + 1], ring, ring[:1], outline[at:])
    return np.concatenate(seam)
