"""Masks whose polygons are given as shares of the image's sides."""

from dataclasses import dataclass

import numpy as np

from weaktr.data.images import inspect_image
from weaktr.data.readers.coco_shapes import PaintedMask, Polygons
from weaktr.labels import Pixels


@dataclass(frozen=True, slots=True)
class SharesMask:
    """A mask that is still a list of polygons on an image whose size is not known yet.

    Attributes:
        image: The image file; its size as shown counts.
        shapes: Polygons (`[x0, y0, x1, y1, ...]` each, from 0 to 1), with the id that they are
            painted with; later ones cover earlier ones.
    """

    image: str
    shapes: tuple[tuple[Polygons, int], ...]

    @property
    def size(self) -> tuple[int, int] | None:
        """Not known before the image is read."""
        return None

    def read(self) -> Pixels:
        """Ids `[H, W]`, uint8, in class-list order."""
        facts = inspect_image(self.image)
        sides = np.array([facts.width, facts.height], np.float64)
        shapes = tuple(
            (tuple((p.reshape(-1, 2) * sides).ravel() for p in polygons), value)
            for polygons, value in self.shapes
        )
        return PaintedMask(facts.height, facts.width, shapes).read()
