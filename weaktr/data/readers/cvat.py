"""CVAT's export "CVAT for images 1.1": `annotations.xml` in the root, beside the images.

Tags are tags, masks and polygons are tags and masks, boxes and the other shapes are tags.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from xml.etree import ElementTree

import numpy as np

from weaktr.config.dataset import DatasetParams
from weaktr.data.readers.coco_file import some
from weaktr.data.readers.coco_shapes import Shape, run_lengths
from weaktr.data.readers.find_files import FileFinder, existing_folder
from weaktr.data.readers.listing import Listing, Problem
from weaktr.data.readers.marked_image import (
    MarkedImage,
    add_file,
    by_kind,
    clean_label,
    polygon,
    say_cut,
)
from weaktr.data.readers.tool_export import listing_of
from weaktr.errors import UserError

FILE = "annotations.xml"
_SHAPELESS = frozenset({"box", "polyline", "points", "ellipse", "cuboid", "skeleton"})


@dataclass
class _Export:
    """What the file says, as it is read."""

    path: Path
    finder: FileFinder
    megapixels: float
    problems: list[Problem] = field(default_factory=list)
    labels: list[str] = field(default_factory=list)
    images: list[MarkedImage] = field(default_factory=list)
    unmarked: list[str] = field(default_factory=list)
    cut: list[str] = field(default_factory=list)
    other: Counter[str] = field(default_factory=Counter)


def read_cvat(params: DatasetParams) -> Listing:
    """Lists an export of CVAT.

    Classes are the labels of the task or project in its order. Images without any annotation are
    left out, and counted: CVAT does not say whether somebody looked at them. Subsets of a project
    are splits. Shapes with a higher `z_order` lie on top of others, then later ones.

    Args:
        params: `root` is the folder with `annotations.xml` and the images, or with them in its
            folder `images`.

    Raises:
        UserError: If the file is not there, or is no such export.
    """
    root = existing_folder(params.root)
    path = root / FILE
    if not path.exists():
        raise UserError(
            f"{path} does not exist; unpack an export of CVAT as `CVAT for images 1.1` there."
        )
    export = _Export(path, FileFinder(root), params.max_megapixels)
    try:
        _read(export)
    except (ElementTree.ParseError, LookupError, ValueError) as error:  # and unknown encodings
        raise UserError(f"{path} is not valid XML ({error}); export it again.") from None
    say_cut(str(path), export.cut, export.problems)
    notes = []
    if export.unmarked:
        notes.append(
            f"Images left out because {path.name} has no annotation of them: "
            f"{len(export.unmarked)} ({some(export.unmarked)})."
        )
    if export.other:
        notes.append(f"Elements of {path.name} that were passed over: {by_kind(export.other)}.")
    return listing_of(
        export.images,
        params,
        export.finder,
        source=str(path),
        labels=export.labels,
        problems=export.problems,
        notes=notes,
    )


def _read(export: _Export) -> None:
    """Goes through the file, one image at a time."""
    path = export.path
    root = None
    seen: set[str] = set()
    for event, element in ElementTree.iterparse(path, events=("start", "end")):
        if root is None:
            root = element
            if element.tag != "annotations":
                break
        if event == "start":
            continue
        if element.tag == "meta":
            names = (name.text for name in element.iterfind(".//labels/label/name"))
            export.labels = [clean_label(name, str(path)) for name in names]
        elif element.tag == "track":
            raise UserError(
                f"{path} is an export of a video; export as `CVAT for images 1.1` instead."
            )
        elif element.tag == "image":
            _add_image(export, element, seen)
            root.clear()
    if root is None or root.tag != "annotations" or not (seen or export.labels):
        raise UserError(f"{path} is no export of CVAT; export as `CVAT for images 1.1`.")


def _add_image(export: _Export, element: ElementTree.Element, seen: set[str]) -> None:
    """Adds what an image has; what is wrong with it is noted as a problem."""
    try:
        name = element.attrib["name"]
        size = int(element.attrib["width"]), int(element.attrib["height"])
    except (KeyError, ValueError) as error:
        raise UserError(
            f"{export.path} has an image without name, width or height ({error}); export it again."
        ) from None
    entry = f"image {name!r}"
    if min(size) <= 0 or size[0] * size[1] > export.megapixels * 1e6:
        raise UserError(
            f"{export.path}: {entry} is {size[0]}x{size[1]} pixels, which is none or above "
            f"dataset.max_megapixels ({export.megapixels:g})."
        )
    subset = element.attrib.get("subset") or None
    if name in seen and subset is None:
        raise UserError(f"{export.path} has {entry} twice; export it again, or rename one.")
    seen.add(name)
    try:
        shapes = sorted(element, key=lambda shape: int(shape.attrib.get("z_order") or 0))
    except ValueError as error:
        raise UserError(
            f"{export.path}: {entry} has a z_order that is no number ({error})."
        ) from None
    if not len(element):
        export.unmarked.append(name)
        return
    names = [name] if subset is None else [f"{subset}/{name}", name]
    file = add_file(export.finder, export.problems, f"{export.path}: {entry}", names)
    if file is None:
        return
    image = MarkedImage(name=entry, file=file, split=subset, size=size)
    for shape in shapes:
        try:
            _add_shape(export, image, shape, size)
        except UserError as error:
            message = f"{export.path}: {entry} {error}"
            export.problems.append(Problem("error", "bad-shape", message))
    export.images.append(image)


def _add_shape(
    export: _Export, image: MarkedImage, element: ElementTree.Element, size: tuple[int, int]
) -> None:
    kind = element.tag
    if kind not in _SHAPELESS and kind not in ("polygon", "mask", "tag"):
        export.other[kind] += 1
        return
    label = clean_label(element.attrib.get("label"), f"a {kind}")
    if label not in export.labels:
        known = ", ".join(export.labels) or "none"
        raise UserError(
            f"has a {kind} with a label that is not in the file's list ({known}); export it again. "
            f"Got: {label!r}."
        )
    if kind == "tag":
        image.tags.append(label)
    elif kind in _SHAPELESS:
        image.shapeless.append(label)
    elif kind == "polygon":
        shape = polygon(_corners(element.attrib), size, image.name, export.cut)
        if shape is None:
            image.shapeless.append(label)
        else:
            image.regions.append((label, shape))
    else:
        shape = _mask(element.attrib, size)
        if shape is None:  # Erased again.
            export.other[f"{kind} without pixels"] += 1
        else:
            image.regions.append((label, shape))


def _corners(attributes: Mapping[str, str]) -> list[float]:
    try:
        pairs = [pair.split(",") for pair in attributes["points"].split(";")]
        return [float(number) for x, y in pairs for number in (x, y)]
    except (KeyError, ValueError):
        raise UserError(
            "has a polygon whose points are no pairs of numbers; draw it again. "
            f"Got: {attributes.get('points', '')[:40]!r}."
        ) from None


def _mask(attributes: Mapping[str, str], size: tuple[int, int]) -> Shape | None:
    """A mask: lengths of runs in its box, row by row, first those of pixels outside."""
    width, height = size
    try:
        runs = [int(run) for run in attributes["rle"].split(",")]
        left, top, w, h = (int(attributes[key]) for key in ("left", "top", "width", "height"))
        fits = min(left, top) >= 0 and left + w <= width and top + h <= height
        if not fits or min(runs) < 0 or sum(runs) != w * h:
            raise ValueError
    except (KeyError, ValueError):
        raise UserError(
            "has a mask whose runs do not fill its box, or whose box does not lie in the image; "
            "draw it again."
        ) from None
    pixels = np.zeros((height, width), np.uint8)
    pixels[top : top + h, left : left + w] = np.repeat(np.arange(len(runs)) % 2, runs).reshape(h, w)
    return run_lengths(pixels) if pixels.any() else None
