"""The COCO reader: boxes, flags and shapes that say two things at once."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.data.readers.coco_data import DOG, change, painted, params, shape, write_small_coco
from tests.tiny_data import HEIGHT, WIDTH, box, write_coco
from weaktr.data.checks.check import check_dataset
from weaktr.data.readers.coco import read_coco
from weaktr.errors import UserError
from weaktr.labels import VOID


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return write_small_coco(tmp_path)


def boxed(root: Path, boxes: list[Any]) -> list[tuple[str, str]]:
    """Problems with a `bbox` for each annotation of `train`: severity and message."""

    def edit(content: dict[str, Any]) -> None:
        for annotation, given in zip(content["annotations"], boxes, strict=False):
            annotation["bbox"] = given

    change(root, "train", edit)
    return [(p.severity, p.message) for p in read_coco(params(root)).problems]


# The shapes are (2, 2, 6, 6), (0, 0, 12, 16) and (0, 0, 4, 4), as edges.
FIT = [[2, 2, 4, 4], [0, 0, 12, 16], [0, 0, 4, 4]]


@pytest.mark.parametrize(
    "boxes",
    [
        FIT,
        [[0.5, 1, 6, 6], [0, 0, 13, 16], [-4, -4, 8, 8]],  # rounded, or not cut at the edge
        [None, [], [0, 0, 0, 0]],
        ["x", [1, 2, 3], [float("nan")] * 4],
        [["2", "2", "4", "4"], *FIT[1:]],
    ],
)
def test_boxes_that_fit_or_say_nothing_are_no_problem(root: Path, boxes: list[Any]) -> None:
    assert boxed(root, boxes) == []


def test_a_box_that_lies_elsewhere_is_named(root: Path) -> None:
    before = painted(root, "COCO_train2014_01")
    ((severity, message),) = boxed(root, [[14, 9, 4, 4], *FIT[1:]])
    assert severity == "warning"
    assert "`bbox` lies elsewhere than their shape: 1 of 3 (annotation 1); shapes count" in message
    np.testing.assert_array_equal(painted(root, "COCO_train2014_01"), before)


def test_boxes_that_mostly_lie_elsewhere_are_refused(root: Path) -> None:
    ((severity, message),) = boxed(root, [[20, 9, 4, 4], FIT[1], [18, 9, 4, 4]])
    assert severity == "error"
    assert "2 of 3 (annotation 1, annotation 3); one of the two is wrong" in message


def test_boxes_as_two_corners_are_recognised(root: Path) -> None:
    shift = [shape(DOG, box(12, 8, 18, 14), 36), shape(DOG, box(14, 9, 16, 11), 4)]
    root = write_coco(root.parent / "corners", {"train2014": {"a": shift}, "val2014": {"b": shift}})
    ((severity, message),) = boxed(root, [[12, 8, 18, 14], [14, 9, 16, 11]])
    assert severity == "warning"
    assert "2 of 2 (annotation 1, annotation 2); these are two corners, where COCO has" in message


@pytest.mark.parametrize("value", [1, True, "1"])
def test_what_is_to_be_ignored_is_a_crowd(root: Path, value: Any) -> None:
    expected = painted(root, "COCO_train2014_01")
    expected[expected == 2] = VOID
    expected[2:6, 2:6] = 1  # Crowds lie under everything.
    change(root, "train", lambda content: content["annotations"][0].update(ignore=value))
    np.testing.assert_array_equal(painted(root, "COCO_train2014_01"), expected)
    listing = read_coco(params(root))
    assert listing.entries[0].tags == ("cat", "dog")
    assert "`ignore` is set and taken for `iscrowd`, 1 times" in listing.problems[-1].message
    kept = painted(root, "COCO_train2014_01", crowd="keep")
    assert set(np.unique(kept)) == {0, 1}


@pytest.mark.parametrize("value", [0, False, None, "0"])
def test_what_is_not_to_be_ignored_counts(root: Path, value: Any) -> None:
    before = painted(root, "COCO_train2014_01")
    change(root, "train", lambda content: content["annotations"][0].update(ignore=value))
    np.testing.assert_array_equal(painted(root, "COCO_train2014_01"), before)


def test_a_flag_that_is_neither_is_refused(root: Path) -> None:
    change(root, "train", lambda content: content["annotations"][0].update(ignore="maybe"))
    with pytest.raises(UserError, match="annotation 1 has an `ignore` that is neither 0 nor 1"):
        read_coco(params(root))


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (
            '"category_id": 9,',
            '"category_id": 9, "category_id": 7,',
            "has an object with the id 1 with the key 'category_id' more than once, so that one of "
            "the values would not count; keep one. Got: 9, 7.",
        ),
        ('"images":', '"images": [], "images":', "with the key 'images' more than once"),
        ('"width":', '"width": 9, "width":', "with the id 1 with the key 'width' more than once"),
    ],
)
def test_a_key_that_is_there_twice_is_refused(root: Path, old: str, new: str, said: str) -> None:
    file = root / "annotations" / "instances_train2014.json"
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new, 1))
    with pytest.raises(UserError) as caught:
        read_coco(params(root))
    assert str(caught.value).startswith(f"{file} ")
    assert said in str(caught.value)


@pytest.mark.parametrize(
    "segmentation",
    [
        [[1, 1, 9, 1, 5, 1]],
        [[1, 1, 9, 9, 5, 5, 3, 3]],
        [[0.1, 0.1, 20.1, 15.1, 10.1, 7.6]],
        [[4, 4, 4, 4, 4, 4]],
        [[1, 1, 9, 9, 5, 5], [2, 2, 2, 9, 2, 5]],
    ],
)
def test_polygons_of_no_area_leave_the_image_without_a_mask(root: Path, segmentation: Any) -> None:
    change(root, "val", lambda c: c["annotations"][1].update(segmentation=segmentation))
    report = check_dataset(params(root, crowd="keep"))
    (record,) = report.manifest.of_split("val").records
    assert record.tags == ("cat", "dog")
    assert record.id not in {plan.id for plan in report.masks}
    (problem,) = [p for p in report.problems if p.kind == "no-shape"]
    assert "tags but no pixels: 1 (annotation 2); 1 images have no full mask" in problem.message


def test_parts_of_no_area_are_left_out_and_said(root: Path) -> None:
    before = painted(root, "COCO_train2014_01")

    def edit(content: dict[str, Any]) -> None:
        content["annotations"][0]["segmentation"] += [[1, 1, 20, 12, 20, 12], [99] * 6, [3, 3]]

    change(root, "train", edit)
    (problem,) = read_coco(params(root)).problems
    assert "has parts without pixels (points, lines, or outside of the image)" in problem.message
    np.testing.assert_array_equal(painted(root, "COCO_train2014_01"), before)


def test_an_eight_has_pixels_though_its_halves_cancel_out(root: Path) -> None:
    change(
        root,
        "train",
        lambda c: c["annotations"][2].update(segmentation=[[2, 2, 14, 14, 14, 2, 2, 14]]),
    )
    assert painted(root, "COCO_train2014_02").sum() > 30
    assert not read_coco(params(root)).problems


@pytest.mark.parametrize("closed", [False, True])
def test_shapes_that_are_mostly_upright_rectangles_are_said(tmp_path: Path, closed: bool) -> None:
    def image(number: int) -> list[dict[str, Any]]:
        (corners,) = box(1, 1, 4 + number % 9, 9)
        return [shape(DOG, [corners + corners[:2] * closed], 9)]

    images = {f"{number}": image(number) for number in range(20)}
    images["other"] = [shape(DOG, [[0, 0, WIDTH, 0, WIDTH, HEIGHT, 0, HEIGHT - 1]], 9)]
    root = write_coco(tmp_path, {"train2014": images, "val2014": {"v": image(0)}})
    (problem,) = [p for p in read_coco(params(root)).problems if p.kind == "rectangles"]
    assert problem.severity == "warning"
    assert "upright rectangles for 20 of 21 shapes (annotation 1, annotation 2" in problem.message
