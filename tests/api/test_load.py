"""`weaktr.load`: quick to import, and plain about what it cannot load."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import weaktr
from tests.conftest import REPOSITORY
from tests.console import CLASSES


def test_importing_weaktr_is_fast_and_loads_nothing_heavy() -> None:
    code = (
        "import sys, time; start = time.perf_counter(); import weaktr\n"
        "seconds = time.perf_counter() - start; dir(weaktr); weaktr.UserError\n"
        "heavy = {'torch', 'timm', 'mlflow', 'dvc', 'pandas', 'numpy', 'PIL', 'matplotlib'}\n"
        "print(seconds, sorted(heavy & set(sys.modules)))"
    )
    seconds = []
    for _ in range(3):
        result = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True
        )
        taken, loaded = result.stdout.split(maxsplit=1)
        assert loaded == "[]\n"
        seconds.append(float(taken))
    assert min(seconds) < 0.1


def test_loading_a_folder_needs_neither_mlflow_nor_plots() -> None:
    code = (
        "import sys, weaktr; weaktr.load('models/segmenter').segment('photo.jpg')\n"
        "print(sorted({'mlflow', 'dvc', 'pandas', 'matplotlib'} & set(sys.modules)))"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert result.stdout == "[]\n"


def test_the_face_has_what_it_promises() -> None:
    assert set(weaktr.__all__) <= set(dir(weaktr))
    for name in weaktr.__all__:
        assert getattr(weaktr, name).__name__ == name
    with pytest.raises(AttributeError, match="module 'weaktr' has no attribute 'laod'"):
        weaktr.laod  # type: ignore[attr-defined]  # noqa: B018
    from weaktr import labels  # a module is no name of the face, and yet to be had

    assert labels.VOID == 255


def test_the_version_is_a_literal_as_setuptools_wants_it() -> None:
    tree = ast.parse((REPOSITORY / "weaktr/__init__.py").read_text())
    values = {
        node.targets[0].id: node.value
        for node in tree.body
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name)
    }
    assert ast.literal_eval(values["__version__"]) == weaktr.__version__


# Loading.


def test_a_model_says_what_it_is(
    segmenter: weaktr.SegmenterModel, cam: weaktr.CAMModel, models: Path
) -> None:
    assert segmenter.classes == cam.classes == CLASSES
    assert repr(segmenter) == (
        f"SegmenterModel('{models}/segmenter', deit_tiny_patch16_224 on cpu, "
        "3 classes: cat, dog, cow)"
    )
    assert repr(cam).startswith(f"CAMModel('{models}/cam', ")
    assert segmenter.params.crop_size == 32
    assert not segmenter.network.training


@pytest.mark.parametrize(
    ("name", "device", "sentence"),
    [
        ("nowhere", "auto", "nowhere is not a folder;"),
        (".", "auto", r"\. is not a saved model: it has no config.json;"),
        ("models/segmenter", "gpu", "device: 'gpu' is not available on this machine;"),
        ("models:/animals/9", "auto", "models:/animals/9: there is no MLflow store"),
    ],
)
def test_what_cannot_be_loaded_is_one_sentence(name: str, device: str, sentence: str) -> None:
    with pytest.raises(weaktr.UserError, match=sentence) as error:
        weaktr.load(name, device)
    assert "\n" not in str(error.value)


def test_each_kind_refuses_what_the_other_does(
    segmenter: weaktr.SegmenterModel, cam: weaktr.CAMModel
) -> None:
    sentence = "cam is a CAM network, which gives class maps and no masks; load a segmenter"
    for refused in (cam.segment, cam.segment_all):
        with pytest.raises(weaktr.UserError, match=sentence):
            refused("photo.jpg", crf=True)
    with pytest.raises(
        weaktr.UserError, match="segmenter is a segmenter, which gives masks and no"
    ):
        segmenter.maps("photo.jpg", tags="cat")
