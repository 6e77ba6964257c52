"""The demo's data set: reproducible, in VOC's layout, and hard in the ways it claims to be."""

import csv
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from weaktr.config.dataset import ShapesParams
from weaktr.data.demo.dataset import CLASSES, HUES, draw_shapes_scene, write_shapes
from weaktr.data.demo.scenes import Scene
from weaktr.data.masks import read_mask
from weaktr.labels import VOID

SMALL = ShapesParams(data_seed=3, train_images=30, val_images=10)


def scenes(count: int, params: ShapesParams = SMALL, split: str = "train") -> list[Scene]:
    return [draw_shapes_scene(params, split, index) for index in range(count)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("data") / "shapes"
    write_shapes(path, SMALL)
    return path


def files_of(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_equal_params_give_equal_bytes(folder: Path, tmp_path: Path) -> None:
    write_shapes(tmp_path / "again", SMALL)
    assert files_of(tmp_path / "again") == files_of(folder)


def test_another_seed_and_the_other_split_give_other_images() -> None:
    first = draw_shapes_scene(SMALL, "train", 0).image
    other_seed = SMALL.model_copy(update={"data_seed": 4})
    assert not np.array_equal(first, draw_shapes_scene(other_seed, "train", 0).image)
    assert not np.array_equal(first, draw_shapes_scene(SMALL, "val", 0).image)


def test_an_image_does_not_depend_on_how_many_there_are() -> None:
    more = SMALL.model_copy(update={"train_images": 99})
    assert np.array_equal(scenes(3)[2].image, scenes(3, more)[2].image)


def test_layout_is_that_of_voc(folder: Path) -> None:
    names = files_of(folder)
    for split, count in (("train", 30), ("val", 10)):
        listing = folder / "ImageSets" / "Segmentation" / f"{split}.txt"
        ids = listing.read_text().split()
        assert len(ids) == len(set(ids)) == count
        for name in ids:
            assert f"JPEGImages/{name}.png" in names
            assert f"SegmentationClass/{name}.png" in names
    image = Image.open(folder / "JPEGImages" / "train_00000.png")
    assert (image.mode, image.size) == ("RGB", (SMALL.image_side, SMALL.image_side))
    assert Image.open(folder / "SegmentationClass" / "train_00000.png").mode == "P"
    assert (folder / "classes.txt").read_text().split() == list(CLASSES)


def test_tags_are_the_classes_in_the_mask(folder: Path) -> None:
    with (folder / "tags.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["image", "tags", "split"]
    assert len(rows) == 40
    for row in rows:
        mask = read_mask(folder / "SegmentationClass" / Path(row["image"]).name)
        present = {CLASSES[i - 1] for i in np.unique(mask) if i not in (0, VOID)}
        assert set(row["tags"].split(";")) == present


def test_an_image_holds_several_objects_of_several_classes() -> None:
    drawn = scenes(60)
    assert len(CLASSES) >= 5
    assert {label for scene in drawn for label in scene.classes} == set(range(len(CLASSES)))
    assert np.mean([len(scene.classes) for scene in drawn]) > 1.5


def test_borders_are_void() -> None:
    for scene in scenes(10):
        labels = scene.labels.astype(int)
        for left, right in ((labels[1:], labels[:-1]), (labels[:, 1:], labels[:, :-1])):
            touching = (left != right) & (left != VOID) & (right != VOID)
            assert not touching.any()
        assert 0.01 < (labels == VOID).mean() < 0.15


def test_class_evidence_lies_in_a_part() -> None:
    drawn = scenes(40)
    objects = np.stack([(s.labels != 0) & (s.labels != VOID) for s in drawn])
    evidence = np.stack([s.evidence for s in drawn])
    share = (objects & evidence).sum() / objects.sum()
    assert 0.1 < share < 0.45
    for scene in drawn:  # and every tag has its evidence in sight
        shown = set(np.unique(scene.labels[scene.evidence])) - {0, VOID}
        assert shown == {label + 1 for label in scene.classes}


def test_no_hue_tells_the_class() -> None:
    for hue in HUES:
        assert sum(hue in name.split("-") for name in CLASSES) == 2
