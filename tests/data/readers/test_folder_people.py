"""Folder data sets as people have them: names of splits, left-overs of systems, class lists."""

import unicodedata
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.data.checks.sound_folder import params
from tests.tiny_data import striped_mask, write_folder, write_image
from weaktr.data.checks.check import Report, check_dataset
from weaktr.data.masks import read_mask, write_mask
from weaktr.errors import UserError


def tree(root: Path, *files: str) -> Path:
    for seed, file in enumerate(files):
        write_image(root / file, seed=seed)
    return root


def found(report: Report) -> list[tuple[str, str, tuple[str, ...]]]:
    """File, split and tags of each image."""
    assert not report.errors, report.errors
    return [(Path(r.image).name, r.split, r.tags) for r in report.manifest]


def said(report: Report) -> str:
    return "\n".join([*report.notes, *(problem.message for problem in report.problems)])


@pytest.mark.parametrize(
    ("train", "val"),
    [
        ("Train", "Val"),
        ("training", "Testing"),
        ("train", "valid"),
        ("TRAIN", "Validation"),
        ("train2017", "val2017"),
        ("train_images", "eval"),
        ("Training-Set", "valset"),
    ],
)
@pytest.mark.parametrize("base", ["", "images/", "Images/"])
def test_folders_of_splits_in_other_words(tmp_path: Path, train: str, val: str, base: str) -> None:
    tree(
        tmp_path,
        *(f"{base}{train}/cat/1.jpg", f"{base}{train}/dog/2.jpg", f"{base}{val}/cat/3.jpg"),
    )
    report = check_dataset(params(tmp_path))
    other = "test" if val == "Testing" else "val"
    assert sorted(found(report)) == [
        ("1.jpg", "train", ("cat",)),
        ("2.jpg", "train", ("dog",)),
        ("3.jpg", other, ("cat",)),
    ]
    assert f"The folder {val} is taken for the split {other}." in said(report)


@pytest.mark.parametrize("name", ["train", "Test", "val"])
def test_a_class_may_be_called_like_a_split(tmp_path: Path, name: str) -> None:
    tree(tmp_path, f"{name}/1.jpg", f"{name}/2.jpg", "bus/1.jpg", "car/2.jpg")
    report = check_dataset(params(tmp_path, val_share=0))
    assert report.manifest.classes == tuple(sorted((name, "bus", "car")))
    assert {split for _, split, _ in found(report)} == {"train"}
    assert f"The folder {name} is taken for the tag {name!r}" in said(report)


def test_two_folders_of_one_split_are_refused(tmp_path: Path) -> None:
    tree(tmp_path, "train/cat/1.jpg", "val/cat/2.jpg", "valid/cat/3.jpg")
    (error,) = check_dataset(params(tmp_path)).errors
    assert "has two folders for the split val, val and valid; merge or rename one." in error.message


def test_folders_called_images_are_no_tags(tmp_path: Path) -> None:
    tree(tmp_path, "train/images/1.jpg", "val/images/2.jpg")
    (error,) = check_dataset(params(tmp_path)).errors
    assert "has its images in folders called images, which is no tag" in error.message


def test_splits_of_a_table_in_other_words(tmp_path: Path) -> None:
    rows = {"a.jpg": "cat,Training", "b.jpg": "cat,validation", "c.jpg": "cat,TEST"}
    report = check_dataset(params(write_folder(tmp_path, rows, "image,tags,split")))
    assert [split for _, split, _ in found(report)] == ["train", "val", "test"]
    assert "has the split 'Training', taken for train, in 1 rows." in said(report)


def test_left_overs_of_systems_are_no_images(tmp_path: Path) -> None:
    tree(tmp_path, "cat/1.jpg", "dog/2.jpg")
    for name in ("cat/@eaDir/1.jpg", "__MACOSX/cat/._1.jpg", "$RECYCLE.BIN/3.jpg", "cat/._1.jpg"):
        write_image(tmp_path / name)
    (tmp_path / "cat" / "Thumbs.db").write_bytes(b"x")
    (tmp_path / "dog" / "2.jpg.bak").write_bytes((tmp_path / "dog" / "2.jpg").read_bytes())
    report = check_dataset(params(tmp_path, val_share=0))
    assert found(report) == [("1.jpg", "train", ("cat",)), ("2.jpg", "train", ("dog",))]
    assert f"systems and tools passed over below {tmp_path}: 6 ($RECYCLE.BIN/, " in said(report)


