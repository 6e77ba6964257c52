import shutil
from pathlib import Path

import pytest
import yaml

from tests.conftest import REPOSITORY
from tests.console import weaktr
from tests.stages.conftest import finished
from weaktr.cli.report import changed_params

__all__ = ["finished"]


def test_outside_of_a_project_it_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert weaktr("report") == 2
    assert "run from the project's folder" in capsys.readouterr().err


def test_params_that_are_not_those_of_the_result_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("stages").mkdir()
    Path("dvc.yaml").touch()
    labels = {"background_score": 0.35, "scales": [1.0]}
    made = {"labels": labels, "seed": 0}
    lock = {"stages": {"report": {"params": {"params.yaml": made}}}}
    Path("dvc.lock").write_text(yaml.safe_dump(lock))
    now = {**made, "labels": {**labels, "background_score": 0.9}, "runtime": {"workers": 2}}
    Path("params.yaml").write_text(yaml.safe_dump(now))
    assert weaktr("report") == 2
    said = " ".join(capsys.readouterr().err.split())
    assert "(labels.background_score)" in said
    Path("params.yaml").write_text(yaml.safe_dump({**made, "runtime": {"workers": 2}}))
    assert changed_params(Path("dvc.lock"), Path("params.yaml")) == []
    assert changed_params(Path("absent"), Path("params.yaml")) == []


@pytest.mark.slow
def test_the_report_is_made_again_with_versions(
    finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = tmp_path / "project"
    shutil.copytree(finished, project)
    for name in ("dvc.yaml", "stages"):
        (project / name).symlink_to(REPOSITORY / name)
    monkeypatch.chdir(project)
    monkeypatch.setenv("PYTHONPATH", str(REPOSITORY))
    kept = Path("reports/report/report.html")
    before = kept.read_bytes()
    kept.unlink()
    assert weaktr("report", "-o", "out.html") == 0
    assert kept.read_bytes() == before
    assert "<dt>torch</dt>" in Path("out.html").read_text()
    assert "<dt>torch</dt>" not in before.decode()
