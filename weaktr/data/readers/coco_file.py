"""One COCO annotation file: read, and every reference in it followed.

`pycocotools.coco.COCO` keeps the last of two images with one id and drops annotations that refer to
nothing, without a word; therefore the file is read here.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from weaktr.data.readers.json_file import parse_json
from weaktr.errors import UserError

Id = int | str
"""A number, or text that is none."""

_NAMED = 5
"""Entries that one sentence names."""


@dataclass(frozen=True, slots=True)
class CocoImage:
    """An image as the file describes it; width and height in pixels, as stored."""

    number: Id
    file_name: str
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class CocoAnnotation:
    """An object of an image.

    Attributes:
        name: What to call it in messages: `annotation 7`, by its id or, without one, its place.
        category: Id of its category.
        crowd: Whether its shape covers a group of objects, or is to be ignored.
        segmentation: Its shape as the file has it.
        bbox: Its box as the file has it.
    """

    name: str
    category: Id
    crowd: bool
    segmentation: Any
    bbox: Any = None


@dataclass
class CocoFile:
    """What a file says, with references that hold.

    Attributes:
        path: Where it was read.
        categories: Id -> name, in the order of the ids.
        images: In the order of their ids.
        of_image: Image id -> its annotations, in the file's order; every image has a list.
        repaired: What was understood although it is not as COCO has it -> how often.
    """

    path: Path
    categories: dict[Id, str] = field(default_factory=dict)
    images: list[CocoImage] = field(default_factory=list)
    of_image: dict[Id, list[CocoAnnotation]] = field(default_factory=dict)
    repaired: Counter[str] = field(default_factory=Counter)

    @property
    def annotations(self) -> int:
        """Their number."""
        return sum(map(len, self.of_image.values()))


def load_coco(path: Path) -> CocoFile:
    """Reads an annotation file.

    Ids are numbers; text that spells a number (`"2"`) is that number, and counted as a repair.

    Raises:
        UserError: If it is no such file, an id is there twice, or a reference leads nowhere; with
            the ids of the entries.
    """
    content = parse_json(path.read_bytes(), path, "fetch it again")
    if not isinstance(content, dict):
        raise UserError(f"{path} is not a COCO annotation file; fetch it again.")
    if not content.get("categories") or not content.get("images"):
        raise UserError(f"{path} has no categories or no images; fetch it again.")
    found = CocoFile(path)
    _add_categories(found, _entries(path, content, "categories"))
    _add_images(found, _entries(path, content, "images"))
    _add_annotations(found, _entries(path, content, "annotations"))
    return found


def _entries(path: Path, content: dict[str, Any], key: str) -> list[dict[str, Any]]:
    entries = content.get(key) or []
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise UserError(f"{path}: {key!r} is not a list of objects in braces; write it again.")
    return entries


def _add_categories(found: CocoFile, entries: list[dict[str, Any]]) -> None:
    names: dict[Id, str] = {}
    for place, entry in enumerate(entries, start=1):
        here = _name("category", entry, place)
        number = _id(found, entry, "id", here)
        name = _text(found, entry, "name", here)
        if number in names:
            raise UserError(
                f"{found.path}: the categories {names[number]!r} and {name!r} share the id "
                f"{number!r}; give each its own."
            )
        names[number] = name.strip()
    found.categories = {number: names[number] for number in sorted(names, key=_order)}


def _text(found: CocoFile, entry: dict[str, Any], key: str, here: str) -> str:
    """The name of a category or an image."""
    text = entry.get(key)
    if not isinstance(text, str) or not text.strip():
        raise _wrong(found.path, here, f"has no `{key}`", text)
    return text


def _add_images(found: CocoFile, entries: list[dict[str, Any]]) -> None:
    images: dict[Id, CocoImage] = {}
    for place, entry in enumerate(entries, start=1):
        here = _name("image", entry, place)
        number = _id(found, entry, "id", here)
        name = _text(found, entry, "file_name", here)
        width = _pixels(found, entry, "width", here)
        height = _pixels(found, entry, "height", here)
        if number in images:
            raise UserError(
                f"{found.path}: the images {images[number].file_name} and {name} share the id "
                f"{number!r}, so that nobody knows whose its annotations are; give each its own."
            )
        images[number] = CocoImage(number, name, width, height)
    found.images = [images[number] for number in sorted(images, key=_order)]
    found.of_image = {image.number: [] for image in found.images}


def _add_annotations(found: CocoFile, entries: list[dict[str, Any]]) -> None:
    astray: dict[str, list[tuple[str, Id]]] = {"image": [], "category": []}
    numbers: set[Id] = set()
    for place, entry in enumerate(entries, start=1):
        here = _name("annotation", entry, place)
        image = _id(found, entry, "image_id", here)
        category = _id(found, entry, "category_id", here)
        number = entry.get("id")
        if isinstance(number, int | str):
            if number in numbers:
                found.repaired["the `id` of an annotation is that of another, and both count"] += 1
            numbers.add(number)
        if image not in found.of_image:
            astray["image"].append((here, image))
        elif category not in found.categories:
            astray["category"].append((here, category))
        else:
            crowd = _flag(found, entry, "iscrowd", here)
            if _flag(found, entry, "ignore", here) and not crowd:
                found.repaired["`ignore` is set and taken for `iscrowd`"] += 1
                crowd = True
            found.of_image[image].append(
                CocoAnnotation(here, category, crowd, entry.get("segmentation"), entry.get("bbox"))
            )
    for (what, those), where in zip(astray.items(), ("images", "categories"), strict=True):
        if those:
            named = [f"{here} ({what}_id {number!r})" for here, number in those]
            raise UserError(
                f"{found.path}: no entry of {where!r} has the id to which {some(named)} refers; "
                "mend the id, or take the annotation out."
            )


def some(names: Iterable[str]) -> str:
    """The first names, and how many more there are."""
    listed = list(names)
    more = len(listed) - _NAMED
    return ", ".join(listed[:_NAMED]) + (f" and {more} more" if more > 0 else "")


def _name(what: str, entry: dict[str, Any], place: int) -> str:
    number = entry.get("id")
    return f"{what} {number}" if isinstance(number, int | str) else f"the {what} in place {place}"


def _id(found: CocoFile, entry: dict[str, Any], key: str, here: str) -> Id:
    value = entry.get(key)
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, str) and value.strip():
        text = value.strip()
        if text.isdecimal() and text.isascii() and str(int(text)) == text:
            found.repaired[f"`{key}` is text and taken for the number"] += 1
            return int(text)
        return text
    raise _wrong(found.path, here, f"has no usable `{key}`", value)


def _pixels(found: CocoFile, entry: dict[str, Any], key: str, here: str) -> int:
    value = entry.get(key)
    if isinstance(value, str) and value.strip().isdecimal():
        found.repaired[f"`{key}` is text and taken for the number"] += 1
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int | float) or value != value // 1:
        raise _wrong(found.path, here, f"has no usable `{key}` in pixels", value)
    if not 1 <= value <= 2**31:
        raise _wrong(found.path, here, f"has no usable `{key}` in pixels", value)
    return int(value)


def _flag(found: CocoFile, entry: dict[str, Any], key: str, here: str) -> bool:
    value = entry.get(key)
    if value is None or value in (0, 1):
        return bool(value)
    if value in ("0", "1"):
        found.repaired[f"`{key}` is text and taken for the number"] += 1
        return value == "1"
    raise _wrong(found.path, here, f"has an `{key}` that is neither 0 nor 1", value)


def _wrong(path: Path, here: str, what: str, value: Any) -> UserError:
    return UserError(f"{path}: {here} {what}; mend the entry. Got: {value!r}.")


def _order(number: Id) -> tuple[bool, Id]:
    return isinstance(number, str), number
