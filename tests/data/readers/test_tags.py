import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from weaktr.data.readers.listing import Problem
from weaktr.data.readers.tags import parse_tags, read_tag_table

quick = settings(max_examples=60, deadline=None)
tag = (
    st.text(
        st.characters(
            exclude_categories=("C", "Z"), exclude_characters=";,|", include_characters=" "
        ),
        max_size=10,
    )
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
