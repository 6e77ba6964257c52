"""Broken data sets in VOC's layout: each case asserts the one sentence of its error."""

import shutil
from pathlib import Path

import pytest

from tests.broken_data import Break, assert_found, in_turn, table
from tests.tiny_data import write_voc
from weaktr.config.dataset import DatasetParams
from weaktr.data.checks.check import check_dataset

CAT, DOG = 8, 12


@pytest.fixture
def voc(tmp_path: Path) -> Path:
    """A sound VOC data set of two cats and two dogs."""
    splits = {"train": {"a": (CAT,), "b": (DOG,)}, "val": {"c": (CAT,), "d": (DOG,)}}
    return write_voc(tmp_path / "voc", splits)


VOC_CASES: dict[str, tuple[Break, str]] = {
    "no images folder": (
        lambda root: shutil.rmtree(root / "JPEGImages"),
        "{root}/JPEGImages is not a folder; check dataset.root, or put the data there.",
    ),
    "no mask folder": (
        lambda root: shutil.rmtree(root / "SegmentationClass"),
        "{root} has no mask folder (SegmentationClassAug or SegmentationClass), so that nothing "
        "can be evaluated; put the masks there, or set dataset.val_split to '' to do without.",
    ),
    "no split list": (
        lambda root: (root / "ImageSets/Segmentation/val.txt").unlink(),
        "{root}/ImageSets/Segmentation/val.txt does not exist; dataset.train_split and "
        "dataset.val_split must name lists of that folder. It has: train.",
    ),
    "an empty split list": (
        lambda root: (root / "ImageSets/Segmentation/train.txt").write_text("\n"),
        "No training image is usable; add images to the split.",
    ),
    "a listed image is missing": (
        lambda root: (root / "JPEGImages/a.jpg").unlink(),
        "{root}/JPEGImages/a does not exist as JPEG, PNG, WebP, BMP or TIFF, but the list 'train' "
        "names it; add the image or remove the line.",
    ),
    "a list names an image twice": (
        lambda root: (root / "ImageSets/Segmentation/train.txt").write_text("a\nb\na\n"),
        "{root}/JPEGImages/a.jpg is listed twice in train; list it once.",
    ),
    "an image is in both lists": (
        lambda root: (root / "ImageSets/Segmentation/val.txt").write_text("a\nc\nd\n"),
        "{root}/JPEGImages/a.jpg is in the splits train and val; take it out of one.",
    ),
    "an annotation is missing": (
        lambda root: (root / "Annotations/a.xml").unlink(),
        "{root}/Annotations/a.xml does not exist, so image 'a' has no tags; add it, or set "
        "dataset.tags_from.",
    ),
    "an annotation is no XML": (
        lambda root: (root / "Annotations/a.xml").write_text("<annotation><object>"),
        "{root}/Annotations/a.xml cannot be read as XML (no element found: line 1, column 20); "
        "save it in UTF-8.",
    ),
    "an annotation is in a multi-byte encoding": (
        lambda root: (root / "Annotations/a.xml").write_text(
            '<?xml version="1.0" encoding="gbk"?>'
        ),
        "{root}/Annotations/a.xml cannot be read as XML (multi-byte encodings are not supported); "
        "save it in UTF-8.",
    ),
    "an annotation has an unknown class": (
        lambda root: (root / "Annotations/a.xml").write_text(
            "<annotation><object><name>Cat</name></object></annotation>"
        ),
        "Annotations/*.xml gives image 'a' a tag that is not in the class list (did you mean "
        "'cat'?); mend the tag or the list. Got: 'Cat'.",
    ),
    "a table lacks an image": (
        in_turn(
            lambda root: shutil.rmtree(root / "Annotations"),
            lambda root: table(root, "image,tags\na,cat\nb,dog\nc,cat\n"),
        ),
        "{root}/tags.csv has no row for image 'd'; add one to it.",
    ),
}


@pytest.mark.parametrize("case", VOC_CASES)
def test_broken_voc(voc: Path, case: str) -> None:
    break_it, sentence = VOC_CASES[case]
    break_it(voc)
    params = DatasetParams(kind="voc", root=str(voc), classes=("cat", "dog"))
    assert_found(check_dataset(params, workers=1), sentence.replace("{root}", voc.as_posix()))


def test_the_unbroken_voc_is_sound(voc: Path) -> None:
    params = DatasetParams(kind="voc", root=str(voc), classes=("cat", "dog"))
    report = check_dataset(params, workers=1)
    assert not report.problems
    assert len(report.manifest) == 4
