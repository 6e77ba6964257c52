import csv
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.console import CLASSES, weaktr
from tests.tiny_data import write_folder, write_image
from weaktr.config.values import MAX_MEGAPIXELS
from weaktr.data.masks import read_mask

pytestmark = pytest.mark.slow


def test_predict_writes_masks_overlays_and_tables(
    segmenter: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_image(Path("in/a/x.jpg"), width=40, height=30)
    write_image(Path("in/a/x.png"), width=20, height=50)
    arguments = ("--overlay", "--scales", "0.5,1", "--no-flip", "--tags", "cat,cow")
    assert weaktr("predict", segmenter, "in", "-o", "out", *arguments) == 0
    assert "2 of 2 images segmented" in capsys.readouterr().out
    with Path("out/predictions.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["image"] for row in rows] == ["in/a/x.jpg", "in/a/x.png"]
    for row, shape in zip(rows, ((30, 40), (50, 20)), strict=True):
        mask = read_mask(Path("out") / row["mask"])
        assert mask.shape == shape
        assert set(np.unique(mask)) <= {0, 1, 3}
        shares = [float(row[f"share_{name}"]) for name in ("background", *CLASSES)]
        assert sum(shares) == pytest.approx(1, abs=1e-3)
        assert shares == pytest.approx([(mask == i).mean() for i in range(4)], abs=1e-4)
    assert len(list(Path("out/overlays").rglob("*.jpg"))) == 2


def test_predict_again_gives_the_same_and_takes_no_results_for_images(segmenter: Path) -> None:
    write_image(Path("x.jpg"))
    weaktr("predict", segmenter, ".", "-o", ".")
    first = {path: path.read_bytes() for path in Path().rglob("*.*") if path.is_file()}
    assert weaktr("predict", segmenter, ".", "-o", ".", "--overlay") == 0
    again = {path: path.read_bytes() for path in Path().rglob("*.*") if path.is_file()}
    assert again.items() >= first.items()
    assert set(again) - set(first) == {Path("overlays/x.jpg")}


def test_predict_on_several_devices_gives_the_same(
    segmenter: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for i in range(20):
        write_image(Path(f"in/{i}.jpg"), width=30 + i % 3, height=30)
    made = []
    for count in (1, 2):
        options = ("--overlay", "--format", "coco", "--devices", count)
        assert weaktr("predict", segmenter, "in", "-o", "out", *options) == 0
        assert "20 of 20 images segmented" in capsys.readouterr().out
        made.append({path: path.read_bytes() for path in Path("out").rglob("*.*")})
        shutil.rmtree("out")
    assert len(made[0]) > 20 + 20 + 2
    assert made[0] == made[1]
    assert weaktr("predict", segmenter, "in", "--devices", "none") == 2
    assert "--devices must be auto or a number from 1. Got: 'none'" in capsys.readouterr().err


def test_predict_skips_what_it_cannot_read(
    segmenter: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_image(Path("in/x.jpg"))
    Path("in/broken.jpg").write_bytes(b"no image")
    assert weaktr("predict", segmenter, "in") == 1
    out, err = capsys.readouterr()
    assert "1 of 2 images segmented" in out
    assert "Skipped: 1\n  in/broken.jpg is not an image" in err
    assert Path("predictions/masks/x.png").is_file()


@pytest.mark.parametrize(("bits", "dark"), [(12, True), (16, False)])
def test_predict_warns_of_images_that_are_nearly_black(
    segmenter: Path, capsys: pytest.CaptureFixture[str], bits: int, dark: bool
) -> None:
    values = np.linspace(0, 2**bits - 1, 24 * 16).astype(np.uint16).reshape(16, 24)
    Path("in").mkdir()
    for name in ("x", "y"):
        Image.fromarray(values).save(f"in/{name}.png")
    write_image(Path("in/z.jpg"))
    assert weaktr("predict", segmenter, "in") == 0
    said = (
        "Warning: 2 images (in/x.png, in/y.png) stored with 16 bits and no value above 4095, as of "
        "cameras with 12 bits: of 65535, that is nearly black"
    )
    assert (said in capsys.readouterr().err) == dark


def test_predict_skips_what_is_too_large(
    segmenter: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_image(Path("x.png"))
    assert weaktr("predict", "--help") == 0
    assert f"[default: ({MAX_MEGAPIXELS:g})" in capsys.readouterr().out
    assert weaktr("predict", segmenter, "x.png", "--max-megapixels", "0.0001") == 1
    assert "at most 0.0001 are allowed; make it smaller" in capsys.readouterr().err


def test_predict_with_a_table_of_tags(segmenter: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = write_folder(Path("in"), {"x.jpg": "cat", "y.jpg": "dog;sky"})
    assert weaktr("predict", segmenter, root / "images", "--tags", root / "tags.csv", "--crf") == 0
    assert "Warning" in (err := capsys.readouterr().err)
    assert "'sky'" in err
    assert set(np.unique(read_mask("predictions/masks/x.png"))) <= {0, 1}
    assert set(np.unique(read_mask("predictions/masks/y.png"))) <= {0, 2}


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (("--scales", "1;2"), "--scales must be numbers"),
        (("--scales", "0"), "--scales must be numbers"),
        (("--scales", "nan"), "--scales must be numbers"),
        (("--tags", "horse"), "'horse' is no class of the model"),
        (("--device", "cuda:99"), "cuda:99"),
    ],
)
def test_predict_refuses_impossible_options(
    segmenter: Path,
    options: tuple[str, ...],
    sentence: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    write_image(Path("x.jpg"))
    assert weaktr("predict", segmenter, "x.jpg", *options) == 2
    assert sentence in capsys.readouterr().err
    assert not Path("predictions").exists()
