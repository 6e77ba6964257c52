"""Data sets read the plain way: no speed, no repairs that are not listed here, no sentences.

Each function says what a data set means, or `None` where it contradicts itself.
"""

import csv
import io
import json
import unicodedata
from collections.abc import Iterable
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from PIL import Image

from weaktr.labels import VOID, Pixels

Reading = dict[str, tuple[frozenset[str], Pixels | None]]
"""File name -> tags, and the mask where all of it is known."""


def _value(number: Any) -> Any:
    """An id by its value: `"2"`, `2` and `2.0` are one; `None` where it is none."""
    if isinstance(number, bool) or number is None or isinstance(number, list | dict):
        return None
    if isinstance(number, str):
        return int(number) if number.isdigit() and str(int(number)) == number else number or None
    return int(number) if number == int(number) else None


def coco(text: bytes, *, keep_crowds: bool = False) -> Reading | None:
    """A COCO file whose shapes are upright boxes, or run lengths as lists."""
    content = json.loads(text)
    names: dict[Any, str] = {}
    for category in content["categories"]:
        if _value(category["id"]) in names:
            return None
        names[_value(category["id"])] = category["name"]
    images: dict[Any, dict[str, Any]] = {}
    for image in content["images"]:
        if _value(image.get("id")) is None or _value(image["id"]) in images:
            return None
        images[_value(image["id"])] = image
    of_image: dict[Any, list[dict[str, Any]]] = {number: [] for number in images}
    for annotation in content.get("annotations") or []:
        number = _value(annotation.get("image_id"))
        if str(annotation.get("ignore") or 0) not in ("0", "1"):
            return None
        if number not in images or _value(annotation.get("category_id")) not in names:
            return None
        of_image[number].append(annotation)
    ordered = sorted(names, key=lambda number: (isinstance(number, str), number))
    ids = {number: place for place, number in enumerate(ordered, start=1)}
    found: Reading = {}
    for number, image in images.items():
        size = int(image["height"]), int(image["width"])
        mask: Pixels | None = np.zeros(size, np.uint8)
        layers = []
        for annotation in of_image[number]:
            covered = _covered(annotation.get("segmentation"), size)
            if covered is None:
                return None
            crowd = max(int(annotation.get(key) or 0) for key in ("iscrowd", "ignore"))
            layers.append((1 - crowd, -int(covered.sum()), covered, annotation))
            if not covered.any():
                mask = None
        for not_crowd, _, covered, annotation in sorted(layers, key=lambda layer: layer[:2]):
            if mask is not None:
                kept = not_crowd or keep_crowds
                mask[covered] = ids[_value(annotation["category_id"])] if kept else VOID
        tags = frozenset(names[_value(a["category_id"])] for a in of_image[number])
        found[image["file_name"]] = tags, mask
    return found


def _covered(shape: Any, size: tuple[int, int]) -> Any:
    """The pixels of a shape; none where no shape is given, `None` where it contradicts itself."""
    covered = np.zeros(size, bool)
    if not shape:
        return covered
    if isinstance(shape, dict):
        if shape.get("size") != list(size) or sum(shape["counts"]) != covered.size:
            return None
        values = np.arange(len(shape["counts"])) % 2 == 1
        return np.repeat(values, shape["counts"]).reshape(size, order="F")
    if not isinstance(shape, list):
        return None
    for box in [shape] if not isinstance(shape[0], list) else shape:
        try:
            corners = [float(number) for number in box]
        except (TypeError, ValueError):
            return None
        if len(corners) % 2 or not all(abs(number) <= 10 * max(size) for number in corners):
            return None
        if len(corners) >= 6:
            x, y = [max(0, int(n)) for n in corners[::2]], [max(0, int(n)) for n in corners[1::2]]
            covered[min(y) : max(y), min(x) : max(x)] = True
    return covered


