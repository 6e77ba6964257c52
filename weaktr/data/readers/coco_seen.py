"""What is to be said about the shapes of a COCO file: each is looked at, and counted, once."""

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from weaktr.data.readers.coco_file import CocoAnnotation, CocoImage, some
from weaktr.data.readers.coco_shapes import Box, Parsed, in_shares, parse_shape
from weaktr.data.readers.listing import Listing
from weaktr.errors import UserError

_ROUNDED = 2.0
"""Pixels by which the edge of a box may miss its shape, as tools round."""
_ALIKE = 0.5
"""Intersection over union from which a box and its shape are about one place."""
_MANY = 20
"""Rectangles from which it is worth a word that most shapes are such."""


@dataclass
class SeenShapes:
    """Names of annotations by what is odd about their shape.

    Attributes:
        shapeless: Without a shape.
        wrong: What is wrong with a shape, with the name.
        shares: With polygons that seem to be in shares of the image.
        remarks: What was made of a shape -> names.
        crowds: Number of shapes, by whether they are crowds.
        boxed: Number of shapes that have a `bbox` too.
        elsewhere: With a `bbox` that lies elsewhere.
        corners: Of these, how many fit as two corners.
        rectangles: With an upright rectangle as shape.
    """

    shapeless: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    shares: list[str] = field(default_factory=list)
    remarks: dict[str, list[str]] = field(default_factory=dict)
    crowds: Counter[bool] = field(default_factory=Counter)
    boxed: int = 0
    elsewhere: list[str] = field(default_factory=list)
    corners: int = 0
    rectangles: list[str] = field(default_factory=list)

    def parse(self, annotation: CocoAnnotation, image: CocoImage) -> Parsed | None:
        """The annotation's shape, looked at; `None` where it contradicts itself or its image."""
        try:
            parsed = parse_shape(annotation.segmentation, image.height, image.width)
        except UserError as error:
            self.wrong.append(f"{annotation.name} {error}")
            return None
        for remark in parsed.remarks:
            self.remarks.setdefault(remark, []).append(annotation.name)
        if parsed.shape is None:
            self.shapeless.append(annotation.name)
            return parsed
        if in_shares(parsed.shape):
            self.shares.append(annotation.name)
        if parsed.is_box:
            self.rectangles.append(annotation.name)
        self.crowds[annotation.crowd] += 1
        given = box_of(annotation.bbox)
        if given is not None:
            self.boxed += 1
            size = image.width, image.height
            left, top, width, height = given
            if not _agree((left, top, left + width, top + height), parsed.box, size):
                self.elsewhere.append(annotation.name)
                self.corners += _agree(given, parsed.box, size)
        return parsed

    def say(self, listing: Listing, path: Path, maskless: int, *, keep_crowds: bool) -> None:
        """Adds what was seen to a listing.

        Args:
            listing: Takes it.
            path: The file.
            maskless: Images that have no mask.
            keep_crowds: Whether crowds keep their class.
        """
        if self.wrong:
            listing.error(
                "bad-shape",
                f"{path}: {self.wrong[0]}; mend or remove its `segmentation`"
                + (f" ({len(self.wrong)} such annotations)." if self.wrong[1:] else "."),
            )
        if self.shares:
            # A few may be specks in the corner; a file of them is in other units.
            most = 2 * len(self.shares) > self.crowds.total()
            (listing.error if most else listing.warn)(
                "shares",
                f"{path} has polygons with all numbers between 0 and 1, as shares of the image, "
                f"where COCO has pixels: {len(self.shares)} ({some(self.shares)}); multiply them "
                "by its width and height.",
            )
        if self.shapeless:
            listing.warn(
                "no-shape",
                f"{path} has annotations without a usable polygon or run-length code, which give "
                f"tags but no pixels: {len(self.shapeless)} ({some(self.shapeless)}); {maskless} "
                "images have no full mask by that and are not measured.",
                count=len(self.shapeless),
            )
        for remark, names in self.remarks.items():
            listing.warn(
                "shape-remark",
                f"{path} has annotations whose shape {remark}: {len(names)} ({some(names)}).",
            )
        self._say_boxes(listing, path)
        if not keep_crowds:
            self._say_crowds(listing, path)

    def _say_boxes(self, listing: Listing, path: Path) -> None:
        shapes = self.crowds.total()
        if len(self.rectangles) >= _MANY and 2 * len(self.rectangles) > shapes:
            listing.warn(
                "rectangles",
                f"{path} has upright rectangles for {len(self.rectangles)} of {shapes} shapes "
                f"({some(self.rectangles)}), as scripts write boxes; if they are boxes, take "
                "`segmentation` out, or what is around the objects is measured as them.",
            )
        if not self.elsewhere:
            return
        number = len(self.elsewhere)
        text = (
            f"{path} has annotations whose `bbox` lies elsewhere than their shape: {number} of "
            f"{self.boxed} ({some(self.elsewhere)})"
        )
        if self.corners == number:
            listing.warn(
                "bbox",
                f"{text}; these are two corners, where COCO has x, y, width and height; shapes "
                "count, and boxes are not used.",
            )
        elif 2 * number > self.boxed:
            listing.error(
                "bbox",
                f"{text}; one of the two is wrong, as after images were resized; mend it, or, if "
                "the shapes are right, take `bbox` out.",
            )
        else:
            listing.warn("bbox", f"{text}; shapes count, and boxes are not used.")

    def _say_crowds(self, listing: Listing, path: Path) -> None:
        crowds, others = self.crowds[True], self.crowds[False]
        if crowds <= others:
            return
        text = f"{path} marks {crowds} of {crowds + others} shapes as `iscrowd`"
        if others:
            listing.warn(
                "crowds",
                f"{text}, whose pixels become void; if a brush tool wrote them, set dataset.crowd: "
                "keep.",
            )
        else:
            listing.error(
                "crowds",
                f"{text}, as brush tools do, so that its masks would be nothing but void; set "
                "dataset.crowd: keep.",
            )


def box_of(value: Any) -> Box | None:
    """Four numbers of a `bbox`; `None` where there is none, or one without an area."""
    if not isinstance(value, list) or len(value) != 4:
        return None
    try:
        first, second, third, fourth = map(float, value)
    except (TypeError, ValueError):
        return None
    return (first, second, third, fourth) if third > 0 and fourth > 0 else None


def _agree(box: Box, shape: Box, size: tuple[int, int]) -> bool:
    """Whether two boxes (left, top, right, bottom) are about one place of an image."""
    one, two = _cut(box, size), _cut(shape, size)
    if all(abs(a - b) <= _ROUNDED for a, b in zip(one, two, strict=True)):
        return True
    shared = _area(
        (max(one[0], two[0]), max(one[1], two[1]), min(one[2], two[2]), min(one[3], two[3]))
    )
    return shared >= _ALIKE * (_area(one) + _area(two) - shared)


def _cut(box: Box, size: tuple[int, int]) -> Box:
    width, height = size
    left, right = (min(max(x, 0.0), width) for x in box[::2])
    top, bottom = (min(max(y, 0.0), height) for y in box[1::2])
    return left, top, right, bottom


def _area(box: Box) -> float:
    return max(box[2] - box[0], 0.0) * max(box[3] - box[1], 0.0)
