"""The atlas of a tiny network, with and without masks."""

import json
from pathlib import Path

import numpy as np
import pytest

from tests.backbones import CLASSES, cam_network
from tests.tiny_data import striped_mask, write_image
from weaktr.data.manifest import Manifest, Record
from weaktr.data.masks import write_mask
from weaktr.heads.atlas import choose_images, make_atlas
from weaktr.heads.words import as_json, chance, sentences

NAMES = tuple(f"class {i}" for i in range(CLASSES))
NAME = "deit_tiny_patch16_224"


@pytest.fixture
def records(tmp_path: Path) -> list[Record]:
    found = []
    for i in range(4):
        path = write_image(tmp_path / f"{i}.png", seed=i, width=64, height=48)
        write_mask(tmp_path / f"mask{i}.png", striped_mask((0, 1, 3), width=64, height=48))
        found.append(Record(str(i), str(path), "train", (NAMES[0], NAMES[2]), 64, 48, ""))
    return found


def test_atlas_without_and_with_masks(tmp_path: Path, records: list[Record]) -> None:
    model = cam_network(NAME)
    plain = make_atlas(model, records, NAMES)
    assert plain.oracle is None
    assert plain.images == ("0", "1", "2", "3")
    shape = (2, model.backbone.num_heads)
    for values in (plain.weight, plain.entropy, plain.distance, plain.class_row, plain.affinity):
        assert values.shape == shape
        assert np.isfinite(values).all()
    assert (plain.weight_low <= plain.weight_high).all()
    assert "mIoU" not in " ".join(sentences(plain))

    masks = {str(i): str(tmp_path / f"mask{i}.png") for i in range(4)}
    measured = make_atlas(model, records, NAMES, masks)
    assert measured.oracle is not None
    np.testing.assert_array_equal(measured.class_row, plain.class_row)
    assert (measured.oracle.affinity > 0).all()
    assert "it peeks" in " ".join(sentences(measured))
    told = json.loads(json.dumps(as_json(measured), allow_nan=False))
    assert [(one["layer"], one["head"]) for one in told["heads"][:4]] == [
        (1, 1),
        (1, 2),
        (1, 3),
        (2, 1),
    ]
    assert len(told["oracle"]["best_heads"]) == 9
    assert "peeks" in told["oracle"]["note"]
    assert told["rank_correlations"].keys() == measured.correlations().keys()


def test_images_are_the_same_every_time_and_have_tags(records: list[Record]) -> None:
    empty = Record("9", "9.png", "train", (), 1, 1, "")
    there = Manifest(NAMES, (*records, empty))
    back = Manifest(NAMES, (empty, *reversed(records)))
    assert choose_images(there, 3) == choose_images(back, 3)
    assert empty not in choose_images(there, 9)
    assert choose_images(there, 2) == choose_images(there, 3)[:2]


def test_chance_shrinks_with_the_heads() -> None:
    assert chance(2) == 1
    assert chance(145) == pytest.approx(1.96 / 12)
