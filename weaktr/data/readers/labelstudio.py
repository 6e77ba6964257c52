"""Label Studio's exports: `JSON` and `JSON-MIN`, in the root beside the images.

Choices are tags, painted regions (brush) and polygons are tags and masks, boxes and ellipses are
tags. Only what people submitted counts, not predictions.
"""

import json
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import numpy as np

from weaktr.config.dataset import DatasetParams
from weaktr.data.brush_rle import decode_brush
from weaktr.data.images import IMAGE_SUFFIXES
from weaktr.data.readers.coco_file import some
from weaktr.data.readers.coco_shapes import Shape
from weaktr.data.readers.find_files import FileFinder, existing_folder
from weaktr.data.readers.listing import Listing, Problem
from weaktr.data.readers.tool_export import (
    MarkedImage,
    add_file,
    clean_label,
    listing_of,
    polygon,
    say_cut,
)
from weaktr.errors import UserError

_UPLOAD = re.compile(r"^[0-9a-f]{8}-")
"""What Label Studio puts before the names of uploaded files."""
_MIN_OWN = frozenset(
    {"id", "annotator", "annotation_id", "created_at", "updated_at", "lead_time", "agreement"}
)
"""Fields of JSON-MIN that are Label Studio's own."""
_LABEL_KEYS = ("brushlabels", "polygonlabels", "rectanglelabels", "ellipselabels", "labels")
_DRAWN = frozenset({"brush", "polygon", "rectangle", "ellipse"})
"""Types of regions that have no label."""
_GEOMETRY = frozenset({"rle", "points", "x", "y"})

Result = dict[str, Any]
"""One label of an annotator: its value, with the size of the image as Label Studio saw it."""


@dataclass
class _Task:
    """An image with what one person says of it."""

    name: str
    place: str
    results: list[Result]


@dataclass
class _Counts:
    """What was passed over."""

    unlabelled: list[str] = field(default_factory=list)
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
    path = _only_json(root)
    finder = FileFinder(root)
    problems: list[Problem] = []
    notes: list[str] = []
    counts = _Counts()
    images = []
    for task in _tasks(path, counts, notes):
        file = add_file(finder, problems, f"{path}: {task.name}", _names(task.place))
        if file is None:
            continue
        try:
            images.append(_marked(task, file, counts, params.max_megapixels))
        except UserError as error:
            problems.append(Problem("error", "bad-shape", f"{path}: {error}"))
    say_cut(str(path), counts.cut, problems)
    if counts.unlabelled:
        notes.append(
            f"Tasks left out because nobody submitted an annotation (predictions do not count): "
            f"{len(counts.unlabelled)} ({some(counts.unlabelled)})."
        )
    if counts.other:
        listed = ", ".join(f"{kind} {number}" for kind, number in sorted(counts.other.items()))
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


def _only_json(root: Path) -> Path:
    found = sorted(path for path in root.glob("*.json") if not path.name.startswith("."))
    if len(found) != 1:
        what = ", ".join(path.name for path in found) or "none"
        raise UserError(
            f"{root} must hold one export of Label Studio, a .json file (JSON or JSON-MIN), beside "
            f"the images; put it there. Got: {what}."
        )
    return found[0]


def _tasks(path: Path, counts: _Counts, notes: list[str]) -> Iterator[_Task]:
    try:
        content = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        reason = " ".join(str(error).split())
        raise UserError(f"{path} is not valid JSON ({reason}); export it again.") from None
    if not isinstance(content, list) or not all(isinstance(entry, dict) for entry in content):
        raise UserError(
            f"{path} is not an export of Label Studio (JSON or JSON-MIN); export it again."
        )
    if any(isinstance(entry.get("data"), dict) for entry in content):
        return (task for entry in content if (task := _of_json(path, entry, counts)))
    return _of_json_min(path, content, notes)


def _of_json(path: Path, entry: dict[str, Any], counts: _Counts) -> _Task | None:
    """A task of a full export."""
    name = f"task {entry.get('id', '?')}"
    data = entry.get("data")
    if not isinstance(data, dict):
        raise UserError(f"{path}: {name} has no `data`; export it again.")
    given = entry.get("annotations")
    if not isinstance(given, list | None) or not all(isinstance(a, dict) for a in given or ()):
        raise UserError(f"{path}: {name} has `annotations` that are no list; export it again.")
    submitted = [a for a in given or () if not a.get("was_cancelled")]
    truths = [a for a in submitted if a.get("ground_truth")]
    if not submitted:
        counts.unlabelled.append(name)
        return None
    said = [_results(path, name, annotation) for annotation in truths or submitted]
    _agree(path, name, said)
    return _Task(name, _image_of(path, name, data), said[0])


