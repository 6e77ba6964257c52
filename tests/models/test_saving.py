"""Saved models come back as they were, or not at all."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from weaktr.config.backbone import BackboneParams
from weaktr.config.cam import CamParams
from weaktr.config.decoder import DecoderParams
from weaktr.errors import UserError
from weaktr.models.any_network import load_any_model
from weaktr.models.cam_network import CAMNetwork
from weaktr.models.network import Network
from weaktr.models.saving import save_model
from weaktr.models.segmenter import Segmenter

CLASSES = ("Katze", "Hund", "été")
BACKBONE = BackboneParams(
    name="vit_tiny_patch16_224", weights="none", depth=2, embed_dim=64, num_heads=2, patch_size=8
)


def make(kind: str) -> Network:
    torch.manual_seed(0)
    if kind == "cam":
        params = CamParams(backbone=BACKBONE, reduction=2, fusion="adaptive")
        return CAMNetwork.from_params(params, len(CLASSES)).eval()
    decoder = DecoderParams(backbone=BACKBONE, crop_size=32, region=16, layers=1)
    return Segmenter.from_params(decoder, len(CLASSES)).eval()


@pytest.mark.parametrize("kind", ["cam", "segmenter"])
def test_round_trip(tmp_path: Path, kind: str) -> None:
    model = make(kind)
    save_model(model, tmp_path / "model", classes=CLASSES, extra={"epoch": 3})
    loaded = load_any_model(tmp_path / "model")
    assert loaded.classes == CLASSES
    assert loaded.config.kind == kind
    assert loaded.config.extra == {"epoch": 3}
    assert not loaded.model.training
    x = torch.randn(1, 3, 40, 24)
    for a, b in zip(model(x), loaded.model(x), strict=True):
        assert torch.equal(a, b)
    assert (loaded.model.mean, loaded.model.std) == (model.mean, model.std)


def test_equal_models_give_equal_bytes_wherever_their_weights_came_from(tmp_path: Path) -> None:
    for name, weights in (("a", "none"), ("b", "/somewhere/on/this/machine.pth")):
        model = make("cam")
        backbone = BACKBONE.model_copy(update={"weights": weights})
        model.params = model.params.model_copy(update={"backbone": backbone})
        save_model(model, tmp_path / name, classes=CLASSES)
    for file in ("model.safetensors", "config.json"):
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    save_model(make("cam"), tmp_path / "model", classes=CLASSES)
    return tmp_path / "model"


def test_others_may_read_the_weights(saved: Path) -> None:
    """As on any shared disk: safetensors' own writer keeps a file to its owner."""
    weights, config = saved / "model.safetensors", saved / "config.json"
    assert weights.stat().st_mode == config.stat().st_mode


@pytest.mark.parametrize("file", ["model.safetensors", "config.json"])
def test_missing_files(saved: Path, file: str) -> None:
    (saved / file).unlink()
    with pytest.raises(UserError, match=file):
        load_any_model(saved)


def test_damaged_files(saved: Path) -> None:
    weights = (saved / "model.safetensors").read_bytes()
    (saved / "model.safetensors").write_bytes(weights[:-100])
    with pytest.raises(UserError, match="damaged"):
        load_any_model(saved)
    (saved / "config.json").write_text("{")
    with pytest.raises(UserError, match="not valid JSON"):
        load_any_model(saved)
    (saved / "config.json").write_text("[]")
    with pytest.raises(UserError, match="does not describe a model"):
        load_any_model(saved)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"kind": "toaster"}, "kind must be cam or segmenter"),
        ({"classes": ["one"]}, "another shape: .*cls_token"),
        ({"params": {"backbone": {"name": "deit_tiny_patch16_224"}, "lrr": 1}}, "lrr"),
        ({"params": None}, "does not describe a model"),
    ],
)
def test_a_config_that_does_not_fit(saved: Path, change: dict[str, object], words: str) -> None:
    config = json.loads((saved / "config.json").read_text(encoding="utf-8"))
    (saved / "config.json").write_text(json.dumps({**config, **change}))
    with pytest.raises(UserError, match=words):
        load_any_model(saved)


def test_tensors_that_do_not_fit(saved: Path) -> None:
    state = load_file(saved / "model.safetensors")
    state["extra"] = state.pop("head.bias")
    save_file(state, saved / "model.safetensors")
    with pytest.raises(UserError, match=r"missing: head\.bias; unexpected: extra"):
        load_any_model(saved)


def test_weights_that_are_not_finite_are_refused_and_the_old_ones_stay(tmp_path: Path) -> None:
    model = make("segmenter")
    save_model(model, tmp_path / "model", classes=CLASSES)
    before = (tmp_path / "model/model.safetensors").read_bytes()
    name, weight = list(model.named_parameters())[3]
    with torch.no_grad():
        weight.view(-1)[-1] = float("nan")
    with pytest.raises(UserError, match=f"no finite numbers any more .{name}., and were not saved"):
        save_model(model, tmp_path / "model", classes=CLASSES)
    assert (tmp_path / "model/model.safetensors").read_bytes() == before
