"""The straightforward attention fusion: every map of every head kept, as the published code does.

The oracle of `weaktr.models.attention_maps`: explicit softmax attention in the main path, all
`L * H` maps and attention outputs stacked, detached as copies, put head-major, weighted and
averaged (once for each use). It runs on the modules of a `CAMNetwork`, so that weights are shared.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from weaktr.models.attention_fusion import AdaptiveAttentionFusion
from weaktr.models.cam_network import CAMLogits, CAMNetwork


def softmax_maps(query: Tensor, key: Tensor) -> Tensor:
    """Attention maps `[B, H, N, N]`."""
    return (query * query.shape[-1] ** -0.5 @ key.transpose(-2, -1)).softmax(dim=-1)


def stack_fusion(
    weights: Tensor, maps: Sequence[Tensor], classes: int, prefix: int
) -> tuple[Tensor, Tensor]:
    """Weighted mean over maps, from the whole stack.

    Args:
        weights: `[B, H * L]`, index head * L + layer.
        maps: L tensors `[B, H, N, N]`.
        classes: Class tokens, which come first.
        prefix: Class and register tokens together.

    Returns:
        Class-to-patch map `[B, C, P]` and affinity `[B, P, P]`.
    """
    stack = torch.stack(list(maps)).detach().clone()  # [L, B, H, N, N]
    L, B, H, N, _ = stack.shape
    stack = stack.permute(1, 2, 0, 3, 4).contiguous().view(B, H * L, N, N)

    def mean() -> Tensor:
        weighted = stack * weights[:, :, None, None].expand_as(stack)
        return weighted.view(B, H, L, N, N).mean(1).mean(1)

    return mean()[:, :classes, prefix:], mean()[:, prefix:, prefix:]


def explicit_affinity(
    weights: Tensor, queries: Sequence[Tensor], keys: Sequence[Tensor], prefix: int
) -> Tensor:
    """The affinity `[B, P, P]`, from whole maps of one layer at a time.

    Args:
        weights: `[B, L, H]`.
        queries: L tensors `[B, H, N, d]`.
        keys: The same.
        prefix: Class and register tokens together.
    """
    total = torch.zeros(())
    for weight, query, key in zip(weights.unbind(1), queries, keys, strict=True):
        maps = softmax_maps(query, key)[..., prefix:, prefix:]
        total = total.to(maps) + torch.einsum("bh,bhij->bij", weight, maps)
    return total / weights[0].numel()


def _block(block: Any, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Tokens, maps and attention output of a block, with explicit attention."""
    B, N, _ = x.shape
    attn = block.attn
    qkv = attn.qkv(block.norm1(x)).reshape(B, N, 3, attn.num_heads, -1).permute(2, 0, 3, 1, 4)
    q, k, v = qkv.unbind(0)
    maps = softmax_maps(q, k)
    output = attn.proj((maps @ v).transpose(1, 2).reshape(B, N, -1))
    x = x + block.drop_path1(block.ls1(output))
    return x + block.drop_path2(block.ls2(block.mlp(block.norm2(x)))), maps, output


class StackedMaps(NamedTuple):
    """What the published forward pass has in hand before its heads."""

    classes: Tensor
    """Class tokens `[B, C, D]`."""
    coarse: Tensor
    """`[B, C, h, w]`, before ReLU."""
    cross: Tensor
    """`[B, C, P]`."""
    affinity: Tensor
    """`[B, P, P]`."""


def stacked_maps(network: CAMNetwork, x: Tensor) -> StackedMaps:
    """The maps, from whole stacks (backbones without rotary positions or registers)."""
    backbone, fusion = network.backbone, network.fusion
    assert isinstance(fusion, AdaptiveAttentionFusion)
    tokens, _, grid = backbone.embed(x)
    maps, outputs = [], []
    for block in backbone.blocks:
        tokens, attention, output = _block(block, tokens)
        maps.append(attention)
        outputs.append(output)
    C = network.num_classes
    classes, patches = tokens[:, :C], tokens[:, C:]
    coarse = network.head(patches.transpose(1, 2).reshape(*x.shape[:1], -1, *grid).contiguous())

    stack = torch.stack(outputs).detach().clone()  # [L, B, N, D]
    L, B, N, D = stack.shape
    H = backbone.num_heads
    features = stack.view(L, B, N, D // H, H).permute(1, 4, 0, 2, 3).contiguous()  # [B, H, L, N, d]
    pooled = features.amax(dim=3) if fusion.pool == "max" else features.mean(dim=3)
    weights = fusion.head_ffn(fusion.feature_ffn(pooled).flatten(1))
    return StackedMaps(classes, coarse, *stack_fusion(weights, maps, C, C))


def stacked_forward(network: CAMNetwork, x: Tensor) -> CAMLogits:
    """`CAMNetwork.forward` the published way."""
    classes, coarse, cross, affinity = stacked_maps(network, x)
    cam = cross.view_as(coarse) * coarse.detach().clone().relu()
    fine = affinity[:, None] @ cam.flatten(2)[..., None]  # [B, C, P, 1]
    return CAMLogits(classes.mean(-1), coarse.mean(dim=(2, 3)), fine.mean(dim=(2, 3)))
