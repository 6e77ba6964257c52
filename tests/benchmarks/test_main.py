"""The command line of the benchmarks: what it refuses before it measures for minutes."""

from pathlib import Path

import pytest

from benchmarks import __main__ as command


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--device", "cpuu"], "--device: 'cpuu' is not available"),
        (["--rows", "no such row"], "nothing is called 'no such row'"),
        (["--save", "{folder}"], "is a folder; name a file"),
        (["--trace", "{folder}/file"], "cannot be read or written"),
        (["--compare", "{folder}/file"], "is not valid JSON"),
    ],
)
def test_bad_arguments_are_one_sentence_ahead_of_the_work(
    arguments: list[str],
    sentence: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(command, "measure_rates", lambda _: pytest.fail("it measures"))
    (tmp_path / "file").write_text("no results")
    given = [argument.format(folder=tmp_path) for argument in arguments]
    monkeypatch.setattr("sys.argv", ["python -m benchmarks", *given])
    with pytest.raises(SystemExit) as stop:
        command.main()
    assert stop.value.code == 2
    assert sentence in " ".join(capsys.readouterr().err.split())
