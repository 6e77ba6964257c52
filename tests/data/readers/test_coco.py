"""The COCO reader: contiguous classes, painted masks, crowds, what lies where."""

import json
from pathlib import Path

import numpy as np
import pytest

from tests.broken_data import assert_found
from tests.data.readers.coco_data import (
    CAT,
    DOG,
    painted,
    params,
    shape,
    write_small_coco,
)
from tests.tiny_data import HEIGHT, WIDTH, box, write_coco, write_image
from weaktr.config.dataset import DatasetParams
from weaktr.data.checks.check import check_dataset
from weaktr.data.masks import read_mask
from weaktr.data.readers.coco import read_coco
from weaktr.errors import UserError
from weaktr.labels import VOID


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return write_small_coco(tmp_path)


def test_categories_become_contiguous_in_the_order_of_their_ids(root: Path) -> None:
    listing = read_coco(params(root))
    assert listing.classes == ("cat", "dog", "cow")
    assert [(e.id, e.split, e.tags) for e in listing.entries] == [
        ("COCO_train2014_01", "train", ("cat", "dog")),
        ("COCO_train2014_02", "train", ("cow",)),
        ("COCO_val2014_01", "val", ("cat", "dog")),
    ]
    assert listing.entries[0].image == f"{root.as_posix()}/train2014/COCO_train2014_01.jpg"


def test_small_objects_lie_on_large_ones(root: Path) -> None:
    ids = painted(root, "COCO_train2014_01")
    expected = np.zeros((HEIGHT, WIDTH), np.uint8)
    expected[:, :12] = 1
    expected[2:6, 2:6] = 2
    np.testing.assert_array_equal(ids, expected)


@pytest.mark.parametrize(("crowd", "becomes"), [("void", VOID), ("keep", 1)])
def test_crowds(root: Path, crowd: str, becomes: int) -> None:
    ids = painted(root, "COCO_val2014_01", crowd=crowd)
    expected = np.zeros((HEIGHT, WIDTH), np.uint8)
    expected[:, :4] = becomes
    expected[:8, 2:8] = 2
    np.testing.assert_array_equal(ids, expected)


@pytest.mark.parametrize(("other", "becomes"), [("void", VOID), ("background", 0)])
def test_a_subset_of_classes(root: Path, other: str, becomes: int) -> None:
    chosen = {"classes": ("cow", "cat"), "other_classes": other}
    listing = read_coco(params(root, **chosen))
    assert listing.classes == ("cow", "cat")
    assert [e.tags for e in listing.entries] == [("cat",), ("cow",), ("cat",)]
    ids = painted(root, "COCO_train2014_01", **chosen)
    assert ids[0, 0] == 2
    assert (ids[2:6, 2:6] == becomes).all()


def test_masks_are_written_once_for_all_images(root: Path, tmp_path: Path) -> None:
    report = check_dataset(params(root))
    assert not report.errors
    masks = report.write_masks(tmp_path / "masks", listed_as="data/masks")
    assert sorted(p.stem for p in (tmp_path / "masks").iterdir()) == sorted(masks)
    assert masks["COCO_val2014_01"].mask == "data/masks/COCO_val2014_01.png"
    np.testing.assert_array_equal(
        read_mask(tmp_path / "masks" / "COCO_val2014_01.png"), painted(root, "COCO_val2014_01")
    )


