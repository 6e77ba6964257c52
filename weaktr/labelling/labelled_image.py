"""An image with its label map, and how it is to be written for a tool."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from weaktr.labelling.regions import Region
from weaktr.labels import Pixels


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelledImage:
    """An image and the file of its label map.

    Attributes:
        id: Unique name; files for tools list images in its order.
        name: What the tool calls the image: its path from the folder that is given to the tool,
            with forward slashes.
        mask: Path of the label map.
        width: Of the image as shown, in pixels; the label map must have it.
        height: Of the image as shown, in pixels.
        split: `train`, `val`, `test`, or empty where there are none.
        score: Confidence in the whole label map, 0 to 1; `None`: not known.
        scores: Id of a class -> confidence in its pixels.
    """

    id: str
    name: str
    mask: str
    width: int
    height: int
    split: str = ""
    score: float | None = None
    scores: Mapping[int, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Style:
    """How label maps are written.

    Attributes:
        polygons: Polygons, where a format can hold pixels too.
        split_parts: One annotation for each connected part, not for each class.
        min_area: Connected parts of fewer pixels are left out.
        image_prefix: Label Studio: what stands before the names of images, as in a URL.
    """

    polygons: bool = False
    split_parts: bool = False
    min_area: int = 0
    image_prefix: str = ""


@dataclass(frozen=True, slots=True)
class Annotated:
    """An image whose label map was read.

    Attributes:
        image: The image.
        ids: `[H, W]`, without the parts that are left out.
        regions: In the order in which they are to be written.
    """

    image: LabelledImage
    ids: Pixels
    regions: tuple[Region, ...]
