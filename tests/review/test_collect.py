"""Masks out of exports: ids by the names of classes, images by their names."""

from pathlib import Path

import numpy as np
import pytest

from tests.console import weaktr
from tests.tiny_data import HEIGHT, WIDTH, striped_mask, write_image
from weaktr.config.dataset import DatasetParams
from weaktr.data.corrected import ImageNames
from weaktr.data.manifest import Manifest, Record
from weaktr.data.masks import read_mask, write_mask
from weaktr.errors import UserError
from weaktr.review.collect import collect_masks

CLASSES = ("cow", "dog", "cat")
TAGS = {"x": ("cat",), "y": ("cow", "cat"), "z": ("dog",), "held": ("dog",)}


@pytest.fixture
def manifest(tmp_path: Path) -> Manifest:
    """A run of four images, one of them held out."""
    records = []
    for name, tags in TAGS.items():
        path = write_image(tmp_path / f"photos/{name}.jpg")
        split = "val" if name == "held" else "train"
        records.append(Record(f"run__{name}", path.as_posix(), split, tags, WIDTH, HEIGHT, "d"))
    manifest = Manifest(CLASSES, tuple(records))
    manifest.save(tmp_path / "prepared")
    return manifest


def export(root: Path, masks: dict[str, tuple[int, ...]], classes: str) -> Path:
    """VOC's layout, as CVAT exports it, with a class list of its own."""
    (root / "ImageSets/Segmentation").mkdir(parents=True)
    (root / "ImageSets/Segmentation/train.txt").write_text("".join(f"{n}\n" for n in masks))
    (root / "SegmentationClass").mkdir()
    (root / "classes.txt").write_text(classes)
    for name, ids in masks.items():
        write_image(root / f"JPEGImages/{name}.jpg")
        write_mask(root / f"SegmentationClass/{name}.png", striped_mask(ids))
    return root


def params(root: Path) -> DatasetParams:
    return DatasetParams(kind="voc", root=str(root), val_split="", tags_from="masks")


def test_ids_are_those_of_the_run(tmp_path: Path, manifest: Manifest) -> None:
    root = export(tmp_path / "out", {"x": (0, 1, 255), "y": (1, 0, 2)}, "cat\ncow\n")
    collected = collect_masks(params(root), manifest, tmp_path / "first")
    assert collected.masks == 2
    np.testing.assert_array_equal(
        read_mask(tmp_path / "first/run__x.png"), striped_mask((0, 3, 255))
    )
    np.testing.assert_array_equal(read_mask(tmp_path / "first/run__y.png"), striped_mask((3, 0, 1)))


def test_images_of_one_name_are_told_apart_by_their_folders(tmp_path: Path) -> None:
    records = []
    for folder in ("a", "b"):
        path = write_image(tmp_path / "photos" / folder / "1.jpg")
        records.append(
            Record(f"{folder}__1", path.as_posix(), "train", ("cat",), WIDTH, HEIGHT, "d")
        )
    names = ImageNames(Manifest(CLASSES, tuple(records)))
    assert names.record_of(Path("out/images/b/1.jpg"), by_folders=True).id == "b__1"
    with pytest.raises(UserError, match="more than one image"):
        names.record_of(Path("out/images/1.jpg"), by_folders=True)


@pytest.mark.parametrize(
    ("masks", "classes", "sentence"),
    [
        ({"x": (0, 1)}, "Cat\n", r"has the class 'Cat' \(did you mean 'cat'\?\), which the run"),
        ({"held": (0, 1)}, "dog\n", "image run__held, which is in the split val"),
        ({"strange": (0, 1)}, "dog\n", "JPEGImages/strange.jpg is named after no image"),
        ({"x": (0, 255)}, "cat\n", "first/run__x.png holds 0 and 255 only"),
    ],
)
def test_what_training_would_refuse_is_refused_and_nothing_is_written(
    tmp_path: Path,
    manifest: Manifest,
    masks: dict[str, tuple[int, ...]],
    classes: str,
    sentence: str,
) -> None:
    root = export(tmp_path / "out", masks, classes)
    with pytest.raises(UserError, match=sentence):
        collect_masks(params(root), manifest, tmp_path / "first")
    assert not (tmp_path / "first").exists()


def test_the_command_says_what_comes_next(
    tmp_path: Path,
    manifest: Manifest,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    export(tmp_path / "out", {"x": (0, 1)}, "cat\n")
    (tmp_path / "out/ImageSets/Segmentation/val.txt").write_text("")
    command = ("masks-from", "out", "--kind", "voc", "--prepared", "prepared")
    assert weaktr(*command, "-o", "data/corrected/first") == 0
    assert "data/corrected/first: 1 masks. Next: -S decoder.corrected=first" in (
        capsys.readouterr().out
    )
    assert weaktr(*command, "-o", "data/corrected/first") == 2
    assert "exists already" in capsys.readouterr().err
    assert weaktr("masks-from", "out", "--kind", "pixels", "-o", "new") == 2
    assert "dataset.kind" in capsys.readouterr().err
