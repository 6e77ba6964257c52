"""The CAM network computes what the published implementation computes."""

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tests.golden_cases import GoldenCase, load_case
from tests.goldens.published_network import build, our_name
from weaktr.models.attention_fusion import AdaptiveAttentionFusion

CASES = ["cam_nonsquare_avg", "cam_square_max", "cam_square_resized_p8"]


@pytest.fixture(params=CASES)
def case(request: pytest.FixtureRequest) -> GoldenCase:
    return load_case(request.param)


def test_logits_losses_and_gradients(case: GoldenCase) -> None:
    network = build(case)
    logits = network(case.tensors["x"])
    case.check("cls_token_pred", logits.class_token)
    case.check("coarse_cam_pred", logits.coarse)
    case.check("fine_cam_pred", logits.fine)

    losses = torch.stack([F.multilabel_soft_margin_loss(x, case.tensors["y"]) for x in logits])
    case.check("losses", losses)
    case.check("loss", losses.sum()[None])
    losses.sum().backward()
    parameters = dict(network.named_parameters())
    for name in case.hyper["grad_params"]:
        gradient = parameters[our_name(name)].grad
        assert gradient is not None, name
        case.check(f"grad.{name}", gradient)
    assert all(p.grad is not None for p in parameters.values())


@pytest.mark.parametrize("index", range(3))
def test_fine_loss_trains_the_fusion_alone(case: GoldenCase, index: int) -> None:
    network = build(case)
    logits = network(case.tensors["x"])
    F.multilabel_soft_margin_loss(logits[index], case.tensors["y"]).backward()
    trained = {name for name, p in network.named_parameters() if p.grad is not None}
    fusion = {name for name in trained if name.startswith("fusion.")}
    assert bool(fusion) == (index == 2)
    assert trained == (fusion if index == 2 else trained - fusion)
    assert ("head.weight" in trained) == (index == 1)


def test_maps(case: GoldenCase) -> None:
    network = build(case)
    maps = network.maps(case.tensors["x"])
    case.check("aaf_weight", maps.head_weights)
    case.check("cams_fused", maps.fused)
    case.check("cams_patchcam", maps.coarse)
    case.check("cams_transcam", maps.cross)
    case.check("patch_attn", maps.affinity[None])
    case.check("cls_token_pred", maps.class_logits)
    case.check("fine_cam_pred", (maps.affinity @ maps.fused.flatten(2).mT).mean(dim=1))
    case.check("fine_cam_pred", maps.fine.mean(dim=(2, 3)))


@pytest.mark.parametrize("whole_map", [True, False])
def test_maps_give_the_fusion_the_published_gradient(case: GoldenCase, whole_map: bool) -> None:
    network = build(case)
    maps = network.maps(case.tensors["x"])
    fine = maps.fine.mean(dim=(2, 3))
    if whole_map:
        fine = (maps.affinity @ maps.fused.flatten(2).mT).mean(dim=1)
    F.multilabel_soft_margin_loss(fine, case.tensors["y"]).backward()
    for name, parameter in network.fusion.named_parameters():
        published = "adaptive_attention_fusion.attn_" + name.replace("feature", "feat")
        if published in case.hyper["grad_params"]:
            assert parameter.grad is not None
            case.check(f"grad.{published}", parameter.grad)


def test_intermediates(case: GoldenCase) -> None:
    network = build(case)
    x = case.tensors["x"]
    grid = (x.shape[2] // network.patch_size, x.shape[3] // network.patch_size)
    positions = network.backbone.position_embedding(grid, (x.shape[2], x.shape[3]))
    assert positions is not None
    case.check("pos_embed_used", positions)

    outputs: list[Tensor] = []
    block: Any
    for block in network.backbone.blocks:
        block.attn.proj.register_forward_hook(lambda _m, _x, y: outputs.append(y))
    tokens = network.backbone(x)
    case.check("tokens_cls", tokens.classes)
    case.check("tokens_patch", tokens.patches)
    assert isinstance(network.fusion, AdaptiveAttentionFusion)
    features = [network.fusion.split_heads(output) for output in outputs]  # [B, H, N, d] each
    case.check("aaf_feat_in", torch.stack(features, dim=2).flatten(1, 2))


def contiguous_heads(self: AdaptiveAttentionFusion, x: Tensor) -> Tensor:
    return x.unflatten(-1, (self.heads, -1)).movedim(-2, 1)


def layer_major(self: AdaptiveAttentionFusion, pooled: list[Tensor]) -> Tensor:
    features = torch.stack([self.split_heads(x) for x in pooled], dim=1)
    return self.head_ffn(self.feature_ffn(features).flatten(1))


@pytest.mark.parametrize(
    ("method", "wrong"), [("split_heads", contiguous_heads), ("forward", layer_major)]
)
def test_another_head_order_is_noticed(
    case: GoldenCase, monkeypatch: pytest.MonkeyPatch, method: str, wrong: object
) -> None:
    monkeypatch.setattr(AdaptiveAttentionFusion, method, wrong)
    weights = build(case).maps(case.tensors["x"]).head_weights
    assert case.error("aaf_weight", weights) > 1e-2


def test_a_final_norm_is_noticed(case: GoldenCase) -> None:
    network = build(case)
    network.backbone.norm = nn.LayerNorm(case.hyper["embed_dim"])
    assert case.error("coarse_cam_pred", network(case.tensors["x"]).coarse) > 1e-2


def test_positions_resampled_to_the_exact_extent_are_noticed() -> None:
    case = load_case("cam_square_resized_p8")
    network = build(case)
    network.backbone.positions = "bilinear"
    assert case.error("cls_token_pred", network(case.tensors["x"]).class_token) > 1e-2
