import shutil
from pathlib import Path

import pytest

from tests.conftest import REPOSITORY
from tests.console import weaktr
from tests.stages.conftest import finished

__all__ = ["finished"]


def test_outside_of_a_project_it_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert weaktr("report") == 2
    assert "run from the project's folder" in capsys.readouterr().err


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
