"""Masks whose ids do not mean what they seem to: each is read right, or refused."""

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.data.checks.sound_folder import params
from tests.tiny_data import HEIGHT, WIDTH, box, striped_mask, write_coco, write_folder
from weaktr.config.dataset import DatasetParams
from weaktr.data.checks.check import Report, check_dataset
from weaktr.data.masks import read_mask, write_mask
from weaktr.errors import UserError
from weaktr.labels import VOC_PALETTE

TWO = {"a": "cat", "b": "dog", "c": "cat", "d": "dog"}


def folder(root: Path, tags: dict[str, str], masks: dict[str, Image.Image]) -> Path:
    """A folder data set of these tags and masks, half of it for validation."""
    splits = ("train", "train", "val", "val")
    write_folder(
        root,
        {f"{n}.jpg": f"{t},{s}" for (n, t), s in zip(tags.items(), splits, strict=True)},
        "image,tags,split",
    )
    (root / "masks").mkdir()
    for name, mask in masks.items():
        mask.save(root / "masks" / f"{name}.png")
    return root


def grey(*ids: int) -> Image.Image:
    return Image.fromarray(striped_mask(ids))


def palette(ids: tuple[int, ...], colours: Any) -> Image.Image:
    image = grey(*ids)
    image = Image.fromarray(np.asarray(image)).convert("L")
    image.putpalette(np.asarray(colours, np.uint8).tobytes())
    return image


def problem(report: Report, kind: str) -> str:
    (message,) = [p.message for p in report.problems if p.kind == kind]
    return message


def read(report: Report, id_: str, folder_: Path) -> np.ndarray:
    assert not report.errors, report.errors
    return read_mask(report.write_masks(folder_)[id_].mask)


def test_jpeg_masks_are_refused(tmp_path: Path) -> None:
    for name, options in (("m.jpg", {}), ("m.png", {"format": "JPEG"})):
        grey(0, 1, 2).save(tmp_path / name, **options)
        with pytest.raises(
            UserError, match="is stored as JPEG, which changes ids along every edge"
        ):
            read_mask(tmp_path / name)
    grey(0, 1, 2).save(tmp_path / "m.tif", compression="jpeg")
    with pytest.raises(UserError, match="is stored as JPEG"):
        read_mask(tmp_path / "m.tif")


@pytest.mark.parametrize("bits", [2, 4])
def test_grey_of_few_bits_holds_ids_as_they_stand(tmp_path: Path, bits: int) -> None:
    ids = striped_mask((0, 1, 3, 2))
    stream = io.BytesIO()
    Image.fromarray(ids).convert("P").save(stream, "PNG", bits=bits)
    data = bytearray(stream.getvalue())
    # Palette PNG of few bits, made grey: the colour type changes and the palette goes.
    import zlib

    data[25] = 0
    data[29:33] = zlib.crc32(data[12:29]).to_bytes(4, "big")
    start = data.index(b"PLTE") - 4
    del data[start : start + 12 + int.from_bytes(data[start : start + 4], "big")]
    (tmp_path / "m.png").write_bytes(data)
    assert Image.open(tmp_path / "m.png").mode == "L"
    np.testing.assert_array_equal(read_mask(tmp_path / "m.png"), ids)


@pytest.mark.parametrize("bits", [1, 8])
def test_black_and_white_masks_of_one_class_are_read_alike(tmp_path: Path, bits: int) -> None:
    white = grey(0, 255)
    mask = white.convert("1") if bits == 1 else white
    root = folder(tmp_path / "in", dict.fromkeys("abcd", "cat"), {"c": mask, "d": mask})
    report = check_dataset(params(root))
    assert report.manifest.classes == ("cat",)
    np.testing.assert_array_equal(read(report, "c", tmp_path / "out"), striped_mask((0, 1)))
    if bits == 8:
        assert problem(report, "white-masks").startswith(
            "2 masks hold 0 and 255 and none holds 1: 255 is taken for the class 'cat'"
        )


def test_both_sorts_of_black_and_white_masks_together(tmp_path: Path) -> None:
    masks = {"c": grey(0, 255), "d": grey(0, 255).convert("1")}
    root = folder(tmp_path / "in", dict.fromkeys("abcd", "cat"), masks)
    report = check_dataset(params(root))
    for id_ in "cd":
        np.testing.assert_array_equal(read(report, id_, tmp_path / id_), striped_mask((0, 1)))


