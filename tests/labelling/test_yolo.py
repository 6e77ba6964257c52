"""YOLO's label files, painted again."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import yaml
from pycocotools import mask as coco_mask

from tests.labelling.label_maps import CLASSES, noise, ring, write_images
from weaktr.labelling.labelled_image import Style
from weaktr.labelling.write import write_labels
from weaktr.labels import VOID, Pixels

MAPS = {"b/ring.jpg": ring(), "a.jpg": noise(0), "c.jpg": np.zeros((9, 8), np.uint8)}


def painted(file: Path, height: int, width: int) -> Pixels:
    ids = np.zeros((height, width), np.uint8)
    for line in file.read_text().splitlines():
        label, *numbers = line.split()
        corners = np.array(numbers, float).reshape(-1, 2) * [width, height]
        (code,) = coco_mask.frPyObjects([corners.ravel().tolist()], height, width)
        ids[coco_mask.decode(code).astype(bool)] = int(label) + 1
    return ids


def test_files_hold_the_masks(tmp_path: Path) -> None:
    images = write_images(tmp_path, MAPS)
    outcome = write_labels(images, CLASSES, "yolo", tmp_path / "out")
    for name, ids in MAPS.items():
        file = (tmp_path / "out" / "labels" / name).with_suffix(".txt")
        np.testing.assert_array_equal(painted(file, *ids.shape), np.where(ids == VOID, 0, ids))
    content = yaml.safe_load(outcome.path.read_text())
    assert content == {"train": "images", "val": "images", "names": dict(enumerate(CLASSES))}
    numbers = (tmp_path / "out/labels/a.txt").read_text().split()
    assert all(0 <= float(number) <= 3 for number in numbers)


def test_each_split_has_its_folder(tmp_path: Path) -> None:
    one, two = write_images(tmp_path, {"a.jpg": ring(), "b.jpg": ring()})
    images = [replace(one, split="train"), replace(two, split="val")]
    path = write_labels(images, CLASSES, "yolo", tmp_path / "out", Style(min_area=9)).path
    assert (tmp_path / "out/labels/train/a.txt").is_file()
    assert (tmp_path / "out/labels/val/b.txt").is_file()
    assert yaml.safe_load(path.read_text())["val"] == "images/val"
