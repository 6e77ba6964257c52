"""The stages, run for real on a handful of generated images."""

import json
import shutil
from pathlib import Path

import pytest
import yaml

from tests.conftest import REPOSITORY
from tests.tiny import CHAIN, contents, run_stages, tiny_params

pytestmark = pytest.mark.slow

MADE = ("data/prepared", "models", "data/cams", "data/pseudo-labels", "data/predictions", "reports")


def outputs() -> list[str]:
    found = []
    for stage in yaml.safe_load((REPOSITORY / "dvc.yaml").read_text())["stages"].values():
        for kind in ("outs", "metrics", "plots"):
            found += [o if isinstance(o, str) else next(iter(o)) for o in stage.get(kind, [])]
    return found


def test_stages_write_just_what_dvc_expects(finished: Path) -> None:
    expected = [path for path in outputs() if path != "code.json"]
    assert len(expected) >= 9
    missing = [path for path in expected if not (finished / path).exists()]
    assert not missing


def test_nothing_is_written_that_dvc_does_not_know(finished: Path) -> None:
    known = {*outputs(), "params.yaml"}
    for path in finished.rglob("*"):
        relative = path.relative_to(finished)
        ancestry = {relative.as_posix(), *(parent.as_posix() for parent in relative.parents)}
        assert path.is_dir() or ancestry & known, f"{relative} is no output of a stage"


def test_metrics_tell_the_whole_story(finished: Path) -> None:
    tags = json.loads((finished / "reports/train_cam/details.json").read_text())
    seeds = json.loads((finished / "reports/export_labels/details.json").read_text())
    assert set(seeds["miou"]) == {"coarse", "fused", "fine", "pseudo_labels"}
    assert all(0 <= value <= 100 for value in seeds["miou"].values())
    assert seeds["background_score"] == 0.4
    assert seeds["background_score_chosen_with_masks"] is False
    assert seeds["images"] == seeds["images_with_masks"] == 24
    best = seeds["optimum_by_masks"]["fine"]["miou"]
    assert best >= seeds["miou"]["fine"]
    result = json.loads((finished / "reports/evaluate/details.json").read_text())
    assert result["images"] == 6
    assert 0 <= result["mean_iou"] <= result["pixel_accuracy"] <= 100
    assert json.loads((finished / "metrics.json").read_text()) == {
        "map_val": round(tags["tag_map"]["val"], 2),
        "miou_coarse": round(seeds["miou"]["coarse"], 2),
        "miou_seed": round(seeds["miou"]["fine"], 2),
        "miou_labels": round(seeds["miou"]["pseudo_labels"], 2),
        "miou_val": round(result["mean_iou"], 2),
        "accuracy_val": round(result["pixel_accuracy"], 2),
    }
    report = (finished / "reports/report/report.html").read_text()
    assert "True masks measured; they influenced nothing." in report
    assert f'<td class="number">{result["mean_iou"]:.1f}</td>' in report


def test_the_supervised_reference_learns_from_the_true_masks(workspace: Path) -> None:
    tags_only = contents("models/segmenter")
    run_stages(tiny_params(decoder__labels_from="data/prepared/masks.csv"), CHAIN[3:])
    assert contents("models/segmenter") != tags_only
    assert "trained on the true masks" in Path("reports/report/report.html").read_text()
    for mask in Path("data/pseudo-labels").iterdir():  # The same bytes by another way.
        shutil.copy(Path("data/prepared/files/shapes/SegmentationClass") / mask.name, mask)
    supervised = contents("models/segmenter")["models/segmenter/model.safetensors"]
    run_stages(tiny_params(), ["train_decoder"])
    assert contents("models/segmenter")["models/segmenter/model.safetensors"] == supervised


def test_a_second_run_writes_the_same_bytes(workspace: Path) -> None:
    before = contents(*MADE)
    for place in MADE:
        shutil.rmtree(place)
    run_stages(tiny_params())
    after = contents(*MADE)
    assert after == before


def test_models_and_labels_are_the_same_without_any_training_mask(workspace: Path) -> None:
    """Masks measure, and never influence anything."""
    source = Path("data/raw/voc")
    shutil.copytree("data/prepared/files/shapes", source)
    params = tiny_params(dataset__kind="voc", dataset__root=str(source))
    params["dataset"]["classes"] = Path("data/prepared/classes.txt").read_text().split()
    models = ("models/cam", "models/segmenter", "data/cams", "data/pseudo-labels")
    run_stages(params)
    with_masks = contents(*models)
    assert "miou" in json.loads(Path("reports/export_labels/details.json").read_text())
    removed = 0
    for name in (source / "ImageSets/Segmentation/train.txt").read_text().split():
        (source / f"SegmentationClass/{name}.png").unlink()
        removed += 1
    assert removed == 24
    run_stages(params)
    assert contents(*models) == with_masks
    metrics = json.loads(Path("reports/export_labels/details.json").read_text())
    assert metrics["images_with_masks"] == 0
    assert metrics["miou"] == {}


def test_masks_that_are_let_in_are_stated(workspace: Path) -> None:
    params = tiny_params(labels__background_score="sweep", cam__select="seed_miou")
    run_stages(params, CHAIN[1:])
    metrics = json.loads(Path("reports/export_labels/details.json").read_text())
    assert metrics["background_score_chosen_with_masks"] is True
    assert metrics["miou"]["fine"] == pytest.approx(metrics["optimum_by_masks"]["fine"]["miou"])
    assert json.loads(Path("reports/train_cam/details.json").read_text())["selected_with_masks"]
    report = Path("reports/report/report.html").read_text()
    assert "chose the epoch" in report
    assert "chose the background score" in report
