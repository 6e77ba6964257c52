"""A folder in which the whole chain has run, made once per test process."""

import shutil
from pathlib import Path

import pytest

from tests.tiny import CHAIN, run_stages, tiny_params, write_params


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which the whole chain has run."""
    folder = tmp_path_factory.mktemp("finished")
    params = tiny_params()
    write_params(folder, params)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        run_stages(params, (*CHAIN, "summary"))
    return folder


@pytest.fixture
def workspace(finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of it to spoil."""
    folder = tmp_path / "copy"
    shutil.copytree(finished, folder)
    monkeypatch.chdir(folder)
    return folder
