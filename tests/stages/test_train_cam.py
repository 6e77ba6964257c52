import shutil
from collections.abc import Mapping
from pathlib import Path

import pytest
import torch

from stages import train_cam
from stages.common.runner import run_stage, stage_named
from stages.common.stage import Context
from tests.tiny import contents, tiny_params, write_params
from weaktr.config.load import parse_params
from weaktr.data.manifest import Manifest
from weaktr.errors import UserError
from weaktr.models.attention_fusion import SHARPNESS, LiftAttentionFusion
from weaktr.models.attention_lift import weights_of
from weaktr.models.cam_network import CAMNetwork
from weaktr.models.saving import load_model
from weaktr.stopping import Stop, Stopped
from weaktr.training.lift import measure_lift

pytestmark = pytest.mark.slow


def test_a_killed_training_goes_on_from_its_checkpoint(workspace: Path) -> None:
    before = contents("models/cam", "reports/train_cam")
    shutil.rmtree("models/cam")

    def stop_after_epoch_one(values: Mapping[str, float], epochs: int) -> None:
        stop.ask(143)

    stop = Stop()
    context = Context(
        params=parse_params(tiny_params()),
        device="cpu",
        reports=Path("reports/train_cam"),
        log_epoch=stop_after_epoch_one,
        stop=stop,
    )
    with pytest.raises(Stopped):
        train_cam.run(context)
    assert not Path("models/cam").exists()
    assert len(list(Path("checkpoints").glob("train_cam-*.pt"))) == 1
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
    for path in ("models/cam", "reports/train_cam"):
        shutil.rmtree(path)
    train_cam.run(context)
    assert trained == [2], "what is trained is there until DVC has recorded it"
    assert contents("models/cam", "reports/train_cam") == before


def test_weights_out_of_reach_stop_it_at_once_and_those_of_the_segmenter_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("weaktr.models.hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("weaktr.models.hub.try_to_load_from_cache", lambda repository, file: None)
    hub = {"name": "deit_small_patch16_224.fb_in1k", "weights": "hub"}
    write_params(tmp_path, tiny_params(cam__backbone=hub, decoder__backbone=hub))
    stage = stage_named("train_cam")
    with pytest.raises(UserError, match="set cam.backbone.weights and decoder.backbone.weights"):
        run_stage(stage, params_file=Path("params.yaml"), track=False)
    write_params(tmp_path, tiny_params(decoder__backbone=hub))
    with pytest.raises(UserError, match="run `prepare`"):  # it goes on
        run_stage(stage, params_file=Path("params.yaml"), track=False)
    assert "Warning: train_decoder will need this." in capsys.readouterr().err


def test_lift_is_measured_when_the_weights_are_final(workspace: Path) -> None:
    params = parse_params(tiny_params(cam__fusion="lift", cam__select="map"))
    context = Context(params=params, device="cpu", reports=Path("reports/train_cam"))
    train_cam.run(context)
    model = load_model("models/cam", CAMNetwork).model
    fusion = model.fusion
    assert isinstance(fusion, LiftAttentionFusion)
    training = Manifest.load(Path("data/prepared")).of_split("train")
    rows, affinity = measure_lift(model, training, params.cam.input_size)
    assert rows.std() > 0
    assert torch.equal(fusion.rows, weights_of(rows, SHARPNESS))
    assert torch.equal(fusion.affinity, weights_of(affinity, SHARPNESS))
    assert "head_weight" not in Path("reports/train_cam/curves.csv").read_text()
