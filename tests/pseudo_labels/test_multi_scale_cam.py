"""CAMs of batches of images."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from oracles import labels as oracle
from tests.known_affinity import KnownAffinity
from weaktr import device
from weaktr.config.backbone import BackboneParams
from weaktr.config.cam import CamParams
from weaktr.config.crf import CrfParams
from weaktr.models.cam_kinds import COARSE, FINE, FUSED
from weaktr.models.cam_network import CAMMaps, CAMNetwork
from weaktr.pseudo_labels.image_label import pseudo_label
from weaktr.pseudo_labels.multi_scale_cam import multi_scale_cams, scaled_input


class StandIn(CAMNetwork):
    """Maps that depend on the input, patch by patch, and a log of the batches that it saw."""

    patch_size = 4
    mean, std = (0.5, 0.4, 0.3), (0.2, 0.3, 0.4)

    def __init__(self) -> None:
        nn.Module.__init__(self)
        torch.manual_seed(0)
        self.head = nn.Conv2d(3, 5, kernel_size=4, stride=4)
        self.seen: list[tuple[int, ...]] = []

    def maps(self, x: Tensor) -> CAMMaps:
        self.seen.append(tuple(x.shape))
        coarse = self.head(x).relu()
        cross = coarse.square() + 0.1
        tokens = coarse.flatten(2)
        affinity = KnownAffinity((tokens.mT @ tokens).softmax(-1))
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
    label = pseudo_label(
        cams.full(), cams.classes, images[0], background_score=0.4, crf=CrfParams()
    )
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


def test_cams_in_bfloat16_are_float32_close_to_the_exact_ones() -> None:
    backbone = BackboneParams(
        name="deit_tiny_patch16_224", weights="none", embed_dim=32, depth=2, num_heads=2
    )
    torch.manual_seed(0)
    network = CAMNetwork.from_params(
        CamParams(backbone=backbone, reduction=2, input_size=64), 3
    ).eval()
    image = np.random.default_rng(0).integers(0, 256, (48, 64, 3), dtype=np.uint8)
    ((exact,),), ((rough,),) = (
        multi_scale_cams(network, [image], [[0, 2]], precision=precision)
        for precision in ("float32", "bfloat16")
    )
    assert rough.grids[0].dtype == torch.float32
    assert not torch.equal(rough.grids[0], exact.grids[0])
    torch.testing.assert_close(
        rough.grids[0], exact.grids[0], rtol=0, atol=0.05 * exact.grids[0].max().item()
    )


def test_inputs_made_ahead_are_those_made_here(images: list[np.ndarray]) -> None:
    model, scales = StandIn(), (1.0, 0.5)
    present = [[1, 4], [], [0]]
    inputs = [[scaled_input(model, image, scale) for scale in scales] for image in images]
    inputs[1] = []  # never looked at
    (here,) = multi_scale_cams(model, images, present, scales=scales)
    (ahead,) = multi_scale_cams(model, images, present, scales=scales, inputs=inputs)
    for one, other in zip(here, ahead, strict=True):
        for grid, same in zip(one.grids, other.grids, strict=True):
            assert torch.equal(grid, same)


def test_large_batches_go_through_the_network_in_parts(
    images: list[np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    model = StandIn()
    (whole,) = multi_scale_cams(model, images, [[0], [1], [2]])
    monkeypatch.setitem(device.PASS_PIXELS, "cpu", 4 * 26 * 37)
    model.seen.clear()
    (parts,) = multi_scale_cams(model, images, [[0], [1], [2]])
    assert model.seen == [(4, 3, 26, 37), (2, 3, 26, 37)]
    for one, other in zip(whole, parts, strict=True):
        torch.testing.assert_close(one.grids[0], other.grids[0])
