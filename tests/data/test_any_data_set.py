"""Whatever a data set looks like: refused with a sentence, or read as the plain way reads it."""

import csv
import io
import json
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from oracles import data_sets
from tests.data.generated import (
    HEIGHT,
    WIDTH,
    checked,
    picture,
    shapes,
    within_seconds,
)
from tests.tiny_data import box
from weaktr.data.masks import read_mask

# --- COCO ---

Json = dict[str, Any]
objects = st.lists(st.tuples(st.sampled_from([5, 7]), shapes), max_size=3)


def coco_content(found: list[list[tuple[int, Any]]], first: int) -> Json:
    """A sound file: images `<first + i>.png` with these categories and shapes."""
    annotations = [
        {
            "image_id": first + place,
            "category_id": category,
            "segmentation": shape,
            "area": 1,
            "iscrowd": 0,
        }
        for place, those in enumerate(found)
        for category, shape in those
    ]
    return {
        "categories": [{"id": 7, "name": "dog"}, {"id": 5, "name": "cat"}],
        "images": [
            {
                "id": first + place,
                "file_name": f"{first + place}.png",
                "width": WIDTH,
                "height": HEIGHT,
            }
            for place in range(len(found))
        ],
        "annotations": [{"id": id_, **a} for id_, a in enumerate(annotations, start=1)],
    }


def put(where: str, key: str, value: Any) -> Callable[[Json, int], None]:
    """Sets a value of one entry (`...` takes it out), or a function of its old one."""

    def apply(content: Json, place: int) -> None:
        entries = content[where]
        if not entries:
            return
        entry = entries[place % len(entries)]
        if value is ...:
            entry.pop(key, None)
        else:
            entry[key] = value(entry.get(key)) if callable(value) else value

    return apply


def repeat(where: str) -> Callable[[Json, int], None]:
    def apply(content: Json, place: int) -> None:
        if content[where]:
            content[where].append(dict(content[where][place % len(content[where])]))

    return apply


RUNS = {"size": [HEIGHT, WIDTH], "counts": [3, 10, WIDTH * HEIGHT - 13]}
NO_SHAPES: tuple[Any, ...] = (None, ..., [], {}, [[1, 2]], [[1, 1, 4, 1, 6, 1]])
WRONGS: list[Callable[[Json, int], None]] = [
    *(put("annotations", key, str) for key in ("image_id", "category_id", "iscrowd")),
    *(put("annotations", "image_id", value) for value in (99, "x", None, ..., 1.0, True)),
    *(put("annotations", "category_id", value) for value in (6, "7", ..., 5.0, {"a": 1})),
    *(put("annotations", "area", value) for value in (0, None, ..., "3", -1, 1e9)),
    *(put("annotations", "iscrowd", value) for value in (1, None, ..., True, 2)),
    *(put("annotations", "ignore", value) for value in (1, "1", 0, "x")),
    *(put("annotations", "bbox", value) for value in ([0, 0, 8, 6], [7, 5, 1, 1], [], "x")),
    *(put("annotations", "id", value) for value in (1, ..., "a")),
    *(put("annotations", "segmentation", value) for value in NO_SHAPES),
    put("annotations", "segmentation", RUNS),
    put("annotations", "segmentation", {"size": [WIDTH, HEIGHT], "counts": RUNS["counts"]}),
    put("annotations", "segmentation", {"size": [HEIGHT, WIDTH], "counts": [3, 3]}),
    put(
        "annotations", "segmentation", lambda old: old[0] if isinstance(old, list) and old else old
    ),
    put("annotations", "segmentation", [["1", "1", "4", "1", "4", "4", "1", "4"]]),
    put("annotations", "segmentation", [[1, 1, 4, 1, 4, "x"]]),
    put("annotations", "segmentation", [[1, 1, 900, 1, 900, 4, 1, 4]]),
    put("annotations", "segmentation", box(-3, -2, 4, 3)),
    *(put("images", "id", value) for value in (1, "2", ..., None)),
    *(put("images", key, str) for key in ("id", "width", "height")),
    *(put("categories", "id", value) for value in (5, "7", "x")),
    repeat("images"),
    repeat("annotations"),
    repeat("categories"),
]
edits = st.lists(st.tuples(st.sampled_from(WRONGS), st.integers(0, 5)), max_size=3)


