"""The CAM network against the straightforward one, and its options."""

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from oracles.attention_stack import stacked_forward
from tests.backbones import BACKBONES, CLASSES, cam_network, image
from weaktr.config.backbone import BackboneParams
from weaktr.config.cam import CamParams
from weaktr.errors import UserError
from weaktr.models.attention_fusion import LiftAttentionFusion
from weaktr.models.attention_maps import fuse_attention
from weaktr.models.cam_network import CAMLogits, CAMNetwork


def build(name: str = "deit_tiny_patch16_224", classes: int = 4, **overrides: Any) -> CAMNetwork:
    torch.manual_seed(0)
    backbone = BackboneParams(name=name, weights="none", depth=3)
    section = CamParams(backbone=backbone, **{"reduction": 2, "drop_path": 0.0, **overrides})
    return CAMNetwork.from_params(section, classes)


def batch(side: int = 64) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(3, 3, side, side + 16, generator=generator)
    return x, (torch.rand(3, 4, generator=generator) < 0.4).float()


def gradients(network: CAMNetwork, logits: CAMLogits, y: Tensor) -> dict[str, Tensor]:
    network.zero_grad(set_to_none=True)
    torch.stack([F.multilabel_soft_margin_loss(logit, y) for logit in logits]).sum().backward()
    return {key: p.grad for key, p in network.named_parameters() if p.grad is not None}


