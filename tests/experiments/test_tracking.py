import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from stages.common.results import record_result, stage_tags
from stages.common.runner import run_stage, stage_named
from stages.common.stage import Stage
from tests.tiny import CHAIN, tiny_params, write_params
from weaktr.config.load import parse_params
from weaktr.errors import UserError
from weaktr.experiments.tracking import project_root, sqlite_file, start_run, tracking_uri
from weaktr.files import write_json


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


def test_a_run_is_recorded_whole(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_RUN_ID", "0" * 32)  # must not take over
    monkeypatch.setenv("DVC_EXP_NAME", "windy-fox")
    (store / "folder").mkdir()
    (store / "folder" / "a.txt").write_text("a")
    with start_run("e", "first", {"stage": "s"}) as run:
        run.log_params({"cam": {"lr": 1e-4, "crf": {"scales": [1], "weights": None}}})
        run.log_metrics({"loss": 2.0, "broken": float("nan")}, 1)
        run.log_metrics({"loss": 1.0}, 2)
        run.log_artifacts(store / "folder", store / "missing")
    found = client(store).get_run(run.id)
    assert found.info.status == "FINISHED"
    assert found.data.params == {
        "cam.lr": "0.0001",
        "cam.crf.scales": "[1]",
        "cam.crf.weights": "None",
    }
    assert found.data.metrics == {"loss": 1.0}
    assert [m.value for m in client(store).get_metric_history(run.id, "loss")] == [2.0, 1.0]
    assert found.data.tags["stage"] == "s"
    assert found.data.tags["dvc.exp_name"] == "windy-fox"
    assert [a.path for a in client(store).list_artifacts(run.id, "folder")] == ["folder/a.txt"]
    assert str(store / "mlruns") in found.info.artifact_uri.replace("file://", "")


@pytest.mark.parametrize(
    ("error", "status"),
    [(ValueError, "FAILED"), (KeyboardInterrupt, "KILLED"), (SystemExit, "KILLED")],
)
def test_a_run_that_breaks_says_so(store: Path, error: type[BaseException], status: str) -> None:
    with pytest.raises(error), start_run("e", "broken", {}) as run:
        raise error
    assert client(store).get_run(run.id).info.status == status


def test_a_terminated_stage_closes_its_run(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(store)
    write_params(store, tiny_params())
    before = signal.getsignal(signal.SIGTERM)
    suicide = Stage(
        name="prepare",
        run=lambda context: os.kill(os.getpid(), signal.SIGTERM),  # type: ignore[arg-type, return-value]
        sections=("dataset",),
        upstream=lambda params: (),
    )
    with pytest.raises(SystemExit, match="143"):
        run_stage(suicide, params_file=Path("params.yaml"))
    assert signal.getsignal(signal.SIGTERM) is before
    (experiment,) = [e for e in client(store).search_experiments() if e.name == "weaktr-stages"]
    (run,) = client(store).search_runs([experiment.experiment_id])
    assert run.info.status == "KILLED"


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


def test_a_store_that_is_lost_under_a_run_is_one_sentence(store: Path) -> None:
    with pytest.raises(UserError, match="failed while the run was written .* checkpoint") as caught:
        with start_run("e", "x", {}) as run:
            (store / "mlflow.db").write_text("x" * 5000)
            run.log_metrics({"loss": 1.0}, 1)
    assert "\n" not in str(caught.value)


def test_two_processes_may_make_a_store_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """MLflow's own migrations break each other."""
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    code = "from weaktr.experiments.tracking import start_run\nwith start_run('e', 'x', {}): pass"
    commands = [[sys.executable, "-c", code]] * 2
    running = [subprocess.Popen(command, stderr=subprocess.PIPE) for command in commands]
    errors = [process.communicate()[1].decode() for process in running]
    assert [process.returncode for process in running] == [0, 0], errors
    (experiment,) = client(tmp_path).search_experiments(filter_string="name = 'e'")
    assert len(client(tmp_path).search_runs([experiment.experiment_id])) == 2


@pytest.mark.parametrize("name", ["a b#c", "50%25 ä?x"])
def test_the_store_lies_in_a_folder_of_any_name(
    empty_store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.setenv("DVC_ROOT", str(tmp_path / name))
    (tmp_path / name).mkdir()
    database = Path(shutil.copy(empty_store, tmp_path / name / "mlflow.db"))
    before = database.read_bytes()
    with start_run("e", "x", {}):
        pass
    assert database.read_bytes() != before
    assert sqlite_file(tracking_uri()) == database


def test_a_deleted_experiment_is_named(store: Path) -> None:
    with start_run("e", "x", {}) as run:
        pass
    client(store).delete_experiment(run.experiment_id)
    with pytest.raises(UserError, match=f"'e' was deleted.* --experiment-id {run.experiment_id}`"):
        with start_run("e", "x", {}):
            pass


def test_a_run_needs_no_git(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(store / "nothing"))
    with start_run("e", "x", {}) as run:
        pass
    assert client(store).get_run(run.id).data.tags["mlflow.source.git.commit"] == "unknown"


@pytest.fixture
def failing_server() -> Iterator[HTTPServer]:
    """A server that can do nothing, and counts in `asked`."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.server.asked += 1  # type: ignore[attr-defined]
            self.send_error(503)

        def log_message(self, *arguments: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        server.asked = 0  # type: ignore[attr-defined]
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


def test_a_server_that_fails_is_not_asked_for_minutes(
    failing_server: HTTPServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{failing_server.server_port}")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR", "0")
    monkeypatch.delenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", raising=False)
    with pytest.raises(UserError, match="cannot be used"):
        with start_run("e", "x", {}):
            pass
    assert failing_server.asked == 3  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("labels", "name"),
    [("data/pseudo-labels", "eva02_small"), ("data/prepared/masks.csv", "eva02_small, true masks")],
)
def test_a_result_bears_the_segmenters_name(
    store: Path, monkeypatch: pytest.MonkeyPatch, labels: str, name: str
) -> None:
    """All published recipes share the CAM network; the supervised reference has none."""
    monkeypatch.chdir(store)
    params = parse_params({"decoder": {"backbone": {"name": "eva02_small"}, "labels_from": labels}})
    ids = {}
    for stage in CHAIN:
        write_json(Path("reports", stage, "metrics.json"), {"images": 2})
        for path in stage_named(stage).writes:
            write_json(path if path.suffix else path / "file", stage)
        tags = stage_tags(stage_named(stage), params)
        with start_run("weaktr-stages", stage, {"stage": stage, **tags}) as run:
            ids[stage] = run.id
    record_result(stage_named("evaluate"), params, stage_named)
    (experiment,) = client(store).search_experiments(filter_string="name = 'weaktr'")
    (run,) = client(store).search_runs([experiment.experiment_id])
    assert run.info.run_name == name
    supervised = labels.endswith(".csv")
    used = [s for s in CHAIN if not (supervised and s in ("train_cam", "export_labels"))]
    assert run.data.metrics == {f"{stage}.images": 2 for stage in used}
    links = {k.removeprefix("run."): v for k, v in run.data.tags.items() if k.startswith("run.")}
    assert links == {stage: ids[stage] for stage in used}
