"""CAMs of batches, their storage, and label maps."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from oracles import labels as oracle
from weaktr.config.crf import CrfParams
from weaktr.errors import UserError
from weaktr.models.cam_kinds import COARSE, FINE, FUSED
from weaktr.models.cam_network import CAMMaps
from weaktr.pseudo_labels.background import cam_to_label, foreground_limit
from weaktr.pseudo_labels.background_sweep import BackgroundSweep
from weaktr.pseudo_labels.export import pseudo_label
from weaktr.pseudo_labels.multi_scale_cam import multi_scale_cams
from weaktr.pseudo_labels.patch_cams import PatchCAMs

NO_CRF = CrfParams(backend="none")


class StandIn(nn.Module):
    """Maps that depend on the input, patch by patch, and a log of the batches that it saw."""

    patch_size = 4
    mean, std = (0.5, 0.4, 0.3), (0.2, 0.3, 0.4)

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.head = nn.Conv2d(3, 5, kernel_size=4, stride=4)
        self.seen: list[tuple[int, ...]] = []

    def maps(self, x: Tensor) -> CAMMaps:
        self.seen.append(tuple(x.shape))
        coarse = self.head(x).relu()
        cross = coarse.square() + 0.1
        tokens = coarse.flatten(2)
        affinity = (tokens.mT @ tokens).softmax(-1)
        weights = x.new_zeros(len(x), 1)
        return CAMMaps(coarse, cross, affinity, weights, coarse.mean(dim=(2, 3)))


@pytest.fixture
def images() -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    return [rng.integers(0, 256, (26, 37, 3), dtype=np.uint8) for _ in range(3)]


def test_batch_equals_one_input_at_a_time(images: list[np.ndarray]) -> None:
    model = StandIn()
    present = [[1, 4], [], [0]]
    scales = (1.0, 0.5, 1.2)
    per_kind = multi_scale_cams(model, images, present, scales=scales, kinds=(FINE, COARSE))
    assert model.seen == [(4, 3, 26, 37), (4, 3, 13, 18), (4, 3, 31, 44)]
    for kind, per_image in zip((FINE, COARSE), per_kind, strict=True):
        for image, classes, cams in zip(images, present, per_image, strict=True):
            assert cams.classes == tuple(classes)
            assert cams.full().shape == (len(classes), 26, 37)
            if classes:
                expected = one_at_a_time(model, image, classes, scales, kind is FINE)
                torch.testing.assert_close(cams.full(), expected, atol=2e-5, rtol=0)


def one_at_a_time(
    model: StandIn, image: np.ndarray, classes: list[int], scales: tuple[float, ...], fine: bool
) -> Tensor:
    from weaktr.pseudo_labels.multi_scale_cam import scaled_input

    lowres, flips = [], []
    for scale in scales:
        for flip in (False, True):
            x = scaled_input(model, image, scale)
            maps = model.maps((x.flip(-1) if flip else x)[None])
            cam = maps.fused if fine else maps.coarse
            if fine:
                cam = (maps.affinity @ cam.flatten(2).mT).mT.view_as(cam)
            lowres.append(cam[0, classes].detach())
            flips.append(flip)
    return oracle.multi_scale_cams(lowres, flips, image.shape[:2])


def test_without_flip_one_input_a_scale(images: list[np.ndarray]) -> None:
    model = StandIn()
    multi_scale_cams(model, images, [[0]] * 3, scales=(1.0, 2.0), flip=False)
    assert model.seen == [(3, 3, 26, 37), (3, 3, 52, 74)]


def test_images_without_tags_never_reach_the_network(images: list[np.ndarray]) -> None:
    model = StandIn()
    ((cams, *_),) = multi_scale_cams(model, images, [[]] * 3, scales=(1.0, 1.2))
    assert model.seen == []
    assert cams.full().shape == (0, 26, 37)
    label = pseudo_label(cams, images[0], background_score=0.4, crf=CrfParams())
    assert label.shape == (26, 37)
    assert not label.any()


def test_images_smaller_than_a_patch_pass() -> None:
    image = np.zeros((2, 30, 3), dtype=np.uint8)
    ((cams,),) = multi_scale_cams(StandIn(), [image], [[2]], scales=(1.0, 0.5), kinds=[FUSED])
    assert cams.full().shape == (1, 2, 30)
    assert cams.full().isfinite().all()


def test_images_of_two_shapes_are_refused(images: list[np.ndarray]) -> None:
    with pytest.raises(ValueError, match="one shape"):
        multi_scale_cams(StandIn(), [images[0], images[1][:20]], [[0], [0]])


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


def random_image(seed: int, count: int) -> tuple[Tensor, list[int], Tensor]:
    """CAMs on a coarse grid of values, so that exact ties are common, and a mask with void."""
    generator = torch.Generator().manual_seed(seed)
    cams = torch.randint(0, 101, (count, 60, 70), generator=generator) / 100
    classes = torch.randperm(6, generator=generator)[:count].tolist()
    truth = torch.randint(0, 8, (60, 70), generator=generator).to(torch.uint8)
    return cams, classes, torch.where(truth == 7, torch.tensor(255, dtype=torch.uint8), truth)


@pytest.mark.parametrize("count", [1, 2, 4])
def test_cam_to_label_equals_softmax_and_argmax(count: int) -> None:
    cams, classes, _ = random_image(count, count)
    for score in (0.2, 0.43, 0.5, 0.99):
        label = cam_to_label(cams, classes, score)
        assert torch.equal(label.long(), oracle.cam_to_label(cams, classes, score))


def test_pseudo_label_keeps_class_ids() -> None:
    grid = torch.zeros(2, 4, 4)
    grid[0, :, 0], grid[1, :, 3] = 1, 1
    cams = PatchCAMs((4, 9), (grid,), 16, 16)
    image = np.zeros((16, 16, 3), dtype=np.uint8)
    image[:, :6], image[:, 10:] = 255, 128
    plain = pseudo_label(cams, image, background_score=0.5, crf=NO_CRF)
    assert set(np.unique(plain)) == {0, 5, 10}
    sharp = pseudo_label(cams, image, background_score=0.5, crf=CrfParams())
    assert (sharp[:, 0] == 5).all()
    assert (sharp[:, -1] == 10).all()
    assert set(np.unique(sharp)) <= {0, 5, 10}


@pytest.mark.parametrize(
    "thresholds",
    [
        [i / 100 for i in range(20, 80)],
        [0.5],
        [1e-6, 0.9999],
        [0.011, 0.02, 0.30001, 0.3002, 0.97],
    ],
)
def test_sweep_equals_one_label_map_a_threshold(thresholds: list[float]) -> None:
    images = [random_image(seed, count) for seed, count in enumerate((1, 3, 0, 2, 6))]
    sweep = BackgroundSweep(6, thresholds)
    for image in images:
        sweep.update(*image)
    expected = oracle.sweep(images, 6, thresholds)
    np.testing.assert_array_equal(sweep.confusion(), expected)
    miou = [oracle.miou(matrix) for matrix in expected]
    np.testing.assert_allclose(sweep.miou(), miou)
    best = sweep.best()
    assert best.background_score == thresholds[int(np.argmax(miou))]
    assert best.miou == pytest.approx(max(miou))


def test_sweep_is_exact_on_continuous_scores() -> None:
    generator = torch.Generator().manual_seed(3)
    cams = torch.rand(3, 300, 300, generator=generator)
    truth = torch.randint(0, 4, (300, 300), generator=generator).to(torch.uint8)
    sweep = BackgroundSweep(3)
    sweep.update(cams, (0, 1, 2), truth)
    for i in range(0, 60, 7):
        label = cam_to_label(cams, (0, 1, 2), sweep.thresholds[i])
        expected = oracle.confusion(label.numpy(), truth.numpy(), 4)
        np.testing.assert_array_equal(sweep.confusion()[i], expected)


@pytest.mark.parametrize("threshold", [0.2, 0.43, 0.79])
def test_sweep_and_label_agree_at_the_limit(threshold: float) -> None:
    limit = torch.tensor(foreground_limit(threshold))
    just_above = torch.nextafter(limit, torch.tensor(1.0))
    cams = torch.stack([limit, just_above]).view(1, 1, 2)
    assert cam_to_label(cams, (0,), threshold).tolist() == [[0, 1]]
    sweep = BackgroundSweep(1, [threshold])
    sweep.update(cams, (0,), torch.ones(1, 2, dtype=torch.uint8))
    assert sweep.confusion()[0].tolist() == [[0, 0], [1, 1]]


def test_a_sweep_without_images_has_no_miou() -> None:
    assert np.isnan(BackgroundSweep(3).miou()).all()


@pytest.mark.parametrize("thresholds", [[], [0.5, 0.4], [0.5, 0.5], [0.0, 0.5], [0.5, 1.0]])
def test_sweep_refuses_unordered_thresholds(thresholds: list[float]) -> None:
    with pytest.raises(ValueError, match="must ascend"):
        BackgroundSweep(3, thresholds)


def test_sweep_refuses_masks_that_do_not_fit() -> None:
    sweep = BackgroundSweep(3)
    with pytest.raises(UserError, match="label 4"):
        sweep.update(torch.rand(1, 2, 2), (0,), torch.tensor([[0, 4], [1, 255]], dtype=torch.uint8))
    with pytest.raises(ValueError, match="do not fit"):
        sweep.update(torch.rand(1, 2, 2), (0,), torch.zeros(3, 3, dtype=torch.uint8))
