import json
from pathlib import Path
from typing import Any

import pytest

from weaktr.errors import UserError
from weaktr.journal import ImageJournal


def journal_of(folder: Path, said: list[str] | None = None) -> ImageJournal:
    lines = [] if said is None else said
    return ImageJournal(folder / "pass", ".txt", name="export", say=lines.append)


def finish(journal: ImageJournal, *ids: str) -> None:
    for id_ in ids:
        journal.path(id_).write_text(f"made of {id_}")
        journal.add(id_, {"of": id_})


def resumed(journal: ImageJournal) -> dict[str, Any]:
    notes: dict[str, Any] = {}
    journal.resume(lambda id_, note: notes.update({id_: note}))
    assert journal.done == notes.keys()
    return notes


def test_what_is_finished_comes_back_and_is_said(tmp_path: Path) -> None:
    first = journal_of(tmp_path)
    assert resumed(first) == {}
    finish(first, "a", "b/é".replace("/", " "))
    said: list[str] = []
    second = journal_of(tmp_path, said)
    assert resumed(second) == {"a": {"of": "a"}, "b é": {"of": "b é"}}
    second.tell(2000)
    assert said == ["export goes on after 2 of 2,000 images"]
    finish(second, "c")
    assert set(resumed(journal_of(tmp_path))) == {"a", "b é", "c"}


def test_a_line_that_was_cut_anywhere_costs_its_image_alone(tmp_path: Path) -> None:
    journal = journal_of(tmp_path)
    resumed(journal)
    finish(journal, "a", "b")
    (lines,) = journal.folder.glob("*.journal")
    whole = lines.read_bytes()
    start = whole.index(b"\n") + 1
    for end in range(start + 1, len(whole) - 1):
        lines.write_bytes(whole[:end])
        said: list[str] = []
        again = journal_of(tmp_path, said)
        assert set(resumed(again)) == {"a"}
        assert "1 entries" in said[0]
        assert "made again" in said[0]
        finish(again, "b")
        assert set(resumed(journal_of(tmp_path))) == {"a", "b"}


@pytest.mark.parametrize("spoil", ["flip line", "flip file", "cut file", "remove file"])
def test_what_is_damaged_is_passed_over(tmp_path: Path, spoil: str) -> None:
    journal = journal_of(tmp_path)
    resumed(journal)
    finish(journal, "a", "b", "c")
    file = journal.path("b")
    if spoil == "flip line":
        (file,) = journal.folder.glob("*.journal")
        content = bytearray(file.read_bytes())
        content[content.index(b'"of": "b"') + 7] ^= 1
        file.write_bytes(content)
    elif spoil == "flip file":
        file.write_bytes(b"M" + file.read_bytes()[1:])
    elif spoil == "cut file":
        file.write_bytes(file.read_bytes()[:-1])
    else:
        file.unlink()
    said: list[str] = []
    again = journal_of(tmp_path, said)
    assert set(resumed(again)) == {"a", "c"}
    assert len(said) == 1
    finish(again, "b")
    assert set(resumed(journal_of(tmp_path))) == {"a", "b", "c"}


def test_published_files_do_not_change_with_the_journal(tmp_path: Path) -> None:
    journal = journal_of(tmp_path)
    resumed(journal)
    finish(journal, "a", "b")
    (tmp_path / "out").mkdir()
    journal.publish(tmp_path / "out", ["a"])
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["a.txt"]
    (tmp_path / "out" / "a.txt").write_text("edited by hand")
    assert set(resumed(journal_of(tmp_path))) == {"b"}, "a link's edit is noticed"


def test_a_file_made_again_leaves_what_was_published(tmp_path: Path) -> None:
    journal = journal_of(tmp_path)
    resumed(journal)
    finish(journal, "a")
    (tmp_path / "out").mkdir()
    journal.publish(tmp_path / "out", ["a"])  # DVC may keep a third link, in its cache
    journal.new_path("a").write_text("other digits")
    assert (tmp_path / "out" / "a.txt").read_text() == "made of a"


def test_without_links_files_are_copied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_links(*_: object) -> None:
        raise OSError("not supported")

    monkeypatch.setattr("os.link", no_links)
    journal = journal_of(tmp_path)
    resumed(journal)
    finish(journal, "a")
    journal.publish(tmp_path, ["a"])
    assert (tmp_path / "a.txt").read_text() == "made of a"


def test_a_pass_without_files_keeps_notes(tmp_path: Path) -> None:
    journal = ImageJournal(tmp_path / "pass", None)
    resumed(journal)
    journal.add("a", [1.5, float("nan")])
    (note,) = resumed(ImageJournal(tmp_path / "pass", None)).values()
    assert json.dumps(note) == "[1.5, NaN]"


def test_a_folder_that_cannot_be_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "pass").write_text("a file")
    with pytest.raises(UserError, match="cannot hold what is finished"):
        resumed(journal_of(tmp_path))
