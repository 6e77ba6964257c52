"""The folder reader: tables as people write them, and trees of folders."""

import os
import unicodedata
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.tiny_data import mask_path, striped_mask, write_folder, write_image
from weaktr.config.dataset import DatasetParams
from weaktr.data.checks.check import check_dataset
from weaktr.data.masks import write_mask
from weaktr.data.readers.folder import hold_out, read_folder
from weaktr.data.readers.listing import Entry
from weaktr.errors import UserError

Form = Literal["NFC", "NFD"]
quick = settings(max_examples=60, deadline=None)
ROWS = {"a.jpg": "cat", "b.jpg": "dog;cat", "c.png": "dog", "d.jpg": "cat", "e.jpg": "dog"}


def params(root: Path, **changes: Any) -> DatasetParams:
    return DatasetParams(kind="folder", root=str(root), **changes)


def test_a_table_with_splits_and_masks(tmp_path: Path) -> None:
    write_folder(
        tmp_path,
        {"a.jpg": "cat,train,masks/a.png", "b.jpg": "dog|cat,val,b.png", "c.png": "dog,train,"},
        header="image,tags,split,mask",
    )
    (tmp_path / "masks").mkdir()
    for name in "ab":
        write_mask(tmp_path / "masks" / f"{name}.png", striped_mask((0, 1)))
    listing = read_folder(params(tmp_path))
    assert not listing.problems
    assert listing.classes == ("cat", "dog")
    assert [(e.id, e.split, e.tags, mask_path(e)) for e in listing.entries] == [
        ("a", "train", ("cat",), f"{tmp_path.as_posix()}/masks/a.png"),
        ("b", "val", ("cat", "dog"), f"{tmp_path.as_posix()}/masks/b.png"),
        ("c", "train", ("dog",), ""),
    ]
    assert "masks are taken to hold these ids: 1 cat, 2 dog" in listing.notes[1]


def test_the_class_list_sets_the_order_and_catches_typing_errors(tmp_path: Path) -> None:
    write_folder(tmp_path, {**ROWS, "f.jpg": "Dog"})
    (tmp_path / "classes.txt").write_text("dog\ncat\n")
    listing = read_folder(params(tmp_path))
    assert listing.classes == ("dog", "cat")
    assert listing.entries[1].tags == ("dog", "cat")
    assert [p.message for p in listing.problems] == [
        f"{tmp_path / 'tags.csv'} gives image 'f' a tag that is not in the class list "
        "(did you mean 'dog'?); mend the tag or the list. Got: 'Dog'."
    ]


def test_a_subset_of_classes(tmp_path: Path) -> None:
    write_folder(tmp_path, {"a.jpg": "cat", "b.jpg": "dog;cat", "c.jpg": "cow", "d.jpg": ""})
    listing = read_folder(params(tmp_path, classes=("cat",), val_share=0))
    assert [(e.id, e.tags) for e in listing.entries] == [
        ("a", ("cat",)),
        ("b", ("cat",)),
        ("d", ()),
    ]


@pytest.mark.parametrize(
    "written",
    [
        "images/sub/photo.jpg",
        "sub/photo.jpg",
        "sub\\photo.jpg",
        "./sub/photo.jpg",
        ".\\sub\\photo.jpg",
        "sub/photo.JPG",
        "sub/photo",
    ],
)
def test_ways_to_write_a_path(tmp_path: Path, written: str) -> None:
    write_image(tmp_path / "images" / "sub" / "photo.jpg")
    (tmp_path / "tags.csv").write_text(f"image,tags\n{written},cat\n")
    (entry,) = read_folder(params(tmp_path, val_share=0)).entries
    assert entry.image == f"{tmp_path.as_posix()}/images/sub/photo.jpg"
    assert entry.id == "photo"


@pytest.mark.parametrize("header", ["image,tags", "image,tags,mask"])
def test_images_and_masks_of_one_name(tmp_path: Path, header: str) -> None:
    cell = ",x.png" if "mask" in header else ""
    write_folder(tmp_path, {"x.png": f"cat{cell}"}, header=header)
    (tmp_path / "masks").mkdir()
    write_mask(tmp_path / "masks" / "x.png", striped_mask((0, 1)))
    (entry,) = read_folder(params(tmp_path, val_share=0)).entries
    assert entry.image == f"{tmp_path.as_posix()}/images/x.png"
    assert mask_path(entry) == f"{tmp_path.as_posix()}/masks/x.png"


