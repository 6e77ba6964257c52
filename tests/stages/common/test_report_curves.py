"""What the report draws of a training."""

from pathlib import Path

import pytest

from stages.common.report import trainer_curves


@pytest.mark.parametrize(
    ("table", "drawn"),
    [
        (
            "epoch,lr,loss\n1,0.1,0.8\n2,0.1,0.5\n",
            {"Segmenter: loss": ([1, 2], {"loss": [0.8, 0.5]})},
        ),
        (
            "epoch,loss,clipped,clipped_objects\n1,0.8,0,0\n",
            {"Segmenter: loss": ([1], {"loss": [0.8]})},
        ),
        (
            "epoch,loss,clipped,clipped_objects\n1,0.8,0,0\n2,0.5,0.1,0.3\n",
            {
                "Segmenter: loss": ([1, 2], {"loss": [0.8, 0.5]}),
                "Segmenter: share that clipping left out": (
                    [1, 2],
                    {"labelled pixels": [0.0, 0.1], "objects": [0.0, 0.3]},
                ),
            },
        ),
        (
            "epoch,loss_class_token,loss_fine,score\n1,0.5,0.7,20\n",
            {"Segmenter: loss": ([1], {"class token": [0.5], "fine": [0.7]})},
        ),
    ],
    ids=["plain cross-entropy", "never clipped", "clipped", "several losses"],
)
def test_losses_and_what_clipping_left_out(
    table: str, drawn: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("reports/train_decoder").mkdir(parents=True)
    Path("reports/train_decoder/curves.csv").write_text(table)
    assert trainer_curves("train_decoder", "Segmenter") == drawn
