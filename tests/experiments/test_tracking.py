from pathlib import Path

import pytest

from tests.mlflow_store import client
from weaktr.errors import UserError
from weaktr.experiments.tracking import start_run


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


def test_a_store_that_is_lost_under_a_run_is_one_sentence(store: Path) -> None:
    with pytest.raises(UserError, match="failed while the run was written .* checkpoint") as caught:
        with start_run("e", "x", {}) as run:
            (store / "mlflow.db").write_text("x" * 5000)
            run.log_metrics({"loss": 1.0}, 1)
    assert "\n" not in str(caught.value)


def test_a_run_needs_no_git(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(store / "nothing"))
    with start_run("e", "x", {}) as run:
        pass
    assert client(store).get_run(run.id).data.tags["mlflow.source.git.commit"] == "unknown"
