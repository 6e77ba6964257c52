"""Broken folder data sets: each case asserts the one sentence that a user gets to read."""

import io
import shutil
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.broken_data import Break, assert_found, in_turn, table
from tests.tiny_data import striped_mask, write_image
from weaktr.config.dataset import DatasetParams
from weaktr.data.checks.check import check_dataset
from weaktr.data.masks import write_mask


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A sound folder data set of two cats and two dogs."""
    root = tmp_path / "mine"
    for seed, name in enumerate(("a.jpg", "b.jpg", "c.jpg", "d.jpg")):
        write_image(root / "images" / name, seed=seed)
    for name in "cd":
        (root / "masks").mkdir(exist_ok=True)
        write_mask(root / "masks" / f"{name}.png", striped_mask((0, 1 if name == "c" else 2)))
    table(
        root,
        "image,tags,split,mask\na.jpg,cat,train,\nb.jpg,dog,train,\n"
        "c.jpg,cat,val,c.png\nd.jpg,dog,val,d.png\n",
    )
    return root


def change_table(root: Path, old: str, new: str) -> None:
    text = (root / "tags.csv").read_text(encoding="utf-8")
    assert old in text
    table(root, text.replace(old, new))


def image(change: Callable[[bytes], bytes], name: str = "a.jpg") -> Break:
    """Changes the bytes of an image of the folder data set."""

    def apply(root: Path) -> None:
        path = root / "images" / name
        path.write_bytes(change(path.read_bytes()))

    return apply


def png(change: Callable[[bytes], bytes]) -> Break:
    """Replaces an image of the folder data set by a PNG with changed bytes."""

    def apply(root: Path) -> None:
        stream = io.BytesIO()
        Image.fromarray(striped_mask((0, 9, 200))).convert("RGB").save(stream, "PNG")
        (root / "images" / "a.jpg").write_bytes(change(stream.getvalue()))

    return apply


def encoded(format_: str, change: Callable[[bytes], bytes]) -> Break:
    """Replaces an image of the folder data set by one in another format, with changed bytes."""

    def apply(root: Path) -> None:
        stream = io.BytesIO()
        pixels = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
        Image.fromarray(pixels).save(stream, format_)
        (root / "images" / "a.jpg").write_bytes(change(stream.getvalue()))

    return apply


def bomb(data: bytes) -> bytes:
    """The PNG with a header that promises ten thousand megapixels."""
    header = data[12:16] + struct.pack(">II", 100_000, 100_000) + data[24:29]
    return data[:12] + header + struct.pack(">I", zlib.crc32(header)) + data[33:]


FOLDER_CASES: dict[str, tuple[Break, str]] = {
    "the root is missing": (
        shutil.rmtree,
        "{root} is not a folder; check dataset.root, or put the data there.",
    ),
    "the folder is empty": (
        in_turn(shutil.rmtree, Path.mkdir),
        "{root} has no images; put them there with a tags.csv, or in one sub-folder per tag.",
    ),
    "the table is empty": (
        lambda root: table(root, ""),
        "{root}/tags.csv is empty; write one row per image with the columns image,tags.",
    ),
    "the table has a header only": (
        lambda root: table(root, "image,tags\n"),
        "{root}/tags.csv names no images; write one row per image.",
    ),
    "the table has no header": (
        lambda root: table(root, "a.jpg,cat\n"),
        "{root}/tags.csv has no column `image`; its first line must name the columns, such as "
        "image,tags,split. Got: 'a.jpg,cat'.",
    ),
    "the table has a column twice": (
        lambda root: table(root, "image,tags,tags\na.jpg,cat,dog\n"),
        "{root}/tags.csv has two columns called `tags`; remove one.",
    ),
    "the table has no tags": (
        lambda root: table(root, "image\na.jpg\n"),
        "{root}/tags.csv gives no tags; add a column `tags` with the tags of each image.",
    ),
    "the table is in another encoding": (
        lambda root: (root / "tags.csv").write_bytes("image,tags\na.jpg,Käse\n".encode("latin-1")),
        "{root}/tags.csv is not UTF-8 text; save it as CSV in UTF-8.",
    ),
    "the table has an open quote": (
        lambda root: change_table(root, "a.jpg,cat", 'a.jpg,"cat'),
        "{root}/tags.csv line 5 is not valid CSV (unexpected end of data); mend the quotes.",
    ),
    "tags with unquoted commas": (
        lambda root: change_table(root, "a.jpg,cat", "a.jpg,cat,dog"),
        "{root}/tags.csv line 2 has 5 values for 4 columns; put ; between tags, or quotes around "
        "values with a delimiter in them.",
    ),
    "a row without an image": (
        lambda root: change_table(root, "a.jpg,cat", ",cat"),
        "{root}/tags.csv line 2 names no image; fill it in or remove it.",
    ),
    "an image is missing": (
        lambda root: (root / "images" / "c.jpg").unlink(),
        "{root}/tags.csv line 4 names an image that is not below {root} (JPEG, PNG, WebP, BMP or "
        "TIFF); add it or remove the line. Got: 'c.jpg'.",
    ),
    "a name fits two images": (
        in_turn(
            lambda root: write_image(root / "images/a.png"),
            lambda root: change_table(root, "a.jpg", "a"),
        ),
        "{root}/tags.csv line 2 is ambiguous: 'a' fits more than one file of {root}; rename one. "
        "Got: images/a.jpg, images/a.png.",
    ),
    "an image is listed twice": (
        lambda root: change_table(root, "b.jpg,dog,", "b.jpg,dog,train,\nb.jpg,cat,"),
        "{root}/tags.csv line 4 names an image a second time; merge the rows. Got: 'b.jpg'.",
    ),
    "an image is in two splits": (
        lambda root: change_table(root, "b.jpg,dog,train,", "b.jpg,dog,train,\nb.jpg,dog,val,"),
        "{root}/tags.csv line 4 puts an image into a second split; keep one. Got: 'b.jpg' in "
        "'val'.",
    ),
    "two images share an id": (
        in_turn(
            lambda root: write_image(root / "images/a.png", seed=9),
            lambda root: change_table(root, "b.jpg,dog,", "b.jpg,dog,train,\na.png,cat,"),
        ),
        "{root}/images/a.jpg and {root}/images/a.png would share the id 'a'; rename one.",
    ),
    "an unknown split": (
        lambda root: change_table(root, "a.jpg,cat,train", "a.jpg,cat,trian"),
        "{root}/tags.csv line 2 has a split that is none of train, val, test; mend it, or set "
        "dataset.train_split and dataset.val_split. Got: 'trian'.",
    ),
    "a split is left empty": (
        lambda root: change_table(root, "a.jpg,cat,train", "a.jpg,cat,"),
        "{root}/tags.csv line 2 has a split that is none of train, val, test; mend it, or set "
        "dataset.train_split and dataset.val_split. Got: ''.",
    ),
    "a tag is misspelt": (
        in_turn(
            lambda root: (root / "classes.txt").write_text("cat\ndog\n"),
            lambda root: change_table(root, "c.jpg,cat", "c.jpg,catt"),
        ),
        "{root}/tags.csv gives image 'c' a tag that is not in the class list (did you mean "
        "'cat'?); mend the tag or the list. Got: 'catt'.",
    ),
    "a tag is called background": (
        lambda root: change_table(root, "a.jpg,cat", "a.jpg,background"),
        "{root} names `background` as a class; remove it, id 0 is always background.",
    ),
    "the class list has a class twice": (
        lambda root: (root / "classes.txt").write_text("cat\ndog\ncat\n"),
        "{root}/classes.txt names a class twice; remove one. Got: 'cat'.",
    ),
    "the class list is empty": (
        lambda root: (root / "classes.txt").write_text("\n"),
        "{root}/classes.txt gives no classes; at least one is needed.",
    ),
    "a class has no training image": (
        lambda root: change_table(root, "b.jpg,dog", "b.jpg,cat"),
        "No training image has the tag 'dog'; add one, or leave the class out with "
        "dataset.classes.",
    ),
    "there is no training image": (
        lambda root: change_table(root, ",train,", ",test,"),
        "No training image is usable; add images to the split.",
    ),
    "an image has zero bytes": (
        image(lambda data: b""),
        "{root}/images/a.jpg is empty (zero bytes); fetch it again or remove it.",
    ),
    "a JPEG is cut off": (
        image(lambda data: data[:-60]),
        "{root}/images/a.jpg does not decode (",
    ),
    "a JPEG is cut off in its header": (
        image(lambda data: data[:40]),
        "{root}/images/a.jpg is not an image that can be read (JPEG, PNG, WebP, BMP or TIFF); "
        "convert it, fetch it again, or remove it.",
    ),
    "a web page is called .jpg": (
        image(lambda data: b"<!DOCTYPE html><title>404 Not Found</title>"),
        "{root}/images/a.jpg is not an image that can be read (JPEG, PNG, WebP, BMP or TIFF); "
        "convert it, fetch it again, or remove it.",
    ),
    "a GIF is called .jpg": (
        encoded("GIF", lambda data: data),
        "{root}/images/a.jpg is not an image that can be read (JPEG, PNG, WebP, BMP or TIFF); "
        "convert it, fetch it again, or remove it.",
    ),
    "a PNG is cut off": (
        png(lambda data: data[:-25]),
        "{root}/images/a.jpg does not decode (",
    ),
    "a PNG has a flipped bit": (
        png(lambda data: data[:50] + bytes([data[50] ^ 16]) + data[51:]),
        "{root}/images/a.jpg does not decode (",
    ),
    "a PNG promises too many pixels": (
        png(bomb),
        "{root}/images/a.jpg is 100000x100000 pixels, 10000 megapixels, where at most 160 are "
        "allowed; make it smaller, cut it into tiles, or raise dataset.max_megapixels.",
    ),
    "a WebP is cut off": (
        encoded("WEBP", lambda data: data[: len(data) // 2]),
        "{root}/images/a.jpg ",
    ),
    "a BMP is cut off": (
        encoded("BMP", lambda data: data[: len(data) // 2]),
        "{root}/images/a.jpg does not decode (",
    ),
    "a TIFF is cut off": (
        encoded("TIFF", lambda data: data[: len(data) // 2]),
        "{root}/images/a.jpg ",
    ),
    "a folder is called .jpg": (
        in_turn(
            lambda root: (root / "images/a.jpg").unlink(),
            lambda root: (root / "images/a.jpg").mkdir(),
        ),
        "{root}/tags.csv line 2 names an image that is not below {root} (JPEG, PNG, WebP, BMP or "
        "TIFF); add it or remove the line. Got: 'a.jpg'.",
    ),
    "a link leads nowhere": (
        in_turn(
            lambda root: (root / "images/a.jpg").unlink(),
            lambda root: (root / "images/a.jpg").symlink_to("nowhere.jpg"),
        ),
        "{root}/images/a.jpg is a link that leads nowhere, at which DVC stops; remove it, or put "
        "back nowhere.jpg.",
    ),
    "a name has a line break": (
        in_turn(
            lambda root: write_image(root / "images" / "new\nline.jpg"),
            lambda root: change_table(root, "a.jpg,cat", '"new\nline.jpg",cat'),
        ),
        "The name of an image has characters that cannot be written in a table; rename it. Got: "
        "'{root}/images/new\\nline.jpg'.",
    ),
    "a mask is missing": (
        lambda root: (root / "masks" / "c.png").unlink(),
        "{root}/tags.csv line 4 names a mask that is not below {root}; add it or leave the cell "
        "empty. Got: 'c.png'.",
    ),
    "a mask has zero bytes": (
        lambda root: (root / "masks" / "c.png").write_bytes(b""),
        "{root}/masks/c.png is empty (zero bytes); fetch it again or remove it.",
    ),
    "a mask is no image": (
        lambda root: (root / "masks" / "c.png").write_bytes(b"mask"),
        "{root}/masks/c.png is not a mask that can be read (no known image format); write it "
        "again as palette PNG.",
    ),
    "a mask is cut off": (
        lambda root: (root / "masks" / "c.png").write_bytes(
            (root / "masks" / "c.png").read_bytes()[:-25]
        ),
        "{root}/masks/c.png is not a mask that can be read (",
    ),
    "a mask holds colours": (
        lambda root: write_image(root / "masks" / "c.png"),
        "{root}/masks/c.png holds colours, not class ids; save masks as palette or grey PNG with "
        "one id per pixel. Got: mode RGB.",
    ),
    "a mask has another size": (
        lambda root: write_mask(root / "masks/c.png", striped_mask((0, 1), width=16, height=24)),
        "{root}/masks/c.png is 16x24 pixels but its image {root}/images/c.jpg is 24x16; draw the "
        "mask at the image's size.",
    ),
    "a mask has ids out of range": (
        lambda root: write_mask(root / "masks/c.png", striped_mask((0, 1, 3, 200, 255))),
        "{root}/masks/c.png holds ids that are no class; use 0 for background, 1 to 2 for "
        "classes, 255 for void. Got: 3, 200.",
    ),
}


@pytest.mark.parametrize("case", FOLDER_CASES)
def test_broken_folders(folder: Path, case: str) -> None:
    break_it, sentence = FOLDER_CASES[case]
    break_it(folder)
    report = check_dataset(DatasetParams(kind="folder", root=str(folder)), workers=1)
    assert_found(report, sentence.replace("{root}", folder.as_posix()))


def test_the_unbroken_folder_is_sound(folder: Path) -> None:
    report = check_dataset(DatasetParams(kind="folder", root=str(folder)), workers=1)
    assert not report.problems
    assert len(report.manifest) == 4
