"""Paths, pictures and arrays: what is an image, and what is refused."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import weaktr
from tests.api.scene import SCENE
from weaktr.data.any_image import rgb_pixels
from weaktr.data.images import read_image


def test_path_picture_and_array_give_equal_results(segmenter: weaktr.SegmenterModel) -> None:
    picture = Image.open("photo.jpg")
    results = [
        segmenter.segment(image)
        for image in ("photo.jpg", Path("photo.jpg"), picture, np.asarray(picture))
    ]
    for other in results[1:]:
        np.testing.assert_array_equal(other.labels, results[0].labels)
        np.testing.assert_array_equal(other.confidence, results[0].confidence)


GREY = SCENE[..., 0]
ALPHA = np.where(GREY > 99, 255, 0).astype(np.uint8)[..., None]
ON_WHITE = np.where(ALPHA > 0, SCENE, 255)
IN_GREY = np.repeat(GREY[..., None], 3, axis=2)
BLACK_AND_WHITE = np.repeat((GREY[..., None] > 99) * np.uint8(255), 3, axis=2)

ARRAYS: dict[str, tuple[np.ndarray, np.ndarray]] = {
    "uint8": (SCENE, SCENE),
    "mirrored view": (SCENE[:, ::-1], SCENE[:, ::-1].copy()),
    "float32": (SCENE.astype(np.float32) / 255, SCENE),
    "float64": (SCENE / 255, SCENE),
    "float16, zeros and ones": (BLACK_AND_WHITE.astype(np.float16) / 255, BLACK_AND_WHITE),
    "uint16": (SCENE.astype(np.uint16) * 257, SCENE),
    "uint16 of the other byte order": (SCENE.astype(">u2") * np.uint16(257), SCENE),
    "grey": (GREY, IN_GREY),
    "grey with an axis": (GREY[..., None], IN_GREY),
    "grey uint16": (GREY.astype(np.uint16) * 257, IN_GREY),
    "grey float": (GREY / 255, IN_GREY),
    "bool": (GREY > 99, BLACK_AND_WHITE),
    "RGBA": (np.concatenate((SCENE, ALPHA), axis=2), ON_WHITE),
    "RGBA float": (np.concatenate((SCENE, ALPHA), axis=2) / 255, ON_WHITE),
}


@pytest.mark.parametrize("name", ARRAYS)
def test_arrays_that_can_mean_one_thing_only(name: str) -> None:
    given, expected = ARRAYS[name]
    before = given.copy()
    pixels = rgb_pixels(given)
    assert pixels.dtype == np.uint8
    np.testing.assert_array_equal(pixels, expected)
    pixels[:] = 0
    np.testing.assert_array_equal(given, before)


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        (SCENE.transpose(2, 0, 1), r"one image with channels last.* Got: \[3, 48, 48\]"),
        (SCENE[None], r"Got: \[1, 48, 48, 3\]"),
        (SCENE[..., :2], r"Got: \[48, 48, 2\]"),
        (SCENE[:0], r"Got: \[0, 48, 3\]"),
        (np.ones((), np.uint8), r"Got: \[\]"),
        (SCENE.astype(np.int64), "must hold uint8, uint16.*Got: int64"),
        (SCENE.astype(np.float32), "values outside 0 to 1; .*Got: 0 to 2"),
        (np.full((4, 4), np.nan), "values outside 0 to 1"),
        (GREY / 255 - 0.5, "values outside 0 to 1"),
        (SCENE.astype(object), "Got: object"),
        (Image.new("RGB", (0, 4)), "the image has no pixels"),
        (torch.zeros(3, 4, 4), "a path, a PIL image or a NumPy array. Got: Tensor"),
        (None, "Got: NoneType"),
        ("nothing.jpg", "nothing.jpg does not exist"),
    ],
)
def test_what_is_no_image_is_refused(given: Any, sentence: str) -> None:
    with pytest.raises(weaktr.UserError, match=sentence) as error:
        rgb_pixels(given)
    assert "\n" not in str(error.value)


RGB = Image.fromarray(SCENE)
PICTURES: dict[str, Callable[[], Image.Image]] = {
    "RGB": lambda: RGB,
    "L": lambda: RGB.convert("L"),
    "LA": lambda: RGB.convert("LA"),
    "1": lambda: RGB.convert("1"),
    "P": lambda: RGB.quantize(16),
    "RGBA": lambda: Image.fromarray(ARRAYS["RGBA"][0]),
    "CMYK": lambda: RGB.convert("CMYK"),
    "I;16": lambda: Image.fromarray(ARRAYS["grey uint16"][0]),
    "F": lambda: Image.fromarray((GREY / 255).astype(np.float32)),
}


@pytest.mark.parametrize("mode", PICTURES)
def test_a_picture_is_read_as_its_file_is(mode: str) -> None:
    picture = PICTURES[mode]()
    assert picture.mode == mode
    picture.save("picture.tif")
    np.testing.assert_array_equal(rgb_pixels(picture), np.asarray(read_image("picture.tif")))
    assert picture.mode == mode


@pytest.mark.parametrize("suffix", ["jpg", "png", "tif"])
def test_a_picture_from_a_phone_is_turned_upright(suffix: str) -> None:
    picture = Image.fromarray(SCENE[:30])
    exif = picture.getexif()
    exif[0x0112] = 6
    picture.save(f"phone.{suffix}", exif=exif)
    pixels = rgb_pixels(Image.open(f"phone.{suffix}"))
    assert pixels.shape == (48, 30, 3)
    np.testing.assert_array_equal(pixels, rgb_pixels(f"phone.{suffix}"))


def test_a_picture_that_does_not_decode_is_one_sentence() -> None:
    Path("half.png").write_bytes(Path("photo.png").read_bytes()[:900])
    with pytest.raises(weaktr.UserError, match=r"the image does not decode \(.*\)"):
        rgb_pixels(Image.open("half.png"))
