"""JSON that says two things under one key."""

import json
from pathlib import Path

import pytest

from weaktr.config.dataset import DatasetParams
from weaktr.data.checks.check import check_dataset
from weaktr.data.readers.json_file import parse_json
from weaktr.errors import UserError


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_plain_values_whatever_the_encoding(encoding: str) -> None:
    value = {"ä": [1, 2.5, None], "b": {"c": "d"}}
    text = json.dumps(value, ensure_ascii=False).encode(encoding)
    assert parse_json(text, "x.json", "mend it") == value


@pytest.mark.parametrize("text", ["{", "", '{"a": 1,}', "[" * 100_000, b"\xff\xfe\xfa"])
def test_what_is_no_json_is_refused(text: str | bytes) -> None:
    with pytest.raises(UserError, match=r"^x\.json is not valid JSON \(.+\); mend it\.$"):
        parse_json(text, "x.json", "mend it")


def test_a_key_twice_is_refused_by_its_name_and_its_values() -> None:
    with pytest.raises(UserError) as caught:
        parse_json('[{"id": 3, "b": {}}, {"id": 4, "a": 1, "b": 0, "a": 2}]', "x.json", "mend it")
    assert str(caught.value) == (
        "x.json has an object with the id 4 with the key 'a' more than once, so that one of the "
        "values would not count; keep one. Got: 1, 2."
    )


@pytest.mark.parametrize(
    ("kind", "name", "text"),
    [
        ("imagefolder", "metadata.jsonl", '{"file_name": "a.jpg", "tags": "cat", "tags": "dog"}'),
        ("labelstudio", "x.json", '[{"id": 1, "data": {}, "data": {}}]'),
    ],
)
def test_every_reader_of_json_refuses_it(tmp_path: Path, kind: str, name: str, text: str) -> None:
    (tmp_path / name).write_text(text)
    report = check_dataset(DatasetParams(kind=kind, root=str(tmp_path)))  # type: ignore[arg-type]
    (error,) = report.errors
    assert error.message.startswith(f"{tmp_path / name}")
    assert "more than once" in error.message
