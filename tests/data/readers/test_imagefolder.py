"""Hugging Face's image folder with metadata."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.tiny_data import mask_path, striped_mask, write_image
from weaktr.config.dataset import DatasetParams
from weaktr.data.checks.check import check_dataset
from weaktr.data.masks import write_mask
from weaktr.data.readers.imagefolder import read_imagefolder
from weaktr.data.readers.listing import Listing
from weaktr.errors import UserError


def write(folder: Path, *lines: Any, images: bool = True) -> Path:
    for seed, line in enumerate(lines):
        if images and isinstance(line, dict) and "file_name" in line:
            write_image(folder / line["file_name"], seed=seed)
    text = "".join((line if isinstance(line, str) else json.dumps(line)) + "\n" for line in lines)
    (folder / "metadata.jsonl").write_text(text, encoding="utf-8")
    return folder


def row(name: str, tags: Any = ("cat",), **more: Any) -> dict[str, Any]:
    return {"file_name": name, "tags": tags, **more}


def params(root: Path, **more: Any) -> DatasetParams:
    return DatasetParams(kind="imagefolder", root=str(root), val_share=0, **more)


def read(root: Path, **more: Any) -> Listing:
    return read_imagefolder(params(root, **more))


@pytest.mark.parametrize("column", ["tags", "labels", "label", "classes", "categories"])
@pytest.mark.parametrize("tags", [["dog", " cat"], "dog; cat", "dog,cat", "['dog', 'cat']"])
def test_tags_in_any_of_the_columns(tmp_path: Path, column: str, tags: Any) -> None:
    (tmp_path / "x").mkdir()
    lines = ({"file_name": "a.jpg", column: tags}, {"file_name": "x/b.png", column: None})
    listing = read(write(tmp_path, *lines))
    assert [(e.id, e.split, e.tags) for e in listing.entries] == [
        ("a", "train", ("cat", "dog")),
        ("x__b", "train", ()),
    ]


def test_splits_are_the_folders(tmp_path: Path) -> None:
    for name in ("train", "validation"):
        (tmp_path / name).mkdir()
        write(tmp_path / name, row("a.jpg"))
    listing = read(tmp_path)
    assert [(e.id, e.split) for e in listing.entries] == [
        ("train__a", "train"),
        ("validation__a", "val"),
    ]
    assert "Tags come from train/metadata.jsonl, validation/metadata.jsonl." in listing.notes


def test_a_column_of_splits_and_masks(tmp_path: Path) -> None:
    mask = tmp_path / "masks" / "a.png"
    mask.parent.mkdir()
    write_mask(mask, striped_mask((0, 1)))
    (tmp_path / "classes.txt").write_text("cat\n")
    lines = (row("a.jpg", split="val", mask_file_name="masks/a.png"), row("b.jpg", split="train"))
    report = check_dataset(params(write(tmp_path, *lines)))
    assert not report.errors
    assert [(r.id, r.split) for r in report.manifest] == [("a", "val"), ("b", "train")]
    assert report.listing is not None
    assert mask_path(report.listing.entries[0]) == mask.as_posix()
    np.testing.assert_array_equal(report.masks[0].source.read(), striped_mask((0, 1)))


def test_images_without_a_line_are_counted(tmp_path: Path) -> None:
    write_image(tmp_path / "other.jpg")
    (problem,) = read(write(tmp_path, row("a.jpg"))).problems
    assert "names, which stay out: 1 (other.jpg)" in problem.message


@pytest.mark.parametrize(
    ("lines", "sentence"),
    [
        ((row("a.jpg"), row("a.jpg")), "line 2 names an image a second time"),
        ((row("a.jpg", [3]),), "line 1 has tags that are no names"),
        ((row("a.jpg", 3),), "line 1 has tags that are no names"),
        ((row("a.jpg", split="x"),), "line 1 has a split that does not fit"),
        ((row("a.jpg", split="val"), row("b.jpg")), "line 2 has no split, but others have"),
        ((row("a.jpg"), {"tags": ["cat"]}), "line 2 has no file_name"),
        ((row("a.jpg", label="cat"),), "one column of tags"),
        (({"file_name": "a.jpg", "text": "cat"},), "one column of tags"),
        ((row("a.jpg"), "{"), "line 2 is not valid JSON"),
        ((row("a.jpg"), "[]"), "line 2 is no object"),
        ((row("a.jpg", []),), "gives no image a tag"),
        ((row("a.jpg", ["nan"]),), "names `nan` as a class"),
        ((row("a.jpg", ["cat;dog"]),), "cannot stand in a list of tags"),
        ((row("a.jpg", mask_file_name="m.png"),), "line 1 names a file that is not there"),
    ],
)
def test_what_contradicts_itself_is_refused_by_line(
    tmp_path: Path, lines: tuple[Any, ...], sentence: str
) -> None:
    report = check_dataset(params(write(tmp_path, *lines)))
    assert sentence in "\n".join(problem.message for problem in report.errors)


def test_a_missing_image_and_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"has no metadata.jsonl, neither"):
        read(tmp_path)
    report = check_dataset(params(write(tmp_path, row("a.jpg"), images=False)))
    assert "line 1 names a file that is not there" in report.errors[0].message
    with pytest.raises(UserError, match="tags_from: masks is not for imagefolder"):
        read(tmp_path, tags_from="masks")
