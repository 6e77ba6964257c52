import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.tiny import run_stages, tiny_params

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
