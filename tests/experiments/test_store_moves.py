"""A project that is moved or copied keeps its artifacts."""

import shutil
from pathlib import Path

import pytest

from tests.mlflow_store import client
from weaktr.experiments.store import follow_the_project, open_store, shown
from weaktr.experiments.tracking import start_run


def write(text: str) -> str:
    """A run with one artifact; returns its id."""
    file = Path("artifact.txt")
    file.write_text(text)
    with start_run("weaktr", text, {}) as run:
        run.log_artifacts(file)
    return run.id


def read(folder: Path, run_id: str) -> str:
    place = client(folder).download_artifacts(run_id, "artifact.txt", str(folder))
    return Path(place).read_text()


@pytest.mark.parametrize("way", ["moved", "copied"])
def test_artifacts_come_along(
    store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    monkeypatch.chdir(store)
    old = write("old")
    there = tmp_path.parent / f"{tmp_path.name} a place"
    if way == "moved":
        shutil.move(store, there)
    else:
        shutil.copytree(store, there)
    monkeypatch.chdir(there)
    monkeypatch.setenv("DVC_ROOT", str(there))
    new = write("new")
    assert (read(there, old), read(there, new)) == ("old", "new")
    assert len(list((there / "mlruns").rglob("artifact.txt"))) == 2
    if way == "copied":
        monkeypatch.setenv("DVC_ROOT", str(store))
        open_store()
        assert len(list((store / "mlruns").rglob("artifact.txt"))) == 1
        assert read(store, old) == "old"


def test_a_store_whose_artifacts_stayed_keeps_their_addresses(
    store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(store)
    old = write("old")
    there = tmp_path / "database only"
    there.mkdir()
    shutil.copy(store / "mlflow.db", there)
    follow_the_project(there)
    assert read(there, old) == "old"
    experiment = client(there).get_experiment_by_name("weaktr")
    assert experiment is not None
    assert experiment.artifact_location == (there / "mlruns/weaktr").as_uri()
    before = (there / "mlflow.db").read_bytes()
    follow_the_project(there)
    assert (there / "mlflow.db").read_bytes() == before, "nothing is left to change"


def test_a_password_is_never_shown() -> None:
    assert shown("https://ann:secret@host:5000/a") == "https://***@host:5000/a"
    assert shown("sqlite:////a/b@c.db") == "sqlite:////a/b@c.db"
