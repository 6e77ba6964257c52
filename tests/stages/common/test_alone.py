import errno
from pathlib import Path

import pytest
from filelock import FileLock

from stages.common import alone
from stages.common.alone import alone_with_stage, alone_with_work
from weaktr.errors import UserError


def test_a_second_process_is_told_who_the_first_one_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(alone, "PATIENCE", 0.1)
    with FileLock(tmp_path / ".train_cam.lock"):
        (tmp_path / ".train_cam.pid").write_text("4711")
        with pytest.raises(UserError, match=r"another process \(4711\) runs train_cam .*kill 4711"):
            with alone_with_stage("train_cam", tmp_path):
                raise AssertionError
        with alone_with_stage("prepare", tmp_path):
            pass
    with alone_with_stage("train_cam", tmp_path):
        pass


def test_what_a_killed_process_left_behind_holds_nobody_up(tmp_path: Path) -> None:
    (tmp_path / ".train_cam.lock").touch()
    (tmp_path / ".train_cam.pid").write_text("4711")
    with alone_with_stage("train_cam", tmp_path):
        pass


def test_equal_works_follow_each_other(tmp_path: Path) -> None:
    said: list[str] = []
    lock = FileLock(tmp_path / ".t-f.lock")

    def say(line: str) -> None:
        said.append(line)
        lock.release()

    lock.acquire()
    with alone_with_work(tmp_path, "t-f", say):
        assert said == ["t waits for process unknown, which makes just the same"]


@pytest.mark.parametrize("place", ["file/checkpoints", "file"])
def test_a_folder_that_cannot_be_is_one_sentence(tmp_path: Path, place: str) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(
        UserError, match="cannot be made .* the rights and|cannot be made .* folder"
    ):
        with alone_with_stage("train_cam", tmp_path / place):
            raise AssertionError


def test_a_full_disk_is_named_and_holds_no_lock(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An empty file still fits, a number does not."""

    def full(path: Path, text: str) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(Path, "write_text", full)
        with pytest.raises(UserError, match=r"\.train_cam\.lock cannot be made \(No space left"):
            with alone_with_stage("train_cam", tmp_path):
                raise AssertionError
    with alone_with_stage("train_cam", tmp_path):
        pass
