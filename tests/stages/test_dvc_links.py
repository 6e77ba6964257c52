"""Links and edits in place: what DVC sees of them, by real `dvc`."""

import shutil
from pathlib import Path

import pytest

from tests.dvc_repository import Repository
from tests.tiny_data import write_folder, write_image

pytestmark = pytest.mark.slow


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    """A repository whose data set is a folder outside of it, linked."""
    repository = Repository(tmp_path / "repository")
    root = write_folder(tmp_path / "disk", {f"{i}.png": "cat;dog" for i in range(24)})
    (repository.folder / "data/raw/pets").symlink_to(root, target_is_directory=True)
    for key, value in {"kind": "folder", "root": "data/raw/pets"}.items():
        repository.change("dataset", key, value)
    return repository


def prepared_again(repository: Repository) -> bool:
    return "Running stage 'prepare'" in repository.call("dvc", "repro", "prepare")


def test_a_changed_image_reruns_prepare_behind_every_link_that_goes(
    repository: Repository, tmp_path: Path
) -> None:
    assert prepared_again(repository)
    assert not prepared_again(repository)
    write_image(tmp_path / "disk/images/3.png", seed=100)
    assert prepared_again(repository), "behind a linked root"
    (tmp_path / "disk/images/4.png").rename(tmp_path / "4.png")
    (tmp_path / "disk/images/4.png").symlink_to(tmp_path / "4.png")
    assert not prepared_again(repository), "the content is the same"
    write_image(tmp_path / "4.png", seed=101)
    assert prepared_again(repository), "behind a linked file"

    shutil.move(tmp_path / "disk/images", tmp_path / "elsewhere")
    (tmp_path / "disk/images").symlink_to(tmp_path / "elsewhere", target_is_directory=True)
    output = repository.call("dvc", "repro", "prepare", code=255)
    assert "data/raw/pets/images is a link to a folder: DVC does not look into it" in output
    assert "Traceback" not in output


def test_an_output_that_was_edited_in_place_comes_back(repository: Repository) -> None:
    """With linked files, the edit (by root, as in a container) would be in the cache too."""
    assert prepared_again(repository)
    path = repository.folder / "data/prepared/manifest.csv"
    before = path.read_bytes()
    path.chmod(0o644)
    with path.open("ab") as stream:
        stream.write(b"edited\n")
    repository.call("dvc", "repro", "prepare")
    assert path.read_bytes() == before
    path.unlink()
    repository.call("dvc", "checkout", "data/prepared/manifest.csv")
    assert path.read_bytes() == before
