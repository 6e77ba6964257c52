"""What lies where it does not count: folders without an image, tags in other columns."""

from pathlib import Path

import pytest

from tests.tiny_data import write_folder, write_image
from weaktr.config.dataset import DatasetParams
from weaktr.data.checks.check import Report, check_dataset


def checked(root: Path) -> Report:
    return check_dataset(DatasetParams(kind="folder", root=str(root)))


def found(report: Report, kind: str) -> list[tuple[str, str, int]]:
    return [(p.severity, p.message, p.count) for p in report.problems if p.kind == kind]


@pytest.mark.parametrize(
    ("images", "empty", "named"),
    [
        (["cat/1.jpg"], ["dog"], "1 folder (dog)"),
        (["cat/1.jpg"], ["dog/old", "cow", "cat/sub"], "2 folders (cow, dog)"),
        (["images/cat/1.jpg"], ["images/dog", "masks/dog", "other"], "1 folder (images/dog)"),
        (["train/cat/1.jpg"], ["val", "train/dog"], "2 folders (train/dog, val)"),
        (["train/cat/1.jpg", "val/cat/2.jpg"], ["val/dog"], "1 folder (val/dog)"),
        (["cat/1.jpg"], ["masks", "images", "@eaDir", ".git"], None),
    ],
)
def test_folders_without_an_image_are_said(
    tmp_path: Path, images: list[str], empty: list[str], named: str | None
) -> None:
    for seed, name in enumerate(images):
        write_image(tmp_path / name, seed=seed)
    for name in empty:
        (tmp_path / name).mkdir(parents=True)
    said = found(checked(tmp_path), "empty-folder")
    if named is None:
        assert said == []
        return
    ((severity, message, count),) = said
    assert (severity, count) == ("warning", int(named[0]))
    assert f"{tmp_path} has {named} without an image that is read, which give no tag" in message


def test_a_folder_of_pictures_that_are_not_read_gives_no_tag(tmp_path: Path) -> None:
    write_image(tmp_path / "cat" / "1.jpg")
    write_image(tmp_path / "dog" / "2.gif")
    report = checked(tmp_path)
    assert report.manifest.classes == ("cat",)
    assert "1 folder (dog)" in found(report, "empty-folder")[0][1]


@pytest.mark.parametrize(
    ("header", "row", "severity", "column"),
    [
        ("image,tags,notes", "cat,dog", "error", "notes"),
        ("image,tags,notes", "cat, Dog ", "error", "notes"),
        ("image,tags,a,b", "cat,dog,bird", "error", "a"),
        ("image,tags,notes", "cat,cat", None, ""),
        ("image,tags,notes", "cat,dog at the left", None, ""),
        ("image,tags,notes,seen", "cat,,dog", "warning", "seen"),
        ("image,seen,tags", "dog,cat", "warning", "seen"),
        ("image,tags,width", "cat,640", None, ""),
    ],
)
def test_tags_in_columns_that_are_not_read(
    tmp_path: Path, header: str, row: str, severity: str | None, column: str
) -> None:
    fill = "," * (header.count(",") - 1)
    first = f"bird;dog{fill}" if header.startswith("image,tags") else ",bird;dog"
    report = checked(write_folder(tmp_path, {"z.jpg": first, "a.jpg": row, "b.jpg": row}, header))
    said = found(report, "stray-tag")
    if severity is None:
        assert said == []
        return
    sort, message, count = said[0]
    assert (sort, count) == (severity, 2)
    assert (
        f"tags.csv line 3 has a tag of other rows in the column `{column}`, which is not read "
        "(2 such lines); put ; between tags"
    ) in message


@pytest.mark.parametrize("name", ["1_mask.png", "1-seg.png", "1.gt.png", "1Mask.png"])
def test_masks_beside_their_images_are_not_trained_on(tmp_path: Path, name: str) -> None:
    for seed, file in enumerate(("cat/1.jpg", f"cat/{name}", "dog/2.jpg")):
        write_image(tmp_path / file, seed=seed)
    (error,) = checked(tmp_path).errors
    assert f"has 1 file (cat/{name}) named like masks of the images beside them" in error.message


def test_names_that_end_like_masks_are_images_where_nothing_lies_beside(tmp_path: Path) -> None:
    for seed, file in enumerate(("cat/1_mask.jpg", "cat/2.jpg", "dog/gt.jpg")):
        write_image(tmp_path / file, seed=seed)
    assert not checked(tmp_path).errors


def test_one_picture_in_two_folders_is_said(tmp_path: Path) -> None:
    for file in ("cat/1.jpg", "dog/1.jpg"):
        write_image(tmp_path / file, seed=3)
    write_image(tmp_path / "cat/2.jpg", seed=4)
    ((severity, message, count),) = found(checked(tmp_path), "same-image-other-tags")
    assert (severity, count) == ("warning", 1)
    assert "1 pair (" in message
    assert "dog/1.jpg and " in message


def test_letters_of_two_alphabets_in_a_name_are_said(tmp_path: Path) -> None:
    rows = {
        "a.jpg": "c\u0430t",
        "b.jpg": "cat",
        "c.jpg": "\u043a\u043e\u0442",
        "d.jpg": "K\u00e4fer",
    }
    ((severity, message, _),) = found(checked(write_folder(tmp_path, rows)), "mixed-alphabets")
    assert severity == "warning"
    assert "'c\u0430t' ('c\\u0430t'); type them again" in message
