import os
import signal
from pathlib import Path

import pytest

from stages.common.runner import run_stage
from stages.common.stage import Stage
from tests.mlflow_store import client
from tests.tiny import tiny_params, write_params


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
