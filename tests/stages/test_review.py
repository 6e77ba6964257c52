"""`weaktr review` on what a run left behind."""

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.console import weaktr
from tests.tiny import contents
from weaktr.data.masks import read_mask, write_mask
from weaktr.models.saving import load_model, save_model
from weaktr.models.segmenter import Segmenter

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("workspace")]


def rows(folder: str = "review") -> list[dict[str, str]]:
    with Path(folder, "ranking.csv").open(encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def test_review_ranks_all_labels_and_prepares_the_worst(
    capsys: pytest.CaptureFixture[str],
) -> None:
    emptied = sorted(Path("data/pseudo-labels").glob("*.png"))[4]
    write_mask(emptied, np.zeros_like(read_mask(emptied)))
    assert weaktr("review", "--top", 6, "--device", "cpu") == 0
    out = capsys.readouterr().out
    assert f"1. {emptied.stem}: all background" in out
    assert "dvc exp run -S decoder.corrected=NAME" in out
    ranking = rows()
    assert [int(row["rank"]) for row in ranking] == list(range(1, 25))
    doubts = [float(row["doubt"]) for row in ranking]
    assert doubts == sorted(doubts, reverse=True)
    assert all(0 <= float(row["confidence"]) <= 1 for row in ranking)
    assert all(row["reasons"] for row in ranking)
    worst = [row["image"] for row in ranking[:6]]
    page = Path("review/review.html").read_text(encoding="utf-8")
    assert page.count("<figure>") == 18
    assert [page.index(f"{i}. {name}") for i, name in enumerate(worst, 1)] == sorted(
        page.index(f"{i}. {name}") for i, name in enumerate(worst, 1)
    )
    for name in worst:
        label = f"{name}.png"
        assert (
            Path("review/labels", label).read_bytes()
            == Path("data/pseudo-labels", label).read_bytes()
        )
    tasks = json.loads(Path("review/labelstudio/tasks.json").read_text(encoding="utf-8"))
    assert {task["data"]["id"] for task in tasks} == set(worst)
    for task in tasks:
        assert Image.open(Path("review/labelstudio/images", task["data"]["image"])).size == (48, 48)
    assert len(list(Path("review/labelstudio/images").iterdir())) == 6


def test_the_ranking_is_the_same_without_any_training_mask() -> None:
    assert weaktr("review", "-o", "with", "--device", "cpu") == 0
    shutil.rmtree("data/prepared/files/shapes/SegmentationClass")
    Path("data/prepared/masks.csv").unlink()
    table = Path("reports/export_labels/images.csv")
    with table.open(encoding="utf-8") as stream:
        known = list(csv.DictReader(stream))
    assert any(row["iou"] for row in known)
    with table.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, list(known[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(row | {"iou": ""} for row in known)
    assert weaktr("review", "-o", "without", "--device", "cpu") == 0
    before = {path.removeprefix("with/"): data for path, data in contents("with").items()}
    after = {path.removeprefix("without/"): data for path, data in contents("without").items()}
    assert after == before


def test_what_is_corrected_already_is_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    assert weaktr("review", "--device", "cpu") == 0
    done = rows()[0]["image"]
    Path("data/corrected/first").mkdir(parents=True)
    shutil.copy(f"review/labels/{done}.png", "data/corrected/first")
    loaded = load_model("models/segmenter", Segmenter, "cpu")
    loaded.model.params = loaded.model.params.model_copy(update={"corrected": "first"})
    save_model(loaded.model, "models/segmenter", classes=loaded.classes)
    capsys.readouterr()
    assert weaktr("review", "-o", "again", "--device", "cpu") == 0
    assert "Left out: 1 images with a corrected mask in data/corrected/first." in (
        capsys.readouterr().out
    )
    assert done not in {row["image"] for row in rows("again")}
    assert len(rows("again")) == 23


def test_review_replaces_nothing_and_says_what_it_lacks(
    capsys: pytest.CaptureFixture[str],
) -> None:
    Path("review").mkdir()
    Path("review/mine.png").touch()
    assert weaktr("review") == 2
    assert "review exists already; move it away" in capsys.readouterr().err
    assert weaktr("review", "-o", "new", "--labels", "nowhere") == 2
    assert "nowhere has no label maps" in capsys.readouterr().err
    assert weaktr("review", "-o", "new", "--format", "coco", "--image-prefix", "x") == 2
    assert "--image-prefix is for --format labelstudio only" in capsys.readouterr().err
    Path("reports/export_labels/images.csv").unlink()
    assert weaktr("review", "-o", "new", "--format", "coco", "--device", "cpu") == 0
    assert "images.csv is not there: the confidence of CAMs does not count" in (
        capsys.readouterr().out
    )
    assert len(list(Path("new/coco/train").iterdir())) == 24
    assert not any(row["confidence"] for row in rows("new"))


KINDS = {
    "labelstudio": "labelstudio",
    "cvat": "cvat",
    "coco": "coco",
    "palette": "voc",
    "yolo": "yolo",
}


@pytest.mark.parametrize("format", KINDS)
def test_what_goes_out_to_a_tool_comes_back(
    format: str, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ("review", "--top", 4, "--format", format, "--device", "cpu")
    assert weaktr(*command) == 0
    folder = Path("review") / format
    if format == "labelstudio":  # people submit what is proposed
        path = folder / "tasks.json"
        tasks = json.loads(path.read_text(encoding="utf-8"))
        for number, task in enumerate(tasks, start=1):
            result = task.pop("predictions")[0]["result"]
            task |= {"id": number, "annotations": [{"id": number, "result": result}]}
        path.write_text(json.dumps(tasks), encoding="utf-8")
    back = ("masks-from", folder, "--kind", KINDS[format], "-o", "data/corrected/first")
    assert weaktr(*back) == 0, capsys.readouterr().err
    labels = {path.name: read_mask(path) for path in Path("review/labels").iterdir()}
    found = {path.name: read_mask(path) for path in Path("data/corrected/first").iterdir()}
    assert set(found) <= set(labels)
    assert found
    for name, ids in labels.items():
        if name in found:
            np.testing.assert_array_equal(found[name], ids)
        else:
            assert not ids.any(), "only an empty label may be left out"
