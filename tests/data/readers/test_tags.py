import unicodedata
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from weaktr.data.class_words import composed
from weaktr.data.readers.listing import Problem
from weaktr.data.readers.tags import did_you_mean, parse_tags, read_tag_table, tags_of_cell
from weaktr.errors import UserError

quick = settings(max_examples=60, deadline=None)
tag = (
    st.text(
        st.characters(
            exclude_categories=("C", "Z"), exclude_characters=";,|[]{}()", include_characters=" "
        ),
        max_size=10,
    )
    .map(composed)
    .map(str.strip)
    .filter(bool)
)
tag_lists = st.lists(tag, max_size=5, unique=True)


@quick
@given(tag_lists, st.sampled_from([";", ",", "|", " ; ", ", ", "; ;", "|"]))
def test_tags_read_back_whatever_separates_them(names: list[str], separator: str) -> None:
    assert parse_tags(separator.join(names)) == tuple(names)


@quick
@given(st.lists(st.tuples(tag, tag_lists), max_size=6), st.sampled_from(",;\t"))
def test_tables_read_back_whatever_delimits_them(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, list[str]]], delimiter: str
) -> None:
    import csv

    path = tmp_path_factory.mktemp("table") / "tags.csv"
    with path.open("w", encoding="utf-8-sig", newline="") as stream:
        writer = csv.writer(stream, delimiter=delimiter)
        writer.writerow(["Tags", " image"])
        writer.writerows([", ".join(tags), image] for image, tags in rows)
    problems: list[Problem] = []
    found = read_tag_table(path, problems)
    assert not problems
    assert [(row.image, row.tags) for row in found] == [
        (image, tuple(tags)) for image, tags in rows
    ]
    assert all(row.split is None and row.mask is None for row in found)


def rows_of(tmp_path: Path, text: str) -> tuple[list[tuple[str, str, str, str]], list[str]]:
    """Image, tags joined, split and mask of the rows of a table, and its problems."""
    path = tmp_path / "tags.csv"
    path.write_text(text, encoding="utf-8")
    problems: list[Problem] = []
    rows = read_tag_table(path, problems)
    cells = [(r.image, "+".join(r.tags or ()), r.split or "", r.mask or "") for r in rows]
    return cells, [problem.message for problem in problems]


@pytest.mark.parametrize(
    ("cell", "tags"),
    [
        ("['cat', 'dog']", ("cat", "dog")),
        ('["cat", "dog"]', ("cat", "dog")),
        ("['cat' 'dog']", ("cat", "dog")),
        ("('cat',)", ("cat",)),
        ("{'hot dog'}", ("hot dog",)),
        ("[]", ()),
        ("set()", ()),
        ("(cat)", ("(cat)",)),
    ],
)
def test_lists_as_tools_print_them(cell: str, tags: tuple[str, ...]) -> None:
    assert tags_of_cell(cell) == tags


@pytest.mark.parametrize("cell", ["[cat, dog]", "['cat', dog]", "['cat, dog']", "{1: 2}"])
def test_brackets_that_hold_no_list_are_refused(tmp_path: Path, cell: str) -> None:
    with pytest.raises(UserError, match="tags in brackets that are no printed list"):
        tags_of_cell(cell)
    rows, problems = rows_of(tmp_path, f'image,tags\na.jpg,"{cell}"\nb.jpg,cat\n')
    assert rows == [("b.jpg", "cat", "", "")]
    assert problems[0].startswith(f"{tmp_path}/tags.csv line 2 has tags in brackets")


def test_one_tag_in_two_normalisations_is_one_tag() -> None:
    both = ";".join(unicodedata.normalize(form, "Käfer") for form in ("NFC", "NFD"))
    assert parse_tags(both) == ("K\u00e4fer",)


@pytest.mark.parametrize(
    "text",
    [
        "image,tags,\na.jpg,cat,\nb.jpg,dog,\n",
        "image,tags\na.jpg,cat,\nb.jpg,dog,\n",
        "image,tags,\na.jpg,cat\nb.jpg,dog,\n",
        "image;tags;;\na.jpg;cat;;\nb.jpg;dog\n",
    ],
)
def test_a_delimiter_at_the_end_of_lines_does_not_count(tmp_path: Path, text: str) -> None:
    rows, problems = rows_of(tmp_path, text)
    assert rows == [("a.jpg", "cat", "", ""), ("b.jpg", "dog", "", "")]
    assert not problems


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (
            "image;tags;split;mask\na.jpg;cat;val;a.png\nb.jpg;dog;train\n",
            "line 3 has 3 values for 4 columns; if it ends before `mask`, as spreadsheets cut rows "
            "short, add the delimiters, else the value that is missing.",
        ),
        (
            "image,tags,note\nb.jpg,cat,\na.jpg,cat,dog,\n",
            "line 3 has 4 values for 3 columns; put ; between tags",
        ),
        (
            "image,tags,note\nb.jpg,cat,cow,\na.jpg,cat,dog,\n",
            "line 2 has 4 values for 3 columns; put ; between tags",
        ),
    ],
)
def test_rows_whose_values_may_have_moved_are_refused(
    tmp_path: Path, text: str, sentence: str
) -> None:
    _, problems = rows_of(tmp_path, text)
    assert problems[0].startswith(f"{tmp_path}/tags.csv {sentence}")


@pytest.mark.parametrize(
    ("name", "hint"), [("CAT", "cat"), ("black cat", "cat"), ("the-dog", "dog"), ("horse", None)]
)
def test_hints_for_capitals_and_outer_words(name: str, hint: str | None) -> None:
    assert did_you_mean(name, ("cat", "dog")) == (f" (did you mean {hint!r}?)" if hint else "")