def test_content_and_not_the_suffix_makes_an_image(tmp_path: Path) -> None:
    tree(tmp_path, "cat/1.jpg", "dog/2.jpg")
    for name in ("cat/3.jfif", "cat/4.jpe", "dog/5"):
        write_image(tmp_path / "x.jpg").rename(tmp_path / name)
    (tmp_path / "dog" / "6.HEIC").write_bytes(b"\0\0\0\x18ftypheic\0\0\0\0")
    (tmp_path / "dog" / "7.gif").write_bytes(b"GIF89a" + bytes(20))
    (tmp_path / "dog" / "8.doc").write_bytes(b"no picture")
    report = check_dataset(params(tmp_path, val_share=0))
    assert [(name, tags) for name, _, tags in found(report)] == [
        ("1.jpg", ("cat",)),
        ("3.jfif", ("cat",)),
        ("4.jpe", ("cat",)),
        ("2.jpg", ("dog",)),
        ("5", ("dog",)),
    ]
    assert "which stay out (1 GIF, 1 HEIC; the first is dog/6.HEIC); convert them" in said(report)


def test_a_row_that_names_a_format_that_is_not_read(tmp_path: Path) -> None:
    write_folder(tmp_path, {"a.jpg": "cat"})
    (tmp_path / "images" / "b.heic").write_bytes(b"\0\0\0\x18ftypheic\0\0\0\0")
    with (tmp_path / "tags.csv").open("a") as stream:
        stream.write("b.heic,cat\n")
    (error,) = check_dataset(params(tmp_path, val_share=0)).errors
    assert error.message == (
        f"{tmp_path}/tags.csv line 3 names a HEIC picture, which is not read; convert it to JPEG "
        "or PNG. Got: 'b.heic'."
    )


def test_images_without_a_row_and_masks_without_an_image_are_counted(tmp_path: Path) -> None:
    write_folder(tmp_path, {"a.jpg": "cat", "b.jpg": "cat"})
    write_image(tmp_path / "images" / "c.jpg")
    (tmp_path / "masks").mkdir()
    for name in "ad":
        write_mask(tmp_path / "masks" / f"{name}.png", striped_mask((0, 1)))
    report = check_dataset(params(tmp_path, val_share=0))
    assert len(found(report)) == 2
    assert "tags.csv has no row for 1 image (images/c.jpg), which stay out" in said(report)
    assert "1 mask (masks/d.png) of" in said(report)


@pytest.mark.parametrize("first", ["_background_", "Background", "__ignore__\n_background_", "BG"])
@pytest.mark.parametrize("last", ["", "void\n", "__ignore__\n"])
def test_a_class_list_with_background_in_front_shifts_no_id(
    tmp_path: Path, first: str, last: str
) -> None:
    write_folder(tmp_path, {"a.jpg": "cat,a.png", "b.jpg": "dog,b.png"}, "image,tags,mask")
    (tmp_path / "classes.txt").write_text(f"{first}\ncat\ndog\n{last}")
    (tmp_path / "masks").mkdir()
    for name, id_ in (("a", 1), ("b", 2)):
        write_mask(tmp_path / "masks" / f"{name}.png", striped_mask((0, id_, 255)))
    report = check_dataset(params(tmp_path, val_share=0))
    assert report.manifest.classes == ("cat", "dog")
    assert [tags for _, _, tags in found(report)] == [("cat",), ("dog",)]
    masks = report.write_masks(tmp_path / "new")
    np.testing.assert_array_equal(read_mask(masks["b"].mask), striped_mask((0, 2, 255)))
    assert "so that id 1 is 'cat'." in said(report)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("void\ncat\n", "lists 'void', which is no class (id 0 is background, 255 void), before"),
        ("cat\nbackground\ndog\n", "lists 'background', which is no class"),
        ("cat\n__ignore__\ndog\n", "lists '__ignore__', which is no class"),
        ("_background_\n", "gives no classes; at least one is needed."),
        ("0 background\n1 cat\n", "has a number before each name; write the names alone"),
        ("cat\nnan\n", "names `nan` as a class; leave the tags empty where there are none."),
    ],
)
def test_class_lists_whose_ids_would_be_a_guess_are_refused(
    tmp_path: Path, text: str, sentence: str
) -> None:
    write_folder(tmp_path, {"a.jpg": "cat"})
    (tmp_path / "classes.txt").write_text(text)
    (error,) = check_dataset(params(tmp_path)).errors
    assert error.message.startswith(f"{tmp_path / 'classes.txt'} {sentence}")


