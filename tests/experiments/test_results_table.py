"""Results side by side."""

import json
from pathlib import Path

import pytest

from tests.console import weaktr
from weaktr.experiments.results_table import (
    ResultRow,
    differing_params,
    metric_columns,
    usual_values,
)
from weaktr.experiments.tracking import start_run


def row(name: str, miou: float, **params: str) -> ResultRow:
    metrics = {"accuracy/val": 90.0, "miou/val": miou}
    return ResultRow(name, name, 0, metrics, ["train_cam/loss"], {"recipe": name, **params})


ROWS = [
    row("c", 3.0, seed="0", lr="0.1", rounds="1"),
    row("b", 2.0, seed="1", lr="0.1", rounds="1"),
    row("a", 1.0, seed="2", lr="0.2", rounds="1"),
]


def test_columns_are_what_results_are_compared_by() -> None:
    assert metric_columns(ROWS) == ["miou/val", "accuracy/val"]
    assert differing_params(ROWS) == ["seed", "lr"], "the one with the most values first"
    assert usual_values(ROWS, ["lr", "seed"]) == {"lr": "0.1", "seed": "2"}


def record(name: str, miou: float, seed: str) -> None:
    with start_run("weaktr", name, {}) as run:
        run.log_params({"recipe": "demo", "seed": seed})
        run.log_metrics({"miou/val": miou, "map/val": 50.0})
        run.log_curves([(1, {"train_cam/loss": 2.0}), (2, {"train_cam/loss": 1.0})])


def test_runs_are_listed_best_first(
    store: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(store)
    monkeypatch.setenv("COLUMNS", "80")
    record("demo", 70.0, "0")
    record("demo, seed 1", 80.0, "1")
    assert weaktr("runs") == 0
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 80
    assert lines[-2].split()[:4] == ["demo,", "seed", "1", "80.0"]
    assert lines[-1].split()[:2] == ["demo", "70.0"]
    assert weaktr("runs", "--json", "--last", "1") == 0
    (latest,) = json.loads(capsys.readouterr().out)
    assert latest["name"] == "demo, seed 1"
    assert latest["metrics"] == {"map/val": 50.0, "miou/val": 80.0}


def test_a_store_without_results_says_so(
    store: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(store)
    assert weaktr("runs") == 2
    assert "has no finished results in the experiment 'weaktr'" in capsys.readouterr().err
    (store / "mlflow.db").unlink()
    assert weaktr("runs") == 2
    assert "there is no MLflow store" in capsys.readouterr().err
    assert not (store / "mlflow.db").exists(), "looking makes no store"
