"""Corrected masks: what is taken, and what is refused with which sentence."""

import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.tiny_data import HEIGHT, WIDTH, striped_mask, write_image
from weaktr.data.corrected import find_corrected
from weaktr.data.manifest import Manifest, Record
from weaktr.data.masks import write_mask
from weaktr.errors import UserError

CLASSES = ("cat", "dog", "cow")


def record(id_: str, image: str, split: str = "train", tags: tuple[str, ...] = ("cat",)) -> Record:
    return Record(id_, image, split, tags, WIDTH, HEIGHT, "digest")


@pytest.fixture
def manifest(tmp_path: Path) -> Manifest:
    names = {
        "a__1": "a/1.jpg",
        "b__1": "b/1.jpg",
        "rex": "rex.png",
        "é": "é.jpg",
        "held": "held.jpg",
    }
    records = []
    for id_, name in names.items():
        path = write_image(tmp_path / "images" / name)
        records.append(record(id_, path.as_posix(), "val" if id_ == "held" else "train"))
    return Manifest(CLASSES, tuple(records))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "mine"
    folder.mkdir()
    return folder


def lay(folder: Path, name: str, ids: tuple[int, ...] = (0, 1)) -> Path:
    write_mask(folder / name, striped_mask(ids))
    return folder / name


def test_masks_are_found_by_id_and_by_file_name(folder: Path, manifest: Manifest) -> None:
    for name in ("a__1.png", "rex.png.png", "e\u0301.png"):  # the last one as macOS writes it
        lay(folder, name, (0, 1, 255))
    (folder / "labelmap.txt").write_text("")
    (folder / ".DS_Store").write_text("")
    (folder / "empty").mkdir()
    found = find_corrected(folder, manifest)
    assert set(found) == {"a__1", "rex", "é"}
    assert found["rex"].path == (folder / "rex.png.png").as_posix()
    assert found["rex"].ids == (0, 1, 255)
    assert (found["rex"].read() == striped_mask((0, 1, 255))).all()


@pytest.mark.parametrize("mode", ["L", "P", "I;16"])
def test_grey_and_palette_masks_of_any_palette_are_read_alike(
    folder: Path, manifest: Manifest, mode: str
) -> None:
    ids = striped_mask((0, 1, 2))
    image = Image.fromarray(ids.astype(np.uint16) if mode == "I;16" else ids)
    if mode == "P":
        image.putpalette([10, 20, 30, 200, 100, 0, 1, 2, 3])
    image.save(folder / "rex.png")
    assert (find_corrected(folder, manifest)["rex"].read() == ids).all()


def test_a_mask_drawn_on_the_stored_pixels_is_turned_like_its_image(
    tmp_path: Path, folder: Path
) -> None:
    stored = np.random.default_rng(0).integers(0, 2, (HEIGHT, WIDTH), np.uint8)
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(stored).convert("RGB").save(tmp_path / "x.jpg", exif=exif)
    shown = Record("x", (tmp_path / "x.jpg").as_posix(), "train", ("cat",), HEIGHT, WIDTH, "")
    manifest = Manifest(CLASSES, (shown,))
    write_mask(folder / "x.png", stored)
    assert (find_corrected(folder, manifest)["x"].read() == np.rot90(stored, -1)).all()
    write_mask(folder / "x.png", np.rot90(stored, -1).copy())
    assert (find_corrected(folder, manifest)["x"].read() == np.rot90(stored, -1)).all()


@pytest.mark.parametrize(
    ("name", "ids", "sentence"),
    [
        ("rexx.png", (0, 1), r"rexx.png is named after no image \(did you mean rex.png\?\)"),
        ("unheard.png", (0, 1), "unheard.png is named after no image; call it <image id>.png"),
        ("1.png", (0, 1), "more than one image; call it a__1.png or b__1.png"),
        ("held.png", (0, 1), "image held, which is in the split val: learning from it would spoil"),
        ("rex.png", (0, 4), "holds the id 4, which is no class; use 0 background, 1 cat, 2 dog"),
        ("rex.png", (0, 255), "holds 0 and 255 only, and 255 is void"),
        ("rex.png", (255,), "holds 255 only, and 255 is void"),
    ],
)
def test_what_would_teach_the_wrong_thing_is_refused(
    folder: Path, manifest: Manifest, name: str, ids: tuple[int, ...], sentence: str
) -> None:
    lay(folder, name, ids)
    with pytest.raises(UserError, match=sentence):
        find_corrected(folder, manifest)


