"""COCO files, read back by pycocotools."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from pycocotools.coco import COCO

from tests.labelling.label_maps import CLASSES, noise, ring, write_images
from weaktr.labelling.labelled_image import Style
from weaktr.labelling.write import write_labels
from weaktr.labels import VOID, Pixels

MAPS = {"b/ring.jpg": ring(), "a.jpg": noise(0), "c.jpg": np.zeros((9, 8), np.uint8)}


def by_pycocotools(path: Path) -> tuple[COCO, dict[str, Pixels]]:
    api = COCO(str(path))
    maps = {}
    for number, image in api.imgs.items():
        ids = np.zeros((image["height"], image["width"]), np.uint8)
        for annotation in api.imgToAnns[number]:
            mask = api.annToMask(annotation).astype(bool)
            assert not ids[mask].any()
            ids[mask] = annotation["category_id"]
            rows, columns = np.nonzero(mask)
            left, top, width, height = annotation["bbox"]
            assert annotation["area"] == mask.sum()
            assert (left, top) == (columns.min(), rows.min())
            assert (left + width, top + height) == (columns.max() + 1, rows.max() + 1)
        maps[image["file_name"]] = ids
    return api, maps


@pytest.mark.parametrize("polygons", [False, True])
@pytest.mark.parametrize("split_parts", [False, True])
def test_pycocotools_gives_the_masks_again(
    tmp_path: Path, polygons: bool, split_parts: bool
) -> None:
    images = write_images(tmp_path, MAPS)
    style = Style(polygons=polygons, split_parts=split_parts)
    outcome = write_labels(images, CLASSES, "coco", tmp_path / "out", style)
    assert outcome.path == tmp_path / "out" / "annotations" / "instances_default.json"
    api, maps = by_pycocotools(outcome.path)
    assert [c["name"] for _, c in sorted(api.cats.items())] == list(CLASSES)
    assert sorted(api.cats) == [1, 2, 3]
    assert [api.imgs[i]["file_name"] for i in (1, 2, 3)] == ["a.jpg", "b/ring.jpg", "c.jpg"]
    for name, ids in MAPS.items():
        np.testing.assert_array_equal(maps[name], np.where(ids == VOID, 0, ids))
    assert (
        list(api.anns) == list(range(1, len(api.anns) + 1)) == list(range(1, outcome.regions + 1))
    )
    assert outcome.empty == 1
    assert outcome.left.void_pixels == sum(int((ids == VOID).sum()) for ids in MAPS.values())
    ring_parts = len(api.imgToAnns[2])
    assert ring_parts == (4 if split_parts else 3)


def test_equal_input_gives_equal_bytes(tmp_path: Path) -> None:
    images = write_images(tmp_path, MAPS)
    first = write_labels(images, CLASSES, "coco", tmp_path / "1").path.read_bytes()
    again = write_labels(images[::-1], CLASSES, "coco", tmp_path / "2").path.read_bytes()
    assert first == again


def test_scores_and_splits(tmp_path: Path) -> None:
    one, two = write_images(tmp_path, {"a.jpg": ring(), "b.jpg": ring()}, (0.5, 0.9, 0.25))
    images = [replace(one, split="train"), replace(two, split="val")]
    write_labels(images, CLASSES, "coco", tmp_path / "out")
    for split in ("train", "val"):
        content = json.loads((tmp_path / f"out/annotations/instances_{split}.json").read_text())
        assert [image["id"] for image in content["images"]] == [1]
        assert [image["score"] for image in content["images"]] == [0.5]
        assert [a.get("score") for a in content["annotations"]] == [0.9, 0.25, None]


def test_small_parts_are_left_out_and_counted(tmp_path: Path) -> None:
    images = write_images(tmp_path, {"a.jpg": ring()})
    outcome = write_labels(images, CLASSES, "coco", tmp_path / "out", Style(min_area=5))
    assert (outcome.left.parts, outcome.left.part_pixels) == (1, 1)
    _, maps = by_pycocotools(outcome.path)
    expected = ring()
    expected[25, 30] = 0
    np.testing.assert_array_equal(maps["a.jpg"], np.where(expected == VOID, 0, expected))
