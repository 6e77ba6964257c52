"""What all commands share: help, one sentence for a mistake, no heavy imports."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import REPOSITORY
from tests.console import weaktr
from tests.tiny_data import write_folder, write_image
from weaktr.cli.app import app

COMMANDS = ("check-data", "predict", "cam", "export", "import-checkpoint", "register")


@pytest.mark.parametrize("module", ["weaktr.cli.app", "stages.__main__"])
def test_help_loads_nothing_heavy(module: str) -> None:
    code = (
        f"import sys; from {module} import app\n"
        "try: app(['--help'])\n"
        "except SystemExit: pass\n"
        "heavy = {'torch', 'timm', 'mlflow', 'pandas', 'numpy', 'matplotlib', 'dvc'}\n"
        "print('loaded:', sorted(heavy & set(sys.modules)))"
    )
    result = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},  # stages are not installed
        capture_output=True,
        text=True,
    )
    assert result.stdout.endswith("loaded: []\n"), result.stdout + result.stderr


def test_every_command_has_a_help_text_with_an_example(capsys: pytest.CaptureFixture[str]) -> None:
    callbacks = [command.callback for command in app.registered_commands]
    names = [callback.__name__.replace("_", "-") for callback in callbacks if callback]
    assert set(COMMANDS) <= set(names)
    for name in names:
        assert weaktr(name, "--help") == 0
        text = capsys.readouterr().out
        assert f"\n  weaktr {name}" in text


def test_a_mistake_is_one_sentence_and_exit_code_2(capfd: pytest.CaptureFixture[str]) -> None:
    assert weaktr("predict", "nowhere", "nothing.jpg") == 2
    out, err = capfd.readouterr()
    assert out == ""
    assert err.startswith("Error: nothing.jpg does not exist;")
    assert err.count("\n") == 1


def test_a_model_of_the_wrong_kind_is_refused(
    segmenter: Path, cam_network: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_image(Path("x.jpg"))
    assert weaktr("predict", cam_network, "x.jpg") == 2
    assert weaktr("cam", segmenter, "x.jpg") == 2
    assert weaktr("export", cam_network) == 2
    assert capsys.readouterr().err.count("another kind") == 3


def test_what_the_system_refuses_is_one_sentence(
    segmenter: Path, cam_network: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    write_image(Path("x.jpg"))
    write_folder(Path("photos"), {"x.jpg": "cat"})
    Path("photos/tags.csv").unlink()
    Path("photos/tags.csv").mkdir()
    Path("file").touch()
    for command, sentence in (
        (("check-data", "--kind", "folder", "--root", "photos"), "photos/tags.csv cannot be read"),
        (("check-data", "--params", "."), ". cannot be read or written (Is a directory)"),
        (("cam", cam_network, "x.jpg", "-o", "photos"), "--output photos is a folder"),
        (("cam", cam_network, "x.jpg", "-o", "file/y.png"), "file cannot be read or written"),
        (("export", segmenter, "-o", "photos"), "--output photos is a folder"),
    ):
        assert weaktr(*command) == 2
        error = capfd.readouterr().err
        assert error.startswith(f"Error: {sentence}")
        assert error.count("\n") == 1


@pytest.mark.parametrize(
    ("typed", "proposed"),
    [
        ("weaktr reg", ["register"]),
        ("weaktr recipes own-images-", ["own-images-quick"]),
        ("weaktr recipes --use superv", ["supervised"]),
        ("weaktr params labels.crf.iter", ["labels.crf.iterations"]),
    ],
)
def test_the_shell_completes_commands_recipes_and_keys(
    typed: str,
    proposed: list[str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(REPOSITORY)
    monkeypatch.setenv("_WEAKTR_COMPLETE", "complete_bash")
    monkeypatch.setenv("COMP_WORDS", typed)
    monkeypatch.setenv("COMP_CWORD", str(len(typed.split()) - 1))
    assert weaktr() == 0
    assert capsys.readouterr().out.split() == proposed