@pytest.mark.parametrize("missing", ["images", "masks"])
def test_a_mask_is_no_image_and_an_image_no_mask(tmp_path: Path, missing: str) -> None:
    write_folder(tmp_path, {"x.png": "cat,x.png", "y.png": "cat,"}, header="image,tags,mask")
    (tmp_path / "masks").mkdir()
    write_mask(tmp_path / "masks" / "x.png", striped_mask((0, 1)))
    (tmp_path / missing / "x.png").unlink()
    listing = read_folder(params(tmp_path, val_share=0))
    kinds = [problem.kind for problem in listing.problems]
    assert kinds == [f"missing-{missing.removesuffix('s')}"]


@pytest.mark.parametrize(("on_disk", "in_table"), [("NFC", "NFD"), ("NFD", "NFC")])
def test_names_that_differ_in_unicode_normalisation(
    tmp_path: Path, on_disk: Form, in_table: Form
) -> None:
    write_image(tmp_path / "images" / unicodedata.normalize(on_disk, "Köln é.jpg"))
    (tmp_path / "tags.csv").write_text(
        f"image,tags\n{unicodedata.normalize(in_table, 'Köln é.jpg')},church\n", encoding="utf-8"
    )
    report = check_dataset(params(tmp_path, val_share=0))
    assert not report.problems
    assert len(report.manifest) == 1


def test_one_folder_a_tag(tmp_path: Path) -> None:
    for file in ("cat/1.jpg", "cat/deep/2.jpg", "dog/1.jpg", "cat, dog/3.jpg"):
        write_image(tmp_path / "images" / file)
    (tmp_path / "masks" / "dog").mkdir(parents=True)
    write_mask(tmp_path / "masks" / "dog" / "1.png", striped_mask((0, 2)))
    listing = read_folder(params(tmp_path, val_share=0))
    assert not listing.problems
    assert {e.id: e.tags for e in listing.entries} == {
        "cat, dog__3": ("cat", "dog"),
        "cat__1": ("cat",),
        "cat__deep__2": ("cat",),
        "dog__1": ("dog",),
    }
    assert [e.id for e in listing.entries if e.mask] == ["dog__1"]


def test_links_that_lead_up_do_not_loop(tmp_path: Path) -> None:
    write_image(tmp_path / "cat" / "1.jpg")
    (tmp_path / "cat" / "again").symlink_to(tmp_path, target_is_directory=True)
    assert [e.id for e in read_folder(params(tmp_path, val_share=0)).entries] == ["1"]


def test_links_that_lead_to_each_other_do_not_loop(tmp_path: Path) -> None:
    for name, other in (("cat", "dog"), ("dog", "cat")):
        write_image(tmp_path / name / "1.jpg")
        (tmp_path / name / "link").symlink_to(tmp_path / other, target_is_directory=True)
    ids = [e.id for e in read_folder(params(tmp_path, val_share=0)).entries]
    assert sorted(ids) == ["cat__1", "cat__link__1", "dog__1", "dog__link__1"]


def test_a_folder_without_rights_is_not_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("cat", "dog"):
        write_image(tmp_path / name / "1.jpg")
    scan = os.scandir

    def refuse(path: str) -> Any:
        if str(path).endswith("dog"):
            raise PermissionError(13, "Permission denied", str(path))
        return scan(path)

    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(UserError, match=r"dog cannot be read \(Permission denied\)"):
        read_folder(params(tmp_path))


def test_names_as_macos_gives_them_to_screenshots(tmp_path: Path) -> None:
    write_folder(tmp_path, {"Screenshot at 3.04\u202fPM.jpg": "cat"})
    assert not check_dataset(params(tmp_path, val_share=0)).errors


def test_a_class_list_may_have_a_byte_order_mark(tmp_path: Path) -> None:
    write_folder(tmp_path, ROWS)
    (tmp_path / "classes.txt").write_text("dog\r\ncat\r\n", encoding="utf-8-sig")
    assert read_folder(params(tmp_path)).classes == ("dog", "cat")


def test_a_quoted_value_may_follow_a_space(tmp_path: Path) -> None:
    write_image(tmp_path / "images" / "a.jpg")
    (tmp_path / "tags.csv").write_text('image, tags\na.jpg, "cat, dog"\n')
    (entry,) = read_folder(params(tmp_path, val_share=0)).entries
    assert entry.tags == ("cat", "dog")


def test_rows_that_all_name_missing_images_are_all_listed(tmp_path: Path) -> None:
    write_folder(tmp_path, ROWS)
    table = tmp_path / "tags.csv"
    table.write_text(table.read_text().replace(".jpg", ".gif").replace(".png", ".gif"))
    report = check_dataset(params(tmp_path))
    kinds = [problem.kind for problem in report.errors]
    assert kinds == ["missing-image"] * len(ROWS) + ["no-training-images"]