@pytest.mark.parametrize("void", [grey(0, 255), palette((0, 255), VOC_PALETTE)])
def test_void_stays_void_where_a_mask_shows_the_class(tmp_path: Path, void: Image.Image) -> None:
    tags = {"a": "cat", "b": "cat", "c": "cat", "d": ""}
    root = folder(tmp_path / "in", tags, {"c": grey(0, 1, 255), "d": void})
    report = check_dataset(params(root))
    np.testing.assert_array_equal(read(report, "c", tmp_path / "out"), striped_mask((0, 1, 255)))
    np.testing.assert_array_equal(read(report, "d", tmp_path / "out"), striped_mask((0, 255)))
    assert "white-masks" not in [p.kind for p in report.problems]


def test_tags_off_black_and_white_masks(tmp_path: Path) -> None:
    write_folder(tmp_path, {"a.jpg": "a.png", "b.jpg": "b.png"}, header="image,mask")
    (tmp_path / "classes.txt").write_text("cat\n")
    (tmp_path / "masks").mkdir()
    grey(0, 255).save(tmp_path / "masks" / "a.png")
    grey(0).save(tmp_path / "masks" / "b.png")
    report = check_dataset(params(tmp_path, val_share=0))
    assert [record.tags for record in report.manifest] == [("cat",), ()]
    assert not report.errors


@pytest.mark.parametrize("shown", [grey(0, 255), grey(0, 255).convert("1")])
def test_black_and_white_masks_of_several_classes_are_refused(
    tmp_path: Path, shown: Image.Image
) -> None:
    tags = {"a": "cat", "b": "dog", "c": "dog", "d": "dog"}
    root = folder(tmp_path, tags, {"c": shown, "d": shown})
    assert "mask-and-tags" in {error.kind for error in check_dataset(params(root)).errors}


def test_palettes_whose_colours_stand_for_other_ids_are_refused(tmp_path: Path) -> None:
    swapped = VOC_PALETTE.copy()
    swapped[[1, 2]] = swapped[[2, 1]]
    masks = {"c": palette((0, 2), swapped), "d": palette((0, 1), swapped)}
    root = folder(tmp_path, TWO, masks)
    (error,) = [e for e in check_dataset(params(root)).errors if e.kind == "palette-ids"]
    assert error.message == (
        f"{root}/masks/c.png gives id 2 the colour (128, 0, 0), which stands for id 1: its ids "
        "were renumbered when it was saved; save the original with the order of its palette kept, "
        "or as grey (1 more masks are alike)."
    )


def test_greys_of_a_palette_that_stand_for_other_ids_are_refused(tmp_path: Path) -> None:
    greys = np.repeat(np.arange(256, dtype=np.uint8)[:, None], 3, 1)
    greys[[1, 2]] = greys[[2, 1]]
    root = folder(tmp_path, TWO, {"c": palette((0, 1), greys), "d": grey(0, 2)})
    (error,) = check_dataset(params(root)).errors
    assert "gives id 1 the colour (2, 2, 2), which stands for id 2" in error.message


def test_palettes_that_contradict_each_other_are_refused(tmp_path: Path) -> None:
    colours = np.zeros((256, 3), np.uint8)
    colours[1], colours[2] = (250, 10, 10), (10, 10, 250)
    other = colours.copy()
    other[[1, 2]] = other[[2, 1]]
    root = folder(tmp_path, TWO, {"c": palette((0, 1), colours), "d": palette((0, 2), other)})
    (error,) = check_dataset(params(root)).errors
    assert "gives id 2 the colour (250, 10, 10) that id 1 has in c.png" in error.message


def test_palettes_of_ones_own_are_fine(tmp_path: Path) -> None:
    colours = np.random.default_rng(0).integers(1, 255, (256, 3), np.uint8)
    masks = {"c": palette((0, 1, 255), colours), "d": palette((0, 2), colours)}
    report = check_dataset(params(folder(tmp_path / "in", TWO, masks)))
    np.testing.assert_array_equal(read(report, "c", tmp_path), striped_mask((0, 1, 255)))
    assert not report.problems


