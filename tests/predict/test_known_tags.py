from pathlib import Path

import pytest

from weaktr.errors import UserError
from weaktr.predict.known_tags import read_known_tags

CLASSES = ("cat", "dog", "cow")
IMAGES = [Path("photos/a/x.jpg"), Path("photos/b/x.png"), Path("photos/y.jpg")]


def table(folder: Path, *lines: str) -> str:
    path = folder / "tags.csv"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return str(path)


def test_a_list_holds_for_all_images() -> None:
    assert read_known_tags("dog, cat", IMAGES, CLASSES) == ([(0, 1)] * 3, [])


def test_a_list_with_an_unknown_tag_is_refused_with_a_hint() -> None:
    with pytest.raises(UserError, match=r"'catt' is no class of the model.*did you mean 'cat'"):
        read_known_tags("catt", IMAGES, CLASSES)


def test_a_list_may_be_longer_than_a_path() -> None:
    classes = [f"class {index}" for index in range(100)]
    assert read_known_tags(",".join(classes), [Path("x.jpg")], classes)[0] == [tuple(range(100))]


def test_a_list_without_tags_is_refused() -> None:
    with pytest.raises(UserError, match="--tags names no class; the model knows cat"):
        read_known_tags(" , ", IMAGES, CLASSES)


def test_the_longest_name_in_a_table_counts(tmp_path: Path) -> None:
    text = table(tmp_path, "image,tags", "x,cat", "b/x.png,dog;cow", "y.jpg,")
    assert read_known_tags(text, IMAGES, CLASSES) == ([(0,), (1, 2), ()], [])


def test_other_spellings_of_a_name_fit(tmp_path: Path) -> None:
    text = table(tmp_path, "tags;image", "cat;a\\x.jpg", "dog;./e\u0301.jpg")
    known, notes = read_known_tags(text, [IMAGES[0], Path("\u00e9.jpg")], CLASSES)
    assert (known, notes) == ([(0,), (1,)], [])


def test_what_a_table_does_not_say_is_noted(tmp_path: Path) -> None:
    text = table(tmp_path, "image,tags", "a/x.jpg,cat;sky")
    known, notes = read_known_tags(text, IMAGES, CLASSES)
    assert known == [(0,), None, None]
    assert "'sky'" in notes[0]
    assert "no row for 2 of 3 images" in notes[1]


def test_a_second_row_of_an_image_is_noted(tmp_path: Path) -> None:
    known, notes = read_known_tags(table(tmp_path, "image,tags", "y,cat", "y,dog"), IMAGES, CLASSES)
    assert known[2] == (1,)
    assert notes[0].endswith(
        "line 3 names an image a second time; it counts, the row before does not. Got: 'y'."
    )


def test_a_table_for_other_images_is_refused(tmp_path: Path) -> None:
    text = table(tmp_path, "image,tags", "other.jpg,cat")
    with pytest.raises(UserError, match="no row for any of the images"):
        read_known_tags(text, IMAGES, CLASSES)


def test_a_table_without_tags_or_that_is_missing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no column `tags`"):
        read_known_tags(table(tmp_path, "image", "x.jpg"), IMAGES, CLASSES)
    with pytest.raises(UserError, match="does not exist"):
        read_known_tags(str(tmp_path / "none.csv"), IMAGES, CLASSES)
