"""The check: all problems in one pass, and the same result every time."""

from pathlib import Path

import numpy as np
import pytest

from tests.data.checks.sound_folder import HEADER, SOUND, params
from tests.tiny_data import striped_mask, write_folder, write_image, write_voc
from weaktr.config.dataset import DatasetParams
from weaktr.data import parallel
from weaktr.data.checks import whole
from weaktr.data.checks.check import check_dataset
from weaktr.data.masks import write_mask
from weaktr.errors import UserError


def test_a_sound_data_set(tmp_path: Path) -> None:
    write_folder(tmp_path, SOUND, HEADER)
    report = check_dataset(params(tmp_path))
    assert [p.kind for p in report.problems] == ["no-mask"]
    report.raise_for_errors()
    record = report.manifest.records[1]
    assert (record.id, record.split, record.tags) == ("b", "train", ("cat", "dog"))
    assert (record.width, record.height) == (24, 16)
    assert len(record.digest) == 32


def test_classes_with_a_handful_of_training_images_are_listed_in_one_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(whole, "FEW_IMAGES", 3)
    rows = {"a.jpg": "cat;cow,train", "b.jpg": "cat,train", "c.jpg": "cat;dog,train"}
    rows |= {"d.jpg": "cow;dog;cat,val", "e.jpg": "cow;dog,val"}
    write_folder(tmp_path, rows, "image,tags,split")
    report = check_dataset(params(tmp_path))
    (warning,) = [problem for problem in report.problems if problem.kind == "few-images"]
    assert warning.severity == "warning"
    assert "Fewer than 3 training images have the tags cow (1), dog (1); add" in warning.message


def test_everything_wrong_is_found_in_one_pass(tmp_path: Path) -> None:
    rows = {
        "good.jpg": "cat,train,",
        "empty.jpg": "cat,train,",
        "cut.jpg": "cat,train,",
        "small mask.jpg": "cat,val,small.png",
        "strange mask.jpg": "cat,val,strange.png",
        "tagless.jpg": ",train,",
        "typo.jpg": "cta,train,",
    }
    write_folder(tmp_path, rows, "image,tags,split,mask")
    (tmp_path / "classes.txt").write_text("cat\ndog\n")
    images = tmp_path / "images"
    (images / "empty.jpg").write_bytes(b"")
    (images / "cut.jpg").write_bytes((images / "cut.jpg").read_bytes()[:-60])
    write_image(images / "good.png")
    (tmp_path / "masks").mkdir()
    write_mask(tmp_path / "masks" / "small.png", striped_mask((0, 1), width=20))
    write_mask(tmp_path / "masks" / "strange.png", striped_mask((0, 9)))
    with (tmp_path / "tags.csv").open("a") as stream:
        stream.write("good.jpg,cat,val,\nmissing.jpg,cat,train,\ngood.png,cat,train,\n")
    report = check_dataset(params(tmp_path))
    assert sorted(p.kind for p in report.errors) == [
        "class-without-images",
        "duplicate-id",
        "duplicate-id",
        "mask-ids",
        "mask-size",
        "missing-image",
        "two-splits",
        "unknown-tag",
        "unreadable-image",
        "unreadable-image",
    ]
    assert {p.kind for p in report.problems if p.severity == "warning"} == {
        "class-not-validated",
        "no-mask",
        "no-tags",
    }
    assert [p.severity for p in report.problems] == sorted(p.severity for p in report.problems)
    with pytest.raises(UserError, match=r"\(9 more errors: `weaktr check-data` lists all.\)"):
        report.raise_for_errors()


def test_the_same_image_in_two_splits_of_a_list(tmp_path: Path) -> None:
    write_voc(tmp_path, {"train": {"a": (8,), "b": (8,)}, "val": {"b": (8,)}})
    report = check_dataset(params(tmp_path, kind="voc", classes=("cat",)))
    (error,) = report.errors
    assert error.message == (
        f"{tmp_path.as_posix()}/JPEGImages/b.jpg is in the splits train and val; take it out of "
        "one."
    )


def test_a_data_set_without_validation_says_what_evaluate_needs(tmp_path: Path) -> None:
    write_folder(tmp_path, {"a.jpg": "cat"})
    report = check_dataset(DatasetParams(kind="folder", root=str(tmp_path), val_share=0))
    assert "evaluate stage needs evaluation.split: train" in report.notes[-1]


def test_copies_across_splits_are_a_warning(tmp_path: Path) -> None:
    write_folder(tmp_path, SOUND, HEADER)
    (tmp_path / "images" / "d.jpg").write_bytes((tmp_path / "images" / "a.jpg").read_bytes())
    report = check_dataset(params(tmp_path))
    assert not report.errors
    assert "d.jpg (val) is the same file as" in report.problems[-1].message


def test_masks_that_disagree_with_tags_are_a_warning(tmp_path: Path) -> None:
    write_voc(tmp_path, {"train": {"a": (8,)}, "val": {"b": (8,)}})
    write_mask(tmp_path / "SegmentationClass" / "b.png", striped_mask((0, 8, 12)))
    report = check_dataset(params(tmp_path, kind="voc", classes=("cat", "dog")))
    assert [p.kind for p in report.problems if p.severity == "warning"] == [
        "class-not-validated",
        "mask-and-tags",
    ]


def test_processes_change_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_folder(tmp_path / "data", {f"{i}.png": "cat" for i in range(6)})
    alone = check_dataset(params(tmp_path / "data"), workers=1)
    monkeypatch.setattr(parallel, "_SERIAL_BELOW", 2)
    together = check_dataset(params(tmp_path / "data"), workers=2)
    assert together.manifest == alone.manifest
    assert together.problems == alone.problems


def test_no_torch_is_imported() -> None:
    import subprocess
    import sys

    code = (
        "import sys, weaktr.data.checks.check; "
        "sys.exit(bool({'torch', 'pandas', 'mlflow', 'pycocotools'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_a_test_image_that_does_not_decode_is_a_warning(tmp_path: Path) -> None:
    write_voc(tmp_path, {"train": {"a": (8,)}, "val": {"b": (8,)}})
    (tmp_path / "ImageSets" / "Segmentation" / "test.txt").write_text("c\n")
    (tmp_path / "JPEGImages" / "c.jpg").write_bytes(b"no image")
    report = check_dataset(params(tmp_path, kind="voc", classes=("cat",)))
    assert [(p.severity, p.kind) for p in report.problems] == [("warning", "unreadable-image")]


def test_targets_agree_with_the_tags(tmp_path: Path) -> None:
    write_folder(tmp_path, SOUND, HEADER)
    manifest = check_dataset(params(tmp_path)).manifest
    np.testing.assert_array_equal(manifest.targets(), [[1, 0], [1, 1], [0, 1], [1, 0], [0, 1]])
