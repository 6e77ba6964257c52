import json
from pathlib import Path

import numpy as np
import pytest

from tests.console import CLASSES, weaktr
from tests.labelling.label_maps import ring, write_images
from tests.labelling.test_coco import by_pycocotools
from tests.tiny_data import write_image
from weaktr.cli.masks_to import NEXT
from weaktr.data.masks import read_mask
from weaktr.labelling.write import FORMATS

pytestmark = pytest.mark.slow


def test_every_format_is_written_and_said(capsys: pytest.CaptureFixture[str]) -> None:
    write_images(Path(), {"x.jpg": ring(), "y.jpg": np.zeros((4, 5), np.uint8)})
    assert set(NEXT) == set(FORMATS)
    for format in FORMATS:
        options = ("--images", "images", "--classes", "a,b,c", "--format", format)
        assert weaktr("masks-to", "masks", *options, "-o", format, "--min-area", "5") == 0
        out = capsys.readouterr().out
        assert "Left out: 1 parts of fewer than 5 pixels (1 pixels)." in out
        assert ("void pixels; the tool" in out) == (format != "palette")
        assert "Images without any region: 1." in out
        assert "2 images, 3 regions of 3 classes." in out
        assert Path(format, "classes.txt").read_text() == "a\nb\nc\n"


def test_predictions_keep_their_confidences(
    segmenter: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_image(Path("in/a/x.jpg"), width=40, height=30)
    write_image(Path("in/y.png"), width=30, height=20)
    assert weaktr("predict", segmenter, "in", "-o", "out", "--format", "coco") == 0
    assert "Names of images start at in." in capsys.readouterr().out
    path = Path("out/for-coco/annotations/instances_default.json")
    api, maps = by_pycocotools(path)
    assert [c["name"] for c in api.dataset["categories"]] == list(CLASSES)
    for name, ids in maps.items():
        np.testing.assert_array_equal(ids, read_mask(Path("out/masks", name).with_suffix(".png")))
    assert api.anns
    assert all(1 / 4 < a["score"] < 1 for a in api.anns.values())
    assert weaktr("masks-to", "out", "--format", "coco", "-o", "again") == 0
    assert (Path("again") / path.relative_to("out/for-coco")).read_bytes() == path.read_bytes()
    options = ("--format", "labelstudio", "--image-prefix", "/data/local-files/?d=")
    assert weaktr("masks-to", "out/masks", *options, "-o", "ls") == 0
    task, _ = json.loads(Path("ls/tasks.json").read_text())
    assert task["data"]["image"] == "/data/local-files/?d=a/x.jpg"
    assert 0 < task["predictions"][0]["score"] < 1


def test_an_existing_folder_stays(segmenter: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_images(Path(), {"x.jpg": ring()})
    keep = Path("out/for-coco/mine.txt")
    keep.parent.mkdir(parents=True)
    keep.write_text("mine")
    options = ("--images", "images", "--classes", "a,b,c", "--format", "coco")
    assert weaktr("masks-to", "masks", *options, "-o", "out/for-coco") == 2
    assert "exists already" in capsys.readouterr().err
    assert weaktr("predict", segmenter, "images", "-o", "out", "--format", "coco") == 2
    assert "exists already" in capsys.readouterr().err
    assert [path.name for path in Path("out").rglob("*")] == ["for-coco", "mine.txt"]


def test_a_prefix_is_for_label_studio(capsys: pytest.CaptureFixture[str]) -> None:
    options = ("--format", "coco", "--image-prefix", "x", "-o", "out")
    assert weaktr("masks-to", "masks", *options) == 2
    assert "--format labelstudio only" in capsys.readouterr().err
