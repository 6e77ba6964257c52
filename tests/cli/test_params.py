from pathlib import Path

import pytest

from tests.console import weaktr


def test_a_key_has_its_value_its_default_and_its_meaning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("params.yaml").write_text("labels: {background_score: sweep}\n")
    assert weaktr("params", "labels.background") == 0
    assert capsys.readouterr().out == (
        "labels.background_score: sweep   (default: 0.43)\n"
        "  A fixed score, or sweep: the best one by *training masks*, as the published code does.\n"
        "  Allowed: number, above 0, below 1; or sweep.\n"
    )


def test_outside_of_a_project_all_keys_have_their_defaults(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert weaktr("params") == 0
    out = capsys.readouterr().out
    assert "\nevaluation.voc_archive: false\n" in out
    assert "(default:" not in out


def test_a_word_in_no_key_gets_a_proposal(capsys: pytest.CaptureFixture[str]) -> None:
    assert weaktr("params", "cam.epoc_") == 2
    assert "no param has 'cam.epoc_' in its name. Did you mean cam.epochs?" in (
        capsys.readouterr().err
    )
