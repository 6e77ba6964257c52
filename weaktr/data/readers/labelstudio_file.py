"""The file that Label Studio exports (`JSON`, `JSON-MIN`), as tasks with what was said of them."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from weaktr.data.images import IMAGE_SUFFIXES
from weaktr.data.readers.json_file import parse_json
from weaktr.errors import UserError

_MIN_OWN = frozenset(
    {"id", "annotator", "annotation_id", "created_at", "updated_at", "lead_time", "agreement"}
)
"""Fields of JSON-MIN that are Label Studio's own."""
_LABEL_KEYS = ("brushlabels", "polygonlabels", "rectanglelabels", "ellipselabels", "labels")
_GEOMETRY = frozenset({"rle", "points", "x", "y"})

Result = dict[str, Any]
"""One label of an annotator: its value, with the size of the image as Label Studio saw it."""


@dataclass
class Task:
    """An image with what one person says of it.

    Attributes:
        name: The task, for messages.
        place: How the task names its image.
        results: What the person said.
    """

    name: str
    place: str
    results: list[Result]


@dataclass
class Unlabelled:
    """Names of tasks that nobody submitted an annotation of, and how many have predictions."""

    names: list[str] = field(default_factory=list)
    predicted: int = 0


def only_json(root: Path) -> Path:
    """The one export in a folder.

    Raises:
        UserError: If there is none, or several.
    """
    found = sorted(path for path in root.glob("*.json") if not path.name.startswith("."))
    if len(found) != 1:
        what = ", ".join(path.name for path in found) or "none"
        raise UserError(
            f"{root} must hold one export of Label Studio, a .json file (JSON or JSON-MIN), beside "
            f"the images; put it there. Got: {what}."
        )
    return found[0]


def read_tasks(path: Path, unlabelled: Unlabelled, notes: list[str]) -> Iterator[Task]:
    """The tasks of an export, of either kind.

    Args:
        path: The file.
        unlabelled: Takes the tasks that nobody submitted an annotation of.
        notes: Takes what there is to say.

    Raises:
        UserError: If it is no such file, or contradicts itself; in part while tasks are taken.
    """
    content = parse_json(path.read_bytes(), path, "export it again")
    if not isinstance(content, list) or not all(isinstance(entry, dict) for entry in content):
        raise UserError(
            f"{path} is not an export of Label Studio (JSON or JSON-MIN); export it again."
        )
    if any(isinstance(entry.get("data"), dict) for entry in content):
        return (task for entry in content if (task := _of_json(path, entry, unlabelled)))
    return _of_json_min(path, content, notes)


def _of_json(path: Path, entry: dict[str, Any], unlabelled: Unlabelled) -> Task | None:
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
        unlabelled.names.append(name)
        unlabelled.predicted += bool(entry.get("predictions"))
        return None
    said = [_results(path, name, annotation) for annotation in truths or submitted]
    _agree(path, name, said)
    return Task(name, _image_of(path, name, data), said[0])


def _results(path: Path, name: str, annotation: dict[str, Any]) -> list[Result]:
    results = annotation.get("result")
    if not isinstance(results, list) or not all(isinstance(r, dict) for r in results):
        raise UserError(f"{path}: {name} has an annotation without `result`; export it again.")
    named = {str(r.get("id")) for r in results if label_key(_value(r))}
    found = []
    for result in results:
        value = _value(result)
        # Under <Brush> and <Labels>, a region is there with and without its label.
        plain = not label_key(value) and has_shape(value)
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


def has_shape(value: dict[str, Any]) -> bool:
    """Whether a result is a region, and not about the whole image."""
    return not _GEOMETRY.isdisjoint(value)


def label_key(value: dict[str, Any]) -> str | None:
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


def _of_json_min(path: Path, content: list[dict[str, Any]], notes: list[str]) -> Iterator[Task]:
    """Tasks of a short export, where labels lie among the fields of the data."""
    tag_field = _tag_field(path, content)
    if tag_field is not None:
        notes.append(f"The field {tag_field!r} of {path.name} is taken for choices.")
    by_task: dict[str, list[Task]] = {}
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
        task = Task(name, _image_of(path, name, entry), results)
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
        isinstance(v, dict) and label_key(v)
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
