"""True masks are known as such, however their path is written."""

from pathlib import Path

import pytest

from stages.common.label_source import label_source


@pytest.mark.parametrize(
    ("path", "source"),
    [
        ("data/pseudo-labels", "pseudo-labels"),
        ("data/pseudo-labels/", "pseudo-labels"),
        ("data/prepared/../pseudo-labels", "pseudo-labels"),
        ("data/prepared/masks.csv", "true masks"),
        ("./data/prepared/masks.csv", "true masks"),
        ("data/prepared/files/masks", "true masks"),
        ("elsewhere", "other label maps"),
    ],
)
def test_paths_are_compared_by_where_they_lead(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: str, source: str
) -> None:
    monkeypatch.chdir(tmp_path)
    assert label_source(path) == source
    assert label_source(str(tmp_path / path)) == source
