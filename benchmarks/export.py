"""CAM export, two scales with flips, against one input at a time, stored at full size."""

import tempfile
from pathlib import Path

import numpy as np
import torch

from benchmarks.measure import Row, median_seconds
from oracles.attention_stack import stacked_maps
from oracles.labels import multi_scale_cams as oracle_cams
from weaktr.config.backbone import BackboneParams
from weaktr.config.cam import CamParams
from weaktr.models.cam_network import CAMNetwork
from weaktr.pseudo_labels.multi_scale_cam import multi_scale_cams, scaled_input

CLASSES, PRESENT = 20, (3, 14)
HEIGHT, WIDTH, IMAGES = 375, 500, 2
SCALES = (1.0, 1.2)


def run(device: torch.device, repeats: int) -> list[Row]:
    """Exports the CAMs of images of 500 x 375 with DeiT-S, stored as each version stores them.

    Args:
        device: Where the network runs.
        repeats: Of either version.

    Returns:
        One row; its note has the bytes stored per image.
    """
    torch.manual_seed(0)
    backbone = BackboneParams(name="deit_small_patch16_224", weights="none")
    model = CAMNetwork.from_params(CamParams(backbone=backbone, drop_path=0.0), CLASSES)
    model = model.to(device).eval()
    rng = np.random.default_rng(0)
    images = [rng.integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8) for _ in range(IMAGES)]
    with tempfile.TemporaryDirectory() as folder:
        mine, theirs = Path(folder) / "ours.safetensors", Path(folder) / "published.npy"

        def ours() -> None:
            for cams in multi_scale_cams(model, images, [PRESENT] * IMAGES, scales=SCALES)[0]:
                cams.save(mine)

        def published() -> None:
            for image in images:
                full = published_cams(model, image)
                np.save(theirs, np.array(full, dtype=object), allow_pickle=True)

        seconds = median_seconds(
            {"ours": ours, "published": published}, device=device, repeats=repeats
        )
        stored = (mine.stat().st_size, theirs.stat().st_size)
    return [
        Row(
            step="CAM export",
            setting=f"DeiT-S, {WIDTH}x{HEIGHT}, scales {SCALES} with flips, {IMAGES} images",
            seconds=seconds["ours"],
            reference="one input at a time, all maps",
            reference_seconds=seconds["published"],
            note=f"stored per image: {stored[0]} bytes, as float32 at full size {stored[1]} "
            f"(1/{stored[1] / stored[0]:.0f})",
        )
    ]


@torch.inference_mode()
def published_cams(model: CAMNetwork, image: np.ndarray) -> dict[int, np.ndarray]:
    """CAMs at full size, one network input at a time, with a product of its own for each class."""
    device = next(model.parameters()).device
    grids, flips = [], []
    for scale in SCALES:
        for flip in (False, True):
            x = scaled_input(model, image, scale)[None].to(device)
            maps = stacked_maps(model, x.flip(-1) if flip else x)
            cam = maps.cross.view_as(maps.coarse) * maps.coarse.relu()
            refined = maps.affinity[:, None] @ cam.flatten(2)[..., None]  # [1, C, P, 1]
            grids.append(refined.view_as(cam)[0].cpu())
            flips.append(flip)
    full = oracle_cams(grids, flips, (HEIGHT, WIDTH))
    return {c: full[c].numpy() for c in PRESENT}
