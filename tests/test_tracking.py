import shutil
from pathlib import Path

import pytest

from weaktr.errors import UserError
from weaktr.tracking import flatten, project_root, start_run, tracking_uri


@pytest.fixture(scope="module")
def empty_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An SQLite file with MLflow's tables, which take seconds to make."""
    folder = tmp_path_factory.mktemp("store")
    client(folder).search_experiments()
    return folder / "mlflow.db"


@pytest.fixture
def store(empty_store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    shutil.copy(empty_store, tmp_path / "mlflow.db")
    for variable in ("MLFLOW_TRACKING_URI", "MLFLOW_RUN_ID", "DVC_EXP_NAME"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    return tmp_path


def client(store: Path):
    from mlflow import MlflowClient

    return MlflowClient(f"sqlite:///{store / 'mlflow.db'}")


def test_the_default_store_is_the_main_repositorys(
    store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A queued experiment works in a copy of the repository; DVC_ROOT names the real one."""
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert project_root() == store
    assert tracking_uri() == f"sqlite:///{store / 'mlflow.db'}"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    assert tracking_uri() == "http://127.0.0.1:9"


def test_flatten_names_nested_params_with_dots() -> None:
    assert flatten({"a": {"b": 1, "c": {"d": None}}, "e": [1]}) == {
        "a.b": "1",
        "a.c.d": "None",
        "e": "[1]",
    }


def test_a_run_is_recorded_whole(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_RUN_ID", "0" * 32)  # must not take over
    monkeypatch.setenv("DVC_EXP_NAME", "windy-fox")
    (store / "folder").mkdir()
    (store / "folder" / "a.txt").write_text("a")
    with start_run("e", "first", {"stage": "s"}) as run:
        run.log_params({"cam": {"lr": 1e-4}})
        run.log_metrics({"loss": 2.0, "broken": float("nan")}, 1)
        run.log_metrics({"loss": 1.0}, 2)
        run.log_artifacts(store / "folder", store / "missing")
    found = client(store).get_run(run.id)
    assert found.info.status == "FINISHED"
    assert found.data.params == {"cam.lr": "0.0001"}
    assert found.data.metrics == {"loss": 1.0}
    assert [m.value for m in client(store).get_metric_history(run.id, "loss")] == [2.0, 1.0]
    assert found.data.tags["stage"] == "s"
    assert found.data.tags["dvc.exp_name"] == "windy-fox"
    assert [a.path for a in client(store).list_artifacts(run.id, "folder")] == ["folder/a.txt"]
    assert str(store / "mlruns") in found.info.artifact_uri.replace("file://", "")


@pytest.mark.parametrize(
    ("error", "status"), [(ValueError, "FAILED"), (KeyboardInterrupt, "KILLED")]
)
def test_a_run_that_breaks_says_so(store: Path, error: type[BaseException], status: str) -> None:
    with pytest.raises(error), start_run("e", "broken", {}) as run:
        raise error
    assert client(store).get_run(run.id).info.status == status


def test_a_store_that_cannot_be_used_is_one_sentence(
    store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (store / "not-a-database.db").write_text("x" * 5000)
    uri = f"sqlite:///{store / 'not-a-database.db'}"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    with pytest.raises(UserError, match="cannot be used .*MLFLOW_TRACKING_URI") as caught:
        with start_run("e", "x", {}):
            pass
    assert "\n" not in str(caught.value)
