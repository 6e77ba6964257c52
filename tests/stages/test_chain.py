"""The stages, run for real on a handful of generated images."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image
from typer.testing import CliRunner

from stages.__main__ import app
from tests.conftest import REPOSITORY
from tests.tiny import CHAIN, contents, run_stages, tiny_params, write_params
from weaktr.data.manifest import load_masks
from weaktr.data.masks import read_mask, write_mask
from weaktr.errors import UserError
from weaktr.labels import VOID

MADE = ("data/prepared", "models", "data/cams", "data/pseudo-labels", "data/predictions", "reports")


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which the whole chain has run."""
    folder = tmp_path_factory.mktemp("finished")
    params = tiny_params()
    write_params(folder, params)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        run_stages(params)
    return folder


@pytest.fixture
def workspace(finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of it to spoil."""
    folder = tmp_path / "copy"
    shutil.copytree(finished, folder)
    monkeypatch.chdir(folder)
    return folder


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
    seeds = json.loads((finished / "reports/export_labels/metrics.json").read_text())
    assert set(seeds["miou"]) == {"coarse", "fused", "fine", "pseudo_labels"}
    assert all(0 <= value <= 100 for value in seeds["miou"].values())
    assert seeds["background_score"] == 0.4
    assert seeds["background_score_chosen_with_masks"] is False
    assert seeds["images"] == seeds["images_with_masks"] == 24
    best = seeds["optimum_by_masks"]["fine"]["miou"]
    assert best >= seeds["miou"]["fine"]
    result = json.loads((finished / "reports/evaluate/metrics.json").read_text())
    assert result["images"] == 6
    assert 0 <= result["mean_iou"] <= result["pixel_accuracy"] <= 100
    report = (finished / "reports/evaluate/report.html").read_text()
    assert "True masks measured; they influenced nothing." in report
    assert f'<td class="number">{result["mean_iou"]:.1f}</td>' in report


def test_the_supervised_reference_learns_from_the_true_masks(workspace: Path) -> None:
    tags_only = contents("models/segmenter")
    run_stages(tiny_params(decoder__labels_from="data/prepared/masks.csv"), CHAIN[3:])
    assert contents("models/segmenter") != tags_only
    assert "trained on the true masks" in Path("reports/evaluate/report.html").read_text()
    for mask in Path("data/pseudo-labels").iterdir():  # The same bytes by another way.
        shutil.copy(Path("data/prepared/files/shapes/SegmentationClass") / mask.name, mask)
    supervised = contents("models/segmenter")["models/segmenter/model.safetensors"]
    run_stages(tiny_params(), ["train_decoder"])
    assert contents("models/segmenter")["models/segmenter/model.safetensors"] == supervised


def test_reported_miou_is_that_of_the_written_masks(finished: Path) -> None:
    """Scores the PNG files again, by counting pixels in plain Python."""
    import numpy as np

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
    result = json.loads((finished / "reports/evaluate/metrics.json").read_text())
    assert result["mean_iou"] == pytest.approx(100 * (hits[there] / unions[there]).mean())


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
    assert "miou" in json.loads(Path("reports/export_labels/metrics.json").read_text())
    removed = 0
    for name in (source / "ImageSets/Segmentation/train.txt").read_text().split():
        (source / f"SegmentationClass/{name}.png").unlink()
        removed += 1
    assert removed == 24
    run_stages(params)
    assert contents(*models) == with_masks
    metrics = json.loads(Path("reports/export_labels/metrics.json").read_text())
    assert metrics["images_with_masks"] == 0
    assert metrics["miou"] == {}


@pytest.mark.parametrize("score", [1e-6, 0.4300001, 0.999999])
def test_any_background_score_can_be_measured(workspace: Path, score: float) -> None:
    run_stages(tiny_params(labels__background_score=score), ["export_labels"])
    metrics = json.loads(Path("reports/export_labels/metrics.json").read_text())
    assert metrics["background_score"] == score
    assert metrics["miou"]["fine"] <= metrics["optimum_by_masks"]["fine"]["miou"]


def test_masks_of_nothing_but_void_measure_nothing(workspace: Path) -> None:
    for path in load_masks("data/prepared").values():
        write_mask(path, np.full_like(read_mask(path), VOID))
    run_stages(tiny_params(), ["export_labels", "evaluate"])
    metrics = json.loads(Path("reports/export_labels/metrics.json").read_text())
    assert (metrics["miou"], metrics["optimum_by_masks"]) == ({}, {})
    with pytest.raises(UserError, match="'sweep' needs masks of training images"):
        run_stages(tiny_params(labels__background_score="sweep"), ["export_labels"])


def test_masks_that_are_let_in_are_stated(workspace: Path) -> None:
    params = tiny_params(labels__background_score="sweep", cam__select="seed_miou")
    run_stages(params, CHAIN[1:])
    metrics = json.loads(Path("reports/export_labels/metrics.json").read_text())
    assert metrics["background_score_chosen_with_masks"] is True
    assert metrics["miou"]["fine"] == pytest.approx(metrics["optimum_by_masks"]["fine"]["miou"])
    assert json.loads(Path("reports/train_cam/metrics.json").read_text())["selected_with_masks"]
    report = Path("reports/evaluate/report.html").read_text()
    assert "chose the epoch" in report
    assert "chose the background score" in report


def test_a_swept_score_labels_like_the_same_number(workspace: Path) -> None:
    run_stages(tiny_params(labels__background_score="sweep"), ["export_labels"])
    swept = contents("data/cams", "data/pseudo-labels")
    score = json.loads(Path("reports/export_labels/metrics.json").read_text())["background_score"]
    run_stages(tiny_params(labels__background_score=score), ["export_labels"])
    assert contents("data/cams", "data/pseudo-labels") == swept


def test_a_killed_training_goes_on_from_its_checkpoint(
    workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import stages.train_cam as stage
    from stages.common.stage import Context
    from weaktr.config.load import parse_params

    before = contents("models/cam", "reports/train_cam")
    shutil.rmtree("models/cam")

    def die_in_epoch_two(values: object, step: int) -> None:
        if step == 2:
            raise KeyboardInterrupt

    context = Context(
        params=parse_params(tiny_params()),
        device="cpu",
        reports=Path("reports/train_cam"),
        log=die_in_epoch_two,
    )
    with pytest.raises(KeyboardInterrupt):
        stage.run(context)
    assert not Path("models/cam").exists()
    assert len(list(Path("checkpoints").iterdir())) == 1
    epochs: list[int] = []
    context = Context(
        params=context.params,
        device="cpu",
        reports=context.reports,
        log=lambda values, step: epochs.append(step),
    )
    stage.run(context)
    assert epochs[0] == 2, "the first epoch must not be trained again"
    assert contents("models/cam", "reports/train_cam") == before
    assert list(Path("checkpoints").iterdir()) == []


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
    metrics = json.loads(Path("reports/evaluate/metrics.json").read_text())
    assert metrics == {"images": 6, "split": "test"}


def run_command(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(app, [*arguments, "--no-track"])
    return result.exit_code, result.output


@pytest.mark.parametrize(
    ("command", "spoil", "sentence"),
    [
        ("train-cam", {"cam__epoch": 3}, "cam.epoch: no such key. Did you mean epochs?"),
        ("prepare", {"dataset__kind": "voc", "dataset__root": "data/raw/none"}, "data/raw/none"),
        ("train-cam", {"cam__backbone__weights": "elsewhere/w.pth"}, "must be in data/pretrained"),
        (
            "train-cam",
            {"cam__backbone__weights": "data/pretrained/w.pth"},
            "data/pretrained/w.pth does not exist",
        ),
        ("train-cam", {"cam__backbone__name": "resnet50"}, "resnet50"),
        ("train-cam", {"runtime__device": "cuda:7"}, "runtime.device: 'cuda:7' is not available"),
        (
            "evaluate",
            {"evaluation__split": "tset"},
            "no images in split 'tset'; it has: train, val",
        ),
    ],
)
def test_bad_params_end_a_stage_in_one_sentence(
    workspace: Path, command: str, spoil: dict[str, object], sentence: str
) -> None:
    write_params(workspace, tiny_params(**spoil))
    before = contents(*MADE)
    code, output = run_command(command)
    assert code == 2
    assert sentence in output
    assert output.startswith("Error: ")
    assert output.count("\n") == 1
    assert contents(*MADE) == before


@pytest.mark.parametrize(
    ("command", "spoil", "sentence"),
    [
        ("train-cam", "data/prepared", "data/prepared"),
        ("export-labels", "models/cam", "models/cam is not a saved model"),
        ("train-decoder", "data/pseudo-labels", "has no label maps; run the export_labels stage"),
        ("evaluate", "models/segmenter", "models/segmenter is not a saved model"),
    ],
)
def test_a_missing_input_ends_a_stage_in_one_sentence(
    workspace: Path, command: str, spoil: str, sentence: str
) -> None:
    shutil.rmtree(spoil)
    before = contents(*MADE)
    code, output = run_command(command)
    assert (code, output.count("\n")) == (2, 1)
    assert sentence in output
    assert contents(*MADE) == before


def test_an_image_that_broke_since_prepare_is_named(workspace: Path) -> None:
    image = next(Path("data/prepared/files/shapes/JPEGImages").glob("train_*"))
    image.write_bytes(image.read_bytes()[:100])
    for command in ("train-cam", "export-labels"):
        code, output = run_command(command)
        assert (code, output.count("\n")) == (2, 1), output
        assert image.name in output
    assert not list(Path("data").glob(".*"))


def test_a_model_of_the_wrong_kind_is_refused(workspace: Path) -> None:
    shutil.rmtree("models/cam")
    shutil.copytree("models/segmenter", "models/cam")
    code, output = run_command("export-labels")
    assert code == 2
    assert "a cam is needed. Got: 'segmenter'" in output


def test_the_five_commands_have_help() -> None:
    result = CliRunner().invoke(app, ["--help"])
    for command in CHAIN:
        assert command.replace("_", "-") in result.output
        assert CliRunner().invoke(app, [command.replace("_", "-"), "--help"]).exit_code == 0
