"""Composed CAMs, and their storage."""

from pathlib import Path

import pytest
import torch

from weaktr.errors import UserError
from weaktr.pseudo_labels.background import cam_to_label
from weaktr.pseudo_labels.patch_cams import PatchCAMs


@pytest.fixture
def cams() -> PatchCAMs:
    generator = torch.Generator().manual_seed(1)
    grids = tuple(torch.rand(2, *size, generator=generator) * 0.01 for size in ((9, 12), (7, 10)))
    return PatchCAMs((3, 17), grids, 144, 192)


def test_full_is_scaled_to_one_by_class(cams: PatchCAMs) -> None:
    full = cams.full()
    assert full.shape == (2, 144, 192)
    assert full.amin((1, 2)).tolist() == [0, 0]
    torch.testing.assert_close(full.amax((1, 2)), torch.ones(2), atol=1e-5, rtol=0)


def test_constant_map_is_background(cams: PatchCAMs) -> None:
    flat = PatchCAMs((0,), (torch.full((1, 4, 4), 0.3),), 16, 16)
    assert not flat.full().any()
    assert not cam_to_label(flat.full(), (0,), 0.1).any()


def test_contrast_is_that_of_the_map_before_it_is_scaled() -> None:
    grid = torch.tensor([[[2.0, 6.0]], [[3.0, 3.0]], [[0.0, 0.0]], [[0.0, 1.0]]])
    contrast = PatchCAMs((0, 1, 2, 3), (grid, grid * 100), 8, 16).contrast()
    assert contrast.tolist() == [0.5, 0.0, 0.0, 1.0]


def test_storage_is_small_near_exact_and_deterministic(cams: PatchCAMs, tmp_path: Path) -> None:
    cams.save(tmp_path / "a.safetensors")
    cams.save(tmp_path / "b.safetensors")
    content = (tmp_path / "a.safetensors").read_bytes()
    assert content == (tmp_path / "b.safetensors").read_bytes()
    assert len(content) <= cams.full().numel() * 4 / 100

    stored = PatchCAMs.load(tmp_path / "a.safetensors")
    assert (stored.classes, stored.height, stored.width) == ((3, 17), 144, 192)
    for grid, original in zip(stored.grids, cams.grids, strict=True):
        half_a_step = (original.amax((1, 2)) - original.amin((1, 2))) / 510
        assert ((grid - original).abs().amax((1, 2)) <= half_a_step * 1.001).all()
    assert (stored.full() - cams.full()).abs().max() < 1 / 200


def test_storage_of_an_image_without_tags(tmp_path: Path) -> None:
    PatchCAMs((), (torch.zeros(0, 1, 1),), 10, 20).save(tmp_path / "x.safetensors")
    assert PatchCAMs.load(tmp_path / "x.safetensors").full().shape == (0, 10, 20)


def test_stored_extremes_and_constants_come_back_exactly(tmp_path: Path) -> None:
    grid = torch.tensor([[[1.0, 1.0]], [[-2.0, 3.0]]])
    PatchCAMs((0, 1), (grid,), 4, 8).save(tmp_path / "x.safetensors")
    torch.testing.assert_close(PatchCAMs.load(tmp_path / "x.safetensors").grids[0], grid)


@pytest.mark.parametrize("content", [None, b"", b"not cams", b"\x02\0\0\0\0\0\0\0{}"])
def test_broken_storage_is_one_sentence(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "x.safetensors"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UserError, match=r"x\.safetensors"):
        PatchCAMs.load(path)
