"""The demo's data set: reproducible, in VOC's layout, and hard in the ways it claims to be."""

import csv
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from weaktr.config.dataset import ShapesParams
from weaktr.data.demo.colour_floor import Pair, colour_miou
from weaktr.data.demo.dataset import CLASSES, HUES, draw_shapes_scene, write_shapes
from weaktr.data.demo.patterns import DEMO_PATTERNS, pretraining_patterns
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


def test_pretraining_has_none_of_the_demo_patterns() -> None:
    def shifts(tile: np.ndarray) -> set[bytes]:
        return {
            np.roll(variant, (dy, dx), (0, 1)).tobytes()
            for variant in (tile, ~tile, tile[:, ::-1], ~tile[:, ::-1])
            for dy in range(4)
            for dx in range(4)
        }

    demo = set().union(*(shifts(tile) for tile in DEMO_PATTERNS.values()))
    patterns = pretraining_patterns(24, seed=0)
    assert not demo & {tile.tobytes() for tile in patterns}
    assert len({min(shifts(tile)) for tile in patterns}) == 24


def test_colour_alone_does_not_solve_it() -> None:
    def pairs(split: str, count: int) -> list[Pair]:
        return [(s.image, s.labels) for s in scenes(count, split=split)]

    floor = colour_miou(pairs("train", 120), pairs("val", 40), len(CLASSES) + 1)
    assert 10 < floor < 35


def test_colour_classifier_solves_what_colour_tells() -> None:
    rng = np.random.default_rng(0)
    mask = rng.integers(0, 3, (20, 20)).astype(np.uint8)
    image = np.array([[10, 10, 10], [250, 0, 0], [0, 0, 250]], np.uint8)[mask]
    mask[0, 0] = VOID
    assert colour_miou([(image, mask)], [(image, mask)], 3) == pytest.approx(100)
    wrong = np.roll(image, 1, axis=2)
    assert colour_miou([(image, mask)], [(wrong, mask)], 3) < 50
