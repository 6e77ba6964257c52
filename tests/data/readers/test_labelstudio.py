"""Exports of Label Studio: JSON and JSON-MIN."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.tiny_data import HEIGHT, WIDTH, write_image
from weaktr.config.dataset import DatasetParams
from weaktr.data.brush_rle import encode_brush
from weaktr.data.checks.check import Report, check_dataset
from weaktr.data.readers.labelstudio import read_labelstudio
from weaktr.data.readers.listing import Entry, Listing
from weaktr.errors import UserError
from weaktr.labels import VOID

LEFT = np.zeros((HEIGHT, WIDTH), bool)
LEFT[:, :6] = True
SIZE = {"original_width": WIDTH, "original_height": HEIGHT, "image_rotation": 0}


def brush(label: str, mask: np.ndarray = LEFT, **more: Any) -> dict[str, Any]:
    value = {"format": "rle", "rle": encode_brush(mask), "brushlabels": [label]}
    return {"type": "brushlabels", "id": label, "value": value, **SIZE, **more}


def polygon(label: str, *points: tuple[float, float], **more: Any) -> dict[str, Any]:
    value = {"points": [list(point) for point in points], "polygonlabels": [label], **more}
    return {"type": "polygonlabels", "id": label, "value": value, **SIZE}


def box(label: str) -> dict[str, Any]:
    value = {"x": 0, "y": 0, "width": 5, "height": 5, "rectanglelabels": [label]}
    return {"type": "rectanglelabels", "id": label, "value": value, **SIZE}


def choices(*labels: str) -> dict[str, Any]:
    return {"type": "choices", "id": "c", "value": {"choices": list(labels)}}


def task(number: int, image: str, *results: dict[str, Any], **more: Any) -> dict[str, Any]:
    annotation = {"id": number, "was_cancelled": False, "result": list(results), **more}
    return {"id": number, "data": {"image": image}, "annotations": [annotation]}


def export(root: Path, *tasks: Any, images: tuple[str, ...] = ("a.jpg", "b.jpg")) -> Path:
    for seed, name in enumerate(images):
        write_image(root / "images" / name, seed=seed)
    (root / "export.json").write_text(json.dumps(tasks))
    return root


def params(root: Path, **more: Any) -> DatasetParams:
    return DatasetParams(kind="labelstudio", root=str(root), val_share=0, **more)


def read(root: Path, **more: Any) -> Listing:
    return read_labelstudio(params(root, **more))


def by_id(listing: Listing) -> dict[str, Entry]:
    return {entry.id: entry for entry in listing.entries}


def errors(report: Report) -> str:
    return "\n".join(problem.message for problem in report.errors)


def painted(entry: Entry) -> np.ndarray:
    assert entry.mask is not None
    return entry.mask.read()


def test_choices_are_tags(tmp_path: Path) -> None:
    root = export(tmp_path, task(1, "a.jpg", choices("dog", "cat")), task(2, "b.jpg"))
    listing = read(root)
    assert listing.classes == ("cat", "dog")
    entries = by_id(listing)
    assert (entries["a"].tags, entries["a"].mask) == (("cat", "dog"), None)
    assert entries["b"].tags == ()


@pytest.mark.parametrize(
    "name",
    [
        "a b.jpg",
        "/data/upload/3/0a1b2c3d-a%20b.jpg",
        "/data/upload/0a1b2c3d-a b.jpg",
        "/data/local-files/?d=home/me/a%20b.jpg",
        "https://host:8080/x/a%20b.jpg?token=1",
        "s3://bucket/a b.jpg",
        "images/a b.jpg",
    ],
)
def test_names_of_images(tmp_path: Path, name: str) -> None:
    root = export(tmp_path, task(1, name, choices("cat")), images=("a b.jpg",))
    assert [entry.id for entry in read(root).entries] == ["a b"]


def test_the_longest_end_of_a_name_counts(tmp_path: Path) -> None:
    tasks = (task(1, "s3://x/p/a.jpg", choices("cat")), task(2, "s3://x/a.jpg", choices("cat")))
    listing = read(export(tmp_path, *tasks, images=("p/a.jpg", "a.jpg")))
    assert [entry.id for entry in listing.entries] == ["p__a", "a"]


def test_regions_are_tags_and_masks_later_ones_on_top(tmp_path: Path) -> None:
    triangle = polygon("dog", (0, 0), (100, 0), (100, 50), (0, 50))
    root = export(tmp_path, task(1, "a.jpg", brush("cat"), triangle), images=("a.jpg",))
    (entry,) = read(root).entries
    assert entry.tags == ("cat", "dog")
    expected = np.where(LEFT, 1, 0)
    expected[: HEIGHT // 2] = 2
    np.testing.assert_array_equal(painted(entry), expected)
    (entry,) = read(root, classes=("dog",)).entries
    expected = np.where(LEFT, VOID, 0)
    expected[: HEIGHT // 2] = 1
    np.testing.assert_array_equal(painted(entry), expected)


def test_classes_txt_gives_the_order(tmp_path: Path) -> None:
    root = export(tmp_path, task(1, "a.jpg", brush("cat")))
    (root / "classes.txt").write_text("dog\ncat\n")
    (entry,) = read(root).entries
    assert read(root).classes == ("dog", "cat")
    assert set(np.unique(painted(entry))) == {0, 2}


def test_background_and_void_labels_are_painted_and_no_tags(tmp_path: Path) -> None:
    results = (brush("cat", np.ones_like(LEFT)), brush("void", LEFT), brush("Background", LEFT.T.T))
    root = export(tmp_path, task(1, "a.jpg", *results[:2]))
    listing = read(root)
    assert listing.classes == ("cat",)
    assert "labels that are no classes: 'void'" in "\n".join(listing.notes)
    np.testing.assert_array_equal(painted(listing.entries[0]), np.where(LEFT, VOID, 1))
    root = export(tmp_path, task(1, "a.jpg", results[0], results[2]))
    np.testing.assert_array_equal(painted(read(root).entries[0]), np.where(LEFT, 0, 1))


@pytest.mark.parametrize(
    ("results", "kind"),
    [
        ((brush("cat"), box("dog")), "no-shape"),
        ((box("dog"),), "no-shape"),
        ((brush("cat"), choices("dog")), "incomplete-mask"),
        ((brush("cat"), polygon("dog", (0, 0), (9, 0), (9, 9), closed=False)), "no-shape"),
    ],
)
def test_an_image_whose_objects_are_not_all_painted_has_no_mask(
    tmp_path: Path, results: tuple[dict[str, Any], ...], kind: str
) -> None:
    listing = read(export(tmp_path, task(7, "a.jpg", *results)))
    (entry,) = listing.entries
    assert entry.mask is None
    assert "dog" in (entry.tags or ())
    (problem,) = [p for p in listing.problems if p.kind == kind]
    assert "task 7" in problem.message


def test_what_is_passed_over_is_counted(tmp_path: Path) -> None:
    text = {"type": "textarea", "id": "t", "value": {"text": ["x"]}}
    of_region = {"type": "choices", "value": {"x": 1, "rle": [1], "choices": ["blurred"]}}
    unnamed = {"type": "brush", "id": "u", "value": {"format": "rle", "rle": [1]}, **SIZE}
    listing = read(
        export(
            tmp_path,
            task(1, "a.jpg", choices("cat"), text, of_region, unnamed),
            task(2, "b.jpg", choices("dog"), was_cancelled=True),
            {"id": 3, "data": {"image": "b.jpg"}, "predictions": [{"result": [choices("x")]}]},
        )
    )
    assert listing.classes == ("cat",)
    notes = "\n".join(listing.notes)
    assert (
        "nobody submitted an annotation: 2 (task 2, task 3), 1 of them with predictions, which do "
        "not count."
    ) in notes
    assert "neither tags nor regions: choices 1, textarea 1." in notes
    assert "without labels in" in notes
    assert [problem.kind for problem in listing.problems] == ["no-label"]


def test_a_region_under_labels_and_brush_counts_once(tmp_path: Path) -> None:
    value = {"format": "rle", "rle": encode_brush(LEFT)}
    plain = {"type": "brush", "id": "r", "value": value}
    named = {"type": "labels", "id": "r", "value": {**value, "labels": ["cat"]}}
    root = export(tmp_path, task(1, "a.jpg", {**plain, **SIZE}, {**named, **SIZE}))
    listing = read(root)
    assert not listing.problems
    np.testing.assert_array_equal(painted(listing.entries[0]), np.where(LEFT, 1, 0))


def test_several_annotations(tmp_path: Path) -> None:
    one = task(5, "a.jpg", choices("cat"))
    other = task(6, "a.jpg", choices("dog"))["annotations"][0]
    one["annotations"].append(other)
    root = export(tmp_path, one)
    with pytest.raises(UserError, match="task 5 has 2 annotations that differ"):
        read(root)
    other["ground_truth"] = True
    assert read(export(tmp_path, one)).classes == ("dog",)
    del other["ground_truth"]
    other["result"] = [choices("cat")]
    assert read(export(tmp_path, one)).classes == ("cat",)


@pytest.mark.parametrize(
    ("tasks", "sentence"),
    [
        ((task(1, "c.jpg", choices("cat")),), "task 1 names an image that is not below"),
        (
            (task(1, "a.jpg", choices("cat")), task(2, "images/a.jpg", choices("cat"))),
            "task 1 and task 2 are the same image",
        ),
        ((task(1, "a.jpg", brush("cat", original_width=9)),), "task 1 has a painted region that"),
        (
            (task(1, "a.jpg", {**brush("cat"), "value": {"rle": 9**30, "brushlabels": ["cat"]}}),),
            "its code is no list",
        ),
        ((task(1, "a.jpg", brush("cat", original_width=None)),), "without the image's size"),
        ((task(1, "a.jpg", brush("cat", original_width=10**9)),), "above dataset.max_megapixels"),
        ((task(1, "a.jpg", brush("cat", image_rotation=90)),), "turned by 90 degrees"),
        ((task(1, "a.jpg", polygon("cat", (0, 0), (1, 1))),), "no list of points"),
        ((task(1, "a.jpg", choices(" ")),), "task 1 has a label that is no name"),
        (
            (
                task(
                    1,
                    "a.jpg",
                    brush("cat", np.ones((9, 9), bool), original_width=9, original_height=9),
                ),
            ),
            f"is 9x9 pixels but its image {{root}}/images/a.jpg is {WIDTH}x{HEIGHT}",
        ),
        ((task(1, "a.jpg"),), "gives no image a label"),
        ((task(1, "a.jpg", choices("none")),), "names `none` as a class"),
        (({"data": {"url": "x"}, "annotations": [{"result": []}]},), "0 fields that may name"),
        (({"id": 3, "data": {"image": "a.jpg"}, "annotations": {}},), "task 3 has `annotations`"),
        ((1,), "is not an export of Label Studio"),
    ],
)
def test_what_contradicts_itself_is_refused_by_name(
    tmp_path: Path, tasks: tuple[Any, ...], sentence: str
) -> None:
    root = export(tmp_path, *tasks)
    assert sentence.format(root=root.as_posix()) in errors(check_dataset(params(root)))


def test_one_json_file(tmp_path: Path) -> None:
    root = export(tmp_path, task(1, "a.jpg", choices("cat")))
    (root / "other.json").write_text("[]")
    with pytest.raises(UserError, match=r"Got: export.json, other.json\."):
        read(root)
    (root / "other.json").unlink()
    (root / "export.json").write_text("{")
    with pytest.raises(UserError, match="not valid JSON"):
        read(root)
    with pytest.raises(UserError, match="tags_from: masks is not for labelstudio"):
        read(export(tmp_path, task(1, "a.jpg", choices("cat"))), tags_from="masks")


def short(number: int, image: str, **labels: Any) -> dict[str, Any]:
    """An entry of JSON-MIN."""
    own = {"annotator": 1, "annotation_id": number, "created_at": "2024", "lead_time": 1.0}
    return {"image": image, "id": number, **labels, **own}


def test_json_min(tmp_path: Path) -> None:
    several = {"choices": ["dog", "cat"]}
    root = export(tmp_path, short(1, "a.jpg", tags="cat"), short(2, "b.jpg", tags=several))
    listing = read(root)
    assert {e.id: e.tags for e in listing.entries} == {"a": ("cat",), "b": ("cat", "dog")}
    assert "The field 'tags' of export.json is taken for choices." in listing.notes


def test_regions_of_json_min(tmp_path: Path) -> None:
    region = brush("cat")
    flat = {**region["value"], **SIZE}
    root = export(tmp_path, short(1, "a.jpg", label=[flat]))
    (entry,) = read(root).entries
    assert entry.tags == ("cat",)
    np.testing.assert_array_equal(painted(entry), np.where(LEFT, 1, 0))


@pytest.mark.parametrize(
    ("entries", "sentence"),
    [
        ([short(1, "a.jpg", tags="cat", note="x")], "several fields that may be tags (note, tags)"),
        (
            [short(1, "a.jpg", note="x", label=[{**brush("cat")["value"], **SIZE}])],
            "has regions, and text that may be tags or not (note)",
        ),
        (
            [short(1, "a.jpg", tags="cat"), short(1, "a.jpg", tags="dog")],
            "task 1 has 2 annotations",
        ),
    ],
)
def test_json_min_that_could_mean_two_things(
    tmp_path: Path, entries: list[dict[str, Any]], sentence: str
) -> None:
    assert sentence in errors(check_dataset(params(export(tmp_path, *entries))))


def test_regions_may_have_any_id(tmp_path: Path) -> None:
    (entry,) = read(export(tmp_path, task(1, "a.jpg", brush("cat", id=[1])))).entries
    assert entry.tags == ("cat",)


def test_a_polygon_without_pixels_gives_a_tag_and_no_mask(tmp_path: Path) -> None:
    outside = polygon("dog", (-30, 10), (-20, 10), (-20, 30))
    listing = read(export(tmp_path, task(1, "a.jpg", brush("cat"), outside)))
    (entry,) = listing.entries
    assert (entry.tags, entry.mask) == (("cat", "dog"), None)


def test_a_polygon_that_reaches_out_is_cut_and_counted(tmp_path: Path) -> None:
    wide = polygon("dog", (-30, 0), (50, 0), (50, 50))
    listing = read(export(tmp_path, task(1, "a.jpg", wide)))
    (problem,) = listing.problems
    assert "reach out of their image and are cut at its edge: 1 (task 1)" in problem.message


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"predictions": [{"result": [brush("cat")]}]}, "only predictions, which do not count"),
        ({"annotations": []}, "no annotation"),
    ],
)
def test_tasks_that_nobody_submitted_are_refused(
    tmp_path: Path, more: dict[str, Any], said: str
) -> None:
    root = export(tmp_path, {"id": 1, "data": {"image": "a.jpg"}, **more})
    with pytest.raises(UserError) as caught:
        read(root)
    assert str(caught.value) == (
        f"{root / 'export.json'} has {said}: nobody submitted one of its 1 tasks; submit them in "
        "Label Studio, and put the JSON that it exports in the place of this file."
    )