def test_masks_that_mostly_disagree_with_tags_are_an_error_with_the_table(tmp_path: Path) -> None:
    tags = {"a": "cat", "b": "dog", "c": "cat", "d": "dog"}
    root = folder(tmp_path, tags, {"a": grey(0, 2), "c": grey(0, 2), "d": grey(0, 1)})
    (error,) = check_dataset(params(root)).errors
    assert error.message == (
        f"Most masks show other classes than the tags (3 of 3, such as {root}/images/a.jpg). Ids "
        "in the masks by tag: tag 'cat' (id 1): id 2 in 2 of 2; tag 'dog' (id 2): id 1 in 1 of 1. "
        "Put the class list in the order of the ids, or mend the masks."
    )


def test_some_masks_that_disagree_are_a_warning(tmp_path: Path) -> None:
    masks = {"a": grey(0, 1), "b": grey(0, 2), "c": grey(0, 2)}
    report = check_dataset(params(folder(tmp_path, TWO, masks)))
    assert not report.errors
    assert "1 image (" in problem(report, "mask-and-tags")


def test_painted_masks_are_compared_with_tags_too(tmp_path: Path) -> None:
    """Polygons of a speck of a pixel paint nothing."""
    small = {"segmentation": box(5.1, 5.1, 5.3, 5.3), "area": 1}
    root = write_coco(
        tmp_path / "coco",
        {
            "train2014": {str(n): [{"category_id": n, **small}] for n in (7, 9, 40)},
            "val2014": {"4": [{"category_id": 7, **small}]},
        },
    )
    (error,) = check_dataset(DatasetParams(kind="coco", root=str(root))).errors
    assert error.message.startswith("Most masks show other classes than the tags (4 of 4, such as ")
    assert "tag 'cat' (id 1): no class of 2" in error.message


def test_crowds_that_became_void_do_not_disagree(tmp_path: Path) -> None:
    shape = {"segmentation": box(0, 0, 9, 9), "area": 81}
    crowd = {"segmentation": {"size": [HEIGHT, WIDTH], "counts": [100, 200, 84]}, "iscrowd": 1}
    both = [{"category_id": 7, **shape}, {"category_id": 9, **crowd}]
    root = write_coco(tmp_path / "coco", {"train2014": {"1": both}, "val2014": {"2": both}})
    report = check_dataset(DatasetParams(kind="coco", root=str(root), classes=("cat", "dog")))
    assert "mask-and-tags" not in [p.kind for p in report.problems]
    assert json.loads(json.dumps(report.summary()))["splits"]["val"]["masks"] == 1


@pytest.mark.parametrize("mode", ["grey", "colour"])
@pytest.mark.parametrize(("bits", "kind"), [(12, "dark-images"), (16, None)])
def test_images_that_use_few_of_their_16_bits(
    tmp_path: Path, mode: str, bits: int, kind: str | None
) -> None:
    write_folder(tmp_path, dict.fromkeys(("a.png", "b.png"), "cat"))
    for name in "ab":
        values = np.arange(HEIGHT * WIDTH, dtype=np.uint16).reshape(HEIGHT, WIDTH) % 255
        values = (values.astype(np.uint32) * (2**bits - 1) // 254).astype(np.uint16)
        path = tmp_path / "images" / f"{name}.png"
        if mode == "grey":
            Image.fromarray(values).save(path)
        else:
            path.write_bytes(png_16(np.repeat(values[..., None], 3, 2)))
    report = check_dataset(params(tmp_path, val_share=0))
    if kind is None:
        assert not report.errors
    else:
        (error,) = report.errors
        assert f"2 images ({tmp_path}/images/a.png, " in error.message
        assert f"as of cameras with {bits} bits: of 65535, that is nearly black" in error.message


def png_16(values: np.ndarray) -> bytes:
    """A colour PNG with 16 bits a value, which Pillow does not write."""
    import struct
    import zlib

    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    height, width, _ = values.shape
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    header = struct.pack(">IIBBBBB", width, height, 16, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(rows))
        + chunk(b"IEND", b"")
    )


def test_masks_of_one_class_stay_as_they_are_without_255(tmp_path: Path) -> None:
    root = folder(tmp_path, dict.fromkeys("abcd", "cat"), {})
    write_mask(root / "masks" / "c.png", striped_mask((0, 1)))
    report = check_dataset(params(root))
    assert report.write_masks(tmp_path / "out")["c"].mask == f"{root}/masks/c.png"
