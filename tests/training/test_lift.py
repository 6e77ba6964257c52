from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from tests.training.tiny_trainings import SIDE, VIT
from weaktr.config.cam import CamParams
from weaktr.data.manifest import Manifest, Record
from weaktr.heads.facts import head_facts
from weaktr.heads.seen import see
from weaktr.models.attention_fusion import LiftAttentionFusion
from weaktr.models.cam_network import CAMNetwork
from weaktr.training.lift import measure_lift

CLASSES = ("cat", "dog", "owl")


@pytest.fixture
def network() -> CAMNetwork:
    torch.manual_seed(0)
    params = CamParams(backbone=VIT, input_size=SIDE, fusion="lift")
    return CAMNetwork.from_params(params, len(CLASSES)).eval()


@pytest.fixture
def manifest(tmp_path: Path) -> Manifest:
    rng = np.random.default_rng(0)
    records = []
    for index, tags in enumerate([("cat",), ("dog", "owl"), (), ("cat", "owl")]):
        path = tmp_path / f"{index}.png"
        Image.fromarray(rng.integers(0, 255, (SIDE, SIDE, 3), dtype=np.uint8)).save(path)
        records.append(Record(str(index), str(path), "train", tags, SIDE, SIDE, ""))
    return Manifest(CLASSES, tuple(records))


def test_lift_is_the_mean_of_what_the_atlas_measures(
    network: CAMNetwork, manifest: Manifest
) -> None:
    rows, affinity = measure_lift(network, manifest, SIDE)
    assert rows.shape == affinity.shape == (2, 2)
    weighed = [
        (head_facts(see(network, record, CLASSES)), len(record.tags))
        for record in manifest.records
        if record.tags
    ]
    tags = sum(count for _, count in weighed)
    for found, name in ((rows, "class_row"), (affinity, "affinity")):
        mean = sum(getattr(facts, name) * count for facts, count in weighed) / tags
        torch.testing.assert_close(found, mean, rtol=1e-4, atol=1e-6)


def test_without_a_tag_no_head_is_better_than_another(
    network: CAMNetwork, manifest: Manifest
) -> None:
    without = Manifest(CLASSES, tuple(r for r in manifest if not r.tags))
    fusion = network.fusion
    assert isinstance(fusion, LiftAttentionFusion)
    fusion.set_lift(*measure_lift(network, without, SIDE))
    assert (fusion.rows == 0.5).all()
    assert (fusion.affinity == 0.5).all()
