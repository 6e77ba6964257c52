import json
from pathlib import Path

import numpy as np
import pytest

from tests.tiny import contents, run_stages, tiny_params
from weaktr.data.manifest import Manifest, load_masks
from weaktr.data.masks import read_mask, write_mask
from weaktr.errors import UserError
from weaktr.labels import VOID
from weaktr.metrics.image_table import read_label_rows

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("score", [1e-6, 0.4300001, 0.999999])
def test_any_background_score_can_be_measured(workspace: Path, score: float) -> None:
    run_stages(tiny_params(labels__background_score=score), ["export_labels"])
    metrics = json.loads(Path("reports/export_labels/details.json").read_text())
    assert metrics["background_score"] == score
    assert metrics["miou"]["fine"] <= metrics["optimum_by_masks"]["fine"]["miou"]


def test_masks_of_nothing_but_void_measure_nothing(workspace: Path) -> None:
    for path in load_masks("data/prepared").values():
        write_mask(path, np.full_like(read_mask(path), VOID))
    run_stages(tiny_params(), ["export_labels", "evaluate"])
    metrics = json.loads(Path("reports/export_labels/details.json").read_text())
    assert (metrics["miou"], metrics["optimum_by_masks"]) == ({}, {})
    with pytest.raises(UserError, match="'sweep' needs masks of training images"):
        run_stages(tiny_params(labels__background_score="sweep"), ["export_labels"])


def test_a_swept_score_labels_like_the_same_number(workspace: Path) -> None:
    run_stages(tiny_params(labels__background_score="sweep"), ["export_labels"])
    swept = contents("data/cams", "data/pseudo-labels")
    score = json.loads(Path("reports/export_labels/details.json").read_text())["background_score"]
    run_stages(tiny_params(labels__background_score=score), ["export_labels"])
    assert contents("data/cams", "data/pseudo-labels") == swept


def test_the_table_of_images_tells_what_the_labels_hold(finished: Path) -> None:
    rows = read_label_rows(finished / "reports/export_labels/images.csv")
    training = Manifest.load(finished / "data/prepared").of_split("train")
    assert [row.id for row in rows] == [record.id for record in training]
    for row, record in zip(rows, training, strict=True):
        label = read_mask(finished / f"data/pseudo-labels/{row.id}.png")
        assert row.background == pytest.approx(100 * (label == 0).mean(), abs=1e-4)
        assert row.background + row.void + row.foreground == pytest.approx(100, abs=1e-3)
        present = {training.classes[i - 1] for i in np.unique(label) if 0 < i < VOID}
        assert set(row.missing) == set(record.tags) - present
        assert 0 <= row.confidence <= 1
        assert 0 <= row.contrast <= 1
        assert 0 <= row.iou <= 100


def test_the_table_of_images_has_no_iou_without_masks(workspace: Path) -> None:
    Path("data/prepared/masks.csv").write_text("id,mask,digest\n")
    run_stages(tiny_params(), ["export_labels"])
    rows = read_label_rows(Path("reports/export_labels/images.csv"))
    assert len(rows) == 24
    assert all(np.isnan(row.iou) for row in rows)
