"""The COCO reader: every reference holds, every shape counts, and what is repaired is said."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.data.readers.coco_data import (
    change,
    painted,
    params,
    write_small_coco,
)
from tests.tiny_data import HEIGHT, WIDTH, box
from weaktr.data.checks.check import check_dataset
from weaktr.data.readers.coco import read_coco
from weaktr.errors import UserError
from weaktr.labels import VOID


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return write_small_coco(tmp_path)


@pytest.mark.parametrize(
    "segmentation", [..., None, [], {}, [[]], [[1, 2, 3, 4]], [[99, 1, 99, 9, 120, 9]]]
)
def test_an_image_with_an_object_without_a_shape_has_tags_and_no_mask(
    root: Path, segmentation: Any
) -> None:
    def edit(content: dict[str, Any]) -> None:
        content["annotations"][1]["segmentation"] = segmentation
        if segmentation is ...:
            del content["annotations"][1]["segmentation"]

    change(root, "val", edit)
    report = check_dataset(params(root, crowd="keep"))
    assert not report.errors
    (record,) = report.manifest.of_split("val").records
    assert record.tags == ("cat", "dog")
    assert record.id not in {plan.id for plan in report.masks}
    assert "give tags but no pixels: 1 (annotation 2); 1 images have no full mask" in "".join(
        problem.message for problem in report.problems
    )


@pytest.mark.parametrize(
    ("where", "key", "value", "sentence"),
    [
        ("images", "height", None, "image 1 has no usable `height` in pixels; mend"),
        ("images", "width", -3, "image 1 has no usable `width` in pixels; mend"),
        ("images", "file_name", ..., "image 1 has no `file_name`; mend the entry. Got: None."),
        ("images", "id", ..., "the image in place 1 has no usable `id`; mend"),
        ("images", "id", True, "image True has no usable `id`; mend"),
        (
            "images",
            "id",
            2,
            "images COCO_train2014_01.jpg and COCO_train2014_02.jpg share the id 2",
        ),
        ("annotations", "image_id", 77, "'images' has the id to which annotation 1 (image_id 77)"),
        ("annotations", "image_id", None, "annotation 1 has no usable `image_id`"),
        ("annotations", "category_id", 999, "which annotation 1 (category_id 999) refers; mend"),
        ("annotations", "category_id", ..., "annotation 1 has no usable `category_id`; mend"),
        ("annotations", "iscrowd", 7, "annotation 1 has an `iscrowd` that is neither 0 nor 1"),
        ("categories", "name", ..., "category 40 has no `name`; mend the entry. Got: None."),
        ("categories", "id", 7, "the categories 'cow' and 'cat' share the id 7; give each"),
        ("categories", "id", "seven", "which annotation 3 (category_id 40) refers"),
    ],
)
def test_damaged_entries_are_refused_by_name(
    root: Path, where: str, key: str, value: Any, sentence: str
) -> None:
    def edit(content: dict[str, Any]) -> None:
        content[where][0][key] = value
        if value is ...:
            del content[where][0][key]

    path = change(root, "train", edit)
    with pytest.raises(UserError) as caught:
        read_coco(params(root))
    assert str(caught.value).startswith(f"{path}: ")
    assert sentence in str(caught.value)


@pytest.mark.parametrize(
    ("segmentation", "sentence"),
    [
        ({"size": [9, 9], "counts": [0, 81]}, "has a run-length code of the size [9, 9] (height, "),
        (
            {"size": [WIDTH, HEIGHT], "counts": [HEIGHT * WIDTH]},
            "for an image of the size [16, 24]",
        ),
        ({"size": [HEIGHT, WIDTH]}, "has a run-length code that does not decode"),
        ({"size": [HEIGHT, WIDTH], "counts": [0, 9]}, "a run-length code of 9 pixels for an image"),
        ({"size": [HEIGHT, WIDTH], "counts": [0, -9, 393]}, "that does not decode"),
        ({"size": [HEIGHT, WIDTH], "counts": ["a"]}, "that does not decode"),
        ({"size": [HEIGHT, WIDTH], "counts": None}, "that does not decode"),
        ({"size": [HEIGHT, WIDTH], "counts": "oooooooo0"}, "that does not decode"),
        ({"size": [HEIGHT, WIDTH], "counts": ""}, "a run-length code of 0 pixels for an image"),
        ({"size": [HEIGHT, WIDTH], "counts": "zzzzz~~~"}, "that does not decode"),
        ([[float("nan")] * 6], "has a polygon far outside of its image of 24x16 pixels"),
        ([[1e9, 1, 2, 1e12, 3, 3]], "has a polygon far outside of its image of 24x16 pixels"),
        ([[[1, 1]] * 6], "has a polygon that does not consist of numbers: [[1, 1], "),
        ([["a"] * 6], "has a polygon that does not consist of numbers: ['a', "),
        ([[1, 1, 9, 1, 9, 9, 1]], "has a polygon that is no list of x and y in turn: [1, 1, 9"),
        ([[True] * 6], "does not consist of numbers"),
        ([[None] * 6], "does not consist of numbers"),
        (7, "has a shape that is neither polygons nor a run-length code: 7"),
    ],
)
def test_shapes_that_contradict_themselves_are_refused_by_name(
    root: Path, segmentation: Any, sentence: str
) -> None:
    path = change(
        root, "train", lambda content: content["annotations"][0].update(segmentation=segmentation)
    )
    listing = read_coco(params(root))
    (problem,) = listing.problems
    assert (problem.severity, problem.kind) == ("error", "bad-shape")
    assert problem.message.startswith(f"{path}: annotation 1 has a ")
    assert sentence in problem.message
    assert listing.entries[0].mask is None


def test_compressed_codes_must_cover_their_image(root: Path) -> None:
    from pycocotools import mask as coco_mask

    drawn = np.zeros((HEIGHT, WIDTH), np.uint8)
    drawn[3:9, 2:20:3] = 1
    counts = coco_mask.encode(np.asfortranarray(drawn))["counts"].decode()
    for length in range(len(counts) + 1):
        code = {"size": [HEIGHT, WIDTH], "counts": counts[:length]}

        def edit(content: dict[str, Any], code: dict[str, Any] = code) -> None:
            content["annotations"][2]["segmentation"] = code

        change(root, "train", edit)
        listing = read_coco(params(root))
        refused = [p.kind for p in listing.problems if p.severity == "error"]
        assert refused == ([] if length == len(counts) else ["bad-shape"]), length
    np.testing.assert_array_equal(painted(root, "COCO_train2014_02") > 0, drawn)


@pytest.mark.parametrize(("many", "severity"), [(3, "error"), (1, "warning")])
def test_polygons_in_shares_of_the_image(root: Path, many: int, severity: str) -> None:
    def edit(content: dict[str, Any]) -> None:
        for annotation in content["annotations"][:many]:
            annotation["segmentation"] = [[0.1, 0.1, 0.9, 0.1, 0.9, 0.9]]

    change(root, "train", edit)
    (problem,) = [p for p in check_dataset(params(root)).problems if p.kind == "shares"]
    assert problem.severity == severity
    assert f"where COCO has pixels: {many} (annotation 1" in problem.message


def test_annotations_that_share_an_id_are_counted(root: Path) -> None:
    change(root, "train", lambda content: content["annotations"][1].update(id=1))
    (problem,) = read_coco(params(root)).problems
    assert "the `id` of an annotation is that of another, and both count, 1 times" in str(problem)


@pytest.mark.parametrize(
    ("edit", "said"),
    [
        (lambda a: a.update(segmentation=a["segmentation"][0]), "is a flat list of numbers"),
        (
            lambda a: a.update(segmentation=[[str(n) for n in a["segmentation"][0]]]),
            "has numbers as text",
        ),
        (lambda a: a.update(image_id=str(a["image_id"])), "`image_id` is text"),
        (lambda a: a.update(image_id=float(a["image_id"])), None),
        (lambda a: a.update(category_id=str(a["category_id"])), "`category_id` is text"),
        (lambda a: a.update(iscrowd="0"), "`iscrowd` is text"),
        (lambda a: a.update(iscrowd=False), None),
    ],
)
def test_what_is_understood_although_written_otherwise_is_said(
    root: Path, edit: Callable[[dict[str, Any]], object], said: str | None
) -> None:
    before = painted(root, "COCO_train2014_01")
    tags = [entry.tags for entry in read_coco(params(root)).entries]
    change(root, "train", lambda content: [edit(a) for a in content["annotations"]])
    listing = read_coco(params(root))
    assert [entry.tags for entry in listing.entries] == tags
    np.testing.assert_array_equal(painted(root, "COCO_train2014_01"), before)
    assert [said in problem.message for problem in listing.problems if said] == [True] * bool(said)


@pytest.mark.parametrize("area", [..., 0, None, -5, "x", 1e12])
def test_areas_are_measured_and_not_believed(root: Path, area: Any) -> None:
    expected = painted(root, "COCO_train2014_01")

    def edit(content: dict[str, Any]) -> None:
        for annotation in content["annotations"]:
            annotation["area"] = area
            if area is ...:
                del annotation["area"]
        # The large one comes last, and a run-length code is measured as polygons are.
        columns = [0, 12 * HEIGHT, 12 * HEIGHT]
        content["annotations"][1]["segmentation"] = {"size": [HEIGHT, WIDTH], "counts": columns}

    change(root, "train", edit)
    np.testing.assert_array_equal(painted(root, "COCO_train2014_01"), expected)


def test_shapes_that_are_all_crowds_are_refused_with_the_way_out(root: Path) -> None:
    path = change(
        root, "val", lambda content: [a.update(iscrowd=1) for a in content["annotations"]]
    )
    (error,) = check_dataset(params(root)).errors
    assert error.message == (
        f"{path} marks 2 of 2 shapes as `iscrowd`, as brush tools do, so that its masks would be "
        "nothing but void; set dataset.crowd: keep."
    )
    assert not check_dataset(params(root, crowd="keep")).errors


@pytest.mark.parametrize("annotations", [..., [], None])
def test_validation_images_without_any_annotation_are_not_measured_as_background(
    root: Path, annotations: Any
) -> None:
    def edit(content: dict[str, Any]) -> None:
        content["annotations"] = annotations
        if annotations is ...:
            del content["annotations"]

    change(root, "val", edit)
    with pytest.raises(
        UserError, match="val2014.json has no annotations, so that its images would"
    ):
        read_coco(params(root))


def test_a_category_that_means_background_or_void_is_no_class(root: Path) -> None:
    before = painted(root, "COCO_train2014_01")

    def edit(content: dict[str, Any]) -> None:
        content["categories"] += [{"id": 0, "name": "_Background_"}, {"id": 99, "name": "ignore"}]
        more = {"iscrowd": 0, "image_id": 1}
        content["annotations"] += [
            {"id": 50, "category_id": 0, "segmentation": box(12, 0, 24, 16), **more},
            {"id": 51, "category_id": 99, "segmentation": box(14, 0, 15, 1), **more},
        ]

    for split in ("train", "val"):
        change(root, split, edit)
    listing = read_coco(params(root))
    assert listing.classes == ("cat", "dog", "cow")
    assert listing.entries[0].tags == ("cat", "dog")
    assert any("'_Background_', which is no class: its shapes" in note for note in listing.notes)
    before[0, 14] = VOID
    np.testing.assert_array_equal(painted(root, "COCO_train2014_01"), before)


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_a_byte_order_mark_is_no_fault(root: Path, encoding: str) -> None:
    file = root / "annotations" / "instances_train2014.json"
    file.write_text(file.read_text(), encoding=encoding)
    assert len(read_coco(params(root)).entries) == 3


def test_text_ids_that_are_no_numbers_are_ids_too(root: Path) -> None:
    def edit(content: dict[str, Any]) -> None:
        for image in content["images"]:
            image["id"] = f"i{image['id']}"
        for annotation in content["annotations"]:
            annotation["image_id"] = f"i{annotation['image_id']}"

    change(root, "train", edit)
    listing = read_coco(params(root))
    assert [entry.tags for entry in listing.entries] == [("cat", "dog"), ("cow",), ("cat", "dog")]
    assert not listing.problems


def test_a_polygon_that_reaches_out_is_cut_at_the_edge_and_counted(root: Path) -> None:
    change(
        root,
        "train",
        lambda content: content["annotations"][2].update(segmentation=box(-9, -9, 4, 4)),
    )
    (problem,) = read_coco(params(root)).problems
    assert "reaches out of its image and is cut at the edge: 1 (annotation 3)" in problem.message
    expected = np.zeros((HEIGHT, WIDTH), np.uint8)
    expected[:4, :4] = 3
    np.testing.assert_array_equal(painted(root, "COCO_train2014_02"), expected)


def test_crowd_and_area_may_be_null(root: Path) -> None:
    file = root / "annotations" / "instances_train2014.json"
    content = json.loads(file.read_text())
    content["annotations"][1] |= {"iscrowd": None, "area": None}
    file.write_text(json.dumps(content))
    assert not read_coco(params(root)).problems
