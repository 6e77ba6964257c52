"""The CAM network against the straightforward one, and its options."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from oracles.attention_stack import stacked_forward
from weaktr.config.backbone import BackboneParams
from weaktr.config.cam import CamParams
from weaktr.errors import UserError
from weaktr.models.cam_network import CAMLogits, CAMNetwork


def build(name: str = "deit_tiny_patch16_224", classes: int = 4, **overrides: object) -> CAMNetwork:
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


def test_mean_fusion_weighs_every_head_alike() -> None:
    network = build(fusion="mean")
    x, y = batch()
    maps = network.maps(x)
    assert (maps.head_weights == 1).all()
    assert maps.head_weights.shape == (3, 9)
    uniform = build()
    uniform.load_state_dict(network.state_dict(), strict=False)
    uniform.fusion.forward = lambda pooled: torch.ones(3, 9)
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
    for name, value in together._asdict().items():
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
    assert all(value.isfinite().all() for value in maps)


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
    build(**{key: limit})
    with pytest.raises(UserError, match=f"cam.{key} must be at most {limit}"):
        build(**{key: limit + 1})


def test_an_input_smaller_than_a_patch_is_refused() -> None:
    build("vit_base_patch32_224", input_size=32)
    with pytest.raises(UserError, match=r"cam.input_size must be at least a patch.* Got: 31"):
        build("vit_base_patch32_224", input_size=31)
