from pathlib import Path

import numpy as np
import pandas as pd

from weaktr.metrics.scores import scores
from weaktr.report.html import Example, examples_figure, save_picture, write_report

IMAGE = np.full((8, 10, 3), 100, np.uint8)
LABELS = np.zeros((8, 10), np.uint8)
LABELS[2:5, 3:7] = 1


def write(path: Path, **changes: object) -> str:
    values: dict[str, object] = {
        "title": "a <b> title",
        "classes": ["cat & dog", "cow"],
        "chain": [("seed", 51.23), ("decoder", float("nan"))],
        "notes": ["Masks influenced nothing."],
        "result": scores(np.array([[6, 2], [1, 0]]), ("background", "cat & dog")),
        "predictions": [Example(IMAGE, LABELS, None)],
        "pseudo_labels": [],
        "curves": {"train_cam": pd.DataFrame({"epoch": [1, 2], "loss": [1.0, 0.5]})},
    }
    write_report(path, **{**values, **changes})  # type: ignore[arg-type]
    return path.read_text(encoding="utf-8")


def test_the_report_is_one_file_with_escaped_names_and_undefined_values(tmp_path: Path) -> None:
    text = write(tmp_path / "report.html")
    assert "<h1>a &lt;b&gt; title</h1>" in text
    assert "cat &amp; dog" in text
    assert '<td>seed</td><td class="number">51.2</td>' in text
    assert '<td>decoder</td><td class="number">–</td>' in text
    assert text.count("data:image/png;base64,") == 2  # one picture of examples, one of curves
    assert "http" not in text


def test_pictures_have_a_key_of_the_classes_in_them(tmp_path: Path) -> None:
    truth = np.where(LABELS, 255, 0).astype(np.uint8)
    text = write(tmp_path / "report.html", predictions=[Example(IMAGE, LABELS, truth)])
    assert '<i style="background: rgb(128 0 0)"></i>cat &amp; dog</span>' in text
    assert '<i style="background: rgb(224 224 192)"></i>void</span>' in text
    assert "cow" not in text


def test_equal_reports_are_equal_bytes(tmp_path: Path) -> None:
    assert write(tmp_path / "a.html") == write(tmp_path / "b.html")
    for name in ("a.png", "b.png"):
        figure = examples_figure([Example(IMAGE, LABELS, LABELS)], "prediction")
        save_picture(figure, tmp_path / name)
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


def test_a_report_without_masks_has_no_scores(tmp_path: Path) -> None:
    text = write(tmp_path / "report.html", result=None, chain=[], curves={})
    assert "IoU" not in text
