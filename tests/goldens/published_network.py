"""Our CAM network with the sizes and the weights of a golden case."""

from functools import partial

from timm.models.vision_transformer import VisionTransformer
from torch import nn

from tests.golden_cases import GoldenCase
from weaktr.config.cam import CamParams
from weaktr.models.attention_fusion import AdaptiveAttentionFusion
from weaktr.models.backbone import Backbone
from weaktr.models.cam_network import CAMNetwork

RENAMES = {
    "adaptive_attention_fusion.attn_head_ffn": "fusion.head_ffn",
    "adaptive_attention_fusion.attn_feat_ffn": "fusion.feature_ffn",
    "cls_token": "backbone.cls_token",
    "pos_embed": "backbone.pos_embed",
    "patch_embed": "backbone.patch_embed",
    "blocks": "backbone.blocks",
}


def our_name(published: str) -> str:
    """Our name of a published tensor."""
    for old, new in RENAMES.items():
        if published.startswith(old):
            return new + published.removeprefix(old)
    return published


def build(case: GoldenCase) -> CAMNetwork:
    """The network, in evaluation mode."""
    hyper = case.hyper
    vit = VisionTransformer(
        img_size=hyper["native_img_size"],
        num_classes=0,
        norm_layer=partial(nn.LayerNorm, eps=hyper["layernorm_eps"]),
        **{k: hyper[k] for k in ("patch_size", "embed_dim", "depth", "num_heads", "mlp_ratio")},
    )
    backbone = Backbone(
        vit, positions="bicubic", num_class_tokens=hyper["num_classes"], final_norm=False
    )
    fusion = AdaptiveAttentionFusion(
        layers=hyper["depth"],
        heads=hyper["num_heads"],
        embed_dim=hyper["embed_dim"],
        **{key: hyper[key] for key in ("reduction", "feat_reduction", "pool")},
    )
    network = CAMNetwork(backbone, fusion, CamParams())
    state = {our_name(k): v for k, v in case.state.items() if not k.startswith("norm.")}
    network.load_state_dict(state)
    return network.eval()