@pytest.mark.parametrize(
    "tag",
    [
        *("Background", "_background_", "void", "__ignore__", "nan", "None", "NA", "<NA>", "NaT"),
        *("-", "--", "?", "no tags", "#NAME?", "#REF!"),
    ],
)
def test_tags_that_are_no_classes_are_refused(tmp_path: Path, tag: str) -> None:
    write_folder(tmp_path, {"a.jpg": "cat", "b.jpg": tag})
    (error,) = check_dataset(params(tmp_path)).errors
    assert error.message.startswith(f"{tmp_path} names `{tag}` as a class; ")


def test_one_tag_in_two_normalisations_is_one_class(tmp_path: Path) -> None:
    composed, apart = (unicodedata.normalize(form, "Käfer") for form in ("NFC", "NFD"))
    assert composed != apart
    write_folder(tmp_path / "table", {"a.jpg": composed, "b.jpg": apart})
    tree(tmp_path / "tree", f"{composed}/1.jpg", f"{apart}/2.jpg")
    write_folder(tmp_path / "list", {"a.jpg": composed, "b.jpg": apart})
    (tmp_path / "list" / "classes.txt").write_text(f"{apart}\n", encoding="utf-8")
    for name in ("table", "tree", "list"):
        report = check_dataset(params(tmp_path / name, val_share=0, classes=(apart,)))
        assert report.manifest.classes == (composed,)
        assert [tags for _, _, tags in found(report)] == [(composed,), (composed,)]


def test_classes_that_differ_in_writing_or_outer_words_get_a_hint(tmp_path: Path) -> None:
    rows = {"a.jpg": "Cat", "b.jpg": "cat", "c.jpg": "hot dog", "d.jpg": "dog"}
    report = check_dataset(params(write_folder(tmp_path, rows), val_share=0))
    assert report.manifest.classes == ("Cat", "cat", "dog", "hot dog")
    assert "The classes 'Cat' and 'cat' differ in writing only" in said(report)
    assert "are classes of their own here: 'dog' and 'hot dog'." in said(report)


def test_tags_printed_by_pandas(tmp_path: Path) -> None:
    write_folder(tmp_path, {"a.jpg": "\"['cat', 'dog']\"", "b.jpg": "['dog']", "c.jpg": "[]"})
    report = check_dataset(params(tmp_path, val_share=0))
    assert [tags for _, _, tags in found(report)] == [("cat", "dog"), ("dog",), ()]


def test_a_folder_of_masks_in_capitals_is_no_tag(tmp_path: Path) -> None:
    tree(tmp_path, "cat/1.jpg", "cat/2.jpg")
    (tmp_path / "Masks" / "cat").mkdir(parents=True)
    Image.fromarray(striped_mask((0, 1))).save(tmp_path / "Masks" / "cat" / "1.png")
    report = check_dataset(params(tmp_path, val_share=0))
    assert report.manifest.classes == ("cat",)
    assert [plan.id for plan in report.masks] == ["1"]


def test_images_outside_of_the_folder_images_are_counted(tmp_path: Path) -> None:
    tree(tmp_path, "images/cat/1.jpg", "images/dog/2.jpg", "dog/3.jpg")
    report = check_dataset(params(tmp_path, val_share=0))
    assert len(found(report)) == 2
    assert "1 image (dog/3.jpg) of" in said(report)


def test_a_path_cut_at_a_comment_is_recognised(tmp_path: Path) -> None:
    tree(tmp_path / "my photos #1", "cat/1.jpg")
    (error,) = check_dataset(params(tmp_path / "my photos")).errors
    assert error.message == (
        f"{tmp_path}/my photos is not a folder; check dataset.root, or put the data there. Did you "
        f"mean '{tmp_path}/my photos #1'? A path with # needs quotes."
    )


def test_two_spellings_of_a_place_are_refused(tmp_path: Path) -> None:
    tree(tmp_path, "images/cat/1.jpg", "Images/cat/2.jpg")
    (error,) = check_dataset(params(tmp_path)).errors
    assert "has the folders Images and images; merge or rename one." in error.message
    with pytest.raises(UserError):
        check_dataset(params(tmp_path)).raise_for_errors()


