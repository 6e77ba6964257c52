"""What a stage says while it runs."""

import pytest

from stages.common.terminal import EpochLines


def test_an_epochs_line_has_losses_score_and_what_clipping_leaves_out(
    capsys: pytest.CaptureFixture[str],
) -> None:
    values = {"epoch": 2.0, "lr": 0.1, "loss": 0.51234, "clipped": 0.2, "clipped_objects": 0.651}
    EpochLines("train_decoder").say(values, 8)
    said = capsys.readouterr().out
    assert said.startswith("train_decoder 2/8  loss 0.5123  clipped_objects 0.651  (0 s, 0 s left)")
    EpochLines("train_cam").say({"epoch": 8.0, "loss_fine": 0.7, "score": 61.25}, 8)
    assert capsys.readouterr().out == "train_cam 8/8  fine 0.7  score 61.25  (0 s)\n"