def test_two_masks_of_one_image_are_refused(folder: Path, manifest: Manifest) -> None:
    lay(folder, "rex.png")
    lay(folder, "rex.png.png")
    with pytest.raises(UserError, match=r"rex.png.png is a second mask .* rex; remove it or .*rex"):
        find_corrected(folder, manifest)


def test_another_size_is_refused(folder: Path, manifest: Manifest) -> None:
    write_mask(folder / "rex.png", striped_mask((0, 1), width=12))
    with pytest.raises(UserError, match="is 12x16 pixels but its image .*rex.png is 24x16"):
        find_corrected(folder, manifest)


def test_lossy_and_coloured_masks_are_refused(folder: Path, manifest: Manifest) -> None:
    Image.fromarray(striped_mask((0, 1))).save(folder / "rex.jpg")
    with pytest.raises(UserError, match="rex.jpg is no PNG file"):
        find_corrected(folder, manifest)
    (folder / "rex.jpg").rename(folder / "rex.png")
    with pytest.raises(UserError, match="rex.png is stored as JPEG"):
        find_corrected(folder, manifest)
    Image.fromarray(striped_mask((0, 1))).convert("RGB").save(folder / "rex.png")
    with pytest.raises(UserError, match="holds colours, not class ids"):
        find_corrected(folder, manifest)
    (folder / "rex.png").write_bytes(b"\x89PNG")
    with pytest.raises(UserError, match="rex.png is not a mask that can be read"):
        find_corrected(folder, manifest)


def test_a_palette_that_was_numbered_anew_is_refused(folder: Path, manifest: Manifest) -> None:
    path = lay(folder, "rex.png", (0, 2, 3))
    ids = np.array(Image.open(path))
    image = Image.fromarray(np.searchsorted([0, 2, 3], ids).astype(np.uint8))
    image.putpalette([0, 0, 0, 0, 128, 0, 128, 128, 0])
    image.save(path)
    with pytest.raises(UserError, match="shows id 1 in the colour of id 2.*numbered its palette"):
        find_corrected(folder, manifest)


def test_masks_in_subfolders_missing_folders_and_empty_ones_are_refused(
    folder: Path, manifest: Manifest
) -> None:
    with pytest.raises(UserError, match="mine has no masks; lay PNG files in it"):
        find_corrected(folder, manifest)
    with pytest.raises(UserError, match="yours is not a folder; make it"):
        find_corrected(folder.parent / "yours", manifest)
    (folder / "SegmentationClass").mkdir()
    lay(folder / "SegmentationClass", "rex.png")
    with pytest.raises(UserError, match="SegmentationClass is a folder with images; lay the masks"):
        find_corrected(folder, manifest)


def test_masks_that_mostly_contradict_the_tags_are_refused(
    folder: Path, manifest: Manifest
) -> None:
    lay(folder, "a__1.png", (0, 2))
    lay(folder, "b__1.png", (0, 3))
    assert len(find_corrected(folder, manifest)) == 2  # a tag may be wrong
    lay(folder, "rex.png", (0, 3))
    lay(folder, "é.png", (0, 1))
    expected = "3 of 4 masks show classes that their images' tags lack, such as .*a__1.png"
    with pytest.raises(UserError, match=expected) as error:
        find_corrected(folder, manifest)
    assert re.search("here: 0 background, 1 cat, 2 dog, 3 cow", str(error.value))


def test_black_and_white_does_not_say_which_of_several_classes(
    folder: Path, manifest: Manifest
) -> None:
    white = Image.fromarray(striped_mask((0, 1)) * 255).convert("1")
    white.save(folder / "rex.png")
    with pytest.raises(UserError, match="rex.png is black and white, which does not say which"):
        find_corrected(folder, manifest)
    found = find_corrected(folder, Manifest(("cat",), manifest.records))
    assert (found["rex"].read() == striped_mask((0, 1))).all()


def test_palettes_that_contradict_each_other_are_refused(folder: Path, manifest: Manifest) -> None:
    for name, palette in (("rex", [9, 9, 9, 200, 0, 0]), ("a__1", [9, 9, 9, 0, 200, 0])):
        image = Image.fromarray(striped_mask((0, 1) if name == "rex" else (0, 1, 2)))
        image.putpalette([*palette, 200, 0, 0])
        image.save(folder / f"{name}.png")
    with pytest.raises(UserError, match="the colour .200, 0, 0. that id 2 has in a__1.png"):
        find_corrected(folder, manifest)


def test_left_overs_of_systems_are_passed_over(folder: Path, manifest: Manifest) -> None:
    lay(folder, "rex.png")
    for name in ("Thumbs.db", "desktop.ini", "rex.png~"):
        (folder / name).write_bytes(b"x")
    assert set(find_corrected(folder, manifest)) == {"rex"}