def test_images_without_any_tag_are_refused_with_the_two_ways_out(tmp_path: Path) -> None:
    write_image(tmp_path / "images" / "a.jpg")
    sentence = f"no image of {tmp_path} has a tag; write a tags.csv with the columns image,tags"
    with pytest.raises(UserError, match=sentence):
        read_folder(params(tmp_path))
    (tmp_path / "tags.csv").write_text("image,tags\n")
    with pytest.raises(UserError, match=r"tags.csv names no images; write one row per image\."):
        read_folder(params(tmp_path))


def test_folders_of_splits_above_those_of_tags(tmp_path: Path) -> None:
    for file in ("train/cat/1.jpg", "train/dog/2.jpg", "val/cat/3.jpg", "test/4.jpg"):
        write_image(tmp_path / file)
    listing = read_folder(params(tmp_path))
    assert not listing.problems
    assert [(e.split, e.tags) for e in listing.entries] == [
        ("test", None),
        ("train", ("cat",)),
        ("train", ("dog",)),
        ("val", ("cat",)),
    ]


def test_images_are_held_out_by_their_ids_alone() -> None:
    entries = [Entry(f"{i}", f"{i}.jpg", "", None) for i in range(200)]
    tags = {e.id: ("cat",) for e in entries}
    split = {e.id: e.split for e in hold_out(entries, tags, 0.2)}
    assert list(split.values()).count("val") == 40
    assert split == {e.id: e.split for e in hold_out(entries[::-1], tags, 0.2)}
    more = [*entries, *(Entry(f"new {i}", "", "", None) for i in range(10))]
    grown = {e.id: e.split for e in hold_out(more, tags, 0.2)}
    assert sum(grown[id_] != split[id_] for id_ in split) <= 4


@quick
@given(st.lists(st.sets(st.sampled_from("abc")), max_size=20), st.floats(0, 0.99))
def test_no_class_loses_its_last_training_image(found: list[set[str]], share: float) -> None:
    entries = [Entry(f"{i}", f"{i}.jpg", "", None) for i in range(len(found))]
    tags = {e.id: tuple(sorted(names)) for e, names in zip(entries, found, strict=True)}
    train = [e for e in hold_out(entries, tags, share) if e.split == "train"]
    assert {t for e in train for t in tags[e.id]} == {t for names in found for t in names}
    assert len(entries) - len(train) <= round(share * len(entries))


def test_tags_can_be_read_off_masks(tmp_path: Path) -> None:
    write_folder(tmp_path, {"a.jpg": "a.png", "b.jpg": "b.png"}, header="image,mask")
    (tmp_path / "masks").mkdir()
    write_mask(tmp_path / "masks" / "a.png", striped_mask((0, 1, 255)))
    write_mask(tmp_path / "masks" / "b.png", striped_mask((2, 1)))
    with pytest.raises(UserError, match=r"classes.txt does not exist, so that ids in masks"):
        read_folder(params(tmp_path))
    (tmp_path / "classes.txt").write_text("cat\ndog\n")
    listing = read_folder(params(tmp_path, val_share=0))
    assert [e.tags for e in listing.entries] == [("cat",), ("cat", "dog")]
    assert "derived from the masks" in listing.notes[0]


def test_a_mask_drawn_on_the_stored_pixels_is_turned_with_its_image(tmp_path: Path) -> None:
    from PIL import Image

    from weaktr.data.masks import read_mask

    root = tmp_path / "data"
    (root / "images").mkdir(parents=True)
    (root / "masks").mkdir()
    stored = Image.new("RGB", (20, 10), "red")
    exif = stored.getexif()
    exif[0x0112] = 6
    ids = np.arange(200, dtype=np.uint8).reshape(10, 20) % 2
    ids[0] = 1
    for name, mask in (("stored", ids), ("shown", np.rot90(ids, -1).copy())):
        stored.save(root / "images" / f"{name}.jpg", exif=exif)
        write_mask(root / "masks" / f"{name}.png", mask)
    (root / "tags.csv").write_text(
        "image,tags,split,mask\nstored.jpg,cat,train,stored.png\nshown.jpg,cat,val,shown.png\n"
    )
    report = check_dataset(params(root))
    assert [p.kind for p in report.problems] == ["same-content"]
    assert [(r.width, r.height) for r in report.manifest] == [(10, 20), (10, 20)]
    masks = report.write_masks(tmp_path / "new")
    assert masks["shown"].mask == f"{root.as_posix()}/masks/shown.png"
    assert masks["stored"].mask == f"{tmp_path.as_posix()}/new/stored.png"
    np.testing.assert_array_equal(read_mask(masks["stored"].mask), np.rot90(ids, -1))


def test_real_photographs(voc_animals: Path) -> None:
    report = check_dataset(params(voc_animals), workers=1)
    assert not report.errors
    assert report.manifest.classes == ("cat", "cow", "dog", "horse", "person", "sheep")
    assert len(report.manifest.of_split("train")) == 600
    assert report.manifest.records[0].id == "2007_000720"
