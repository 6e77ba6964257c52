from math import nan
from pathlib import Path

import pytest

from weaktr.errors import UserError
from weaktr.metrics.image_table import (
    LabelRow,
    PredictionRow,
    read_label_rows,
    read_prediction_rows,
    write_image_rows,
)

LABEL = LabelRow(
    id="a",
    background=25.0,
    void=0.0,
    foreground=75.0,
    confidence=nan,
    contrast=0.5,
    tags=("cat", "cow"),
    missing=("cow",),
    iou=nan,
)
PREDICTION = PredictionRow(
    id="b, c",
    background=100.0,
    foreground=0.0,
    confidence=0.25,
    tags=(),
    predicted=(),
    missing=(),
    unexpected=(),
    iou=31.25,
)


def test_rows_come_back_as_they_were_written(tmp_path: Path) -> None:
    write_image_rows(tmp_path / "labels.csv", [LABEL], LabelRow)
    assert repr(read_label_rows(tmp_path / "labels.csv")) == repr([LABEL])
    assert (tmp_path / "labels.csv").read_text() == (
        "id,background,void,foreground,confidence,contrast,tags,missing,iou\n"
        "a,25.0000,0.0000,75.0000,,0.5000,cat;cow,cow,\n"
    )
    write_image_rows(tmp_path / "predictions.csv", [PREDICTION], PredictionRow)
    assert read_prediction_rows(tmp_path / "predictions.csv") == [PREDICTION]


def test_a_table_that_is_not_one_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="does not exist; run `dvc repro`"):
        read_label_rows(tmp_path / "none.csv")
    write_image_rows(tmp_path / "a.csv", [LABEL], LabelRow)
    with pytest.raises(UserError, match="other columns"):
        read_prediction_rows(tmp_path / "a.csv")
