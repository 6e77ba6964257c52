"""Every supported backbone, on random weights."""

from functools import cache
from typing import Any

import torch
from torch import Tensor

from weaktr.config.backbone import BackboneParams
from weaktr.config.cam import CamParams
from weaktr.models.backbone import Backbone
from weaktr.models.cam_network import CAMNetwork

BACKBONES = [
    "deit_tiny_patch16_224",
    "deit_small_patch16_224",
    "deit_base_patch16_224",
    "vit_small_patch16_384",
    "vit_small_patch14_dinov2",
    "vit_base_patch14_dinov2",
    "vit_small_patch14_reg4_dinov2",
    "vit_small_patch16_dinov3",
    "vit_small_patch16_dinov3_qkvb",
    "eva02_tiny_patch14_224",
    "eva02_small_patch14_224",
    "vit_base_patch16_siglip_224",
    "vit_base_patch16_clip_224",
    "vit_small_patch16_rope_mixed_224",
    "test_vit2",  # no class token, but a register that has a position
]
CLASSES = 3


def params(name: str, **overrides: Any) -> BackboneParams:
    """Two layers of a backbone, without weights."""
    return BackboneParams(name=name, weights="none", depth=2, **overrides)


@cache
def cam_network(name: str) -> CAMNetwork:
    """A CAM network on it, in evaluation mode."""
    torch.manual_seed(0)
    section = CamParams(backbone=params(name), reduction=2, drop_path=0.0)
    return CAMNetwork.from_params(section, CLASSES).eval()


def image(backbone: Backbone, h: int = 3, w: int = 5, margin: int = 3) -> Tensor:
    """A batch that no patch divides; the margin is cut off."""
    side = backbone.patch_size
    return torch.randn(2, 3, h * side + margin, w * side + margin)