@pytest.mark.parametrize(
    "folders",
    [
        ("train/images", "train/masks", "val/images", "val/masks"),
        ("JPEGImages", "SegmentationClass"),
        ("photos", "labels"),
        ("image", "ground_truth"),
    ],
)
def test_folders_of_images_beside_those_of_masks_are_no_tags(
    tmp_path: Path, folders: tuple[str, ...]
) -> None:
    tree(tmp_path, *(f"{folder}/1.png" for folder in folders))
    (error,) = check_dataset(params(tmp_path)).errors
    assert "which is no tag; write a tags.csv with the columns image,tags (and mask)" in (
        error.message
    )


@pytest.mark.parametrize("split", ["", "train/"])
def test_tags_one_folder_too_deep_are_refused(tmp_path: Path, split: str) -> None:
    tree(tmp_path, f"{split}pets/cat/1.jpg", f"{split}pets/dog/2.jpg")
    (error,) = check_dataset(params(tmp_path)).errors
    assert "all images in folders of 'pets' (cat, dog), which would be the only tag" in (
        error.message
    )


def test_folders_inside_those_of_tags_are_counted(tmp_path: Path) -> None:
    tree(tmp_path, "cat/black/1.jpg", "cat/white/2.jpg", "dog/3.jpg")
    report = check_dataset(params(tmp_path, val_share=0))
    assert sorted(tags for _, _, tags in found(report)) == [("cat",), ("cat",), ("dog",)]
    assert "such as cat/black, which give no further tag: 2." in said(report)


def test_splits_without_one_for_training_are_refused(tmp_path: Path) -> None:
    tree(tmp_path, "val/cat/1.jpg", "test/cat/2.jpg")
    (error,) = check_dataset(params(tmp_path)).errors
    assert "has folders for the splits test and val only; add one for training" in error.message


@pytest.mark.parametrize(("name", "meant"), [("Tags.csv", "tags.csv"), ("CLASSES.txt",) * 2])
def test_files_in_other_capitals_are_not_passed_over(tmp_path: Path, name: str, meant: str) -> None:
    tree(tmp_path, "cat/1.jpg", "dog/2.jpg")
    (tmp_path / name).write_text("image,tags\n")
    (error,) = check_dataset(params(tmp_path)).errors
    assert error.message == f"{tmp_path / name} is read under the name {meant.lower()} only; " + (
        "rename it."
    )


def test_tables_beside_folders_of_tags_are_named(tmp_path: Path) -> None:
    tree(tmp_path, "cat/1.jpg", "dog/2.jpg")
    (tmp_path / "labels.csv").write_text("image,tags\n1.jpg,dog\n")
    assert "has tables that are not read (labels.csv), as tags come" in said(
        check_dataset(params(tmp_path))
    )


def test_columns_called_nearly_like_those_that_are_read(tmp_path: Path) -> None:
    rows = {"a.jpg": "cat,train,x", "b.jpg": "dog,val,y"}
    report = check_dataset(params(write_folder(tmp_path, rows, "image,tags,Subset,remarks")))
    assert "has the column `subset`, which is not read; call it `split` if" in said(report)
    assert "remarks" not in said(report)


def test_one_mask_of_several_images_is_named(tmp_path: Path) -> None:
    rows = {"a.jpg": "cat,m.png", "b.jpg": "cat,m.png", "c.jpg": "cat,"}
    write_folder(tmp_path, rows, "image,tags,mask")
    (tmp_path / "masks").mkdir()
    write_mask(tmp_path / "masks" / "m.png", striped_mask((0, 1)))
    report = check_dataset(params(tmp_path))
    assert "tags.csv gives one mask to several images: 1 mask (masks/m.png); check" in said(report)


def test_a_mask_in_a_format_that_is_not_read(tmp_path: Path) -> None:
    write_folder(tmp_path, {"a.jpg": "cat,m.gif"}, "image,tags,mask")
    (tmp_path / "masks").mkdir()
    Image.fromarray(striped_mask((0, 1))).save(tmp_path / "masks" / "m.gif")
    assert "line 2 names a GIF picture as mask, which is not read; convert it to PNG." in said(
        check_dataset(params(tmp_path))
    )


def test_quotes_in_the_names_of_classes_are_named(tmp_path: Path) -> None:
    write_folder(tmp_path, {"a.jpg": "'cat'", "b.jpg": "dog"})
    assert "Classes have quotes in their names: 'cat'; take them" in said(
        check_dataset(params(tmp_path))
    )