def yolo(root: Path, names: list[str], size: tuple[int, int]) -> Reading | None:
    """Label files in YOLO's layout whose polygons are upright boxes; images without one stay out.

    Args:
        root: Has `images` and `labels`.
        names: Classes by their ids from 0.
        size: Height and width of every image.
    """
    found: Reading = {}
    any_polygon = False
    for path in sorted((root / "labels").rglob("*.txt")):
        mask: Pixels | None = np.zeros(size, np.uint8)
        layers, tags = [], set()
        for line in path.read_text("utf-8-sig").splitlines():
            try:
                values = [float(part) for part in line.split()]
            except ValueError:
                return None
            if not values:
                continue
            number, *shares = values
            if number not in range(len(names)) or not all(0 <= share <= 1 for share in shares):
                return None
            tags.add(names[int(number)])
            if len(shares) == 4:
                mask = None
                continue
            if len(shares) < 6 or len(shares) % 2:
                return None
            pixels = [round(n * size[1 - i % 2], 3) for i, n in enumerate(shares)]
            covered = _covered([pixels], size)
            any_polygon |= covered.any()
            if not covered.any():
                mask = None
            layers.append((-int(covered.sum()), int(number) + 1, covered))
        for _, value, covered in sorted(layers, key=lambda layer: layer[0]):
            if mask is not None:
                mask[covered] = value
        found[path.stem] = frozenset(tags), mask
    return {n: (tags, mask if any_polygon else None) for n, (tags, mask) in found.items()}


def table(data: bytes) -> dict[str, tuple[str, frozenset[str]]] | None:
    """Image -> split and tags, from a table with these three columns."""
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return None
    delimiter = next(mark for mark in text if mark in ",;\t")
    header, *rows = csv.reader(io.StringIO(text), delimiter=delimiter)
    header = [name.strip().lower() for name in header]
    rows = [row for row in rows if any(row)]
    found = {}
    for row in rows:
        named = len([name for name in header if name])
        if len(row) < named or any(row[named:]):
            return None
        cells = dict(zip(header, row, strict=False))
        split = cells["split"].strip().lower()
        split = {"training": "train", "valid": "val", "validation": "val"}.get(split, split)
        if cells["image"] in found or split not in ("train", "val", "test"):
            return None
        tags = cells["tags"]
        for mark in "[]'\"":
            tags = tags.replace(mark, "")
        for mark in ",|":
            tags = tags.replace(mark, ";")
        parts = (unicodedata.normalize("NFC", tag.strip()) for tag in tags.split(";"))
        found[cells["image"]] = split, frozenset(part for part in parts if part)
    return found


_SPLITS = {
    "train": "train",
    "training": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "test": "test",
    "testing": "test",
}
_JUNK = {"@eaDir", "__MACOSX", "$RECYCLE.BIN", "Thumbs.db"}


def tree(root: Path) -> dict[str, tuple[str, str]] | None:
    """Path -> split (or nothing) and tag, of one sub-folder per tag."""
    files = []
    for path in sorted(root.rglob("*")):
        parts = path.relative_to(root).parts
        if path.is_file() and not any(p in _JUNK or p[0] == "." for p in parts) and _is_read(path):
            files.append(PurePosixPath(*parts))
    tops = {file.parts[0] for file in files}
    splits = {top: _SPLITS[top.lower()] for top in tops if top.lower() in _SPLITS}
    by_split = "train" in splits.values() and (len(set(splits.values())) > 1 or len(tops) == 1)
    if not by_split:
        return {str(f): ("", unicodedata.normalize("NFC", f.parts[0])) for f in files}
    if set(splits) != tops or len(set(splits.values())) < len(splits):
        return None
    return {str(f): (splits[f.parts[0]], unicodedata.normalize("NFC", f.parts[1])) for f in files}


def _is_read(path: Path) -> bool:
    try:
        return Image.open(path).format in ("JPEG", "PNG", "WEBP", "BMP", "TIFF")
    except OSError:
        return False


def sentences(messages: Iterable[str]) -> bool:
    """Whether each is one line of plain words that ends like a sentence, and there is one."""
    listed = list(messages)
    return bool(listed) and all(
        m.endswith((".", "?")) and "\n" not in m and "Traceback" not in m for m in listed
    )