def test_nothing_is_printed(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    check_dataset(params(root))
    assert capsys.readouterr().out == ""


def test_images_may_lie_below_images_and_have_no_year(root: Path) -> None:
    (root / "images").mkdir()
    for split in ("train", "val"):
        (root / f"{split}2014").rename(root / "images" / split)
        file = root / "annotations" / f"instances_{split}2014.json"
        file.rename(file.with_name(f"instances_{split}.json"))
    assert len(read_coco(params(root)).entries) == 3


def test_both_splits_may_number_their_images_alike(tmp_path: Path) -> None:
    one = [shape(CAT, box(0, 0, 8, 8), 64)]
    root = write_coco(tmp_path / "coco", {"train": {"1": one, "2": one}, "val": {"1": one}})
    report = check_dataset(params(root, classes=("cat",)))
    assert not report.errors
    assert [(r.id, r.split) for r in report.manifest.records] == [
        ("1", "train"),
        ("2", "train"),
        ("val__1", "val"),
    ]


def test_a_missing_image_is_named(root: Path) -> None:
    (root / "train2014" / "COCO_train2014_02.jpg").unlink()
    report = check_dataset(params(root))
    assert [p.kind for p in report.errors] == ["missing-image", "class-without-images"]
    assert "COCO_train2014_02.jpg does not exist" in report.errors[0].message


def test_an_image_of_another_size_than_annotated(root: Path) -> None:
    write_image(root / "val2014" / "COCO_val2014_01.jpg", width=10, height=10)
    report = check_dataset(params(root))
    assert [p.message for p in report.errors] == [
        f"The annotation is {WIDTH}x{HEIGHT} pixels but its image {root.as_posix()}/val2014/"
        "COCO_val2014_01.jpg is 10x10; draw the mask at the image's size."
    ]


def test_training_images_without_annotations_are_left_out(root: Path) -> None:
    for split in ("train2014", "val2014"):
        file = root / "annotations" / f"instances_{split}.json"
        content = json.loads(file.read_text())
        image = {"id": 99, "file_name": "none.jpg", "width": WIDTH, "height": HEIGHT}
        content["images"].append(image)
        file.write_text(json.dumps(content))
        write_image(root / split / "none.jpg")
    listing = read_coco(params(root))
    assert [e.split for e in listing.entries if e.id == "none"] == ["val"]
    assert "has no annotation of them" in listing.notes[0]


def test_file_names_may_carry_folders(root: Path) -> None:
    file = root / "annotations" / "instances_train2014.json"
    text = file.read_text()
    file.write_text(text.replace("COCO_train2014_01.jpg", "train2014/COCO_train2014_01.jpg"))
    assert len(read_coco(params(root)).entries) == 3


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", '{"images": [], "categories": []}'])
def test_other_files_are_refused(root: Path, content: str) -> None:
    (root / "annotations" / "instances_val2014.json").write_text(content)
    with pytest.raises(UserError, match=r"instances_val2014.json .*; fetch it again"):
        read_coco(params(root))


def test_a_missing_annotation_file_is_named(root: Path) -> None:
    with pytest.raises(UserError, match="instances_minival2014.json does not exist"):
        read_coco(params(root, val_split="minival"))


def test_a_missing_image_folder_is_named(root: Path) -> None:
    (root / "val2014").rename(root / "elsewhere")
    with pytest.raises(UserError, match="val2014 is not a folder"):
        read_coco(params(root))


def test_a_coco_category_that_the_other_split_lacks(tmp_path: Path) -> None:
    root = write_coco(tmp_path / "coco", {"train2014": {"a": []}, "val2014": {"b": []}})
    file = root / "annotations/instances_val2014.json"
    file.write_text(file.read_text().replace('"dog"', '"dogs"'))
    report = check_dataset(DatasetParams(kind="coco", root=str(root)))
    assert_found(
        report,
        f"{file} has other categories than the training split; use one list.",
    )


def test_tags_only(tmp_path: Path) -> None:
    """Categories of images, without any shape: all that training needs."""
    tags = [{"category_id": CAT}, {"category_id": DOG}]
    root = write_coco(tmp_path / "coco", {"train": {"1": tags, "2": tags[:1]}, "val": {"3": tags}})
    report = check_dataset(params(root, classes=("cat", "dog")))
    assert not report.errors
    assert [record.tags for record in report.manifest] == [("cat", "dog"), ("cat",), ("cat", "dog")]
    assert not report.masks
    assert "no-shape" in {problem.kind for problem in report.problems}
