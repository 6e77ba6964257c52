import io
from pathlib import Path

from rich.console import Console

from tests.data.checks.sound_folder import HEADER, SOUND, params
from tests.tiny_data import write_folder
from weaktr.data.checks.check import check_dataset
from weaktr.data.checks.summary import tables


def test_the_summary_adds_up(tmp_path: Path) -> None:
    write_folder(tmp_path, SOUND, HEADER)
    summary = check_dataset(params(tmp_path)).summary()
    assert summary["splits"] == {
        "train": {"images": 3, "tagged": 3, "tags_per_image": 1.333, "masks": 0},
        "val": {"images": 2, "tagged": 2, "tags_per_image": 1.0, "masks": 0},
    }
    assert summary["classes"] == {"cat": {"train": 2, "val": 1}, "dog": {"train": 2, "val": 1}}
    assert summary["together"] == {"cat": {"cat": 2, "dog": 1}, "dog": {"cat": 1, "dog": 2}}
    assert summary["pixels"]["area"] == {"smallest": 384, "median": 384, "largest": 384}
    assert summary["pixels"]["aspect"]["median"] == 1.5
    assert summary["pixels"]["different_sizes"] == 1


def test_tables_show_the_summary(tmp_path: Path) -> None:
    write_folder(tmp_path, SOUND, HEADER)
    shown = io.StringIO()
    console = Console(file=shown, width=100)
    for table in tables(check_dataset(params(tmp_path)).summary()):
        console.print(table)
    text = shown.getvalue()
    for expected in ("Splits", "Images per class", "Together in training", "Pixels", "1.333"):
        assert expected in text
    assert "│       24 │     24 │" in text, "numbers are aligned right, the first column too"
