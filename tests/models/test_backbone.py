"""Every supported backbone, as an encoder and as that of a CAM network, on random weights."""

from typing import Any

import pytest
import timm
import torch

from tests.backbones import BACKBONES, CLASSES, cam_network, image, params
from weaktr.config.backbone import BackboneParams
from weaktr.errors import UserError
from weaktr.models.attention_maps import TokenLayout, attention_marginals, fuse_attention
from weaktr.models.backbone import Backbone, build_backbone


def encoder(name: str, **overrides: Any) -> Backbone:
    torch.manual_seed(0)
    return build_backbone(
        params(name, **overrides), section="decoder.backbone", positions="bilinear"
    ).eval()


@pytest.mark.parametrize("name", BACKBONES)
def test_attention_rows_sum_to_one(name: str) -> None:
    """Over all tokens; with registers, what patches get is what the registers leave."""
    backbone = cam_network(name).backbone
    tokens, ropes, _ = backbone.embed(image(backbone))
    _, record = backbone.run_layer(0, tokens, ropes[0])
    query, key = record.query, record.key
    whole = TokenLayout(0, 0)
    weights = torch.full((2, 1, backbone.num_heads), 1.0)
    _, mean = fuse_attention(weights, [query], [key], whole)
    torch.testing.assert_close(mean.sum(dim=-1), torch.ones(mean.shape[:2]))
    layout = TokenLayout(CLASSES, backbone.num_prefix_tokens)
    _, patches = fuse_attention(weights, [query], [key], layout)
    torch.testing.assert_close(patches, mean[:, layout.prefix :, layout.prefix :])
    assert (patches.sum(dim=-1) < 1).all()
    received = attention_marginals(query, key, layout)[:, :, -1]
    torch.testing.assert_close(received.mean(dim=1), patches.sum(dim=1))


@pytest.mark.parametrize("name", BACKBONES)
def test_encoder_equals_timm(name: str) -> None:
    """At the native grid, where nothing is resampled, tokens are those of timm's own forward."""
    torch.manual_seed(0)
    vit: Any = timm.create_model(
        name, num_classes=0, depth=2, img_size=64, patch_size=16, dynamic_img_size=True
    ).eval()
    x = torch.randn(2, 3, 64, 64)
    expected = vit.forward_features(x)
    if isinstance(vit.norm, torch.nn.Identity):
        expected = vit.fc_norm(expected)
    prefix = vit.num_prefix_tokens
    tokens = Backbone(vit, positions="bilinear")(x)
    assert tokens.grid == (4, 4)
    assert tokens.classes.shape[1] == int(vit.cls_token is not None)
    torch.testing.assert_close(tokens.patches, expected[:, prefix:], rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(
        tokens.classes, expected[:, : tokens.classes.shape[1]], rtol=1e-4, atol=1e-5
    )


@pytest.mark.parametrize("name", BACKBONES)
def test_encoder_trains(name: str) -> None:
    backbone = encoder(name)
    tokens = backbone(image(backbone))
    assert tokens.patches.shape == (2, 15, backbone.embed_dim)
    tokens.patches.square().sum().backward()
    for key, parameter in backbone.named_parameters():
        assert parameter.grad is not None, key
    cfg = timm.get_pretrained_cfg(name)
    assert cfg is not None
    assert (backbone.mean, backbone.std) == (tuple(cfg.mean), tuple(cfg.std))


@pytest.mark.parametrize("name", ["vit_small_patch14_dinov2", "eva02_tiny_patch14_224"])
def test_patch_size_is_resampled(name: str) -> None:
    backbone = encoder(name, patch_size=16)
    assert backbone.patch_size == 16
    assert backbone(torch.randn(1, 3, 64, 48)).grid == (4, 3)
    # A constant patch has the same embedding at either size.
    native = encoder(name)
    tokens = [
        b.patch_embed.proj(torch.ones(1, 3, b.patch_size, b.patch_size)) for b in (backbone, native)
    ]
    torch.testing.assert_close(*tokens, rtol=1e-3, atol=1e-3)


def test_class_tokens_start_as_copies_where_weights_are_loaded() -> None:
    vit: Any = timm.create_model("deit_tiny_patch16_224", num_classes=0, depth=1)
    token, positions = vit.cls_token.clone(), vit.pos_embed.clone()
    backbone = Backbone(vit, positions="bicubic", num_class_tokens=4)
    assert backbone.cls_token is not None
    assert backbone.pos_embed is not None
    torch.testing.assert_close(backbone.cls_token, token.expand(-1, 4, -1))
    torch.testing.assert_close(backbone.pos_embed[:, :4], positions[:, :1].expand(-1, 4, -1))
    torch.testing.assert_close(backbone.pos_embed[:, 4:], positions[:, 1:])


@pytest.mark.parametrize("name", ["deit_tiny_patch16_224", "vit_base_patch16_siglip_224"])
def test_class_tokens_differ_where_nothing_is_loaded(name: str) -> None:
    token = cam_network(name).backbone.cls_token
    assert token is not None
    assert token.shape[1] == CLASSES
    assert (token[0, 0] - token[0, 1]).abs().max() > 0.01
    assert 0.015 < token.std() < 0.025


def test_settings_reach_the_blocks() -> None:
    backbone = build_backbone(
        params("deit_tiny_patch16_224", embed_dim=96, num_heads=6, mlp_ratio=2),
        section="cam.backbone",
        positions="bicubic",
        layer_norm_eps=1e-5,
        drop_path=0.2,
        final_norm=False,
    )
    assert (backbone.embed_dim, backbone.num_heads, len(backbone.blocks)) == (96, 6, 2)
    first: Any
    second: Any
    first, second = backbone.blocks
    assert first.mlp.fc1.out_features == 192
    assert second.norm1.eps == 1e-5
    assert isinstance(first.drop_path1, torch.nn.Identity)
    assert second.drop_path1.drop_prob == pytest.approx(0.2)
    assert isinstance(backbone.norm, torch.nn.Identity)


@pytest.mark.parametrize(
    ("backbone", "words"),
    [
        ({"name": "deit_smal_patch16_224"}, "deit_small_patch16_224"),
        ({"name": "resnet50"}, "plain ViT"),
        ({"name": "swin_tiny_patch4_window7_224"}, "plain ViT"),
        ({"name": "deit_tiny_distilled_patch16_224"}, "plain ViT"),
        ({"name": "deit_tiny_patch16_224", "embed_dim": 100, "num_heads": 3}, "sizes"),
        ({"name": "deit_tiny_patch16_224", "weights": "hub", "depth": 2}, "depth"),
    ],
)
def test_impossible_backbones_are_refused(backbone: dict[str, Any], words: str) -> None:
    section = BackboneParams(**{"weights": "none", **backbone})
    with pytest.raises(UserError, match=words) as caught:
        build_backbone(section, section="cam.backbone", positions="bicubic")
    assert "cam.backbone" in str(caught.value)
