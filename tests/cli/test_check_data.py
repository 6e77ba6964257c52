import json
from pathlib import Path

import pytest

from tests.console import weaktr
from tests.tiny_data import write_folder, write_image


def test_check_data_lists_all_problems(capsys: pytest.CaptureFixture[str]) -> None:
    root = write_folder(Path("photos"), {f"{i}.jpg": ("cat", "dog")[i % 2] for i in range(10)})
    assert weaktr("check-data", "--kind", "folder", "--root", root) == 0
    out = capsys.readouterr().out
    assert "cat" in out
    assert "Fit for training" in out
    for name in ("3.jpg", "4.jpg"):
        (root / "images" / name).write_bytes(b"")
    assert weaktr("check-data", "--kind", "folder", "--root", root) == 2
    out = capsys.readouterr().out
    assert "Errors: 2" in out
    assert "3.jpg is empty" in out
    assert "4.jpg is empty" in out
    assert "Training would fail" in out


def test_check_data_reads_params_and_options_go_before_them(
    capsys: pytest.CaptureFixture[str],
) -> None:
    write_folder(Path("photos"), {f"{i}.jpg": ("cat", "dog")[i % 2] for i in range(10)})
    Path("params.yaml").write_text("dataset: {kind: folder, root: photos, classes: [cat]}\n")
    assert weaktr("check-data") == 0
    assert "dog" not in capsys.readouterr().out
    assert weaktr("check-data", "--classes", "cat,dog") == 0
    assert "dog" in capsys.readouterr().out
    assert weaktr("check-data", "--classes", "horse") == 2
    assert weaktr("check-data", "--params", "other.yaml") == 2
    assert weaktr("check-data", "--root", "photos") == 2
    assert "--root needs --kind" in capsys.readouterr().err


def test_check_data_says_how_to_make_the_demo(capsys: pytest.CaptureFixture[str]) -> None:
    Path("params.yaml").write_text("dataset: {kind: shapes}\n")
    assert weaktr("check-data") == 2
    assert "dvc repro prepare" in capsys.readouterr().err


def test_check_data_as_json_is_for_programs(capsys: pytest.CaptureFixture[str]) -> None:
    root = write_folder(Path("photos"), {f"{i}.jpg": ("cat", "dog")[i % 2] for i in range(40)})
    write_image(root / "images" / "no row.jpg")
    write_image(root / "images" / "@eaDir" / "0.jpg")
    (root / "images" / "x.heic").write_bytes(b"\0\0\0\x18ftypheic\0\0\0\0")
    arguments = ("check-data", "--kind", "folder", "--root", root, "--json")
    assert weaktr(*arguments) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["fit"] is True
    assert found["passed_over"] == {"no-row": 1, "system": 1, "unread-format": 1}
    assert found["classes"]["cat"] == {"train": 16, "val": 4}
    assert {(p["severity"], p["kind"], p["count"]) for p in found["problems"]} == {
        ("warning", "no-mask", 1),
        ("warning", "no-row", 1),
        ("warning", "unread-format", 1),
    }
    (root / "images" / "3.jpg").write_bytes(b"")
    assert weaktr(*arguments) == 2
    found = json.loads(capsys.readouterr().out)
    assert found["fit"] is False
    assert [p["kind"] for p in found["problems"] if p["severity"] == "error"] == [
        "unreadable-image"
    ]
    assert weaktr("check-data", "--kind", "folder", "--root", "nowhere", "--json") == 2
    found = json.loads(capsys.readouterr().out)
    assert [p["kind"] for p in found["problems"]] == ["layout"]
