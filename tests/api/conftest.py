"""Tiny models, and a project to use them in."""

from pathlib import Path

import pytest
from PIL import Image

import weaktr
from tests.api.scene import SCENE
from tests.console import save_cam_network, save_segmenter


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `segmenter` and `cam`, tiny and untrained."""
    folder = tmp_path_factory.mktemp("models")
    save_segmenter(folder / "segmenter")
    save_cam_network(folder / "cam")
    return folder


@pytest.fixture(scope="module")
def segmenter(models: Path) -> weaktr.SegmenterModel:
    model = weaktr.load(models / "segmenter", device="cpu")
    assert isinstance(model, weaktr.SegmenterModel)
    return model


@pytest.fixture(scope="module")
def cam(models: Path) -> weaktr.CAMModel:
    model = weaktr.load(models / "cam", device="cpu")
    assert isinstance(model, weaktr.CAMModel)
    return model


@pytest.fixture(autouse=True)
def project(tmp_path: Path, models: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project as `make repro` leaves it, around a folder `examples` to run in."""
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    (tmp_path / "models").symlink_to(models)
    (tmp_path / "examples").mkdir()
    monkeypatch.chdir(tmp_path)
    Image.fromarray(SCENE).save("photo.jpg", quality=95)
    Image.fromarray(SCENE).save("photo.png")
    return tmp_path
