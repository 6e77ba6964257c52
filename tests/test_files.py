import errno
import os
import stat
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from weaktr.errors import UserError, one_sentence
from weaktr.files import (
    digest_files,
    digest_value,
    read_json,
    replace_dir,
    replace_file,
    write_json,
)


def fail_inside(manager: AbstractContextManager[Path], write: Callable[[Path], object]) -> None:
    with pytest.raises(RuntimeError, match="stopped"), manager as temporary:
        write(temporary)
        raise RuntimeError("stopped")


def test_a_file_keeps_its_old_content_when_writing_fails(tmp_path: Path) -> None:
    path = tmp_path / "a" / "x.txt"
    with replace_file(path) as temporary:
        temporary.write_text("old")
    fail_inside(replace_file(path), lambda t: t.write_text("half"))
    assert path.read_text() == "old"
    assert os.listdir(path.parent) == ["x.txt"]


def test_a_folder_keeps_its_old_content_when_writing_fails(tmp_path: Path) -> None:
    folder = tmp_path / "out"
    with replace_dir(folder) as temporary:
        (temporary / "old").write_text("")
    fail_inside(replace_dir(folder), lambda t: (t / "half").write_text(""))
    assert os.listdir(folder) == ["old"]
    assert os.listdir(tmp_path) == ["out"]


def test_a_folder_is_replaced_as_a_whole(tmp_path: Path) -> None:
    for name in ("first", "second"):
        with replace_dir(tmp_path / "out") as temporary:
            (temporary / name).write_text("")
    assert os.listdir(tmp_path / "out") == ["second"]


def test_leftovers_of_a_killed_process_do_not_get_in(tmp_path: Path) -> None:
    leftover = tmp_path / ".out.tmp"
    leftover.mkdir()
    (leftover / "half").write_text("")
    with replace_dir(tmp_path / "out") as temporary:
        assert os.listdir(temporary) == []


@pytest.mark.skipif(os.name != "posix", reason="folders are flushed on POSIX only")
def test_a_file_system_that_flushes_no_folder_still_takes_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    flush = os.fsync

    def only_files(number: int) -> None:
        if stat.S_ISDIR(os.fstat(number).st_mode):
            raise OSError(errno.EINVAL, "Invalid argument")
        flush(number)

    monkeypatch.setattr(os, "fsync", only_files)
    with replace_file(tmp_path / "x.txt") as temporary:
        temporary.write_text("whole")
    assert (tmp_path / "x.txt").read_text() == "whole"


def test_json_is_sorted_and_readable(tmp_path: Path) -> None:
    write_json(tmp_path / "a.json", {"b": 1, "a": "é"})
    assert (tmp_path / "a.json").read_text("utf-8") == '{\n  "a": "é",\n  "b": 1\n}\n'
    assert read_json(tmp_path / "a.json") == {"a": "é", "b": 1}


def test_json_has_null_for_numbers_that_it_lacks(tmp_path: Path) -> None:
    nan = float("nan")
    write_json(tmp_path / "a.json", {"a": [nan, 1.5, (-float("inf"),)], "b": {"c": nan}})
    assert read_json(tmp_path / "a.json") == {"a": [None, 1.5, [None]], "b": {"c": None}}


@pytest.mark.parametrize("content", [None, b"{", b"\xff\xfe"])
def test_unreadable_json_is_one_sentence(tmp_path: Path, content: bytes | None) -> None:
    if content is not None:
        (tmp_path / "a.json").write_bytes(content)
    with pytest.raises(UserError, match=r"a\.json"):
        read_json(tmp_path / "a.json")


def test_digests_follow_content_and_inner_names_only(tmp_path: Path) -> None:
    for place in ("one", "two"):
        (tmp_path / place).mkdir()
        (tmp_path / place / "f").write_text("same")
    one, two = digest_files([tmp_path / "one"]), digest_files([tmp_path / "two"])
    assert one == two
    (tmp_path / "two" / "f").rename(tmp_path / "two" / "g")
    assert digest_files([tmp_path / "two"]) != one
    (tmp_path / "one" / "f").write_text("other")
    assert digest_files([tmp_path / "one"]) != one


def test_value_digests_ignore_key_order() -> None:
    assert digest_value({"a": 1, "b": 2}) == digest_value({"b": 2, "a": 1}) != digest_value({})


def test_a_linked_folder_is_replaced_where_it_is(tmp_path: Path) -> None:
    (tmp_path / "big").mkdir()
    (tmp_path / "big" / "old").touch()
    (tmp_path / "link").symlink_to("big", target_is_directory=True)
    with replace_dir(tmp_path / "link") as folder:
        (folder / "new").touch()
    assert (tmp_path / "link").is_symlink()
    assert [path.name for path in (tmp_path / "big").iterdir()] == ["new"]


def test_a_file_where_a_folder_is_to_be_made_is_refused_before_the_work(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    with pytest.raises(UserError, match="is a file where a folder is to be made"):
        with replace_dir(tmp_path / "file"):
            pytest.fail("the work has begun")
    assert (tmp_path / "file").read_text() == "mine"


def test_a_full_disk_is_said_of_the_file_and_leaves_the_old_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What the system says of it names no file."""
    file, folder = tmp_path / "a.txt", tmp_path / "folder"
    file.write_text("old")
    with pytest.raises(SystemExit), one_sentence(), replace_file(file) as temporary:
        temporary.write_text("new")
        raise OSError(errno.ENOSPC, "No space left on device")
    with pytest.raises(SystemExit), one_sentence(), replace_dir(folder):
        raise OSError(errno.ENOSPC, "No space left on device")
    first, second = capsys.readouterr().err.splitlines()
    assert first.startswith(f"Error: {file} cannot be read or written (No space left on device)")
    assert second.startswith(f"Error: {folder} cannot be")
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]
    assert file.read_text() == "old"


def test_a_device_or_a_pipe_is_not_replaced_by_a_file(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    link = tmp_path / "link"
    link.symlink_to(pipe)
    for path in (pipe, link, Path("/dev/stdout")):
        with pytest.raises(UserError, match="device or a pipe; name a file"), replace_file(path):
            pytest.fail("the work was begun")
    assert stat.S_ISFIFO(pipe.stat().st_mode)
    assert not list(tmp_path.glob(".*"))
