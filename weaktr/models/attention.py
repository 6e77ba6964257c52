"""One transformer block of a plain ViT, with its queries, keys and attention output on the side.

`scaled_dot_product_attention` never returns its weights, and the attention fusion needs them. So
the blocks of timm are run through the functions here: the same modules and the same arithmetic, but
queries and keys (after norm and rotary positions, so that they alone define the attention map) and
the output of the attention's projection come back beside the block's result.
"""

from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from timm.layers import Attention, AttentionRope, apply_rot_embed_cat
from timm.models.eva import EvaAttention, EvaBlock
from timm.models.vision_transformer import Block
from torch import Tensor

ATTENTION_TYPES = (Attention, AttentionRope, EvaAttention)
BLOCK_TYPES = (Block, EvaBlock)


class AttentionRecord(NamedTuple):
    """What one layer's attention leaves behind; nothing in it is detached.

    Attributes:
        query: `[B, H, N, d]`, after q-norm and rotary positions, before scaling by `d ** -0.5`.
        key: `[B, H, N, d]`, after k-norm and rotary positions.
        output: `[B, N, D]`, after the output projection, before layer scale and drop path.
    """

    query: Tensor
    key: Tensor
    output: Tensor


def _project(attn: Any, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Queries, keys and values `[B, heads, N, d]`, before any norm or rotation."""
    B, N, _ = x.shape
    if attn.qkv is None:
        projected = (attn.q_proj(x), attn.k_proj(x), attn.v_proj(x))
        q, k, v = (p.view(B, N, -1, attn.head_dim).transpose(1, 2) for p in projected)
        return q, k, v
    if getattr(attn, "q_bias", None) is not None:  # EvaAttention: a bias without a key part
        bias = torch.cat((attn.q_bias, attn.k_bias, attn.v_bias))
        qkv = F.linear(x, attn.qkv.weight, bias)
    else:
        qkv = attn.qkv(x)
    q, k, v = qkv.view(B, N, 3, attn.num_heads, attn.head_dim).permute(2, 0, 3, 1, 4).unbind(0)
    return q, k, v


def _rotate(attn: Any, x: Tensor, rope: Tensor, dtype: torch.dtype) -> Tensor:
    """Rotary positions for patch tokens; class and register tokens stay as they are."""
    prefix, patches = x.split((attn.num_prefix_tokens, x.shape[2] - attn.num_prefix_tokens), dim=2)
    patches = apply_rot_embed_cat(patches, rope, half=attn.rotate_half)
    return torch.cat((prefix, patches), dim=2).to(dtype)


def run_attention(attn: Any, x: Tensor, rope: Tensor | None = None) -> AttentionRecord:
    """Runs a timm attention module (one of `ATTENTION_TYPES`) and keeps its queries and keys.

    Args:
        attn: The module; its own `forward` gives the same output.
        x: `[B, N, D]` normalised tokens, prefix (class, register) tokens first.
        rope: Rotary embedding of the patch tokens `[P, 2 * d]`, or one per head.
    """
    gate = attn.gate(x).sigmoid() if attn.gate is not None else None
    q, k, v = _project(attn, x)
    q, k = attn.q_norm(q), attn.k_norm(k)
    if rope is not None:
        q, k = _rotate(attn, q, rope, v.dtype), _rotate(attn, k, rope, v.dtype)
    groups = q.shape[1] // k.shape[1]
    if groups > 1:  # grouped queries: neighbouring heads share a key and a value
        k, v = k.repeat_interleave(groups, dim=1), v.repeat_interleave(groups, dim=1)
    dropout = attn.attn_drop.p if attn.training else 0.0
    x = F.scaled_dot_product_attention(q, k, v, dropout_p=dropout)
    x = attn.norm(x.transpose(1, 2).flatten(2))
    if gate is not None:
        x = x * gate
    return AttentionRecord(q, k, attn.proj_drop(attn.proj(x)))


def run_block(block: Any, x: Tensor, rope: Tensor | None = None) -> tuple[Tensor, AttentionRecord]:
    """Runs a pre-norm timm block (one of `BLOCK_TYPES`) and keeps its attention's record.

    Args:
        block: The module; its own `forward` gives the same tokens.
        x: `[B, N, D]` tokens.
        rope: As for `run_attention`.

    Returns:
        Tokens `[B, N, D]` and the record.
    """
    record = run_attention(block.attn, block.norm1(x), rope)
    if isinstance(block, EvaBlock):
        x = x + block.drop_path1(_times(block.gamma_1, record.output))
        x = x + block.drop_path2(_times(block.gamma_2, block.mlp(block.norm2(x))))
    else:
        x = x + block.drop_path1(block.ls1(record.output))
        x = x + block.drop_path2(block.ls2(block.mlp(block.norm2(x))))
    return x, record


def _times(scale: Tensor | None, x: Tensor) -> Tensor:
    return x if scale is None else scale * x
