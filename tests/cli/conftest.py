"""Saved models for the commands, each of which runs in a folder of its own."""

from pathlib import Path

import pytest

from tests.console import save_cam_network, save_segmenter


@pytest.fixture(scope="session")
def segmenter(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_segmenter(tmp_path_factory.mktemp("models") / "segmenter")


@pytest.fixture(scope="session")
def cam_network(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_cam_network(tmp_path_factory.mktemp("models") / "cam")


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
