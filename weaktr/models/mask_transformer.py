"""The mask transformer: patch tokens and class embeddings in, one mask per class out.

Segmenter (Strudel et al., arXiv 2105.05633, section 3.2), as WeakTr (arXiv 2304.01184) uses it.
"""

import torch
import torch.nn.functional as F
from timm.layers import trunc_normal_
from timm.models.vision_transformer import Block
from torch import Tensor, nn


class MaskTransformer(nn.Module):
    """Lets class embeddings and patch tokens attend to each other, then compares the two.

    A class's mask is the cosine between its embedding and every patch token, normalised over the
    class axis by a LayerNorm.

    Args:
        num_labels: Classes and background.
        width: Channels D of the patch tokens, and inside.
        layers: Transformer blocks.
        heads: Attention heads of a block.
        mlp_ratio: Hidden channels of a block's MLP, in widths.
        dropout: Rate after attention weights, projections and MLP layers.
        spare: Class embeddings after those of the labels, which take part in attention and in the
            LayerNorm over classes, and whose masks are dropped.
    """

    def __init__(
        self,
        *,
        num_labels: int,
        width: int,
        layers: int = 2,
        heads: int,
        mlp_ratio: float = 4.0,
        dropout: float = 0.1,
        spare: int = 0,
    ) -> None:
        super().__init__()
        self.num_labels = num_labels
        self.input_projection = nn.Linear(width, width)
        self.class_embedding = nn.Parameter(torch.empty(1, num_labels + spare, width))
        self.blocks = nn.Sequential(
            *(
                Block(
                    width,
                    heads,
                    mlp_ratio=mlp_ratio,
                    qkv_bias=True,
                    proj_drop=dropout,
                    attn_drop=dropout,
                    norm_layer=nn.LayerNorm,
                )
                for _ in range(layers)
            )
        )
        self.norm = nn.LayerNorm(width)
        self.patch_projection = nn.Parameter(torch.empty(width, width))
        self.class_projection = nn.Parameter(torch.empty(width, width))
        self.mask_norm = nn.LayerNorm(num_labels + spare)
        self._init_weights()

    def _init_weights(self) -> None:
        for module in self.modules():
            if isinstance(module, nn.Linear):
                trunc_normal_(module.weight, std=0.02)
                nn.init.zeros_(module.bias)
        trunc_normal_(self.class_embedding, std=0.02)
        for projection in (self.patch_projection, self.class_projection):
            nn.init.normal_(projection, std=projection.shape[0] ** -0.5)

    def forward(
        self, patch_tokens: Tensor, grid: tuple[int, int], *, with_early: bool = False
    ) -> Tensor:
        """Mask logits at patch resolution.

        Args:
            patch_tokens: The encoder's patch tokens, row by row, `[B, h * w, D]`.
            grid: Height and width (h, w) in patches.
            with_early: Also read the masks before the last block.

        Returns:
            `[B, K, h, w]`; with the early masks before the final ones, `[B, 2 * K, h, w]`.
        """
        B = patch_tokens.shape[0]
        x = self.input_projection(patch_tokens)
        x = torch.cat([x, self.class_embedding.expand(B, -1, -1).to(x.dtype)], dim=1)
        early = self.blocks[:-1](x)
        masks = self._masks(self.blocks[-1](early), grid)
        return torch.cat([self._masks(early, grid), masks], dim=1) if with_early else masks

    def _masks(self, x: Tensor, grid: tuple[int, int]) -> Tensor:
        """Compares patches with classes: `[B, h * w + K + spare, D]` to `[B, K, h, w]`."""
        P = grid[0] * grid[1]
        x = self.norm(x)
        patches, classes = x[:, :P], x[:, P:]
        patches = F.normalize(patches @ self.patch_projection, dim=-1)  # [B, h * w, D]
        classes = F.normalize(classes @ self.class_projection, dim=-1)  # [B, K + spare, D]
        masks = self.mask_norm(patches @ classes.transpose(1, 2))  # [B, h * w, K + spare]
        return masks[..., : self.num_labels].transpose(1, 2).unflatten(2, grid)


def decoder_heads(width: int) -> int:
    """Heads of a decoder of that width: 64 channels each as published, at least one.

    Where the width is no multiple of them, the next smaller number of heads that divides it.

    >>> decoder_heads(384), decoder_heads(200)
    (6, 2)
    """
    return next(heads for heads in range(max(1, width // 64), 0, -1) if width % heads == 0)
