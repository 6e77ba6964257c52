"""Masks survive being written and read, with VOC's palette."""

import hashlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image

from weaktr.data.masks import read_mask, remap_table, write_mask
from weaktr.errors import UserError
from weaktr.labels import VOC_PALETTE, VOID

quick = settings(max_examples=60, deadline=None)
masks = hnp.arrays(np.uint8, hnp.array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=24))


@quick
@given(masks)
def test_a_mask_reads_back_as_written(
    tmp_path_factory: pytest.TempPathFactory, ids: np.ndarray
) -> None:
    path = tmp_path_factory.mktemp("masks") / "mask.png"
    write_mask(path, ids)
    first = path.read_bytes()
    np.testing.assert_array_equal(read_mask(path), ids)
    write_mask(path, np.asfortranarray(ids))
    assert path.read_bytes() == first


@quick
@given(masks, st.dictionaries(st.integers(1, 254), st.integers(1, 254)), st.sampled_from([0, VOID]))
def test_remapping_changes_listed_ids_and_the_rest(
    ids: np.ndarray, new_ids: dict[int, int], other: int
) -> None:
    expected = np.array(
        [new_ids.get(i, i if i in (0, VOID) else other) for i in range(256)], np.uint8
    )[ids]
    np.testing.assert_array_equal(remap_table(new_ids, other=other)[ids], expected)


def test_the_palette_is_that_of_voc(tmp_path: Path) -> None:
    assert VOC_PALETTE[:4].tolist() == [[0, 0, 0], [128, 0, 0], [0, 128, 0], [128, 128, 0]]
    assert VOC_PALETTE[20].tolist() == [0, 64, 128]
    assert VOC_PALETTE[VOID].tolist() == [224, 224, 192]
    assert len({tuple(colour) for colour in VOC_PALETTE.tolist()}) == 256
    write_mask(tmp_path / "mask.png", np.array([[0, 20, 255]], np.uint8))
    image = Image.open(tmp_path / "mask.png")
    assert image.mode == "P"
    assert image.getpalette() == VOC_PALETTE.ravel().tolist()


def test_equal_masks_give_equal_files(tmp_path: Path) -> None:
    ids = np.arange(64, dtype=np.uint8).reshape(8, 8)
    write_mask(tmp_path / "a.png", ids)
    write_mask(tmp_path / "b.png", ids.copy())
    digests = {hashlib.sha256(p.read_bytes()).digest() for p in tmp_path.iterdir()}
    assert len(digests) == 1


@pytest.mark.parametrize("suffix", ["png", "bmp", "tif", "webp"])
def test_grey_masks(tmp_path: Path, suffix: str) -> None:
    ids = np.array([[0, 1, 20], [255, 7, 0]], np.uint8)
    path = tmp_path / f"mask.{suffix}"
    if suffix == "webp":
        Image.fromarray(ids).save(path, lossless=True)
        with pytest.raises(UserError, match="holds colours, not class ids"):
            read_mask(path)
    else:
        Image.fromarray(ids).save(path)
        np.testing.assert_array_equal(read_mask(path), ids)


def test_black_and_white_masks_have_ids_0_and_1(tmp_path: Path) -> None:
    Image.fromarray(np.array([[True, False]])).save(tmp_path / "mask.png")
    np.testing.assert_array_equal(read_mask(tmp_path / "mask.png"), [[1, 0]])


def test_16_bit_masks(tmp_path: Path) -> None:
    Image.fromarray(np.array([[0, 3, 255]], np.uint16)).save(tmp_path / "mask.png")
    np.testing.assert_array_equal(read_mask(tmp_path / "mask.png"), [[0, 3, 255]])
    Image.fromarray(np.array([[0, 3, 256]], np.uint16)).save(tmp_path / "mask.png")
    with pytest.raises(UserError, match="ids that do not fit a byte"):
        read_mask(tmp_path / "mask.png")


def test_the_masks_own_orientation_is_applied(tmp_path: Path) -> None:
    ids = np.arange(6, dtype=np.uint8).reshape(2, 3)
    image = Image.fromarray(ids)
    exif = image.getexif()
    exif[0x0112] = 6
    image.save(tmp_path / "mask.png", exif=exif)
    np.testing.assert_array_equal(read_mask(tmp_path / "mask.png"), np.rot90(ids, -1))


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "LA"])
def test_colours_are_no_ids(tmp_path: Path, mode: str) -> None:
    Image.new(mode, (4, 4)).save(tmp_path / "mask.png")
    with pytest.raises(UserError, match="holds colours, not class ids"):
        read_mask(tmp_path / "mask.png")


@pytest.mark.parametrize("ids", [np.zeros((4, 4), np.int64), np.zeros((1, 4, 4), np.uint8)])
def test_only_uint8_maps_are_written(tmp_path: Path, ids: np.ndarray) -> None:
    with pytest.raises(ValueError, match="must be uint8"):
        write_mask(tmp_path / "mask.png", ids)
    assert not list(tmp_path.iterdir())
