"""YOLO's `data.yaml`: names of the classes, and where the images of each split lie."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import yaml

from weaktr.config.plain_yaml import read_yaml
from weaktr.data.class_words import composed
from weaktr.data.readers.find_files import FileFinder, without_suffix
from weaktr.data.readers.splits import split_folders, split_named
from weaktr.data.readers.tool_export import CLASSES
from weaktr.errors import UserError

_FILE = "data.yaml"


@dataclass(frozen=True)
class YoloData:
    """What a data set says of itself.

    Attributes:
        source: The file that says it.
        names: Classes in the order of their ids, from 0.
        images: Image below the root -> its split as the file calls it; `None`: there are none.
        keypoints: Whether lines have key points behind the box.
    """

    source: Path
    names: tuple[str, ...]
    images: Mapping[str, str | None]
    keypoints: bool


def read_data(finder: FileFinder, splits: Mapping[str, str]) -> YoloData:
    """Reads `data.yaml` (or the only `.yaml` file), or, without one, `classes.txt`.

    Args:
        finder: Files below the root.
        splits: Name that params give -> `train`, `val` or `test`; others are not read.

    Raises:
        UserError: If there is none, or it contradicts itself or the folder.
    """
    root = finder.root
    path = root / _FILE
    if not path.exists():
        found = sorted(p for p in root.iterdir() if p.suffix in (".yaml", ".yml"))
        if len(found) > 1:
            named = ", ".join(p.name for p in found)
            raise UserError(f"{root} has several YAML files ({named}); call the right one {_FILE}.")
        if not found:
            return _without_yaml(finder, splits)
        path = found[0]
    try:
        content = read_yaml(path.read_text("utf-8-sig"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        reason = " ".join(str(error).split())
        raise UserError(f"{path} is not valid YAML ({reason}); mend it.") from None
    if not isinstance(content, dict):
        raise UserError(f"{path} has no `train`, `val` and `names`, as YOLO's; mend it.")
    names = _names(path, content)
    places = {
        key: _places(path, key, content[key])
        for key in content
        if isinstance(key, str) and content[key] and split_named(key, splits) is not None
    }
    if "train" not in {split_named(key, splits) for key in places}:
        raise UserError(
            f"{path} names no images for training; add `train: images/train`, or set "
            "dataset.train_split."
        )
    base = content.get("path")
    below = str(base) if isinstance(base, str) and (root / base).is_dir() else ""
    images: dict[str, str | None] = {}
    listed: dict[str, list[str]] = {}
    for key, given in places.items():
        if split_named(key, splits) == "test" and not any(_inside(finder, below, g) for g in given):
            continue
        listed[key] = [file for place in given for file in _files(path, finder, below, key, place)]
    same = len(listed) > 1 and len({frozenset(files) for files in listed.values()}) == 1
    for key, files in listed.items():
        for file in files:
            other = images.setdefault(file, None if same else key)
            if other not in (None, key):
                raise UserError(
                    f"{path}: {file} is in the splits {other} and {key}; take it out of one."
                )
    return YoloData(path, names, images, bool(content.get("kpt_shape")))


def _without_yaml(finder: FileFinder, splits: Mapping[str, str]) -> YoloData:
    """As Label Studio exports: `classes.txt` beside `images` and `labels`."""
    path = finder.root / CLASSES
    if not path.exists():
        raise UserError(
            f"{finder.root} has no {_FILE} with `train`, `val` and `names` of the classes, nor a "
            f"{CLASSES} with one name per line; put it there."
        )
    try:
        names = tuple(composed(line.strip()) for line in path.read_text("utf-8-sig").splitlines())
    except UnicodeDecodeError:
        raise UserError(f"{path} is not UTF-8 text; save it as UTF-8.") from None
    while names and not names[-1]:
        names = names[:-1]
    if not all(names):
        raise UserError(f"{path} has an empty line between names, which count from 0; take it out.")
    files = [file for file in finder.files if file.startswith("images/")] or list(finder.files)
    tops = dict.fromkeys(file.removeprefix("images/").split("/")[0] for file in files)
    tops = {top: None for top in tops if any(f"{top}/" in file for file in files)}
    of_folder = split_folders(tops, splits, where=str(finder.root / "images")) or {}
    return YoloData(
        path,
        names,
        {file: of_folder.get(file.removeprefix("images/").split("/")[0]) for file in files},
        keypoints=False,
    )


def _names(path: Path, content: Mapping[Any, Any]) -> tuple[str, ...]:
    names = content.get("names")
    if isinstance(names, dict):
        keys = [int(key) if str(key).isdecimal() else key for key in names]
        if set(keys) != set(range(len(keys))):
            raise UserError(
                f"{path}: the ids of `names` must run from 0 without a gap; mend them. Got: "
                f"{', '.join(map(str, keys))}."
            )
        names = [name for _, name in sorted(zip(keys, names.values(), strict=True))]
    if not isinstance(names, list) or not names:
        raise UserError(
            f"{path} has no `names` of the classes; add them, in the order of their ids."
        )
    for name in names:
        if not isinstance(name, str) or not name.strip():
            raise UserError(
                f"{path} has a class whose name YAML does not read as text; write it in quotes. "
                f"Got: {name!r}."
            )
    if "nc" in content and content["nc"] != len(names):
        raise UserError(
            f"{path} has nc: {content['nc']} and {len(names)} names; one of them is wrong."
        )
    return tuple(composed(name.strip()) for name in names)


def _places(path: Path, key: str, value: Any) -> list[str]:
    places = value if isinstance(value, list) else [value]
    if not all(isinstance(place, str) and place.strip() for place in places):
        raise UserError(f"{path}: `{key}` must name a folder or a list of images. Got: {value!r}.")
    return places


def _files(path: Path, finder: FileFinder, below: str, key: str, place: str) -> Sequence[str]:
    """The images that a place of a split names.

    Raises:
        UserError: If it is not below the root, or has none.
    """
    inside = _inside(finder, below, place)
    if inside is None:
        raise UserError(
            f"{path} has {key}: {place}, where there are no images below {finder.root}; mend it, "
            "or set dataset.val_split to '' to do without validation."
        )
    if not inside.endswith(".txt"):
        prefix = "" if inside == "." else f"{inside}/"
        return [file for file in finder.files if file.startswith(prefix)]
    found = []
    folder = PurePosixPath(inside).parent.as_posix()
    lines = (finder.root / inside).read_text("utf-8-sig", errors="replace").splitlines()
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        parts = [part for part in line.strip().replace("\\", "/").split("/") if part != "."]
        ends = ("/".join(parts[start:]) for start in range(len(parts)))
        places = ("", f"{below}/", f"{folder}/")
        file = next((f for end in ends if (f := finder.find(end, places)) is not None), None)
        if file is None:
            raise UserError(
                f"{finder.root / inside} line {number} names an image that is not below "
                f"{finder.root}; mend it. Got: {line.strip()!r}."
            )
        found.append(file)
    return found


def _inside(finder: FileFinder, below: str, place: str) -> str | None:
    """A folder with images, or a list of them, below the root; `None` where there is none.

    Roboflow writes `../train/images` beside the folder `train`; Ultralytics reads that as we do.
    """
    root = finder.root
    given = place.strip().replace("\\", "/")
    absolute = root.resolve().as_posix()
    given = given.removeprefix(f"{absolute}/")
    for name in (f"{below}/{given}" if below else given, given, given.removeprefix("../")):
        inside = os.path.normpath(name)
        if inside.startswith(("..", "/")):
            continue
        if inside.endswith(".txt") and (root / inside).is_file():
            return inside
        if any(inside == "." or file.startswith(f"{inside}/") for file in finder.files):
            return inside
    return None


def label_of(file: str) -> str:
    """The label file of an image: in `labels` beside its last `images`, else beside it."""
    parts = without_suffix(file).split("/")
    places = [place for place, part in enumerate(parts[:-1]) if part == "images"]
    if places:
        parts[places[-1]] = "labels"
    return "/".join(parts) + ".txt"
