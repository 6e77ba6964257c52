"""The command line of the stages: each mistake is one sentence, and changes no output."""

import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from stages.__main__ import app
from tests.tiny import CHAIN, contents, tiny_params, write_params

pytestmark = pytest.mark.slow

MADE = ("data/prepared", "models", "data/cams", "data/pseudo-labels", "data/predictions", "reports")


def run_command(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(app, [*arguments, "--no-track"])
    return result.exit_code, result.output


@pytest.mark.parametrize(
    ("command", "spoil", "sentence"),
    [
        ("train-cam", {"cam__epoch": 3}, "cam.epoch: no such key. Did you mean cam.epochs?"),
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


def test_weights_may_be_a_linked_file_but_not_in_a_linked_folder(
    workspace: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """DVC follows links to files, and does not look into linked folders."""
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    (elsewhere / "w.pth").write_bytes(b"weights")
    pretrained = workspace / "data/pretrained"
    (pretrained / "w.pth").symlink_to(elsewhere / "w.pth")
    (pretrained / "folder").symlink_to(elsewhere, target_is_directory=True)
    for name, sentence in {
        "data/pretrained/w.pth": "data/pretrained/w.pth cannot be read as weights",
        "data/pretrained/folder/w.pth": "data/pretrained/folder is a link to a folder, into which",
        "data/pretrained/../raw/w.pth": "data/raw/w.pth must be in data/pretrained",
    }.items():
        write_params(workspace, tiny_params(cam__backbone__weights=name))
        code, output = run_command("train-cam")
        assert code == 2
        assert sentence in output
    shutil.rmtree(pretrained)
    pretrained.symlink_to(elsewhere, target_is_directory=True)
    write_params(workspace, tiny_params(cam__backbone__weights="data/pretrained/w.pth"))
    code, output = run_command("train-cam")
    assert "data/pretrained/w.pth cannot be read as weights" in output


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
