import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.tiny import run_stages, tiny_params
from weaktr.data.manifest import Manifest
from weaktr.data.masks import read_mask
from weaktr.metrics.image_table import read_prediction_rows

pytestmark = pytest.mark.slow


def test_reported_miou_is_that_of_the_written_masks(finished: Path) -> None:
    """Scores the PNG files again, by counting pixels in plain Python."""

    truths = finished / "data/prepared/files/shapes/SegmentationClass"
    hits, unions = np.zeros(256), np.zeros(256)
    for path in (finished / "data/predictions").glob("*.png"):
        predicted = np.asarray(Image.open(path))
        true = np.asarray(Image.open(truths / path.name))
        known = true != 255
        for label in range(255):
            a, b = (predicted == label) & known, (true == label) & known
            hits[label] += (a & b).sum()
            unions[label] += (a | b).sum()
    there = unions > 0
    result = json.loads((finished / "reports/evaluate/details.json").read_text())
    assert result["mean_iou"] == pytest.approx(100 * (hits[there] / unions[there]).mean())


def test_the_test_split_makes_the_archive_for_vocs_server(workspace: Path) -> None:
    import tarfile

    lines = Path("data/prepared/manifest.csv").read_text().replace(",val,", ",test,")
    Path("data/prepared/manifest.csv").write_text(lines)
    Path("data/prepared/masks.csv").write_text("id,mask,digest\n")
    run_stages(tiny_params(evaluation__split="test", evaluation__voc_archive=True), ["evaluate"])
    with tarfile.open("data/predictions/results.tgz") as archive:
        names = archive.getnames()
    assert len(names) == 6
    assert all(n.startswith("results/VOC2012/Segmentation/comp6_test_cls/val_") for n in names)
    metrics = json.loads(Path("reports/evaluate/details.json").read_text())
    assert metrics == {"images": 6, "split": "test"}


def test_the_table_of_images_tells_what_the_masks_hold(finished: Path) -> None:
    rows = read_prediction_rows(finished / "reports/evaluate/images.csv")
    part = Manifest.load(finished / "data/prepared").of_split("val")
    assert [row.id for row in rows] == [record.id for record in part]
    for row in rows:
        labels = read_mask(finished / f"data/predictions/{row.id}.png")
        assert row.background == pytest.approx(100 * (labels == 0).mean(), abs=1e-4)
        assert list(row.predicted) == [part.classes[i - 1] for i in np.unique(labels) if i]
        assert set(row.missing) == set(row.tags) - set(row.predicted)
        assert set(row.unexpected) == set(row.predicted) - set(row.tags)
        assert 0 <= row.confidence <= 1
        assert 0 <= row.iou <= 100


def test_the_last_step_is_the_result(workspace: Path) -> None:
    crf = {"backend": "lattice", "iterations": 1}
    for changes, steps in (
        ({}, ["multi_scale", "single_scale"]),
        ({"evaluation__crf": crf}, ["crf", "multi_scale", "single_scale"]),
    ):
        run_stages(tiny_params(**changes), ["evaluate"])
        details = json.loads(Path("reports/evaluate/details.json").read_text())
        assert sorted(details["miou_by_step"]) == steps
        last = "crf" if "crf" in steps else "multi_scale"
        assert details["miou_by_step"][last] == details["mean_iou"]