@within_seconds
@given(
    st.lists(objects, min_size=1, max_size=3),
    st.lists(objects, min_size=1, max_size=3),
    edits,
    edits,
    st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]),
    st.booleans(),
)
def test_coco_files(
    tmp_path_factory: pytest.TempPathFactory,
    train: list[list[tuple[int, Any]]],
    val: list[list[tuple[int, Any]]],
    train_edits: list[tuple[Callable[[Json, int], None], int]],
    val_edits: list[tuple[Callable[[Json, int], None], int]],
    encoding: str,
    keep: bool,
) -> None:
    root = tmp_path_factory.mktemp("coco")
    (root / "annotations").mkdir()
    both = [(5, box(0, 0, 3, 3)), (7, box(4, 3, 8, 6))]
    readings: list[data_sets.Reading | None] = []
    for name, content, changes in (
        ("train", coco_content([both, *train], 1), train_edits),
        ("val", coco_content([both, *val], 11), val_edits),
    ):
        for edit, place in changes:
            edit(content, place)
        for image in content["images"]:
            picture(root / name / image["file_name"])
        text = json.dumps(content).encode(encoding)
        (root / "annotations" / f"instances_{name}.json").write_bytes(text)
        readings.append(data_sets.coco(text, keep_crowds=keep))
    report = checked(root, kind="coco", crowd="keep" if keep else "void")
    if None in readings:
        assert report.errors
    if report.errors:
        assert train_edits or val_edits or {p.kind for p in report.errors} == {"mask-and-tags"}
        return
    masks = report.write_masks(root / "masks")
    found = {Path(record.image).name: record for record in report.manifest}
    for reading, is_val in zip(readings, (False, True), strict=True):
        assert reading is not None
        for name, (tags, mask) in reading.items():
            if not tags and not is_val:
                assert name not in found
                continue
            record = found.pop(name)
            assert (frozenset(record.tags), record.split) == (tags, "val" if is_val else "train")
            if mask is None:
                assert record.id not in masks
            else:
                np.testing.assert_array_equal(read_mask(masks[record.id].mask), mask)
    assert not found


# --- Tables ---

Form = Literal["NFC", "NFD"]
names = st.sampled_from(["cat", "Käfer", "hot dog", "Zug 1", "train"])
rows = st.tuples(
    st.sampled_from(["train", "val", "Train", "validation"] * 9 + ["trian", "", "test"]),
    st.lists(names, min_size=1, max_size=3, unique=True),
    st.sampled_from([";", ", ", "|", "python"]),
    st.sampled_from(["NFC", "NFD"]),
    st.sampled_from(["whole"] * 30 + ["cut", "longer", "empty end"]),
)


@within_seconds
@given(
    st.lists(rows, min_size=1, max_size=4),
    st.permutations(["image", "tags", "split"]),
    st.sampled_from([",", ";", "\t"]),
    st.sampled_from(["utf-8", "utf-8-sig"] * 4 + ["utf-16", "latin-1"]),
    st.sampled_from([[], [], [""], ["", ""]]),
    st.sampled_from([False] * 9 + [True]),
)
def test_tables(
    tmp_path_factory: pytest.TempPathFactory,
    rows: list[tuple[str, list[str], str, Form, str]],
    header: list[str],
    delimiter: str,
    encoding: str,
    end: list[str],
    twice: bool,
) -> None:
    root = tmp_path_factory.mktemp("table")
    stream = io.StringIO(newline="")
    writer = csv.writer(stream, delimiter=delimiter)
    writer.writerow([*header, *end])
    sure = [(split, ["cat", "train"], ";", "NFC", "whole") for split in ("train", "val")]
    for number, (split, tags, separator, form, shape) in enumerate([*sure, *rows]):
        image = f"{0 if twice and number == 3 else number}.png"
        picture(root / "images" / image)
        text = str(tags) if separator == "python" else separator.join(tags)
        cells = {"image": image, "split": split, "tags": unicodedata.normalize(form, text)}  # type: ignore[arg-type]
        row = [*(cells[name] for name in header), *end]
        writer.writerow(
            {"whole": row, "cut": row[:2], "longer": [*row, "x"], "empty end": [*row, ""]}[shape]
        )
    try:
        data = stream.getvalue().encode(encoding)
    except UnicodeEncodeError:  # Latin-1 has no combining characters.
        return
    (root / "tags.csv").write_bytes(data)
    reading = data_sets.table(data)
    report = checked(root, kind="folder")
    if reading is None:
        assert report.errors
    if report.errors:
        return
    assert {Path(r.image).name: (r.split, frozenset(r.tags)) for r in report.manifest} == reading


# --- Folders ---

tops = st.sampled_from(
    ["train", "Train", "training", "val", "valid", "Testing", "cat", "dog", "@eaDir", "Käfer"]
)
LEAVES = {
    "1.png": "PNG",
    "2.jpg": "JPEG",
    "3.jfif": "JPEG",
    "4": "WEBP",
    "5.gif": "GIF",
    "._6.png": "PNG",
    "7.JPE": "JPEG",
    "8.PNG": "JPEG",
    "Thumbs.db": "JPEG",
}
folders = st.lists(
    st.tuples(
        tops,
        st.sampled_from(["cat", "dog", "Käfer", "__MACOSX"]),
        st.sampled_from(sorted(LEAVES)),
        st.sampled_from(["NFC", "NFD"]),
    ),
    min_size=1,
    max_size=8,
)


@within_seconds
@given(folders)
def test_folders(
    tmp_path_factory: pytest.TempPathFactory, files: list[tuple[str, str, str, Form]]
) -> None:
    root = tmp_path_factory.mktemp("tree")
    for top, tag, name, form in files:
        picture(root / unicodedata.normalize(form, f"{top}/{tag}/{name}"), LEAVES[name])
    reading = data_sets.tree(root)
    report = checked(root, kind="folder", val_share=0)
    if not reading:
        assert report.errors
    if report.errors or not reading:
        return
    found = {
        Path(r.image).relative_to(root).as_posix(): (r.split, *r.tags) for r in report.manifest
    }
    expected = {file: (split or "train", tag) for file, (split, tag) in reading.items()}
    assert found == expected
