import os
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.tiny_data import write_image
from weaktr.errors import UserError
from weaktr.predict.image_paths import LONGEST_NAME, SUFFIXES, find_images, output_names

PARTS = st.text(alphabet="aAéb.-_ 😀/jpgn", min_size=1, max_size=12).map(
    lambda text: text.strip("/").replace("//", "/")
)


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("a/x.jpg", "a/deep/y.PNG", "b/x.png", "b/two words é.webp", "b/.hidden.jpg"):
        write_image(tmp_path / name)
    (tmp_path / "b" / "notes.txt").write_text("no image")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def found(*arguments: str, skip: Sequence[Path] = ()) -> list[str]:
    return [path.as_posix() for path in find_images(arguments, skip=skip)]


def test_files_folders_and_patterns_are_found_once(tree: Path) -> None:
    assert found("a") == ["a/deep/y.PNG", "a/x.jpg"]
    assert found("b/x.png", "b") == ["b/x.png", "b/two words é.webp"]
    assert found("*/x.*") == ["a/x.jpg", "b/x.png"]
    assert found("**/*.PNG") == ["a/deep/y.PNG"]
    assert found("?") == ["a/deep/y.PNG", "a/x.jpg", "b/two words é.webp", "b/x.png"]
    assert found("a/x.jpg", str(tree / "a" / "x.jpg"), "b/../a/x.jpg") == ["a/x.jpg"]


def test_a_named_file_is_taken_whatever_it_is_called(tree: Path) -> None:
    assert found("b/notes.txt", "b/.hidden.jpg") == ["b/notes.txt", "b/.hidden.jpg"]
    write_image(tree / "c" / "[1].jpg")
    assert found("c/[1].jpg") == ["c/[1].jpg"]


def test_pictures_are_told_by_their_content(tree: Path) -> None:
    for name in ("p/a.jfif", "p/b.jpe", "p/c", "p/d.dat"):
        (tree / "p").mkdir(exist_ok=True)
        write_image(tree / "x.jpg").rename(tree / name)
    (tree / "p" / "e.HEIC").write_bytes(b"\0\0\0\x18ftypheic\0\0\0\0")
    (tree / "p" / "f.gif").write_bytes(b"GIF89a" + bytes(20))
    (tree / "p" / "g.mp4").write_bytes(b"\0\0\0\x18ftypisom\0\0\0\0")
    (tree / "p" / "h.CR2").write_bytes(b"II*\0" + bytes(20))
    every = ["p/a.jfif", "p/b.jpe", "p/c", "p/d.dat", "p/e.HEIC", "p/f.gif", "p/h.CR2"]
    assert found("p") == every
    assert found("p/*") == every


def test_files_of_systems_are_passed_over_and_counted(tree: Path) -> None:
    for name in ("@eaDir/x.jpg", "__MACOSX/._x.jpg", "$RECYCLE.BIN/y.png", "._x.jpg", "x.jpg.bak"):
        (tree / "p" / name).parent.mkdir(parents=True, exist_ok=True)
        write_image(tree / "x.png").rename(tree / "p" / name)
    write_image(tree / "p" / "z.png")
    notes: list[str] = []
    assert [path.name for path in find_images(["p"], notes=notes)] == ["z.png"]
    assert notes == [
        "files and folders of systems and tools passed over in p: 5 ($RECYCLE.BIN/, ._x.jpg, "
        "@eaDir/, ...)."
    ]
    assert found("p/**/*.png") == ["p/z.png"]
    assert found("p/@eaDir/*.jpg") == ["p/@eaDir/x.jpg"]


def test_results_of_an_earlier_run_are_not_searched(tree: Path) -> None:
    write_image(tree / "out" / "masks" / "x.png")
    assert "out/masks/x.png" in found(".")
    assert "out/masks/x.png" not in found(".", skip=[Path("out/masks")])
    assert found("out/masks/x.png", skip=[Path("out/masks")]) == ["out/masks/x.png"]


@pytest.mark.parametrize("argument", ["nowhere", "nowhere/*.jpg", "empty", "b/*.txt"])
def test_an_argument_without_images_is_refused_by_name(tree: Path, argument: str) -> None:
    (tree / "empty").mkdir()
    with pytest.raises(UserError, match=argument.replace("*", r"\*")):
        find_images(["a", argument])


def test_results_are_named_below_the_folder_that_all_share() -> None:
    assert output_names([Path("p/a/x.jpg"), Path("p/b/x.png")]) == ["a/x", "b/x"]
    assert output_names([Path("p/a/x.jpg")]) == ["x"]
    assert output_names([Path("/p/x.jpg"), Path("/q/r/x.jpg")]) == ["p/x", "q/r/x"]
    assert output_names([]) == []


def test_names_that_differ_by_suffix_or_case_stay_apart() -> None:
    images = [Path(name) for name in ("x.jpg", "x.png", "X.jpg", "x.png.jpg", "x.webp")]
    assert output_names(images) == ["x", "x.png", "X.jpg", "x.png.jpg", "x.webp"]
    assert output_names([Path("x.jpg"), Path("x.png/y.jpg")]) == ["x.jpg", "x.png/y"]


def test_a_name_that_is_too_long_for_a_suffix_is_cut() -> None:
    long = [Path("é" * 120 + f"{i}.jpg") for i in (1, 2)]
    names = output_names(long)
    assert len(set(names)) == 2
    assert all(len(os.fsencode(name)) <= LONGEST_NAME for name in names)


@given(st.lists(PARTS.filter(bool), min_size=1, max_size=8))
def test_no_result_replaces_another(parts: list[str]) -> None:
    """Whatever files are called, on file systems that ignore case too."""
    unique = {os.path.abspath("/base/" + part): Path("/base/" + part) for part in parts}  # noqa: PTH100
    images = [
        path for where, path in unique.items() if not any(o.startswith(where + "/") for o in unique)
    ]
    images = [path for path in images if path.name not in ("", ".", "..")]
    names = output_names(images)
    results = [(name + suffix).casefold() for name in names for suffix in SUFFIXES[:1]]
    assert len(set(results)) == len(images)
    folders = {parent.as_posix().casefold() for name in names for parent in Path(name).parents}
    assert not folders & set(results)
    assert not any(Path(name).is_absolute() or ".." in Path(name).parts for name in names)
