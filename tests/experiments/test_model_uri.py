import os
import shutil
from pathlib import Path

import pytest

from tests.console import CLASSES, save_cam_network, save_segmenter, weaktr
from tests.tiny_data import write_image
from weaktr.errors import UserError
from weaktr.experiments.model_uri import load_named_model, register_model
from weaktr.experiments.tracking import start_run
from weaktr.models.cam_network import CAMNetwork
from weaktr.models.segmenter import Segmenter


@pytest.fixture(scope="module")
def project(empty_store: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project folder with a store that has a stage run with models; `id` holds the run's."""
    root = tmp_path_factory.mktemp("project")
    shutil.copy(empty_store, root / "mlflow.db")
    segmenter = save_segmenter(root / "segmenter")
    cam = save_cam_network(root / "cam")
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        patch.setenv("DVC_ROOT", str(root))
        with start_run("weaktr-stages", "train_decoder", {}) as run:
            run.log_artifacts(segmenter, cam)
    (root / "id").write_text(run.id)
    return root


@pytest.fixture(autouse=True)
def uri(project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """URI of the run's segmenter, in the project that `DVC_ROOT` names."""
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.setenv("DVC_ROOT", str(project))
    monkeypatch.chdir(tmp_path)
    return f"runs:/{(project / 'id').read_text()}/segmenter"


def test_a_runs_model_is_loaded(uri: str) -> None:
    loaded = load_named_model(uri, Segmenter)
    assert loaded.classes == CLASSES
    assert load_named_model(uri.replace("segmenter", "cam"), CAMNetwork).classes == CLASSES
    assert "MLFLOW_TRACKING_URI" not in os.environ


def test_a_registered_model_is_loaded_by_version_and_alias(
    uri: str, capsys: pytest.CaptureFixture[str]
) -> None:
    version = register_model(uri, "animals")
    assert register_model(uri, "animals", alias="best") == version + 1
    for name in (f"models:/animals/{version}", "models:/animals@best"):
        assert load_named_model(name, Segmenter).classes == CLASSES
    assert weaktr("register", uri, "animals") == 0
    assert capsys.readouterr().out == f"models:/animals/{version + 2}\n"


def test_predict_takes_a_uri(uri: str) -> None:
    write_image(Path("x.jpg"))
    assert weaktr("predict", uri, "x.jpg") == 0
    assert Path("predictions/masks/x.png").is_file()


@pytest.mark.parametrize(
    "name",
    [
        "runs:/0123456789abcdef0123456789abcdef/segmenter",
        "runs:/x",
        "models:/nobody/1",
        "models:/nobody@best",
        "models:/",
        "nowhere",
        "https://example.org/model",
    ],
)
def test_what_is_not_there_is_refused_in_a_sentence(name: str) -> None:
    with pytest.raises(UserError, match=name.split("/")[0]) as error:
        load_named_model(name, Segmenter)
    assert "\n" not in str(error.value)


def test_only_a_model_of_a_run_is_registered(uri: str) -> None:
    with pytest.raises(UserError):
        register_model(uri.replace("segmenter", "nothing"), "other")
    with pytest.raises(UserError, match="only models of runs"):
        register_model("models:/animals/1", "other")
    with pytest.raises(UserError):
        load_named_model("models:/other/1", Segmenter)


def test_no_store_is_made_by_looking(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    with pytest.raises(UserError, match="there is no MLflow store"):
        load_named_model("runs:/x/segmenter", Segmenter)
    assert not list(tmp_path.iterdir())
