import shutil
from collections.abc import Mapping
from pathlib import Path

import pytest

from stages import train_cam
from stages.common.stage import Context
from tests.tiny import contents, tiny_params
from weaktr.config.load import parse_params

pytestmark = pytest.mark.slow


def test_a_killed_training_goes_on_from_its_checkpoint(workspace: Path) -> None:
    before = contents("models/cam", "reports/train_cam")
    shutil.rmtree("models/cam")

    def die_in_epoch_two(values: Mapping[str, float], epochs: int) -> None:
        if values["epoch"] == 2:
            raise KeyboardInterrupt

    context = Context(
        params=parse_params(tiny_params()),
        device="cpu",
        reports=Path("reports/train_cam"),
        log_epoch=die_in_epoch_two,
    )
    with pytest.raises(KeyboardInterrupt):
        train_cam.run(context)
    assert not Path("models/cam").exists()
    assert len(list(Path("checkpoints").iterdir())) == 1
    trained: list[float] = []
    context = Context(
        params=context.params,
        device="cpu",
        reports=context.reports,
        log_epoch=lambda values, epochs: trained.append(values["epoch"]),
    )
    train_cam.run(context)
    assert trained == [2], "the first epoch must not be trained again"
    assert contents("models/cam", "reports/train_cam") == before
    assert list(Path("checkpoints").iterdir()) == []
