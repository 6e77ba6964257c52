"""The VOC reader: splits, sources of tags, subsets of classes."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.tiny_data import mask_path, striped_mask, write_image, write_voc
from weaktr.config.dataset import DatasetParams
from weaktr.data.checks.check import check_dataset
from weaktr.data.masks import read_mask, write_mask
from weaktr.data.readers.listing import Listing
from weaktr.data.readers.voc import VOC_CLASSES, read_voc
from weaktr.errors import UserError

CAT, DOG, PERSON = (VOC_CLASSES.index(name) + 1 for name in ("cat", "dog", "person"))
SPLITS: dict[str, dict[str, tuple[int, ...]]] = {
    "train": {"2007_000001": (CAT,), "2007_000002": (DOG, PERSON)},
    "val": {"2007_000003": (CAT, DOG)},
    "trainval": {"2007_000001": (CAT,), "2007_000002": (DOG, PERSON), "2007_000003": (CAT, DOG)},
}


def params(root: Path, **changes: Any) -> DatasetParams:
    return DatasetParams(kind="voc", root=str(root), **changes)


def tags_of(listing: Listing) -> dict[str, tuple[str, ...] | None]:
    return {entry.id: entry.tags for entry in listing.entries}


def test_splits_tags_and_masks(tmp_path: Path) -> None:
    write_voc(tmp_path, SPLITS)
    listing = read_voc(params(tmp_path))
    assert listing.classes == VOC_CLASSES
    assert [(e.id, e.split, e.tags) for e in listing.entries] == [
        ("2007_000001", "train", ("cat",)),
        ("2007_000002", "train", ("dog", "person")),
        ("2007_000003", "val", ("cat", "dog")),
    ]
    assert listing.entries[0].image == (tmp_path / "JPEGImages/2007_000001.jpg").as_posix()
    assert mask_path(listing.entries[2]) == (
        (tmp_path / "SegmentationClass/2007_000003.png").as_posix()
    )
    assert listing.keeps_ids
    assert not listing.problems
    assert listing.notes == ["Tags come from Annotations/*.xml."]


def test_train_aug_is_every_augmented_mask_outside_val(tmp_path: Path) -> None:
    write_voc(tmp_path, SPLITS, masks="SegmentationClassAug")
    write_voc(tmp_path, {"extra": {"2008_000009": (CAT,)}}, masks="SegmentationClassAug")
    listing = read_voc(params(tmp_path, train_split="train_aug"))
    train = [entry.id for entry in listing.entries if entry.split == "train"]
    assert train == ["2007_000001", "2007_000002", "2008_000009"]


def test_a_train_aug_list_is_followed_where_there_is_one(tmp_path: Path) -> None:
    write_voc(tmp_path, SPLITS, masks="SegmentationClassAug")
    folder = tmp_path / "ImageSets" / "Segmentation"
    (folder / "train_aug.txt").write_text(
        "/JPEGImages/2007_000002.jpg /SegmentationClassAug/2007_000002.png\r\n", newline=""
    )
    listing = read_voc(params(tmp_path, train_split="train_aug"))
    assert [e.id for e in listing.entries if e.split == "train"] == ["2007_000002"]


def test_augmented_masks_are_preferred(tmp_path: Path) -> None:
    write_voc(tmp_path, SPLITS)
    (tmp_path / "SegmentationClassAug").mkdir()
    write_mask(tmp_path / "SegmentationClassAug" / "2007_000001.png", striped_mask((0, CAT)))
    masks = {e.id: mask_path(e) for e in read_voc(params(tmp_path)).entries}
    assert "SegmentationClassAug" in masks["2007_000001"]
    assert "SegmentationClassAug" not in masks["2007_000002"]


def test_trainval_and_no_validation(tmp_path: Path) -> None:
    write_voc(tmp_path, SPLITS)
    listing = read_voc(params(tmp_path, train_split="trainval", val_split=""))
    assert [(e.id, e.split) for e in listing.entries] == [
        (name, "train") for name in SPLITS["trainval"]
    ]


def test_test_images_have_neither_tags_nor_masks(tmp_path: Path) -> None:
    write_voc(tmp_path, SPLITS)
    write_image(tmp_path / "JPEGImages" / "2012_000001.jpg")
    (tmp_path / "ImageSets" / "Segmentation" / "test.txt").write_text("2012_000001\n2012_000002\n")
    listing = read_voc(params(tmp_path))
    assert [(e.id, e.tags, e.mask) for e in listing.entries if e.split == "test"] == [
        ("2012_000001", None, None)
    ]
    assert "1 of 2 images of the test list are not there and were left out." in listing.notes
    report = check_dataset(params(tmp_path, classes=("cat", "dog", "person")))
    assert not report.errors
    assert report.manifest.of_split("test").records[0].tags == ()


def test_tags_fall_back_to_the_table_and_then_to_the_masks(tmp_path: Path) -> None:
    write_voc(tmp_path, SPLITS, annotations=False)
    listing = read_voc(params(tmp_path))
    assert listing.notes == [
        "Tags were derived from the masks: this is not training from tags alone."
    ]
    assert tags_of(listing)["2007_000002"] == ("dog", "person")
    (tmp_path / "tags.csv").write_text(
        "image,tags,split\nJPEGImages/2007_000001.jpg,cat,train\n"
        "2007_000002,person; dog,train\n2007_000003.jpg,cat|dog,val\n"
    )
    listing = read_voc(params(tmp_path))
    assert listing.notes == [f"Tags come from {tmp_path / 'tags.csv'}."]
    assert tags_of(listing) == {
        "2007_000001": ("cat",),
        "2007_000002": ("dog", "person"),
        "2007_000003": ("cat", "dog"),
    }
    listing = read_voc(params(tmp_path, tags_from="masks"))
    assert "derived from the masks" in listing.notes[0]


def test_training_does_not_need_masks_where_tags_are_given(tmp_path: Path) -> None:
    write_voc(tmp_path, SPLITS)
    before = read_voc(params(tmp_path))
    for name in SPLITS["train"]:
        (tmp_path / "SegmentationClass" / f"{name}.png").unlink()
    after = read_voc(params(tmp_path))
    assert tags_of(after) == tags_of(before)
    report = check_dataset(params(tmp_path, classes=("cat", "dog", "person")))
    assert not report.errors


@pytest.mark.parametrize(("other", "becomes"), [("void", 255), ("background", 0)])
def test_a_subset_of_classes_leaves_out_images_and_remaps_masks(
    tmp_path: Path, other: str, becomes: int
) -> None:
    splits = {
        "train": {"a": (CAT, PERSON), "b": (DOG, CAT), "c": (PERSON,)},
        "val": {"d": (DOG,), "e": (CAT, PERSON)},
    }
    write_voc(tmp_path / "data", splits)
    report = check_dataset(params(tmp_path / "data", classes=("dog", "cat"), other_classes=other))
    assert not report.errors
    assert report.manifest.classes == ("dog", "cat")
    assert {r.id: r.tags for r in report.manifest} == {
        "a": ("cat",),
        "b": ("dog", "cat"),
        "d": ("dog",),
        "e": ("cat",),
    }
    assert "Images left out because they carry none of the chosen classes: 1." in report.notes
    masks = report.write_masks(tmp_path / "new", listed_as="data/masks")
    assert masks["e"].mask == "data/masks/e.png"
    np.testing.assert_array_equal(
        read_mask(tmp_path / "new" / "e.png"), striped_mask((0, 2, becomes, 255))
    )


def test_masks_stay_where_they_are_if_nothing_changes(tmp_path: Path) -> None:
    write_voc(tmp_path / "data", SPLITS)
    report = check_dataset(params(tmp_path / "data"))
    masks = report.write_masks(tmp_path / "new")
    assert not (tmp_path / "new").exists()
    assert masks["2007_000003"].mask == (
        (tmp_path / "data/SegmentationClass/2007_000003.png").as_posix()
    )


def test_other_class_lists(tmp_path: Path) -> None:
    write_voc(tmp_path, {"train": {"a": (1,)}, "val": {"b": (2,)}}, annotations=False)
    (tmp_path / "classes.txt").write_text("spoon\nfork\n")
    (tmp_path / "tags.csv").write_text("image,tags\na,spoon\nb,fork\n")
    assert read_voc(params(tmp_path)).classes == ("spoon", "fork")


@pytest.mark.parametrize("name", ["grün 1", "猫.v2", "with, comma"])
def test_names(tmp_path: Path, name: str) -> None:
    write_voc(tmp_path, {"train": {name: (CAT,)}, "val": {"b": (CAT,)}})
    report = check_dataset(params(tmp_path, classes=("cat",)))
    assert not report.problems
    assert report.manifest.of_split("train").records[0].id == name
    assert len(report.masks) == 2


def test_png_images(tmp_path: Path) -> None:
    write_voc(tmp_path, SPLITS)
    (tmp_path / "JPEGImages" / "2007_000001.jpg").unlink()
    write_image(tmp_path / "JPEGImages" / "2007_000001.PNG")
    assert read_voc(params(tmp_path)).entries[0].image.endswith("2007_000001.PNG")


def test_an_unknown_class_is_answered_with_a_proposal(tmp_path: Path) -> None:
    write_voc(tmp_path, SPLITS)
    with pytest.raises(UserError, match=r"does not have \(did you mean 'person'\?\)"):
        read_voc(params(tmp_path, classes=("cat", "persons")))


def test_real_photographs(voc_animals: Path) -> None:
    animals = ("cat", "cow", "dog", "horse", "sheep", "person")
    report = check_dataset(params(voc_animals, classes=animals), workers=1)
    assert not report.errors
    assert len(report.manifest.of_split("train")) == 600
    assert len(report.manifest.of_split("val")) == 150
    assert len(report.masks) == 750
    assert report.manifest.targets().sum(1).min() >= 1
