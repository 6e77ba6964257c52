"""Troubles of the generated set: each changes what it names, and all off change nothing."""

import csv
from pathlib import Path

import numpy as np
import pytest

from weaktr.config.dataset import ShapesParams, TroubleParams
from weaktr.data.demo.dataset import CLASSES, draw_shapes_scene, write_shapes
from weaktr.data.demo.scenes import Scene
from weaktr.data.demo.troubles import troubled_tags
from weaktr.errors import UserError
from weaktr.labels import VOID

IMAGES = 24
PLAIN = ShapesParams(data_seed=3, train_images=IMAGES, val_images=4, image_side=80)


def with_trouble(**trouble: float) -> ShapesParams:
    return PLAIN.model_copy(update={"trouble": TroubleParams.model_validate(trouble)})


def scenes(params: ShapesParams) -> list[Scene]:
    return [draw_shapes_scene(params, "train", index) for index in range(IMAGES)]


def objects(scene: Scene) -> int:
    return int(np.isin(scene.labels, (0, VOID), invert=True).sum())


@pytest.fixture(scope="module")
def plain() -> list[Scene]:
    return scenes(PLAIN)


def test_scenery_is_background_beside_each_object(plain: list[Scene]) -> None:
    for scene, before in zip(scenes(with_trouble(context=1.0)), plain, strict=True):
        assert np.array_equal(scene.labels, before.labels)
        changed = (scene.image != before.image).any(-1)
        assert 0.02 < changed.mean() < 0.6
        assert not changed[~np.isin(scene.labels, (0, VOID))].any()


def test_a_share_of_the_objects_has_scenery(plain: list[Scene]) -> None:
    half = scenes(with_trouble(context=0.5))
    changed = [not np.array_equal(a.image, b.image) for a, b in zip(half, plain, strict=True)]
    assert 0 < sum(changed) < IMAGES


def test_look_alikes_are_equal_in_shape_and_closer_in_colour(plain: list[Scene]) -> None:
    close = scenes(with_trouble(hue_range=0.3))
    assert all(np.array_equal(a.labels, b.labels) for a, b in zip(close, plain, strict=True))

    def colours(drawn: list[Scene]) -> np.ndarray:
        pixels = np.concatenate([scene.image[scene.evidence] for scene in drawn])
        return pixels.std(0)

    assert colours(close)[2] < 0.5 * colours(plain)[2]  # no blue is left among the heads


def test_evidence_and_objects_shrink(plain: list[Scene]) -> None:
    def share(drawn: list[Scene]) -> float:
        return sum(s.evidence.sum() for s in drawn) / sum(map(objects, drawn))

    assert share(scenes(with_trouble(evidence_size=0.5))) < 0.5 * share(plain)
    small = scenes(with_trouble(object_size=0.5))
    sizes = [np.mean([objects(s) / len(s.classes) for s in drawn]) for drawn in (small, plain)]
    assert sizes[0] < 0.4 * sizes[1]


def test_a_crowd_is_of_one_class() -> None:
    crowd = scenes(with_trouble(crowd=8, object_size=0.5))
    assert all(len(scene.classes) == 1 for scene in crowd)
    assert np.mean([objects(s) for s in crowd]) > 1.5 * np.mean(
        [objects(s) for s in scenes(with_trouble(crowd=1, object_size=0.5))]
    )


def test_only_tags_of_training_images_are_wrong_and_pixels_stay(tmp_path: Path) -> None:
    write_shapes(tmp_path / "plain", PLAIN)
    write_shapes(tmp_path / "wrong", with_trouble(missing_tags=0.5, wrong_tags=0.5))
    tables = {}
    for name in ("plain", "wrong"):
        with (tmp_path / name / "tags.csv").open(newline="") as file:
            tables[name] = list(csv.DictReader(file))
    differ = {"train": 0, "val": 0}
    for before, after in zip(tables["plain"], tables["wrong"], strict=True):
        image = Path(before["image"])
        differ[before["split"]] += before["tags"] != after["tags"]
        assert (tmp_path / "plain" / image).read_bytes() == (
            tmp_path / "wrong" / image
        ).read_bytes()
    assert differ["val"] == 0
    assert differ["train"] > IMAGES / 3


def test_shares_of_missing_and_wrong_tags_are_those_asked_for() -> None:
    rng = np.random.default_rng(0)
    present = [0, 1, 2]
    missing = TroubleParams(missing_tags=0.3)
    kept = [troubled_tags(rng, present, missing, 9) for _ in range(2000)]
    assert np.mean([len(tags) for tags in kept]) == pytest.approx(0.7 * 3 + 0.3**3, abs=0.05)
    wrong = TroubleParams(wrong_tags=0.2)
    drawn = [troubled_tags(rng, present, wrong, 9) for _ in range(2000)]
    assert all(len(set(tags)) == 3 for tags in drawn)
    false = np.mean([len(set(tags) - set(present)) / 3 for tags in drawn])
    assert false == pytest.approx(0.2, abs=0.02)
    none_absent = troubled_tags(
        rng, range(len(CLASSES)), TroubleParams(wrong_tags=1.0), len(CLASSES)
    )
    assert none_absent == list(range(len(CLASSES)))


@pytest.mark.parametrize("image_side", [32, 80])
def test_the_smallest_objects_leave_no_tag_without_a_pixel(image_side: int) -> None:
    small = with_trouble(object_size=0.2, context=1.0).model_copy(update={"image_side": image_side})
    for scene in scenes(small):
        assert {label + 1 for label in scene.classes} <= set(np.unique(scene.labels))


def test_objects_that_no_image_has_room_for_are_refused(tmp_path: Path) -> None:
    large = with_trouble(object_size=2.0).model_copy(update={"image_side": 32})
    with pytest.raises(UserError, match="objects of 84 pixels .2. do not fit images of 32"):
        write_shapes(tmp_path / "raw", large)
    assert not list(tmp_path.iterdir())
