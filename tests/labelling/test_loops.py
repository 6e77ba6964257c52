"""Masks go out in a format and come back by the reader of the same format: nothing differs."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.labelling.label_maps import CLASSES, noise, ring, write_images
from weaktr.config.dataset import DatasetParams
from weaktr.data.checks.check import check_dataset
from weaktr.data.masks import read_mask
from weaktr.labelling.format_names import FormatName
from weaktr.labelling.labelled_image import Style
from weaktr.labelling.write import write_labels
from weaktr.labels import VOID

MAPS = {f"{i}.png": ids for i, ids in enumerate((ring(), noise(1), noise(2), ring()[::-1]))}
SPLITS = ("train", "train", "train", "val")


def submit(out: Path) -> None:
    """What people do in Label Studio: they submit every prediction as their annotation."""
    path = out / "tasks.json"
    tasks = json.loads(path.read_text())
    for number, task in enumerate(tasks, start=1):
        task["id"] = number
        task["annotations"] = [{"id": number, "result": task["predictions"][0]["result"]}]
    path.write_text(json.dumps(tasks))


def split_folders(out: Path) -> None:
    for name, split in zip(MAPS, SPLITS, strict=True):
        (out / split).mkdir(exist_ok=True)
        shutil.move(out / "images" / name, out / split / name)


def split_images(out: Path) -> None:
    for name, split in zip(MAPS, SPLITS, strict=True):
        (out / "images" / split).mkdir(exist_ok=True)
        shutil.move(out / "images" / name, out / "images" / split / name)


def voc_folder(out: Path) -> None:
    (out / "images").rename(out / "JPEGImages")


BACK: dict[FormatName, Callable[[Path], None]] = {
    "coco": split_folders,
    "labelstudio": submit,
    "cvat": lambda out: None,
    "palette": voc_folder,
    "yolo": split_images,
}


@pytest.mark.parametrize("style", [Style(), Style(polygons=True), Style(split_parts=True)])
@pytest.mark.parametrize("format", BACK)
def test_manifest_and_masks_are_equal(tmp_path: Path, format: FormatName, style: Style) -> None:
    images = [
        replace(image, split=split)
        for image, split in zip(write_images(tmp_path, MAPS), SPLITS, strict=True)
    ]
    out = tmp_path / "out"
    write_labels(images, CLASSES, format, out, style)
    (tmp_path / "images").rename(out / "images")
    BACK[format](out)
    kind = {"palette": "voc"}.get(format, format)
    report = check_dataset(
        DatasetParams(kind=kind, root=str(out), val_share=0.25)  # type: ignore[arg-type]
    )
    assert {problem.kind for problem in report.problems} <= {"few-images"}
    assert report.manifest.classes == CLASSES
    # YOLO's images lie in a folder for each split.
    records = {record.id.split("__")[-1]: record for record in report.manifest}
    assert sorted(records) == ["0", "1", "2", "3"]
    if format != "labelstudio":  # It has no splits.
        assert tuple(records[id_].split for id_ in sorted(records)) == SPLITS
    masks = report.write_masks(tmp_path / "again")
    for name, ids in MAPS.items():
        id_ = name.removesuffix(".png")
        found = np.unique(ids[ids != VOID])
        assert records[id_].tags == tuple(CLASSES[label - 1] for label in found if label)
        expected = ids if format == "palette" else np.where(ids == VOID, 0, ids)
        np.testing.assert_array_equal(read_mask(masks[records[id_].id].mask), expected)
