"""Every image format and mode becomes the same upright 8-bit RGB."""

import io
import struct
import subprocess
import sys
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageOps

from weaktr.data.images import PixelLimit, digest_bytes, inspect_image, read_image
from weaktr.data.mask_facts import inspect_mask
from weaktr.errors import UserError


@pytest.fixture
def rgb() -> np.ndarray:
    rng = np.random.default_rng(3)
    coarse = Image.fromarray(rng.integers(0, 256, (3, 4, 3), np.uint8))
    return np.asarray(coarse.resize((40, 30), Image.Resampling.BICUBIC))


def difference(path: Path, expected: np.ndarray) -> float:
    image = read_image(path)
    assert image.mode == "RGB"
    return np.abs(np.asarray(image, np.int16) - expected).mean()


@pytest.mark.parametrize(
    ("suffix", "options", "tolerance"),
    [
        ("jpg", {"quality": 95, "subsampling": 0}, 2),
        ("JPEG", {"quality": 95, "progressive": True}, 4),
        ("png", {}, 0),
        ("webp", {"lossless": True}, 0),
        ("webp", {"quality": 95}, 4),
        ("bmp", {}, 0),
        ("tif", {}, 0),
        ("tiff", {"compression": "tiff_lzw"}, 0),
    ],
)
def test_formats(
    tmp_path: Path, rgb: np.ndarray, suffix: str, options: dict[str, Any], tolerance: float
) -> None:
    path = tmp_path / f"image.{suffix}"
    Image.fromarray(rgb).save(path, **options)
    assert difference(path, rgb) <= tolerance
    facts = inspect_image(path)
    assert (facts.width, facts.height, facts.orientation) == (40, 30, 1)
    assert facts.digest == digest_bytes(path.read_bytes())


def test_the_content_counts_and_not_the_name(tmp_path: Path, rgb: np.ndarray) -> None:
    path = tmp_path / "really a png.jpg"
    Image.fromarray(rgb).save(path, format="PNG")
    assert difference(path, rgb) == 0


@pytest.mark.parametrize(
    ("mode", "suffix"),
    [("L", "png"), ("1", "png"), ("LA", "png"), ("L", "tif"), ("1", "tif")],
)
def test_grey(tmp_path: Path, rgb: np.ndarray, mode: str, suffix: str) -> None:
    image = Image.fromarray(rgb).convert("L").convert(mode)
    path = tmp_path / f"grey.{suffix}"
    image.save(path)
    expected = np.repeat(np.asarray(image.convert("L"))[..., None], 3, axis=2)
    assert difference(path, expected) == 0


def test_cmyk(tmp_path: Path, rgb: np.ndarray) -> None:
    path = tmp_path / "print.jpg"
    Image.fromarray(rgb).convert("CMYK").save(path, quality=95)
    assert Image.open(path).mode == "CMYK"
    assert difference(path, rgb) < 5


@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_16_bit_grey_is_scaled_by_a_fixed_factor(tmp_path: Path, suffix: str) -> None:
    values = np.array([[0, 257, 128 * 257, 255 * 257]], np.uint16)
    path = tmp_path / f"deep.{suffix}"
    Image.fromarray(values).save(path)
    np.testing.assert_array_equal(np.asarray(read_image(path))[0, :, 0], [0, 1, 128, 255])


