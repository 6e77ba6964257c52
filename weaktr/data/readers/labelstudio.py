"""Label Studio's exports: `JSON` and `JSON-MIN`, in the root beside the images.

Choices are tags, painted regions (brush) and polygons are tags and masks, boxes and ellipses are
tags. Only what people submitted counts, not predictions.
"""

import re
from collections import Counter
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote, urlsplit

import numpy as np

from weaktr.config.dataset import DatasetParams
from weaktr.data.brush_rle import decode_brush
from weaktr.data.readers.coco_file import some
from weaktr.data.readers.coco_shapes import Shape, run_lengths
from weaktr.data.readers.find_files import FileFinder, existing_folder
from weaktr.data.readers.labelstudio_file import (
    Result,
    Task,
    Unlabelled,
    has_shape,
    label_key,
    only_json,
    read_tasks,
)
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

_UPLOAD = re.compile(r"^[0-9a-f]{8}-")
"""What Label Studio puts before the names of uploaded files."""
_DRAWN = frozenset({"brush", "polygon", "rectangle", "ellipse"})
"""Types of regions that have no label."""


@dataclass
class _Counts:
    """What was passed over."""

    other: Counter[str] = field(default_factory=Counter)
    cut: list[str] = field(default_factory=list)
    unnamed: list[str] = field(default_factory=list)


def read_labelstudio(params: DatasetParams) -> Listing:
    """Lists an export of Label Studio.

    Names of images may be those of uploads (`/data/upload/1/3f2a9c01-x.jpg`), of local files
    (`/data/local-files/?d=photos/x.jpg`), or addresses: the longest end of them that is a file
    below the root, or below its folder `images`, is the image.

    Tasks without a submitted annotation are left out, and counted. Of several annotations of a
    task, that which is marked as ground truth counts; without one, they must agree.

    Args:
        params: `root` is the folder with the export, one `.json` file, and the images.

    Raises:
        UserError: If there is no such file, or it contradicts itself.
    """
    root = existing_folder(params.root)
    path = only_json(root)
    finder = FileFinder(root)
    problems: list[Problem] = []
    notes: list[str] = []
    counts = _Counts()
    unlabelled = Unlabelled()
    images = []
    named = 0
    for task in read_tasks(path, unlabelled, notes):
        named += 1
        file = add_file(finder, problems, f"{path}: {task.name}", _names(task.place))
        if file is None:
            continue
        try:
            images.append(_marked(task, file, counts, params.max_megapixels))
        except UserError as error:
            problems.append(Problem("error", "bad-shape", f"{path}: {error}"))
    say_cut(str(path), counts.cut, problems)
    if unlabelled.names and not named:
        what = "only predictions, which do not count" if unlabelled.predicted else "no annotation"
        raise UserError(
            f"{path} has {what}: nobody submitted one of its {len(unlabelled.names)} tasks; submit "
            "them in Label Studio, and put the JSON that it exports in the place of this file."
        )
    if unlabelled.names:
        notes.append(
            f"Tasks left out because nobody submitted an annotation: {len(unlabelled.names)} "
            f"({some(unlabelled.names)}), {unlabelled.predicted} of them with predictions, which "
            "do not count."
        )
    if counts.other:
        listed = by_kind(counts.other)
        notes.append(f"Results of {path.name} that are neither tags nor regions: {listed}.")
    if counts.unnamed:
        problems.append(
            Problem(
                "warning",
                "no-label",
                f"{path} has regions without a label, which were passed over: "
                f"{len(counts.unnamed)} ({some(counts.unnamed)}).",
            )
        )
    return listing_of(
        images,
        params,
        finder,
        source=str(path),
        labels=None,
        problems=problems,
        notes=notes,
    )


def _names(place: str) -> list[str]:
    """Names that a file may have below the root, the longest first."""
    text = place.strip()
    if "?d=" in text:
        text = unquote(text.split("?d=", 1)[1])
    elif "://" in text:
        text = unquote(urlsplit(text).path)
    elif text.startswith("/data/"):
        text = unquote(text)
    parts = [part for part in text.replace("\\", "/").split("/") if part not in ("", ".")]
    names = ["/".join(parts[start:]) for start in range(len(parts))]
    if names and _UPLOAD.match(names[-1]):
        names.append(_UPLOAD.sub("", names[-1]))
    return names or [place]


def _marked(task: Task, file: str, counts: _Counts, megapixels: float) -> MarkedImage:
    """The tags and regions of a task; sizes above the limit are refused before decoding."""
    image = MarkedImage(name=task.name, file=file)
    for result in task.results:
        shaped = has_shape(result)
        if "choices" in result and not shaped:  # With a geometry, they say something of a region.
            image.tags += [clean_label(tag, task.name) for tag in _list(result["choices"])]
            continue
        key = label_key(result)
        if key is None or not shaped:
            if shaped and result["type"] in _DRAWN:
                counts.unnamed.append(task.name)
            else:
                counts.other[str(result["type"])] += 1
            continue
        labels = [clean_label(label, task.name) for label in _list(result[key])]
        if not labels:
            counts.unnamed.append(task.name)
        size = _size(task, result, megapixels)
        if image.size not in (None, size):
            raise UserError(
                f"{task.name} has regions of images of different sizes: {image.size} and {size}; "
                "draw it again."
            )
        image.size = size
        shape = _shape(task, result, size, counts.cut)
        if shape == ():
            counts.other["empty region"] += 1
            continue
        for label in labels:
            if shape is None:
                image.shapeless.append(label)
            else:
                image.regions.append((label, shape))
    return image


def _size(task: Task, result: Result, megapixels: float) -> tuple[int, int]:
    width, height = result.get("original_width"), result.get("original_height")
    if not (type(width) is int and type(height) is int and min(width, height) > 0):
        raise UserError(
            f"{task.name} has a region without the image's size; export it again. "
            f"Got: {width!r} x {height!r}."
        )
    if width * height > megapixels * 1e6:
        raise UserError(
            f"{task.name} has a region of an image above dataset.max_megapixels ({megapixels:g}). "
            f"Got: {width} x {height}."
        )
    if result.get("image_rotation"):
        raise UserError(
            f"{task.name} was turned by {result['image_rotation']} degrees in Label Studio, where "
            "regions lie on the turned image; turn it back and submit again."
        )
    return width, height


def _shape(task: Task, result: Result, size: tuple[int, int], cut: list[str]) -> Shape | None:
    """The region's pixels, `()` if all were erased; `None` where nobody knows them."""
    width, height = size
    if "rle" in result:
        try:
            if not isinstance(result["rle"], list):
                raise ValueError("its code is no list")
            pixels = decode_brush(result["rle"], height, width)
        except (TypeError, ValueError) as error:
            raise UserError(f"{task.name} has a painted region that is damaged: {error}") from None
        if not pixels.any():
            return ()
        return run_lengths(pixels)
    points = result.get("points")
    if points is None or result.get("closed") is False:
        return None
    try:
        corners = np.array(points, np.float64)
        if corners.ndim != 2 or corners.shape[1] != 2 or len(corners) < 3:
            raise ValueError
    except (TypeError, ValueError):
        raise UserError(
            f"{task.name} has a polygon that is no list of points; draw it again."
        ) from None
    corners *= [width / 100, height / 100]
    try:
        return polygon(corners.ravel().tolist(), size, task.name, cut)
    except UserError as error:
        raise UserError(f"{task.name} {error}") from None


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]
