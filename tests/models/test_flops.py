"""FLOPs from shapes against torch's counter, on small networks."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from tests.backbones import params
from weaktr.config.cam import CamParams
from weaktr.config.decoder import DecoderAugmentParams, DecoderParams
from weaktr.models.cam_network import CAMNetwork
from weaktr.models.flops import (
    cam_flops,
    cam_training_flops,
    segmenter_flops,
    segmenter_training_flops,
)
from weaktr.models.segmenter import Segmenter

SIZE = (96, 128)
NAMES = [
    "deit_tiny_patch16_224",
    "vit_small_patch14_reg4_dinov2",
    "eva02_tiny_patch14_224",  # queries, keys and values apart, a gated MLP
    "vit_base_patch16_siglip_224",  # no class token of its own
]


def counted(compute: Callable[[Tensor], Tensor]) -> int:
    with FlopCounterMode(display=False) as counter:
        found = compute(torch.zeros(1, 3, *SIZE))
        if found.requires_grad:
            found.sum().backward()
    return counter.get_total_flops()


@pytest.mark.parametrize("name", NAMES)
def test_cam_network(name: str) -> None:
    network = CAMNetwork.from_params(CamParams(backbone=params(name), reduction=2), 20)
    step = counted(lambda x: torch.cat(network(x)))
    assert cam_training_flops(network, SIZE) == pytest.approx(step, rel=0.03)
    network.eval().requires_grad_(False)

    def fine(x: Tensor) -> Tensor:
        maps = network.maps(x)
        return maps.propagate(maps.fused[:, :1])

    assert cam_flops(network, SIZE) == pytest.approx(counted(fine), rel=0.03)


@pytest.mark.parametrize("name", NAMES)
def test_segmenter(name: str) -> None:
    section = DecoderParams(
        backbone=params(name),
        crop_size=SIZE[0],
        region=24,
        augment=DecoderAugmentParams(short_side=SIZE[0]),
    )
    network = Segmenter.from_params(section, 20)
    side = network.patch_size
    whole = (SIZE[0] // side * side, SIZE[1] // side * side)  # the segmenter pads what is left over

    def cut(x: Tensor) -> Tensor:
        return network(x[..., : whole[0], : whole[1]])

    assert segmenter_training_flops(network, whole) == pytest.approx(counted(cut), rel=0.04)
    network.eval().requires_grad_(False)
    assert segmenter_flops(network, whole) == pytest.approx(counted(cut), rel=0.03)
