import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from tests.console import CLASSES, weaktr
from tests.tiny_data import striped_mask, write_image
from weaktr.data.manifest import Manifest, MaskRecord, Record, save_masks
from weaktr.data.masks import write_mask
from weaktr.models.cam_network import CAMNetwork
from weaktr.models.saving import load_model, save_model

pytestmark = pytest.mark.slow


@pytest.fixture
def prepared() -> Path:
    """Three training images with tags, one without, one of `val`; masks of two."""
    folder = Path("data/prepared")
    records, masks = [], {}
    for i in range(5):
        path = write_image(Path(f"{i}.png"), seed=i, width=64, height=48)
        split, tags = ("val" if i == 4 else "train"), (("cat",) if i != 3 else ())
        records.append(Record(f"x{i}", str(path), split, tags, 64, 48, ""))
        if i < 2:
            write_mask(f"mask{i}.png", striped_mask((0, 1), width=64, height=48))
            masks[f"x{i}"] = MaskRecord(f"x{i}", f"mask{i}.png", "")
    Manifest(CLASSES, tuple(records)).save(folder)
    save_masks(folder, masks)
    return folder


def test_table_and_picture(
    cam_network: Path, prepared: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert weaktr("heads", cam_network) == 0
    told = capsys.readouterr().out
    assert max(map(len, told.splitlines()[:-1])) <= 80
    assert "means of 3 images" in " ".join(told.split())
    assert "mIoU" not in told
    assert told.endswith("heads.png\n")
    picture = Image.open("heads.png")
    assert len(np.unique(np.array(picture).reshape(-1, 4), axis=0)) > 500
    first = Path("heads.png").read_bytes()
    assert weaktr("heads", cam_network, "--masks", "-o", "masks.png") == 0
    told = " ".join(capsys.readouterr().out.split())
    assert "means of 2 images" in told
    assert "it peeks" in told
    assert weaktr("heads", cam_network) == 0
    assert Path("heads.png").read_bytes() == first


def test_a_network_that_knows_nothing_yet(
    cam_network: Path, prepared: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    loaded = load_model(cam_network, CAMNetwork)
    assert loaded.model.head.bias is not None
    torch.nn.init.constant_(loaded.model.head.bias, -100)  # every coarse CAM is 0 after its ReLU
    save_model(loaded.model, "flat", classes=loaded.classes)
    assert weaktr("heads", "flat") == 0
    told = capsys.readouterr().out
    assert "No coarse CAM of these images shows an object" in " ".join(told.split())
    assert "–" in told
    assert Path("heads.png").is_file()


def test_json_is_all_that_is_printed(
    cam_network: Path, prepared: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert weaktr("heads", cam_network, "--json", "--images", 1, "-o", "x.png") == 0
    told = json.loads(capsys.readouterr().out)
    assert (len(told["heads"]), len(told["images"]), told["picture"]) == (4, 1, "x.png")
    assert Path("x.png").is_file()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--split", "test"), "no images in split 'test'"),
        (("--split", "val", "--masks"), "masks of 0 images of val with tags"),
        (("-o", "data"), "--output data is a folder"),
        (("-o", "heads.jpg"), "--output heads.jpg gets a PNG"),
    ],
)
def test_refusals(
    cam_network: Path,
    prepared: Path,
    capsys: pytest.CaptureFixture[str],
    options: tuple[str, ...],
    words: str,
) -> None:
    assert weaktr("heads", cam_network, *options) == 2
    assert words in " ".join(capsys.readouterr().err.split())
    assert not Path("heads.png").exists()


def test_other_classes_are_refused(
    cam_network: Path, prepared: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Manifest(("cat",), Manifest.load(prepared).records).save(prepared)
    assert weaktr("heads", cam_network) == 2
    assert "knows other classes" in capsys.readouterr().err
