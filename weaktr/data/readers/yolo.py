"""YOLO's layout: `data.yaml`, `images/` and `labels/` with a text file for each image.

A line of segmentation labels is a class and the corners of a polygon, one of detection labels a
class and a box. Polygons are tags and masks, boxes are tags.
"""

import math
from dataclasses import dataclass, field
from pathlib import Path

from weaktr.config.dataset import DatasetParams
from weaktr.data.readers.coco_file import some
from weaktr.data.readers.coco_shapes import Parsed, parse_shape
from weaktr.data.readers.find_files import FileFinder, existing_folder
from weaktr.data.readers.listing import Listing, Problem
from weaktr.data.readers.marked_image import MarkedImage, say_cut
from weaktr.data.readers.tool_export import listing_of
from weaktr.data.readers.yolo_file import YoloData, label_of, read_data
from weaktr.errors import UserError

_BEYOND, _FARTHEST = 0.01, 0.05
"""Shares by which a corner may lie outside without a word, and at all."""
_MANY = 20
"""Polygons from which it is worth a word that all have four corners."""


@dataclass
class _Seen:
    """What is counted while label files are read."""

    missing: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    cut: list[str] = field(default_factory=list)
    corners: list[int] = field(default_factory=list)


def read_yolo(params: DatasetParams) -> Listing:
    """Lists a data set in YOLO's layout.

    The splits are those of `data.yaml`; where all of them name the same images there is no split.
    An empty label file is an image of background; an image without a label file stays out, and is
    counted. Large shapes lie under small ones. Without any polygon in the data set there are no
    masks.

    Args:
        params: `root` is the folder with `data.yaml`, or with `classes.txt`, `images` and `labels`.

    Raises:
        UserError: If the file is not there, or contradicts itself or the folder.
    """
    root = existing_folder(params.root)
    finder = FileFinder(root)
    named = ((params.train_split, "train"), (params.val_split, "val"), ("test", "test"))
    data = read_data(finder, {name: split for name, split in named if name})
    seen = _Seen()
    images = []
    for file, split in data.images.items():
        image = _marked(data, finder, file, split, seen)
        if image is not None:
            images.append(image)
    problems = _problems(data, seen)
    used = {label_of(file) for file in finder.files}
    if spare := [label for label in _label_files(root) if label not in used]:
        text = f"{root} has label files of no image, which are not used: {some(spare)}."
        problems.append(Problem("warning", "spare-label", text, len(spare)))
    if not seen.corners:
        for image in images:
            image.complete = False
    if not images and not problems:
        raise UserError(f"{data.source} names no images; mend its splits.")
    notes = []
    if len(data.images) and all(split is None for split in data.images.values()):
        notes.append(f"{data.source} tells no splits apart.")
    return listing_of(
        images,
        params,
        finder,
        source=str(data.source),
        labels=data.names,
        problems=problems,
        notes=notes,
        counted=frozenset(data.images),
        drawn_in=str(root),
    )


def _label_files(root: Path) -> list[str]:
    """Text files below folders called `labels`, but for lists of classes."""
    files = (path.relative_to(root) for path in sorted(root.rglob("*.txt")))
    return [f.as_posix() for f in files if "labels" in f.parts[:-1] and f.name != "classes.txt"]


def _marked(
    data: YoloData, finder: FileFinder, file: str, split: str | None, seen: _Seen
) -> MarkedImage | None:
    """An image with its labels; `None` where it has no label file, or a broken one."""
    path = finder.root / label_of(file)
    try:
        text = path.read_text("utf-8-sig")
    except FileNotFoundError:
        seen.missing.append(file)
        return None
    except (UnicodeDecodeError, OSError):
        seen.wrong.append(f"{path} is not text that can be read")
        return None
    image = MarkedImage(name=f"image {file!r}", file=file, split=split, complete=True)
    drawn: list[tuple[str, Parsed]] = []
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip():
            continue
        try:
            label, corners = _label(data, line)
            if corners is None:
                image.shapeless.append(label)
                continue
            parsed = parse_shape([corners], 1, 1)
        except UserError as error:
            seen.wrong.append(f"{path} line {number} {error}")
            return None
        if parsed.shape is None:
            image.shapeless.append(label)
            continue
        seen.corners.append(len(corners) // 2)
        if min(corners) < -_BEYOND or max(corners) > 1 + _BEYOND:
            seen.cut.append(f"{label_of(file)} line {number}")
        drawn.append((label, parsed))
    drawn.sort(key=lambda one: -round(one[1].area, 9))  # equal ones as they stand
    image.regions += [(label, one.shape) for label, one in drawn if one.shape is not None]
    return image


def _label(data: YoloData, line: str) -> tuple[str, list[float] | None]:
    """Class and corners of a line; no corners where it is a box.

    Raises:
        UserError: If it is no such line; the message is the end of a sentence.
    """
    got = f"Got: {' '.join(line.split())[:60]!r}"
    try:
        number, *values = map(float, line.split())
        if not all(map(math.isfinite, (number, *values))):
            raise ValueError
    except ValueError:
        raise UserError(f"has what is no number. {got}") from None
    if not number.is_integer() or not 0 <= number < len(data.names):
        raise UserError(
            f"has a class that is none of 0 to {len(data.names) - 1}, as {data.source.name} has "
            f"them. {got}"
        )
    is_box = len(values) == 4 or data.keypoints
    if not is_box and (len(values) < 6 or len(values) % 2):
        raise UserError(
            "is neither a class with a box (four numbers) nor one with corners (pairs, at least "
            f"three); a confidence at its end does not belong there. {got}"
        )
    places = values[:4] if data.keypoints else values
    if not all(-_FARTHEST <= value <= 1 + _FARTHEST for value in places):
        raise UserError(
            "has numbers that are no shares of the image's sides, from 0 to 1; divide pixels by "
            f"width and height. {got}"
        )
    return data.names[int(number)], None if is_box else values


def _problems(data: YoloData, seen: _Seen) -> list[Problem]:
    problems: list[Problem] = []
    source, total = data.source, len(data.images)
    if seen.wrong:
        more = f" (the first of {len(seen.wrong)} broken files)" if seen.wrong[1:] else ""
        problems.append(Problem("error", "bad-label", f"{seen.wrong[0]}{more}.", len(seen.wrong)))
    if seen.missing:
        problems.append(
            Problem(
                "error" if len(seen.missing) == total else "warning",
                "no-label-file",
                f"{source.parent} has images without a label file, which stay out, as nobody knows "
                f"whether they were looked at: {len(seen.missing)} of {total} "
                f"({some(seen.missing)}; the first would be {label_of(seen.missing[0])}); an empty "
                "file says that there is nothing.",
                len(seen.missing),
            )
        )
    say_cut(str(source.parent), seen.cut, problems)
    if len(seen.corners) >= _MANY and set(seen.corners) == {4}:
        problems.append(
            Problem(
                "warning",
                "rectangles",
                f"{source.parent} has {len(seen.corners)} polygons, all of four corners, as boxes "
                "have, oriented ones too; if they are boxes, write them as such (class, centre, "
                "width, height), or what is around the objects is measured as them.",
            )
        )
    return problems