@pytest.mark.parametrize("name", BACKBONES)
def test_cam_network(name: str) -> None:
    network = cam_network(name)
    x = image(network.backbone)
    network.zero_grad()
    logits = network(x)
    sum(logit.square().sum() for logit in logits).backward()
    for logit in logits:
        assert logit.shape == (2, CLASSES)
    for key, parameter in network.named_parameters():
        assert parameter.grad is not None, key
        assert parameter.grad.isfinite().all(), key

    maps = network.maps(x)
    for cam in (maps.coarse, maps.cross, maps.fused):
        assert cam.shape == (2, CLASSES, 3, 5)
    assert maps.affinity.shape == (2, 15, 15)
    assert maps.head_weights.shape == (2, 2 * network.backbone.num_heads)
    fine = (maps.affinity @ maps.fused.flatten(2).mT).mean(dim=1)
    torch.testing.assert_close(fine, logits.fine, rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize("pool", ["max", "avg"])
def test_forward_and_gradients_equal_the_stack(pool: str) -> None:
    network = build(pool=pool)
    x, y = batch()
    ours, oracle = network(x), stacked_forward(network, x)
    for a, b in zip(ours, oracle, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-6)
    expected = gradients(network, oracle, y)
    got = gradients(network, ours, y)
    assert got.keys() == expected.keys() == dict(network.named_parameters()).keys()
    for key, gradient in got.items():
        scale = expected[key].abs().max()
        torch.testing.assert_close(gradient / scale, expected[key] / scale, rtol=0, atol=1e-4)


def test_mean_fusion_weighs_every_head_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    network = build(fusion="mean")
    x, y = batch()
    maps = network.maps(x)
    assert (maps.head_weights == 1).all()
    assert maps.head_weights.shape == (3, 9)
    uniform = build()
    uniform.load_state_dict(network.state_dict(), strict=False)
    monkeypatch.setattr(uniform.fusion, "forward", lambda pooled: torch.ones(3, 9))
    torch.testing.assert_close(maps.affinity, uniform.maps(x).affinity)
    logits = network(x)
    assert not logits.fine.requires_grad
    assert gradients(network, logits, y).keys() == dict(network.named_parameters()).keys()


@pytest.mark.parametrize("side", [64, 70])
def test_a_batch_gives_what_single_images_give(side: int) -> None:
    network = build().eval()
    x, _ = batch(side)
    together = network.maps(x)
    alone = [network.maps(image[None]) for image in x]
    for name in ("coarse", "cross", "affinity", "head_weights", "class_logits", "fine"):
        value = getattr(together, name)
        one_by_one = torch.cat([getattr(maps, name) for maps in alone])
        torch.testing.assert_close(value, one_by_one, rtol=1e-4, atol=1e-6)


def test_bfloat16_autocast_stays_close() -> None:
    network = build("eva02_tiny_patch14_224")
    x, y = batch()
    exact = network(x)
    with torch.autocast("cpu", torch.bfloat16):
        rounded = network(x)
    assert rounded.fine.dtype == torch.float32
    for a, b in zip(rounded, exact, strict=True):
        torch.testing.assert_close(
            a.float(), b, rtol=0.05, atol=0.05 * b.detach().abs().max().item()
        )
    assert all(g.isfinite().all() for g in gradients(network, rounded, y).values())
    with torch.autocast("cpu", torch.bfloat16), torch.no_grad():
        maps = network.maps(x)
        exact_maps = network.float().maps(x)
    assert maps.fine.dtype == torch.float32
    for rough, true in ((maps.cross, exact_maps.cross), (maps.fine, exact_maps.fine)):
        torch.testing.assert_close(rough, true, rtol=0.1, atol=0.1 * true.max().item())


def test_recomputing_activations_changes_nothing() -> None:
    network = cam_network("deit_tiny_patch16_224")
    x = image(network.backbone)
    gradients = []
    for recompute in (False, True):
        network.set_gradient_checkpointing(recompute)
        network.zero_grad()
        sum(logit.sum() for logit in network(x)).backward()
        found = [p.grad.clone() for p in network.parameters() if p.grad is not None]
        assert len(found) == len(list(network.parameters()))
        gradients.append(found)
    network.set_gradient_checkpointing(False)
    for first, second in zip(*gradients, strict=True):
        torch.testing.assert_close(first, second)


def test_norms_are_the_published_ones() -> None:
    backbone = build().backbone
    assert {m.eps for m in backbone.modules() if isinstance(m, torch.nn.LayerNorm)} == {1e-6}
    assert isinstance(backbone.norm, torch.nn.Identity)


@pytest.mark.slow
def test_compiles_without_graph_breaks() -> None:
    network = build("vit_tiny_patch16_dinov3_qkvb").eval()
    x, _ = batch()
    compiled = torch.compile(network, fullgraph=True, backend="aot_eager")
    for a, b in zip(compiled(x), network(x), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(("key", "limit"), [("reduction", 9), ("feat_reduction", 64)])
def test_reductions_beyond_the_backbone_are_refused(key: str, limit: int) -> None:
    build("deit_tiny_patch16_224", 4, **{key: limit})
    with pytest.raises(UserError, match=f"cam.{key} must be at most {limit}"):
        build("deit_tiny_patch16_224", 4, **{key: limit + 1})


def test_an_input_smaller_than_a_patch_is_refused() -> None:
    build("vit_base_patch32_224", input_size=32)
    with pytest.raises(UserError, match=r"cam.input_size must be at least a patch.* Got: 31"):
        build("vit_base_patch32_224", input_size=31)


def test_lift_weighs_class_rows_and_affinity_apart() -> None:
    network, mean = build(fusion="lift").eval(), build(fusion="mean").eval()
    mean.load_state_dict(network.state_dict(), strict=False)
    x, _ = batch()
    torch.testing.assert_close(network.maps(x).fine, mean.maps(x).fine)

    fusion = network.fusion
    assert isinstance(fusion, LiftAttentionFusion)
    fusion.set_lift(torch.rand(3, 3), torch.rand(3, 3))
    maps, layers = network.maps(x), network.layers(x)
    queries, keys, layout = layers.queries, layers.keys, network.layout
    cross, _ = fuse_attention(fusion.rows.expand(3, 3, 3), queries, keys, layout)
    _, affinity = fuse_attention(fusion.affinity.expand(3, 3, 3), queries, keys, layout)
    torch.testing.assert_close(maps.cross.flatten(2), cross)
    torch.testing.assert_close(maps.affinity, affinity)
    fine = maps.propagate(maps.fused).mean(dim=(2, 3))
    torch.testing.assert_close(network(x).fine, fine, rtol=1e-4, atol=1e-7)