def _results(path: Path, name: str, annotation: dict[str, Any]) -> list[Result]:
    results = annotation.get("result")
    if not isinstance(results, list) or not all(isinstance(r, dict) for r in results):
        raise UserError(f"{path}: {name} has an annotation without `result`; export it again.")
    named = {str(r.get("id")) for r in results if _label_key(_value(r))}
    found = []
    for result in results:
        value = _value(result)
        # Under <Brush> and <Labels>, a region is there with and without its label.
        plain = not _label_key(value) and not _GEOMETRY.isdisjoint(value)
        if plain and str(result.get("id")) in named:
            continue
        found.append(
            {
                **value,
                "type": result.get("type", "?"),
                "original_width": result.get("original_width"),
                "original_height": result.get("original_height"),
                "image_rotation": result.get("image_rotation", 0),
            }
        )
    return found


def _value(result: Result) -> dict[str, Any]:
    value = result.get("value")
    return value if isinstance(value, dict) else {}


def _label_key(value: dict[str, Any]) -> str | None:
    """The key under which a region has its labels."""
    return next((key for key in _LABEL_KEYS if key in value), None)


def _agree(path: Path, name: str, said: list[list[Result]]) -> None:
    texts = {json.dumps(sorted(json.dumps(r, sort_keys=True) for r in one)) for one in said}
    if len(texts) > 1:
        raise UserError(
            f"{path}: {name} has {len(said)} annotations that differ; delete all but one, or mark "
            "one as ground truth."
        )


def _image_of(path: Path, name: str, data: dict[str, Any]) -> str:
    """The field of a task that names the image."""
    named = data.get("image")
    if isinstance(named, str) and named.strip():
        return named
    places = [v for v in data.values() if isinstance(v, str) and _looks_like_an_image(v)]
    if len(places) != 1:
        raise UserError(
            f"{path}: {name} has {len(places)} fields that may name the image; call it `image`."
        )
    return places[0]


def _looks_like_an_image(text: str) -> bool:
    name = unquote(text.split("?d=")[-1]).split("?")[0]
    return Path(name).suffix.lower() in IMAGE_SUFFIXES


def _of_json_min(path: Path, content: list[dict[str, Any]], notes: list[str]) -> Iterator[_Task]:
    """Tasks of a short export, where labels lie among the fields of the data."""
    tag_field = _tag_field(path, content)
    if tag_field is not None:
        notes.append(f"The field {tag_field!r} of {path.name} is taken for choices.")
    by_task: dict[str, list[_Task]] = {}
    for place, entry in enumerate(content, start=1):
        name = f"task {entry['id']}" if "id" in entry else f"entry {place}"
        results: list[Result] = []
        for key, value in entry.items():
            if key == tag_field and isinstance(value, str):
                results.append({"type": "choices", "choices": [value]})
            elif isinstance(value, dict) and "choices" in value:
                results.append({"type": "choices", **value})
            elif isinstance(value, list):
                results += [{"type": key, **v} for v in value if isinstance(v, dict)]
        task = _Task(name, _image_of(path, name, entry), results)
        by_task.setdefault(name, []).append(task)
    for name, tasks in by_task.items():
        _agree(path, name, [task.results for task in tasks])
        yield tasks[0]


def _tag_field(path: Path, content: list[dict[str, Any]]) -> str | None:
    """The field with a single choice, which JSON-MIN writes like any text of the data."""
    fields = {
        key
        for entry in content
        for key, value in entry.items()
        if isinstance(value, str)
        and value
        and key not in _MIN_OWN
        and key != "image"
        and not _looks_like_an_image(value)
    }
    chosen = {
        key
        for entry in content
        for key, value in entry.items()
        if isinstance(value, dict) and "choices" in value
    }
    if chosen:
        fields &= chosen
    drawn = any(
        isinstance(v, dict) and _label_key(v)
        for entry in content
        for value in entry.values()
        if isinstance(value, list)
        for v in value
    )
    if fields and drawn and not chosen:
        raise UserError(
            f"{path} has regions, and text that may be tags or not ({', '.join(sorted(fields))}); "
            "export JSON instead of JSON-MIN, which tells them apart."
        )
    if len(fields) > 1:
        raise UserError(
            f"{path} has several fields that may be tags ({', '.join(sorted(fields))}); export "
            "JSON instead of JSON-MIN, which tells them apart."
        )
    return next(iter(fields), None)


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


def _marked(task: _Task, file: str, counts: _Counts, megapixels: float) -> MarkedImage:
    """The tags and regions of a task; sizes above the limit are refused before decoding."""
    image = MarkedImage(name=task.name, file=file)
    for result in task.results:
        shaped = not _GEOMETRY.isdisjoint(result)
        if "choices" in result and not shaped:  # With a geometry, they say something of a region.
            image.tags += [clean_label(tag, task.name) for tag in _list(result["choices"])]
            continue
        key = _label_key(result)
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


def _size(task: _Task, result: Result, megapixels: float) -> tuple[int, int]:
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


def _shape(task: _Task, result: Result, size: tuple[int, int], cut: list[str]) -> Shape | None:
    """The region's pixels, `()` if all were erased; `None` where nobody knows them."""
    from pycocotools import mask as coco_mask

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
        code = coco_mask.encode(np.asfortranarray(pixels.astype(np.uint8)))
        return {"size": [height, width], "counts": code["counts"]}
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
