"""Single heads add up to what the network fuses, whatever the backbone."""

from pathlib import Path

import numpy as np
import pytest
import torch

from tests.backbones import BACKBONES, CLASSES, cam_network
from tests.tiny_data import write_image
from weaktr.data.images import read_image
from weaktr.data.manifest import Record
from weaktr.heads import seen
from weaktr.heads.seen import see
from weaktr.heads.true_masks import single_head_maps
from weaktr.pseudo_labels.multi_scale_cam import scaled_input

NAMES = tuple(f"class {i}" for i in range(CLASSES))


def record(path: Path, width: int, height: int) -> Record:
    return Record(path.stem, str(path), "train", (NAMES[0], NAMES[2]), width, height, "")


@pytest.mark.parametrize("name", BACKBONES)
def test_heads_add_up(name: str, tmp_path: Path) -> None:
    model = cam_network(name)
    path = write_image(tmp_path / "x.png", width=50, height=40)
    found = see(model, record(path, 50, 40), NAMES)
    with torch.inference_mode():
        maps = model.maps(scaled_input(model, np.array(read_image(path)), 1.0)[None])
    wanted = torch.tensor([0, 2])
    total = found.weights.numel()
    assert found.weights.shape == (2, model.backbone.num_heads)
    torch.testing.assert_close(found.fused, maps.of_classes(wanted).fused[0].flatten(1))
    affinity = sum(
        torch.einsum("h,hpq->pq", weights, head)
        for weights, head in zip(found.weights, found.affinities(), strict=True)
    )
    assert isinstance(affinity, torch.Tensor)
    torch.testing.assert_close(affinity / total, maps.affinity[0], rtol=1e-4, atol=1e-6)
    _, propagated = single_head_maps(found)
    fine = torch.einsum("n,nkp->kp", found.weights.flatten(), propagated) / total
    expected = maps.of_classes(wanted).fine[0].flatten(1)
    torch.testing.assert_close(fine, expected, rtol=1e-4, atol=1e-7)


def test_large_images_are_shrunk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(seen, "MOST_PATCHES", 4)
    model = cam_network("deit_tiny_patch16_224")
    path = write_image(tmp_path / "x.png", width=256, height=128)
    assert see(model, record(path, 256, 128), NAMES).grid == (2, 4)
