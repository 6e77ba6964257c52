"""Calls of the `weaktr` console script from tests, and tiny models for it."""

import sys
from pathlib import Path

import pytest
import torch

from weaktr.cli.app import main
from weaktr.config.backbone import BackboneParams
from weaktr.config.cam import CamParams
from weaktr.config.decoder import DecoderAugmentParams, DecoderParams
from weaktr.models.cam_network import CAMNetwork
from weaktr.models.saving import save_model
from weaktr.models.segmenter import Segmenter

CLASSES = ("cat", "dog", "cow")
BACKBONE = BackboneParams(
    name="deit_tiny_patch16_224", weights="none", patch_size=8, embed_dim=24, depth=2, num_heads=2
)


def weaktr(*arguments: object) -> int:
    """Runs a command in this process and gives its exit code."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OMP_NUM_THREADS", "1")
        patch.setattr(sys, "argv", ["weaktr", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            main()
    return int(ended.value.code or 0)


def make_segmenter(backbone: BackboneParams = BACKBONE) -> Segmenter:
    """A segmenter with random weights."""
    torch.manual_seed(0)
    params = DecoderParams(
        backbone=backbone,
        crop_size=32,
        region=8,
        layers=1,
        augment=DecoderAugmentParams(short_side=32),
    )
    return Segmenter.from_params(params, len(CLASSES)).eval()


def save_segmenter(folder: Path) -> Path:
    """Saves one."""
    save_model(make_segmenter(), folder, classes=CLASSES)
    return folder


def save_cam_network(folder: Path) -> Path:
    """A CAM network with random weights."""
    torch.manual_seed(0)
    params = CamParams(backbone=BACKBONE, input_size=32, reduction=2, feat_reduction=2)
    save_model(CAMNetwork.from_params(params, len(CLASSES)), folder, classes=CLASSES)
    return folder
