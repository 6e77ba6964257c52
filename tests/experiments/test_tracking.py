import subprocess
import sys
from pathlib import Path

import pytest

from tests.mlflow_store import client
from weaktr.experiments.lost_runs import PROCESS, is_alive, process_tags
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


def test_a_store_that_is_lost_under_a_run_stops_nothing_and_what_it_lacks_is_named(
    store: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with start_run("e", "x", {}) as run:
        (store / "mlflow.db").write_text("x" * 5000)
        for epoch in range(3):
            run.log_metrics({"loss": 1.0}, epoch)
    first, last = capsys.readouterr().err.splitlines()
    assert first.startswith("Warning: the MLflow store at sqlite:///")
    assert last.startswith(f"Warning: run {run.id} in the MLflow store at sqlite:///")
    assert "is incomplete, it lacks: metrics, its end (" in last


def test_what_a_store_did_not_take_is_sent_at_the_end(
    store: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    database = store / "mlflow.db"
    with start_run("e", "x", {}) as run:
        run.log_metrics({"loss": 3.0}, 1)
        content = database.read_bytes()
        database.write_text("x" * 5000)
        run.log_metrics({"loss": 2.0}, 2)
        database.write_bytes(content)
        run.log_metrics({"loss": 1.0}, 3)
    assert len(capsys.readouterr().err.splitlines()) == 1
    assert client(store).get_run(run.id).info.status == "FINISHED"
    history = client(store).get_metric_history(run.id, "loss")
    assert [(point.step, point.value) for point in history] == [(1, 3.0), (2, 2.0), (3, 1.0)]


def test_what_a_store_refuses_keeps_nothing_else_back(
    store: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with start_run("e", "x", {}) as run:
        run.log_params({"a": 1})
        run.log_params({"a": 2})
        run.log_metrics({"loss": 2.0}, 1)
    assert client(store).get_run(run.id).data.metrics == {"loss": 2.0}
    assert client(store).get_run(run.id).info.status == "FINISHED"
    assert "it lacks: params (" in capsys.readouterr().err


@pytest.mark.slow
def test_a_run_whose_process_was_killed_is_ended_by_the_next_one(store: Path) -> None:
    code = (
        "import os, signal\nfrom weaktr.experiments.tracking import start_run\n"
        "with start_run('e', 'x', {}) as run:\n    print(run.id, flush=True)\n"
        "    os.kill(os.getpid(), signal.SIGKILL)"
    )
    killed = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False
    )
    lost = killed.stdout.strip()
    assert client(store).get_run(lost).info.status == "RUNNING"
    with start_run("e", "alive", {}) as alive, start_run("e", "other", {}):
        assert client(store).get_run(lost).info.status == "KILLED"
        assert client(store).get_run(alive.id).info.status == "RUNNING"


def test_a_process_is_the_same_after_the_clock_was_set() -> None:
    """When it began is told from the clock and the time since; another one has its number later."""
    number, begun = process_tags()[PROCESS].split()
    assert is_alive(f"{number} {float(begun) + 2:.2f}")
    assert not is_alive(f"{number} {float(begun) - 60:.2f}")
    assert not is_alive("")


def test_a_run_needs_no_git(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(store / "nothing"))
    with start_run("e", "x", {}) as run:
        pass
    assert client(store).get_run(run.id).data.tags["mlflow.source.git.commit"] == "unknown"
