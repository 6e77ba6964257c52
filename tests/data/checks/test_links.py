"""Links below a data set's root: what DVC would not see is refused."""

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.data.checks.sound_folder import HEADER, SOUND, params
from tests.tiny_data import write_folder
from weaktr.data.checks.check import check_dataset
from weaktr.data.readers.listing import Problem


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return write_folder(tmp_path / "pets", SOUND, HEADER)


def links(root: Path) -> list[Problem]:
    report = check_dataset(params(root))
    return [problem for problem in report.errors if "link" in problem.kind]


def test_the_root_and_single_files_may_be_links(root: Path, tmp_path: Path) -> None:
    (root / "images/a.jpg").rename(tmp_path / "a.jpg")
    (root / "images/a.jpg").symlink_to(tmp_path / "a.jpg")
    (tmp_path / "link").symlink_to(root, target_is_directory=True)
    assert not check_dataset(params(tmp_path / "link")).errors


def test_a_linked_folder_is_refused_and_the_command_mends_it(root: Path, tmp_path: Path) -> None:
    shutil.move(root / "images", tmp_path / "big disk")
    (root / "images").symlink_to(tmp_path / "big disk", target_is_directory=True)
    (problem,) = links(root)
    assert problem.message.startswith(
        f"{root}/images is a link to a folder: DVC does not look into it, so that a changed image "
        "there would rerun nothing; make dataset.root itself the link, or put a folder of linked "
    )
    command = problem.message.rpartition(" in its place (")[2].removesuffix(").")
    subprocess.run(command, shell=True, check=True)
    assert not check_dataset(params(root)).errors
    assert (root / "images/a.jpg").is_symlink()


def test_several_make_one_sentence(root: Path, tmp_path: Path) -> None:
    for name in ("x", "y", "z"):
        (tmp_path / name).mkdir()
        (root / name).symlink_to(tmp_path / name, target_is_directory=True)
    (problem,) = links(root)
    assert f"{root}/x is a link to a folder (and 2 more)" in problem.message


def test_what_nobody_follows_is_no_matter(root: Path, tmp_path: Path) -> None:
    """A link to a folder above itself, hidden ones, and Emacs's locks, which lead nowhere."""
    (root / "images/loop").symlink_to(root, target_is_directory=True)
    (root / ".hidden").symlink_to(tmp_path, target_is_directory=True)
    (root / "images/.#a.jpg").symlink_to("me@here.42")
    assert not links(root)


def test_a_link_that_leads_nowhere(root: Path) -> None:
    (root / "notes.txt").symlink_to("gone.txt")
    (problem,) = links(root)
    assert problem.message == (
        f"{root}/notes.txt is a link that leads nowhere, at which DVC stops; remove it, or put "
        "back gone.txt."
    )
