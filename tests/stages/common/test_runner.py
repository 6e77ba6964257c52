import os
import signal
from pathlib import Path

import pytest

from stages.common import runner
from stages.common.code_digest import code_digest
from stages.common.runner import run_stage, stage_named
from stages.common.stage import Context, Result, Stage
from tests.mlflow_store import client
from tests.tiny import tiny_params, write_params
from weaktr import precision
from weaktr.config.load import parse_params
from weaktr.errors import UserError
from weaktr.files import write_json
from weaktr.stopping import Stop


def test_a_terminated_stage_closes_its_run(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(store)
    write_params(store, tiny_params())
    before = signal.getsignal(signal.SIGTERM)
    suicide = Stage(
        name="prepare",
        run=lambda context: os.kill(os.getpid(), signal.SIGTERM),
        sections=("dataset",),
        upstream=lambda params: (),
    )
    with pytest.raises(SystemExit, match="143"):
        run_stage(suicide, params_file=Path("params.yaml"))
    assert signal.getsignal(signal.SIGTERM) is before
    (experiment,) = [e for e in client(store).search_experiments() if e.name == "weaktr-stages"]
    (run,) = client(store).search_runs([experiment.experiment_id])
    assert run.info.status == "KILLED"


NO_WEIGHTS = """
cam: {backbone: {weights: none}, lr: 0.1}
decoder: {backbone: {weights: none}}
runtime: {device: cpu}
"""


def changing(path: Path, old: str, new: str) -> Stage:
    """A stage under which a file is edited."""

    def run(context: Context) -> Result:
        path.write_text(path.read_text().replace(old, new))
        return Result(made="nothing", where=Path("nothing"))

    return Stage(name="train_cam", run=run, sections=("cam",), upstream=lambda params: ())


def test_params_that_change_under_a_stage_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """DVC reads them again at the end, and would record the new values with the old outputs."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DVC_STAGE", "train_cam")
    params = tmp_path / "params.yaml"
    params.write_text(NO_WEIGHTS + "labels: {flip: true}\n")
    with pytest.raises(UserError, match=r"cam in .* changed .*dvc commit -f train_cam"):
        run_stage(changing(params, "0.1", "0.2"), params_file=params, track=False)
    run_stage(changing(params, "flip: true", "flip: false"), params_file=params, track=False)


def test_code_that_is_newer_than_its_digest_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DVC_STAGE", "train_cam")
    params = tmp_path / "params.yaml"
    params.write_text(NO_WEIGHTS)
    write_json("code.json", {"train_cam": "older"})
    with pytest.raises(UserError, match="the code of train_cam was edited after code.json"):
        run_stage(changing(params, "a", "a"), params_file=params, track=False)
    write_json("code.json", {"train_cam": code_digest("stages.train_cam")})
    run_stage(changing(params, "a", "a"), params_file=params, track=False)


def test_other_code_has_another_checkpoint(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else a killed training would go on with the epochs of the old code."""
    params = parse_params({})
    stage = stage_named("train_cam")
    one = runner._context(stage, params, "cpu", Stop())
    assert runner._context(stage, params, "cpu", Stop()).fingerprint == one.fingerprint
    seeded = runner._context(stage, parse_params({"seed": 1}), "cpu", Stop())
    assert seeded.fingerprint != one.fingerprint
    monkeypatch.setattr(runner, "code_digest", lambda module: "edited")
    assert runner._context(stage, params, "cpu", Stop()).fingerprint != one.fingerprint


def test_what_was_begun_in_another_precision_is_not_gone_on_with(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stage, params = stage_named("export_labels"), parse_params({"labels": {"precision": "auto"}})
    here = runner._context(stage, params, "cpu", Stop())
    monkeypatch.setattr(precision, "choose_precision", lambda *args, **kwargs: "bfloat16")
    elsewhere = runner._context(stage, params, "cpu", Stop())
    assert elsewhere.fingerprint != here.fingerprint
    without_network = stage_named("prepare")
    assert runner._precisions(without_network, params.model_dump(mode="json"), "cpu") == {}


def test_a_store_that_fails_at_the_end_undoes_nothing(
    store: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(store)
    write_params(store, tiny_params())

    def run(context: Context) -> Result:
        write_json(context.reports / "details.json", {"a": 1})
        (store / "mlruns").write_text("a file in the place of the folder")
        return Result(made="nothing", where=Path("nothing"))

    stage = Stage(name="train_cam", run=run, sections=("cam",), upstream=lambda params: ())
    run_stage(stage, params_file=Path("params.yaml"))
    printed = capsys.readouterr()
    assert "is incomplete, it lacks: reports/train_cam (" in printed.err
    assert printed.out.endswith("-> nothing\n")
