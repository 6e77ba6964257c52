"""Pretrained weights load strictly, or say what is wrong with them."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import huggingface_hub
import numpy as np
import pytest
import timm
import torch
from safetensors.torch import save_file
from timm.layers import resample_patch_embed
from torch import Tensor, nn

from weaktr.config.backbone import BackboneParams
from weaktr.errors import UserError
from weaktr.models.backbone import Backbone, build_backbone

NAME = "deit_tiny_patch16_224"


@pytest.fixture(scope="module")
def vit() -> nn.Module:
    torch.manual_seed(0)
    return timm.create_model(NAME, depth=1)


@pytest.fixture
def state(vit: nn.Module) -> dict[str, Tensor]:
    return {key: value.clone() for key, value in vit.state_dict().items()}


def load(path: Path, name: str = NAME, depth: int = 1, **overrides: Any) -> Backbone:
    params = BackboneParams(name=name, weights=str(path), depth=depth, **overrides)
    return build_backbone(params, section="cam.backbone", positions="bicubic")


@pytest.mark.parametrize("suffix", [".safetensors", ".pth", ".bin"])
@pytest.mark.parametrize("wrapper", [None, "model", "state_dict"])
def test_files_load(
    tmp_path: Path, state: dict[str, Tensor], suffix: str, wrapper: str | None
) -> None:
    path = tmp_path / f"weights{suffix}"
    if suffix == ".safetensors":
        save_file(state, path)
    else:
        torch.save({wrapper: state, "epoch": 3} if wrapper else state, path)
    loaded = load(path).state_dict()
    for key, value in state.items():
        if not key.startswith("head."):
            assert torch.equal(loaded[key], value), key
    assert "head.weight" not in loaded


def test_the_final_norm_of_a_pooled_model_is_found(tmp_path: Path) -> None:
    name = "eva02_tiny_patch14_224"
    state = timm.create_model(name, depth=1).state_dict()
    norm = torch.rand_like(state["fc_norm.weight"])
    del state["fc_norm.weight"]
    state["norm.bias"] = state.pop("fc_norm.bias")
    save_file({**state, "norm.weight": norm}, tmp_path / "w.safetensors")
    loaded = load(tmp_path / "w.safetensors", name=name).state_dict()
    assert torch.equal(loaded["norm.weight"], norm)


def test_the_file_keeps_its_grid_and_its_patch_where_they_are_asked_for(tmp_path: Path) -> None:
    own: Any = timm.create_model(NAME, depth=1, num_classes=0, img_size=64, patch_size=8)
    save_file(own.state_dict(), tmp_path / "w.safetensors")
    backbone = load(tmp_path / "w.safetensors", patch_size=8)
    assert backbone.position_grid == (8, 8)
    for key, value in own.state_dict().items():
        assert torch.equal(backbone.state_dict()[key], value), key
    x = torch.randn(2, 3, 64, 64)
    torch.testing.assert_close(backbone(x).patches, own.forward_features(x)[:, 1:])


def test_parts_that_a_backbone_drops_may_be_absent(tmp_path: Path) -> None:
    name = "vit_base_patch16_siglip_224"
    own = timm.create_model(name, depth=1).state_dict()
    kept = {key: value for key, value in own.items() if not key.startswith("attn_pool.")}
    save_file(kept, tmp_path / "w.safetensors")
    loaded = load(tmp_path / "w.safetensors", name=name).state_dict()
    assert loaded.keys() == kept.keys()


def test_another_patch_is_resampled_once(tmp_path: Path, state: dict[str, Tensor]) -> None:
    save_file(state, tmp_path / "w.safetensors")
    backbone = load(tmp_path / "w.safetensors", patch_size=8)
    kernel = resample_patch_embed(state["patch_embed.proj.weight"], [8, 8])
    loaded = backbone.state_dict()
    torch.testing.assert_close(loaded["patch_embed.proj.weight"], kernel)
    assert torch.equal(loaded["pos_embed"], state["pos_embed"])


def test_jax_weights_load(tmp_path: Path) -> None:
    """An .npz in the layout of the JAX ViTs."""
    vit: Any = timm.create_model("vit_tiny_patch16_224", depth=1, num_classes=0)
    arrays: dict[str, Tensor] = {
        "embedding/kernel": vit.patch_embed.proj.weight.permute(2, 3, 1, 0),
        "embedding/bias": vit.patch_embed.proj.bias,
        "cls": vit.cls_token,
        "Transformer/posembed_input/pos_embedding": vit.pos_embed,
        "Transformer/encoder_norm/scale": vit.norm.weight,
        "Transformer/encoder_norm/bias": vit.norm.bias,
    }
    block, at = vit.blocks[0], "Transformer/encoderblock_0/"
    for index, norm in ((0, block.norm1), (2, block.norm2)):
        arrays[f"{at}LayerNorm_{index}/scale"] = norm.weight
        arrays[f"{at}LayerNorm_{index}/bias"] = norm.bias
    attention = f"{at}MultiHeadDotProductAttention_1/"
    weights, biases = block.attn.qkv.weight.chunk(3), block.attn.qkv.bias.chunk(3)
    for part, weight, bias in zip(("query", "key", "value"), weights, biases, strict=True):
        arrays[f"{attention}{part}/kernel"] = weight.T.reshape(192, 3, 64)
        arrays[f"{attention}{part}/bias"] = bias.reshape(3, 64)
    arrays[f"{attention}out/kernel"] = block.attn.proj.weight.T.reshape(3, 64, 192)
    arrays[f"{attention}out/bias"] = block.attn.proj.bias
    for index, layer in enumerate((block.mlp.fc1, block.mlp.fc2)):
        arrays[f"{at}MlpBlock_3/Dense_{index}/kernel"] = layer.weight.T
        arrays[f"{at}MlpBlock_3/Dense_{index}/bias"] = layer.bias
    path = tmp_path / "jax.npz"
    content: dict[str, Any] = {key: value.detach().numpy() for key, value in arrays.items()}
    np.savez(path, **content)
    loaded = load(path, name="vit_tiny_patch16_224").state_dict()
    for key, value in vit.state_dict().items():
        torch.testing.assert_close(loaded[key], value)

    with pytest.raises(UserError, match=r"jax\.npz"):
        load(path, name="vit_tiny_patch16_224", depth=2)
    with pytest.raises(UserError, match=r"JAX"):
        load(path, name="eva02_tiny_patch14_224")


def drop(state: dict[str, Tensor]) -> None:
    del state["blocks.0.attn.proj.bias"]


def add(state: dict[str, Tensor]) -> None:
    state["blocks.1.attn.proj.bias"] = torch.zeros(192)


def reshape(state: dict[str, Tensor]) -> None:
    state["blocks.0.mlp.fc1.weight"] = torch.zeros(768, 96)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (drop, r"missing: blocks\.0\.attn\.proj\.bias"),
        (add, r"unexpected: blocks\.1\.attn\.proj\.bias"),
        (
            reshape,
            r"another shape: blocks\.0\.mlp\.fc1\.weight \(768, 96\) instead of \(768, 192\)",
        ),
    ],
)
def test_tensors_without_a_place_are_refused_by_name(
    tmp_path: Path,
    state: dict[str, Tensor],
    change: Callable[[dict[str, Tensor]], None],
    words: str,
) -> None:
    change(state)
    save_file(state, tmp_path / "w.safetensors")
    with pytest.raises(UserError, match=words) as caught:
        load(tmp_path / "w.safetensors")
    assert "cam.backbone.weights" in str(caught.value)


def test_unreadable_files_are_refused(tmp_path: Path, vit: nn.Module) -> None:
    for suffix in (".safetensors", ".pth", ".npz"):
        path = tmp_path / f"broken{suffix}"
        path.write_bytes(b"not weights at all")
        with pytest.raises(UserError, match=f"broken{suffix}"):
            load(path, name="vit_tiny_patch16_224")
    torch.save(vit, tmp_path / "pickled.pth")  # a whole module: would run code when loaded
    with pytest.raises(UserError, match="tensors only"):
        load(tmp_path / "pickled.pth")
    torch.save([1, 2], tmp_path / "list.pth")
    with pytest.raises(UserError, match="dictionary"):
        load(tmp_path / "list.pth")
    with pytest.raises(UserError, match="existing file"):
        load(tmp_path / "absent.pth")


def test_an_unreachable_hub_says_which_file_to_fetch(monkeypatch: pytest.MonkeyPatch) -> None:
    def unreachable(*_args: object, **_options: object) -> None:
        raise ConnectionError("no route to host")

    monkeypatch.setattr("weaktr.models.pretrained.require_hub", lambda models: "")
    monkeypatch.setattr("timm.models._hub.hf_hub_download", unreachable)
    monkeypatch.setattr(huggingface_hub, "hf_hub_download", unreachable)
    params = BackboneParams(name=NAME, weights="hub")
    with pytest.raises(UserError) as caught:
        build_backbone(params, section="decoder.backbone", positions="bilinear")
    message = str(caught.value)
    assert (
        "huggingface.co/timm/deit_tiny_patch16_224.fb_in1k/resolve/main/model.safetensors"
        in message
    )
    assert "decoder.backbone.weights" in message
    assert "\n" not in message


def test_a_model_without_hub_weights_says_so() -> None:
    params = BackboneParams(name="vit_small_patch16_36x1_224", weights="hub")
    with pytest.raises(UserError, match="no pretrained weights"):
        build_backbone(params, section="cam.backbone", positions="bicubic")


def test_nothing_is_loaded_where_other_weights_follow(tmp_path: Path) -> None:
    params = BackboneParams(name=NAME, weights=str(tmp_path / "gone.pth"), depth=1)
    build_backbone(params, section="cam.backbone", positions="bicubic", pretrained=False)