def test_16_bit_colour(tmp_path: Path) -> None:
    """Pillow writes no 16-bit RGB, so that the file is put together here."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    pixels = np.array([[[0, 128, 255], [255, 1, 7]]], np.uint16) * 257
    rows = b"\0" + pixels.astype(">u2").tobytes()
    path = tmp_path / "deep.png"
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", struct.pack(">IIBBBBB", 2, 1, 16, 2, 0, 0, 0))
        + chunk(b"IDAT", zlib.compress(rows))
        + chunk(b"IEND", b"")
    )
    np.testing.assert_array_equal(np.asarray(read_image(path)), pixels // 257)


def test_floats_between_0_and_1(tmp_path: Path) -> None:
    path = tmp_path / "float.tif"
    Image.fromarray(np.array([[0.0, 0.5, 1.0]], np.float32)).save(path)
    np.testing.assert_array_equal(np.asarray(read_image(path))[0, :, 1], [0, 128, 255])


@pytest.mark.parametrize("values", [[[0.0, 300.0]], [[-0.5, 0.5]], [[np.nan, 0.5]]])
def test_floats_of_another_scale_are_refused(tmp_path: Path, values: list[list[float]]) -> None:
    path = tmp_path / "float.tif"
    Image.fromarray(np.array(values, np.float32)).save(path)
    with pytest.raises(UserError, match="grey values outside 0 to 1; convert it to 8 bits"):
        read_image(path)
    with pytest.raises(UserError, match="grey values outside 0 to 1; convert it to 8 bits"):
        inspect_image(path)


def test_palette(tmp_path: Path, rgb: np.ndarray) -> None:
    palette = Image.fromarray(rgb).quantize(16)
    path = tmp_path / "palette.png"
    palette.save(path)
    assert difference(path, np.asarray(palette.convert("RGB"))) == 0


def test_transparent_pixels_are_white(tmp_path: Path, rgb: np.ndarray) -> None:
    rgba = np.dstack([rgb, np.full(rgb.shape[:2], 255, np.uint8)])
    rgba[:, :20, 3] = 0
    expected = rgb.copy()
    expected[:, :20] = 255
    for suffix in ("png", "webp", "tif"):
        path = tmp_path / f"cut out.{suffix}"
        options: dict[str, Any] = {"lossless": True} if suffix == "webp" else {}
        Image.fromarray(rgba).save(path, **options)
        assert difference(path, expected) == 0


def test_a_transparent_palette_colour_is_white(tmp_path: Path) -> None:
    indices = Image.fromarray(np.array([[0, 1]], np.uint8)).convert("L")
    indices.putpalette([10, 20, 30, 40, 50, 60])
    path = tmp_path / "palette.png"
    indices.save(path, transparency=0)
    np.testing.assert_array_equal(np.asarray(read_image(path)), [[[255] * 3, [40, 50, 60]]])


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "tif"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation(tmp_path: Path, rgb: np.ndarray, suffix: str, orientation: int) -> None:
    image = Image.fromarray(rgb)
    exif = image.getexif()
    exif[0x0112] = orientation
    path = tmp_path / f"phone.{suffix}"
    image.save(path, exif=exif)
    expected = ImageOps.exif_transpose(Image.open(path)).convert("RGB")
    shown = read_image(path)
    np.testing.assert_array_equal(np.asarray(shown), np.asarray(expected))
    facts = inspect_image(path)
    assert (facts.width, facts.height) == shown.size
    assert facts.orientation == orientation


def test_damaged_exif_does_not_spoil_the_image(tmp_path: Path, rgb: np.ndarray) -> None:
    path = tmp_path / "exif.jpg"
    Image.fromarray(rgb).save(path, exif=b"Exif\0\0MM\0\x2a\0\0\0\x08\xff\xff garbage")
    assert read_image(path).size == (40, 30)
    assert inspect_image(path).orientation == 1


def test_phone_pictures_with_a_second_picture_inside(tmp_path: Path, rgb: np.ndarray) -> None:
    path = tmp_path / "two.jpg"
    first, second = Image.fromarray(rgb), Image.fromarray(rgb[::-1])
    first.save(path, format="MPO", save_all=True, append_images=[second], quality=95)
    assert difference(path, rgb) < 4
    assert inspect_image(path).width == 40


@pytest.mark.parametrize(
    "name", ["grün und schön.png", "猫 の 写真.png", "emoji 🐈.png", "a.b.c.png"]
)
def test_names(tmp_path: Path, rgb: np.ndarray, name: str) -> None:
    Image.fromarray(rgb).save(tmp_path / name)
    assert difference(tmp_path / name, rgb) == 0


@pytest.mark.parametrize("size", [(8, 8), (1, 1), (3000, 2), (2, 3000)])
def test_small_and_narrow_images(tmp_path: Path, size: tuple[int, int]) -> None:
    path = tmp_path / "odd.jpg"
    Image.new("RGB", size, "red").save(path)
    assert read_image(path).size == size
    facts = inspect_image(path)
    assert (facts.width, facts.height) == size


def test_40_megapixels(tmp_path: Path) -> None:
    path = tmp_path / "large.jpg"
    Image.new("L", (8000, 5000), 99).save(path)
    facts = inspect_image(path)
    assert (facts.width, facts.height) == (8000, 5000)
    assert read_image(path).getpixel((7999, 4999)) == (99, 99, 99)


def test_large_images_that_go_give_no_warning(tmp_path: Path) -> None:
    Image.new("RGB", (12, 10)).save(tmp_path / "x.png")
    code = (
        "import sys, PIL.Image; from weaktr.data.images import read_image\n"
        "PIL.Image.MAX_IMAGE_PIXELS = 100; read_image(sys.argv[1])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, tmp_path / "x.png"], capture_output=True, text=True, check=True
    )
    assert done.stderr == ""


def test_more_pixels_than_memory_should_take_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "bomb.png"
    stream = io.BytesIO()
    Image.new("1", (8, 8)).save(stream, "PNG")
    data = bytearray(stream.getvalue())
    data[16:24] = struct.pack(">II", 100_000, 100_000)
    data[29:33] = struct.pack(">I", zlib.crc32(data[12:29]))
    path.write_bytes(data)
    sentence = "bomb.png is 100000x100000 pixels, 10000 megapixels, where at most 160 are allowed"
    before = Image.MAX_IMAGE_PIXELS
    for function in (read_image, inspect_image, inspect_mask):
        with pytest.raises(UserError, match=sentence):
            function(path, PixelLimit())
    assert before == Image.MAX_IMAGE_PIXELS, "Pillow's own limit is as it was"


def test_a_limit_may_be_above_that_of_pillow(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Image.new("RGB", (30, 20)).save(tmp_path / "x.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    assert read_image(tmp_path / "x.png", PixelLimit(0.0006)).size == (30, 20)
    with pytest.raises(UserError, match="30x20 pixels"):
        read_image(tmp_path / "x.png", PixelLimit(0.00059))
